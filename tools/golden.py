"""Write tests/golden: PyTorch's forwards and gradients of every row of tests/cases, in float64.

    python tools/golden.py              every family
    python tools/golden.py linear       those of tests/cases/linear.py alone

Run by hand where PyTorch is installed, after adding rows. The tests read the files and need no PyTorch.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from cases import FAMILIES, Case, Setup, golden  # noqa: E402
from cases.trees import flat, mapped  # noqa: E402


def computed(case: Case, mode: str) -> tuple[dict, dict]:
    """Return what PyTorch is given in a mode, and the output and all gradients that it computes."""
    setup = Setup(case, mode)
    given = {"inputs": setup.inputs, "state": setup.module.state_dict()}
    twin = case.twin(setup.module)
    inputs = mapped(torch.tensor, setup.inputs)
    for index, x in enumerate(inputs):
        if index not in setup.targets:
            mapped(lambda leaf: leaf.requires_grad_(leaf.is_floating_point()), x)
    y = twin(*inputs)
    given["grad_output"] = setup.upstream(y)
    gradients = flat(mapped(torch.tensor, given["grad_output"]))
    floating = {place: leaf for place, leaf in flat(y).items() if leaf.is_floating_point()}
    torch.autograd.backward([*floating.values()], [gradients[place] for place in floating])
    gradients = {
        "grad_inputs": mapped(lambda leaf: leaf.grad, inputs),
        "grad_parameters": {name: p.grad for name, p in twin.named_parameters()},
    }
    return given, mapped(lambda leaf: leaf.detach().numpy(), {"output": y} | gradients)


def record(case: Case) -> dict:
    """Return a row's golden numbers, by part."""
    given, results = computed(case, "eval")
    if case.drawn:
        return given | {"eval": results}
    _, training = computed(case, "train")
    pairs = zip(flat(training).values(), flat(results).values(), strict=True)
    if all(np.array_equal(a, b) for a, b in pairs):
        return given | {"both": results}
    return given | {"train": training, "eval": results}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"among {', '.join(FAMILIES)} (default: all)")
    families = parser.parse_args().families or [*FAMILIES]
    if unknown := set(families) - FAMILIES.keys():
        parser.error(f"no family {', '.join(sorted(unknown))}: expected {', '.join(FAMILIES)}")
    golden.FOLDER.mkdir(exist_ok=True)
    for family in families:
        path = golden.FOLDER / f"{family}.json"
        golden.write(path, {case.name: record(case) for case in FAMILIES[family]})
        print(f"wrote {len(FAMILIES[family])} rows to {path.relative_to(ROOT)}, from PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
