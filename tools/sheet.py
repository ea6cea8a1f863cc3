"""Prove the check of the sheet: at 1,000 seeds each, what is right passes and no wrong filling of the tests does.

Verdicts alone, without the words; what is said of each wrong filling is compared with the tests' at 20 seeds. The
numbers stand in docs/course.md.
"""

import argparse
import re
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fillings import COLUMNS, ROWS, filled  # noqa: E402

from course.checking import check  # noqa: E402
from course.filling import Filling  # noqa: E402
from course.gradients import NAMES  # noqa: E402
from course.naming import is_right  # noqa: E402
from course.sheet import Sheet  # noqa: E402


def filling(sheet: Sheet, source: str) -> Filling:
    """Return a filled-in sheet that runs here."""
    return Filling(source, "train.py", vars(sheet.solution))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1000, help="for the verdicts (default: 1000)")
    parser.add_argument("--named", type=int, default=20, help="seeds at which the words are compared (default: 20)")
    arguments = parser.parse_args()
    failures = 0
    for form, table in (("columns", COLUMNS), ("rows", ROWS)):
        sheet, start = Sheet(form), time.perf_counter()
        right = filling(sheet, sheet.source)
        wrong = [(name, text, said, filling(sheet, filled(sheet.source, name, text))) for name, text, said in table]
        passed_wrong, failed_right, points = set(), 0, []
        for seed in tqdm(range(arguments.seeds), desc=form):
            rng = np.random.default_rng(seed)
            for number, blank in enumerate(NAMES):
                drawn = sheet.points(rng)
                points.append(len(drawn))

                def passes(tried, blank=blank, number=number, drawn=drawn):
                    return all(
                        is_right(tried.answer(blank, point, {key: point[key] for key in NAMES[:number]}), point[blank])
                        for point in drawn
                    )

                failed_right += not passes(right)
                passed_wrong |= {text for name, text, _, tried in wrong if name == blank and passes(tried)}
        unnamed = set()
        for seed in range(arguments.named):
            for name, text, said, tried in wrong:
                verdict = next(v for v in check(tried, sheet, np.random.default_rng(seed)) if v.name == name)
                unnamed |= set() if re.search(said, verdict.message) else {(name, text, verdict.message)}
        print(
            f"{form}: at {arguments.seeds} seeds, of {min(points)} to {max(points)} points each, the right filling "
            f"failed {failed_right} times, and {len(passed_wrong)} of {len(wrong)} wrong ones ever passed. At "
            f"{arguments.named} seeds, {len(unnamed)} were named otherwise. ({time.perf_counter() - start:.0f} s)"
        )
        for line in (*sorted(passed_wrong), *sorted(unnamed)):
            print(" ", line)
        failures += failed_right + len(passed_wrong) + len(unnamed)
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
