"""What the packages promise as packages: who may import whom, what is never written, what is typed and shown.

Most of it is read from the syntax trees, without running the code. A failure lists the places as file:line.
"""

import ast
import configparser
import graphlib
import importlib
import inspect
import shutil
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("nn", "optim", "data")
ROOMS = (*PACKAGES, "course")  # the latter stands on the others
FILES = [path.relative_to(ROOT) for package in ROOMS for path in sorted((ROOT / package).rglob("*.py"))]
TREES = {path: ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path)) for path in FILES}

# A module of nn, or a folder of them, imports only from floors above its own line. Tools look at modules, which know
# none of them; they alone may import one another.
TOOLS = {"checking", "graph", "inspection", "lowering", "onnx", "safetensors", "serialization", "utils", "__main__"}
FLOORS = (
    {"pytorch"},
    {"archive", "files", "parameter", "passes", "numeric", "shapes", "texttable", "tree"},
    {"settings"},
    {"random"},
    {"init", "mathematics"},
    {"module"},
    {"container"},
    {"branch", "layers", "losses"},
    TOOLS,
    {"__init__"},
)
OPEN = {"layers", "losses", "mathematics", "solutions"}  # folders of families, each file of which others may import

EXTRAS = {"matplotlib", "onnx", "PIL", "pytest"}  # the only imports that may stand inside a function
HEAVY = {"argparse", "hashlib", "tqdm", "unittest", "xml"}  # belong to scripts and tests: they cost an instant start
REFUSED = {"pickle", *HEAVY}

HANDED_OUT = Path("course", "solutions")  # to students, who read functions without types

FLOATING = {"float16", "float32", "float64", "longdouble", "half", "single", "double", "f2", "f4", "f8"}

Import = ast.Import | ast.ImportFrom
Function = ast.FunctionDef | ast.AsyncFunctionDef


def nodes(kind, rooms=ROOMS) -> Iterator[tuple[Path, ast.AST]]:
    """Yield every node of a kind, with its file."""
    trees = ((path, tree) for path, tree in TREES.items() if path.parts[0] in rooms)
    return ((path, node) for path, tree in trees for node in ast.walk(tree) if isinstance(node, kind))


def roots(node: Import) -> set[str]:
    """Return the top names of what an import brings from outside the package."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return set() if getattr(node, "level", 0) else {name.split(".")[0] for name in names}


def imported(path: Path) -> dict[Path, int]:
    """Return the files of its own package that a file imports, with the line."""
    found = {}
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ImportFrom) and node.level:
            source = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for alias in node.names:
                places = (source / f"{alias.name}.py", source.with_suffix(".py"), source / "__init__.py")
                found[next(place for place in places if place in TREES)] = node.lineno
    return found


def room(path: Path) -> str:
    """Return the name of a package's module, or of its folder that a file is in."""
    return Path(path.parts[1]).stem


