"""Blanks in any file, ready sets of them, and how what is filled in is graded."""

import json
import re
import shutil
from pathlib import Path

import pytest

from course.__main__ import main
from course.sets import SETS

ROOT = Path(__file__).resolve().parents[1]

LAYERS = '''
import numpy as np
import nn


class Scale(nn.Module):
    """y = s x, with a factor s for each feature."""

    equations = """
        y = x * s
        dx = dy * s
        ds = (dy * x).sum(0)
    """

    def __init__(self, features):
        self.factor = nn.Parameter(np.ones(features))

    def forward(self, x):
        y = x * self.factor.data
        self.save_for_backward(x, output=y)
        return y

    def backward(self, grad_output):
        g = self.upstream(grad_output)
        x = self.saved()
        # BEGIN SOLUTION
        self.factor.grad += (g * x).sum(0)
        return g * self.factor.data
        # END SOLUTION


class Threefold(Scale):
    def __init__(self):
        super().__init__(3)


def affine_forward(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    """Return the gradients of x, w and b."""
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(0)


def mean_of_rows(x):
    return x.mean(1)
'''

# What becomes a blank, with the shapes of its inputs; a slip in the solution; and what is said of it.
SLIPS = [
    ("Scale(3).backward", ["4,3"], "(g * x).sum(0)", "2 * (g * x).sum(0)", "gradient of factor: .* 2 times the true"),
    ("Scale(3).backward", ["4,3"], "return g * self.factor.data", "return g", "gradient of x: this is grad_output"),
    ("Scale(3).forward", ["4,3"], "y = x * self.factor.data", "y = x + self.factor.data", "the output is wrong in"),
    ("affine_backward", ["4,3", "3,2", "2"], "dout @ w.T", "-dout @ w.T", "gradient of x: .*wrong sign"),
    ("affine_backward", ["4,3", "3,2", "2"], "dout.sum(0)", "dout.sum(1)", r"gradient of b: .*shape \(4,\)"),
    ("affine_backward", ["4,3", "3,2", "2"], ", dout.sum(0)", "", "gradient of b: the gradient is None"),
    ("affine_backward", ["4,3", "3,2", "2"], "dout.sum(0)", "None", "gradient of b"),
    ("mean_of_rows", ["4,3"], "x.mean(1)", "x.sum(1)", "the output is 3 times what it should be"),
    ("mean_of_rows", ["4,3"], "x.mean(1)", "x.mean()", r"the output should have shape \(4,\), and has \(\)"),
    ("mean_of_rows", ["4,3"], "x.mean(1)", "z.mean(1)", "NameError: name 'z' is not defined"),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mylayers.py").write_text(LAYERS)
    return tmp_path


def graded(solution, source, file="mylayers.py"):
    """Grade a file that is handed in, and return the tests as Gradescope has them, by name."""
    folder = solution.parent / "hand-in"
    folder.mkdir(exist_ok=True)
    (folder / file).write_text(source)
    status = main(["grade", str(folder), "--solution", str(solution), "--json", "grade.json", "--seed", "0"])
    grade = json.loads((solution.parent / "grade.json").read_text())
    assert (status == 0) == (grade["score"] == sum(test["max_score"] for test in grade["tests"]))
    return {test["name"]: test for test in grade["tests"]}


@pytest.mark.parametrize("target", dict.fromkeys(row[0] for row in SLIPS))
def test_a_file_of_ones_own_is_blanked_graded_and_its_slips_named(here, target):
    rows = [row for row in SLIPS if row[0] == target]
    shapes = [argument for shape in rows[0][1] for argument in ("--shape", shape)]
    assert main(["blank", f"mylayers.py:{target}", "--folder", "task", *shapes]) == 0
    name = re.sub(r"\(.*\)", "", target)
    blank = (here / "task" / "mylayers.py").read_text()
    assert blank.count("...  # fill this in") == 1 and (here / "task-solution" / "mylayers.py").read_text() == LAYERS
    assert name in (here / "task" / "README.md").read_text()
    solution = here / "task-solution"
    assert graded(solution, blank)[name]["output"] == f"{name}: not filled yet"
    assert graded(solution, LAYERS)[name]["status"] == "passed"
    for _, _, right, wrong, said in rows:
        assert LAYERS.count(right) == 1
        test = graded(solution, LAYERS.replace(right, wrong))[name]
        assert test["status"] == "failed" and test["score"] == 0
        assert re.search(said, test["output"]), test["output"]


def test_an_inherited_method_is_blanked_where_it_stands(here):
    assert main(["blank", "mylayers.py:Threefold().backward", "--folder", "task"]) == 0
    source = (here / "task" / "mylayers.py").read_text()
    assert "x = self.saved()\n        ...  # fill this in\n" in source and "dx = dy" not in source
    tests = graded(here / "task-solution", LAYERS.replace("return g * self.factor.data", "return g"))
    assert "gradient of" in tests["Scale.backward"]["output"] and "grad_output" in tests["Scale.backward"]["output"]


def test_markers_leave_the_rest_and_a_layers_equations_do_not_give_it_away(here):
    assert main(["blank", "mylayers.py:Scale(3).backward", "--folder", "task"]) == 0
    source = (here / "task" / "mylayers.py").read_text()
    assert "x = self.saved()\n        ...  # fill this in\n" in source
    assert "SOLUTION" not in source and "self.factor.grad" not in source
    assert "y = x * s" in source and "dx = dy" not in source and "ds = " not in source


# A slip in each set, and what is said of it.
IN_SETS = {
    "layers": ("activation.py", "g * (y != 0)", "g * (y == 0)", "ReLU.backward"),
    "conv": ("conv.py", "+= weight_gradient(", "+= 2 * weight_gradient(", "Convolution.backward"),
    "norms": ("layer_norm.py", "dx = q - x * (r * r", "dx = q + x * (r * r", "RMSNorm.backward"),
    "losses": ("regression.py", "return 2 * g * r", "return g * r", "MSELoss.backward"),
    "optimizers": ("sgd.py", 'g + group["weight_decay"] * w', 'g - group["weight_decay"] * w', "SGD.update"),
}


@pytest.mark.parametrize("name", SETS)
def test_a_ready_set_is_handed_out_and_graded(here, name):
    assert main(["blank", name]) == 0
    file, right, wrong, blank = IN_SETS[name]
    handed_out, solution = here / name, here / f"{name}-solution"
    texts = [path.read_text() for path in handed_out.glob("*.py")]
    assert sum(text.count("...  # fill this in") for text in texts) == len(SETS[name])
    assert name == "optimizers" or not re.findall(r"(?m)^ {8}d[xW](?:\[.*\])? \+?= .*d[yq]\b", "".join(texts))
    shutil.copytree(solution, here / "hand-in")
    tests = graded(solution, (solution / file).read_text(), file)
    assert {test["status"] for test in tests.values()} == {"passed"} and len(tests) == len(SETS[name])
    source = (solution / file).read_text()
    assert right in source
    tests = graded(solution, source.replace(right, wrong), file)
    assert [key for key, test in tests.items() if test["status"] == "failed"] == [blank]


def test_a_hand_in_that_asks_handgrad_for_the_solution_gets_none(here):
    assert main(["blank", "layers"]) == 0
    shutil.copytree(here / "layers-solution", here / "hand-in")
    source = (here / "layers-solution" / "activation.py").read_text()
    changed = source.replace("return g * (y != 0)", "import nn; return nn.ReLU.backward(self, g)")
    tests = graded(here / "layers-solution", changed, "activation.py")
    assert "asks handgrad itself for the solution" in tests["ReLU.backward"]["output"]
    assert tests["Tanh.backward"]["status"] == "passed"


def test_a_layer_of_handgrad_is_blanked_by_its_file_and_chance_is_pinned(here):
    path = ROOT / "nn" / "layers" / "dropout.py"
    assert main(["blank", f"{path}:Dropout(0.5).backward"]) == 0
    solution = here / "dropout-solution"
    assert "from nn.module import" in (solution / "dropout.py").read_text()
    assert graded(solution, (solution / "dropout.py").read_text(), "dropout.py")["Dropout.backward"]["score"] == 10


def test_the_sheet_is_a_ready_set_too(here, capsys):
    assert main(["blank", "mlp"]) == 0
    assert main(["grade", "mlp-solution", "--solution", "mlp-solution"]) == 0
    assert main(["grade", "mlp"]) == 1
    assert "60" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["blank", "mylayers.py:Scale.backward"], "cannot be tried .*missing 1 required.*in brackets"),
        (["blank", "mylayers.py:Scale(5).backward"], r"cannot be tried with inputs of 4,3: .*Give --shape"),
        (["blank", "mylayers.py:nothing"], "mylayers.py has no nothing; it has Scale.__init__"),
        (["blank", "nowhere.py:f"], "there is no file nowhere.py"),
        (
            ["blank", "layer"],
            "expected one of the sets mlp, layers, conv, norms, losses, optimizers, or FILE:Class.method, got layer",
        ),
        (["blank", "mylayers.py:mean_of_rows", "--shape", "a"], 'expected a shape such as "4,3"'),
        (["blank", "mylayers.py:mean_of_rows", "--folder", "."], ". is there already, and nothing is overwritten"),
        (["grade", "nowhere"], "expected the folder of a hand-in, got nowhere"),
        (["grade", ".", "--solution", "."], "holds no solution"),
        (["grade", ".", "--points", "nowhere"], "nowhere: No such file"),
        (["grade", ".", "--points", "mylayers.py"], "mylayers.py is no JSON"),
        (["grade", ".", "--points", "none.json"], "names dW9, and there is no such blank: dz3, db2"),
        (["grade", ".", "--points", "empty.json"], "should give the points of each blank"),
        (["grade", ".", "--points", "text.json"], "dW1 should be worth a number of at least 0, got 'ten'"),
        (["grade", ".", "--json", "nowhere/grades.json"], "nowhere/grades.json: there is no such folder"),
        (["grade", ".", "--seconds", "0"], "--seconds expects a positive number"),
    ],
)
def test_what_cannot_be_done_is_said(here, capsys, arguments, said):
    for name, text in {"none": '{"dW9": 1}', "empty": "{}", "text": '{"dW1": "ten"}'}.items():
        (here / f"{name}.json").write_text(text)
    before = sorted(here.iterdir())
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert re.search(said, message) and message.count("\n") == 1
    assert sorted(here.iterdir()) == before


def test_points_are_a_teachers_to_give(here, capsys):
    (here / "points.json").write_text('{"dW1": 3, "dx": 0.5}')
    main(["blank", "mlp"])
    capsys.readouterr()
    assert main(["grade", "mlp-solution", "--points", "points.json", "--json", "grade.json"]) == 0
    assert re.search(r"(?m)^mlp-solution +3.5 ", capsys.readouterr().out)
    grade = json.loads((here / "grade.json").read_text())
    assert grade["score"] == 3.5 and sum(test["max_score"] for test in grade["tests"]) == 3.5
