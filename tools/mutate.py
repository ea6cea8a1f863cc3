"""Break the code of layers and optimizers in one random place after another, and count what the tests notice.

    python tools/mutate.py --mutants 320 --seed 0

Every mutant replaces one operator, comparison, number or boolean, in a copy of the repository. cosmic-ray makes the
replacements and runs the tests; this script draws the places. Survivors are printed: docs/mutation.md explains them.
"""

import argparse
import ast
import itertools
import os
import random
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_and_test, mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from cosmic_ray.testing import run_tests
from cosmic_ray.work_item import MutationSpec, TestOutcome
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
# What is mutated, a room at a time: the files, and the tests that must notice.
TARGETS = {
    "layers": (
        *[("nn/layers/*", "nn/losses/*", "nn/numeric", "nn/container", "nn/branch", "nn/module", "nn/init")],
        ("cases", "bad_input", "numbers", "module", "branch", "equations"),
    ),
    "mathematics": (("nn/mathematics/*",), ("language", "equations", "derivation")),
    "checking": (("nn/checking/*", "nn/tree"), ("tree", "measure", "checking", "oracle", "oracle_program")),
    "graph": (("nn/graph/*",), ("graph", "derivation", "explain")),
    "optim": (("optim/*",), ("optim", "lr_scheduler")),
}
# The beginnings of the names of cosmic-ray's operators that are used.
KINDS = (
    *("ReplaceBinaryOperator", "ReplaceComparisonOperator", "ReplaceUnaryOperator", "NumberReplacer", "AddNot"),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
)
TIMEOUT = 60.0  # seconds; a mutant whose tests take longer, several times what they need, is killed
ENOUGH = 0.95  # of the mutants must be killed

Place = tuple[str, tuple[int, int], tuple[int, int]]  # a file, and from which line and column to which
Mutation = tuple[str, int]  # the name of cosmic-ray's operator, and which of its occurrences in the file


class _Meaning(ast.NodeTransformer):
    """Takes out of a syntax tree what only readers see: annotations, the texts of errors and of repr."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.Pass:
        return ast.Pass()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        if node.name in ("__repr__", "extra_repr"):
            node.body = []
        return self.generic_visit(node)


def meaning(code: str) -> str:
    """Return the code's syntax tree, as text, without what only readers see."""
    return ast.dump(_Meaning().visit(ast.parse(code)))


def places(path: str) -> dict[Place, list[Mutation]]:
    """Return what could be replaced in a file, each with its possible mutations."""
    found: dict[Place, list[Mutation]] = {}
    tree = get_ast(Path(path).read_text(encoding="utf-8"))
    for name in operator_names():
        if not name.removeprefix("core/").startswith(KINDS):
            continue
        operator = get_operator(name)()
        positions = (position for node in ast_nodes(tree) for position in operator.mutation_positions(node))
        for occurrence, (start, end) in enumerate(positions):
            found.setdefault((path, start, end), []).append((name, occurrence))
    return found


def means_something(path: str, name: str, occurrence: int) -> bool:
    """Tell whether a mutant is a program, and another one than the original (an annotation's `|` is neither)."""
    code = Path(path).read_text(encoding="utf-8")
    try:
        return meaning(mutate_code(code, get_operator(name)(), occurrence)) != meaning(code)
    except SyntaxError:
        return False


def draw(seed: int, rooms: Iterable[str]) -> Iterator[tuple[str, MutationSpec]]:
    """Yield mutants in random order, one a place, each with its room."""
    every: dict[Place, list[Mutation]] = {}
    room_of = {}
    for room in rooms:
        for file in itertools.chain(*(Path().glob(f"{name}.py") for name in TARGETS[room][0])):
            room_of[str(file)] = room
            every |= places(str(file))
    generator = random.Random(seed)
    order = sorted(every)
    generator.shuffle(order)
    for path, start, end in order:
        name, occurrence = generator.choice(every[path, start, end])
        if means_something(path, name, occurrence):
            yield room_of[path], MutationSpec(Path(path), name, occurrence, start, end)


def command(room: str) -> str:
    """Return the test command of a room, which stops at the first failure."""
    tests = [f"tests/test_{name}.py" for name in TARGETS[room][1]]
    return shlex.join([sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mutants", type=int, default=320, help="how many, each in another place (default: 320)")
    parser.add_argument("--seed", type=int, default=0, help="decides the sample (default: 0)")
    parser.add_argument(
        "--rooms", nargs="+", choices=TARGETS, default=["layers", "optim"], help="where to break things"
    )
    args = parser.parse_args()
    if args.mutants < 1:
        parser.error(f"--mutants expects a number of at least 1, got {args.mutants}")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "build", "dist"))
        os.chdir(copy)
        for room in args.rooms:
            outcome, output = run_tests(command(room), TIMEOUT)
            if outcome != TestOutcome.SURVIVED:
                sys.exit(f"The tests of {room} fail before anything is broken:\n{output}")
        run = killed = 0
        mutants = itertools.islice(draw(args.seed, args.rooms), args.mutants)
        for room, mutant in tqdm(mutants, total=args.mutants, unit="mutant"):
            run += 1
            result = mutate_and_test([mutant], command(room), TIMEOUT)
            if result.test_outcome == TestOutcome.KILLED:
                killed += 1
            else:
                changed = [line for line in result.diff.splitlines()[3:] if line[:1] in "-+" and line[1:].strip()]
                tqdm.write("\n".join([f"survived: {mutant.module_path}:{mutant.start_pos[0]}", *changed]))
    print(f"{run} mutants, {killed} killed ({killed / run:.1%})")
    sys.exit(killed < ENOUGH * run)


if __name__ == "__main__":
    main()