def functions(parent: ast.AST, in_class: bool = False) -> Iterator[tuple[Function, bool]]:
    """Yield the functions and methods under a module or class, each with whether it is a method."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ClassDef):
            yield from functions(node, in_class=True)
        elif isinstance(node, Function):
            yield node, in_class


# ---- imports


def test_packages_import_numpy_and_the_standard_library_alone():
    allowed = ({"numpy"} | sys.stdlib_module_names | EXTRAS - {"pytest"}) - REFUSED
    found = {f"{path} {name}" for path, node in nodes(Import, PACKAGES) for name in roots(node) - allowed}
    # What `python -m nn` runs is a script, which nothing imports.
    assert found <= {str(Path("nn", "__main__.py")) + " argparse"}


def test_course_stands_on_the_packages():
    allowed = {*PACKAGES, "course", "numpy", "tqdm"} | sys.stdlib_module_names | EXTRAS
    assert not {f"{path} {name}" for path, node in nodes(Import, ["course"]) for name in roots(node) - allowed}


def test_relative_imports_stay_inside_their_package():
    found = [f"{path}:{node.lineno}" for path, node in nodes(ast.ImportFrom) if node.level >= len(path.parts)]
    assert not found


def test_only_extras_are_imported_inside_a_function():
    inner = [(path, node) for path, function in nodes(Function) for node in ast.walk(function)]
    inside = {node: path for path, node in inner if isinstance(node, Import)}
    needed = [f"{path}:{node.lineno}" for node, path in inside.items() if not roots(node) or roots(node) - EXTRAS]
    optional = [f"{path}:{node.lineno}" for path, node in nodes(Import) if roots(node) & EXTRAS and node not in inside]
    assert not needed, "belongs to the top of the file"
    assert not optional, "an extra may be missing: import it where it is used"


def test_imports_of_nn_run_one_way():
    floor_of = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    found = [
        f"{path}:{line} imports {other}"
        for path in FILES
        if path.parts[0] == "nn"
        for other, line in imported(path).items()
        if room(other) != room(path) and floor_of[room(other)] >= floor_of[room(path)]
        if not TOOLS.issuperset({room(other), room(path)})
    ]
    assert not found, "a room imports only from the floors before it"


def test_a_folder_is_entered_by_its_front_door():
    found = [
        f"{path}:{line} imports {other}"
        for path in FILES
        for other, line in imported(path).items()
        if len(other.parts) > 2 and room(other) not in {room(path), *OPEN} and other.stem != "__init__"
    ]
    assert not found, "what others need of a folder, its __init__ exports"


@pytest.mark.parametrize("package", ROOMS)
def test_imports_make_no_circle(package):
    graph = {path: set(imported(path)) for path in FILES if path.parts[0] == package}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle
    assert not [path for path, others in graph.items() if Path(package, "__init__.py") in others]


def test_no_file_bears_the_name_of_a_public_function():
    # From `from .trace import trace` on, the file could not be reached any more.
    found = [
        f"{path}:{node.lineno} {node.name}"
        for path in FILES
        for node in TREES[path].body
        if isinstance(node, Function) and path.with_name(f"{node.name}.py") in TREES
    ]
    assert not found


def test_an_import_brings_nothing_heavy():
    code = "import sys, numpy; before = set(sys.modules); import nn, optim, data; print(*set(sys.modules) - before)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    brought = set(run.stdout.split())
    heavy = brought & {"numpy.random", *HEAVY}  # NumPy loads its random module, and hashlib with it, on first use
    assert not heavy
    foreign = {name.split(".")[0] for name in brought} - {"numpy", *PACKAGES} - sys.stdlib_module_names
    assert not foreign


# ---- vendoring

USES = {
    "nn": """
model = vendored.Sequential(vendored.Linear(2, 3), vendored.ReLU())
assert model.backward(model([[1, 2]])).shape == (1, 2)
""",
    "optim": """
class Weight:
    data, grad, requires_grad = np.ones(2), np.ones(2), True
weight = Weight()
vendored.SGD([weight], lr=0.25).step()
assert weight.data.tolist() == [0.75, 0.75]
""",
    "data": """
loader = vendored.DataLoader(vendored.TensorDataset(np.arange(3)), batch_size=2)
assert [len(x) for (x,) in loader] == [2, 1]
assert vendored.load_digits()
""",
}


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_works_alone_under_another_name(package, tmp_path):
    (tmp_path / "somebody").mkdir()
    (tmp_path / "somebody" / "__init__.py").touch()
    shutil.copytree(ROOT / package, tmp_path / "somebody" / "vendored", ignore=shutil.ignore_patterns("__pycache__"))
    code = f"""
import sys
import numpy as np
from somebody import vendored
{USES[package]}
assert not {set(PACKAGES)} & set(sys.modules)
"""
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


# ---- what is never written


def test_no_assert_statement():
    # It vanishes under `python -O`, and says nothing to the user.
    assert not [f"{path}:{node.lineno}" for path, node in nodes(ast.Assert)]


def test_no_global_seed():
    found = [
        f"{path}:{node.lineno}" for path, node in nodes(ast.Attribute) if ast.unparse(node).endswith("random.seed")
    ]
    assert not found


def test_nothing_runs_code_from_text_or_files():
    # All but course, which is there to run what students write.
    calls = [(path, node, ast.unparse(node.func)) for path, node in nodes(ast.Call, PACKAGES)]
    assert not [f"{path}:{node.lineno} {name}" for path, node, name in calls if name in ("eval", "exec", "compile")]
    keywords = [(path, node) for path, node in nodes(ast.keyword) if node.arg == "allow_pickle"]
    assert not [f"{path}:{node.lineno}" for path, node in keywords if ast.unparse(node.value) != "False"]


def test_no_dtype_literal_in_forward_or_backward():
    def is_literal(node: ast.AST) -> bool:
        if isinstance(node, ast.Attribute):
            return node.attr in FLOATING and ast.unparse(node.value) in ("np", "numpy")
        if isinstance(node, ast.Constant):
            return node.value in FLOATING
        if isinstance(node, ast.keyword):
            return node.arg == "dtype" and ast.unparse(node.value) == "float"
        return isinstance(node, ast.Call) and ast.unparse(node).endswith(".astype(float)")

    found = [
        f"{path}:{function.lineno} {ast.unparse(node)}"
        for path, function in nodes(Function)
        if path.parts[0] == "nn" and function.name in ("forward", "backward")
        for node in ast.walk(function)
        if is_literal(node)
    ]
    assert not found


# ---- what is public


def public_objects() -> Iterator[tuple[str, object]]:
    """Yield the classes and functions that each package's `__init__` exports, and those of the modules it exports."""
    for package in PACKAGES:
        module = importlib.import_module(package)
        for node in ast.walk(TREES[Path(package, "__init__.py")]):
            for alias in node.names if isinstance(node, ast.ImportFrom) else ():
                value = getattr(module, alias.asname or alias.name)
                members = vars(value) if inspect.ismodule(value) else {alias.name: value}
                home = value.__name__ if inspect.ismodule(value) else package
                for name, member in members.items():
                    if inspect.isclass(member) or inspect.isfunction(member):
                        if not name.startswith("_") and member.__module__.startswith(home):
                            yield f"{home}.{name}", member


def test_public_signatures_are_typed():
    found = []
    for path, tree in TREES.items():
        for function, is_method in functions(tree) if path.parent != HANDED_OUT else ():
            if function.name.startswith("_") and not function.name.endswith("__"):
                continue
            arguments = [*function.args.posonlyargs, *function.args.args]
            if is_method and "staticmethod" not in map(ast.unparse, function.decorator_list):
                del arguments[0]
            arguments += [*function.args.kwonlyargs, *filter(None, (function.args.vararg, function.args.kwarg))]
            bare = [argument.arg for argument in arguments if argument.annotation is None]
            bare += ["return"] * (function.returns is None)
            found += [f"{path}:{function.lineno} {function.name}: {', '.join(bare)}"] * bool(bare)
    assert not found


def test_type_hints_can_be_read_at_run_time():
    found = []
    for name, value in public_objects():
        members = inspect.getmembers(value, callable) if inspect.isclass(value) else []
        for key, member in [(name, value), *((f"{name}.{key}", member) for key, member in members)]:
            if not key.rpartition(".")[2].startswith("__") or key.endswith("__init__"):
                try:
                    typing.get_type_hints(member)
                except (AttributeError, NameError, TypeError) as error:
                    found.append(f"{key}: {error}")
    assert not found


def test_public_objects_are_shown_by_an_example():
    assert not [name for name, value in public_objects() if ">>>" not in (value.__doc__ or "")]


def test_a_generator_is_given_by_its_name():
    signatures = {name: inspect.signature(value).parameters for name, value in public_objects()}
    given = {name: parameters["generator"].kind for name, parameters in signatures.items() if "generator" in parameters}
    assert set(given.values()) == {inspect.Parameter.KEYWORD_ONLY}, given


def test_public_methods_are_documented():
    said_once = {"forward", "backward", "extra_repr"}  # what they do is the same everywhere, and Module says it
    found = [
        f"{name}.{key}"
        for name, value in public_objects()
        if inspect.isclass(value)
        for key, member in vars(value).items()
        if not key.startswith("_") and key not in said_once
        if isinstance(member, property | staticmethod | classmethod) or inspect.isfunction(member)
        if not inspect.getdoc(getattr(value, key))  # an override has the text of what it overrides
    ]
    assert not found


# ---- the wheel


def test_the_wheel_holds_the_packages_and_their_files():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = config["options"]["packages"].split()
    assert {".".join(path.parent.parts) for path in FILES} == set(listed), "a folder inside a package is not shipped"
    for package in ROOMS:
        folder = ROOT / package
        patterns = config["options.package_data"][package].split()
        shipped = {str(path.relative_to(folder)) for pattern in patterns for path in folder.glob(pattern)}
        there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert shipped == {name for name in there if not name.endswith((".py", ".pyc"))}
        assert "py.typed" in shipped


def test_what_proves_and_explains_is_loaded_when_first_asked_for():
    code = "import sys, nn; before = 'nn.checking' in sys.modules or 'nn.graph' in sys.modules; "
    code += "nn.gradcheck, nn.trace; print(before, 'nn.checking' in sys.modules, set(nn._ASKED_FOR) <= set(dir(nn)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = importlib.import_module("nn").nonsense
