"""A student's own forward pass and gradients: how they are read, laid out, checked and shown; and the quiz."""

import ast
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from course.hand_in import check
from course.paper.answers import read, read_expression
from course.paper.measured import laid_out
from course.paper.reader import UnreadableError
from course.paper.slips import verdict
from course.quiz import SHEET, Quiz

ROOT = Path(__file__).resolve().parents[1]

GRADIENTS = """dz3 = z3 - y
db2 = dz3
dW2 = dz3 @ a2.T
da2 = W2.T @ dz3
dz2 = da2 * (z2 > 0)
db1 = dz2
dW1 = dz2 @ a1.T
da1 = W1.T @ dz2
dz1 = da1 * (z1 > 0)
db0 = dz1
dW0 = dz1 @ x.T
dx = W0.T @ dz1
"""

# Networks as students write them: the text, how it is laid out, and what its targets are.
NETWORKS = {
    "the sheet": (SHEET + GRADIENTS, "one sample, as a column", "numbers"),
    "functions": (
        """
        import numpy as np

        SAMPLES = 7

        def relu(z):
            '''Half of it.'''
            return np.maximum(z, 0)

        slope = lambda z: (z > 0).astype(float)

        def forward(x, W_0, b_0, W_1, y):
            z_1 = np.dot(W_0, x) + b_0
            a_1 = relu(z_1)
            z_2 = W_1.dot(a_1)
            J = np.linalg.norm(z_2 - y)**2 / 2
            return J

        def backward(x, W_0, W_1, z_1, a_1, z_2, y):
            grads = {}
            dz_2 = z_2 - y
            grads["W_1"] = np.outer(dz_2, a_1)
            da_1 = np.transpose(W_1) @ dz_2
            dz_1 = np.multiply(da_1, slope(z_1))
            grads["db_0"], grads["dW_0"] = dz_1, dz_1 @ x.T
            dx = W_0.T.dot(dz_1)
            return grads

        def train():
            for step in range(100):
                pass
        """,
        "one sample, as a column",
        "numbers",
    ),
    "as on paper": (
        "z₁ = W₀ @ x + b₀\na₁ = max(z₁, 0)\nJ = ½*||a₁ − y||²\n"
        "∂J/∂a₁ = a₁ − y\ndJ/dz1 = (∂J/∂a₁) ⊙ (z₁ > 0)\ndJ/dW0 = (dJ/dz1) @ x^T\n"
        "dJ/db0 = dJ/dz1\ndJ/dx = W₀ᵀ @ (dJ/dz1)",
        "one sample, as a column",
        "numbers",
    ),
    "softmax in columns": (
        """
        def softmax(z):
            e = np.exp(z - np.max(z, axis=0, keepdims=True))
            return e / np.sum(e, axis=0, keepdims=True)
        z = W @ X + b
        p = softmax(z)
        J = -np.sum(Y * np.log(p)) / X.shape[1]
        dz = (p - Y) / X.shape[1]
        dW = dz @ X.T
        db = dz.sum(axis=1, keepdims=True)
        dX = W.T @ dz
        dp = -Y / p / X.shape[1]
        """,
        "a batch, a sample a column",
        "one-hot",
    ),
    "rows, with a penalty": (
        """
        z = x @ W + b
        h = np.tanh(z)
        f = h @ V
        J = 0.5 * np.sum((f - y)**2) / N
        J += lam * np.sum(W * W)
        df = (f - y) / N
        dV = h.T @ df
        dh = df @ V.T
        dz = dh.copy()
        dz *= 1 - h**2
        dW = x.T @ dz
        dW += 2 * lam * W
        db = np.sum(dz, axis=0)
        dx = dz @ W.T
        """,
        "a batch, a sample a row",
        "numbers",
    ),
    "a single unit": (
        "z = w @ x + b\np = 1 / (1 + np.exp(-z))\nloss = -(y*np.log(p) + (1-y)*np.log(1-p))\n"
        "grad_p = (p - y) / (p * (1 - p))\ngrad_z = p - y\ngrad_w = grad_z * x\ngrad_b = grad_z\ngrad_x = grad_z * w",
        "one sample, as a vector, and w too",
        "numbers",
    ),
    "attention": (
        """
        q, k, v = x @ Wq, x @ Wk, x @ Wv
        S = q @ k.T / np.sqrt(5)
        A = softmax(S)
        o = A @ v
        J = np.sum((o - t)**2) / 2
        do = o - t
        dA, dv = do @ v.T, A.T @ do
        dS = A * (dA - np.sum(dA * A, axis=1, keepdims=True))
        dq, dk = dS @ k / np.sqrt(5), dS.T @ q / np.sqrt(5)
        dWq, dWk, dWv = x.T @ dq, x.T @ dk, x.T @ dv
        dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
        """,
        "a batch, a sample a row",
        "numbers",
    ),
    "two ways": (
        "d = W @ x\ndelta = np.where(d > 0, d, 0)\ns = delta + x\nL = np.sum(np.square(s)) / 2\n"
        "dL_ds = s\ndL_ddelta = dL_ds\ndL_dd = dL_ddelta.copy()\ndL_dd[d <= 0] = 0\ndL_dW = dL_dd @ x.T\n"
        "dL_dx = dL_ds + W.T @ dL_dd",
        "one sample, as a column",
        "numbers",
    ),
}


def margin(text: str) -> str:
    lines = text.strip("\n").splitlines()
    cut = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[cut:] for line in lines)


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    text, layout, kind = NETWORKS[request.param]
    return check(read(margin(text))), layout, kind


def test_right_gradients_of_any_network_are_right(network):
    checked, layout, kind = network
    assert checked.faults == {}
    assert (checked.measured.layout.name, checked.measured.kind) == (layout, kind)


def test_each_gradient_that_is_spoilt_is_wrong_and_no_other(network):
    checked, _, _ = network
    for answer in checked.hand_in.answers:
        spoilt = ast.BinOp(answer.value, ast.Mult(), ast.Constant(1.001))
        assert "times the gradient" in verdict(checked.measured, answer.symbol, spoilt, checked.verdicts)


def test_the_page_and_the_document_show_every_line(network):
    checked, _, _ = network
    page, document = checked.to_html(), checked.to_latex()
    lines = [*checked.values, *checked.helpers, *checked.gradients]
    assert page.count('<div class="line">') == document.count("\n\\step{") == len(lines)
    assert page.count('class="node ') == document.count("\n\\node[") == len(checked.nodes)
    assert page.count('class="edge') == document.count("\n\\draw[->]") == len(checked.edges)
    assert 'class="wrong"' not in page and "not right" not in document


def test_the_sheet_is_written_in_its_own_names():
    checked = check(read(SHEET + GRADIENTS))
    lines = [line.formula.to_text() for line in (*checked.values, *checked.gradients)]
    assert lines[:2] == ["z₁ = W₀ x + b₀", "a₁ = max(z₁, 0)"]
    assert lines[5:9] == ["J = ½ Σ (z₃ − y)²", "∂J/∂z₃ = z₃ − y", "∂J/∂b₂ = ∂J/∂z₃", "∂J/∂W₂ = (∂J/∂z₃) a₂ᵀ"]
    assert lines[10] == "∂J/∂z₂ = (∂J/∂a₂) ⊙ 1[z₂ > 0]"
    assert list(checked.nodes)[:4] == ["W0", "x", "b0", "z1"]
    kinds = {name: node.kind for name, node in checked.nodes.items()}
    assert [kinds[name] for name in ("x", "y", "W0", "z1")] == ["data", "target", "parameter", "intermediate"]
    assert {(a.name, b.name) for a, b in checked.edges} >= {("W₀", "z₁"), ("x", "z₁"), ("z₁", "a₁"), ("y", "J")}
    assert len(checked.edges) == 13


SHOWN = {
    "z = x @ W + b\nJ = np.mean(np.sum(z**2, axis=1))\ndz = 2 * z / len(x)\ndb = np.sum(dz, axis=-2)": [
        *("z = x W + b", "J = mean Σᵢ z²", "∂J/∂z = 2 z / N", "∂J/∂b = Σₙ ∂J/∂zₙ")
    ],
    "z = W @ x\np = softmax(z)\nJ = -np.sum(y * np.log(p), axis=0)\ndz = p - y": [
        *("z = W x", "p = softmax(z)", "J = −Σᵢ y ⊙ log(p)", "∂J/∂z = p − y")
    ],
    "z = W @ X\nN = X.shape[1]\nc = np.sum(z**2) / N\nJ = c\nmask = z > 1\ndz = 2 * (z * (mask + 1 - mask)) / N": [
        *(
            "z = W X",
            "N = shape(X)₁",
            "c = (Σ z²) / N",
            "J = c",
            "mask = 1[z > 1]",
            "∂J/∂z = 2 z ⊙ (mask + 1 − mask) / N",
        )
    ],
}


@pytest.mark.parametrize(("text", "lines"), SHOWN.items())
def test_lines_are_written_as_mathematics(text, lines):
    checked = check(read(text))
    assert [line.formula.to_text() for line in (*checked.values, *checked.helpers, *checked.gradients)] == lines


def test_a_count_of_samples_is_no_edge():
    checked = check(read("z = x @ W\nJ = np.sum(z**2) / x.shape[0]"))
    assert {(a.name, b.name) for a, b in checked.edges} == {("x", "z"), ("W", "z"), ("z", "J")}


# ---- wrong lines of the sheet, and what is said of them

WRONG = [
    ("z3", "y - z3", "the sign is wrong"),
    ("z3", "2 * (z3 - y)", "twice the gradient"),
    ("z3", "(z3 - y)**2", "squared"),
    ("z3", "z3 + y", "the sign in z3 + y"),
    ("z3", "z3", "z3 itself"),
    ("z3", "np.sum(z3 - y)", "summed over all entries"),
    ("W2", "a2 @ dz3.T", "stand transposed"),
    ("W2", "dz3 @ a2", "dz3 @ a2 cannot be computed: shapes (5, 1) and (6, 1) do not fit. Look at the order"),
    ("W2", "dz3 * a2", "a product of matrices is meant"),
    ("W2", "dz3 @ z2.T", "another node belongs in the place of z2"),
    ("W2", "dz3 @ a1.T", "it has shape (5, 4), and W2 has (5, 6)"),
    ("W1", "dz2 @ (a1 > 0).T", "look at the comparison a1 > 0"),
    ("W1", "da2 @ a1.T", "another node belongs in the place of dJ/da2"),
    ("b2", "dz3.T", "stand transposed"),
    ("b2", "dz3 * b2", "is multiplied by b2, where the derivative"),
    ("a2", "W2 @ dz3", "the order of the factors in W2 @ dz3"),
    ("a2", "W2.T @ dz3 * (z2 > 0)", "that is the gradient by z2, and not by a2"),
    ("z2", "da2", "dJ/da2 as it came"),
    ("z2", "da2 * (z2 < 0)", "the wrong way round"),
    ("z2", "da2 * a2", "multiplied by a2, where the derivative"),
    ("z2", "z2 > 0", "dJ/da2 is missing"),
    ("z2", "da2 * (da2 > 0)", "another node belongs in the place of dJ/da2"),
    ("z2", "0 * z2", "zero everywhere"),
    ("z2", "dz2", "stands on its own right side"),
    ("z2", "db1", "dJ/db1 is not known here"),
    ("x", "W0.T @ da1", "another node belongs in the place of dJ/da1"),
    ("x", "W0.T @ foo", "there is no foo"),
    ("x", "np.log(0 * x)", "not finite"),
    ("x", "W0.T @ dz1 + 1", "one term is too many"),
    ("x", "W0.T @ dz1 + x**3", "one term is too many"),
    ("x", "np.exp(x)", "its entry ["),
]


@pytest.fixture(scope="module")
def sheet():
    return laid_out(read(SHEET))


@pytest.mark.parametrize(("symbol", "line", "said"), WRONG)
def test_what_is_wrong_is_said(sheet, symbol, line, said):
    assert said in verdict(sheet, symbol, read_expression(line, sheet.points[0].values))


OTHERWISE = {
    "only one way": (
        "z = W @ x\ns = z + x\nJ = np.sum(s**2)/2\nds = s\ndx = W.T @ ds",
        "only the way over z is counted",
    ),
    "one way is missing": ("z = W @ x\ns = z + x\nJ = np.sum(s**2)/2\nds = s\ndx = ds", "the way over z is missing"),
    "no sum over the samples": (
        "z = x @ W + b\nJ = np.sum(z**2) / 2 / x.shape[0]\ndz = z / x.shape[0]\ndW = x.T @ dz\ndb = dz",
        "The sum over axis 0 of the samples is missing",
    ),
    "the other axis": (
        "z = x @ W + b\nJ = np.sum(z**2) / 2 / len(x)\ndz = z / len(x)\ndW = x.T @ dz\ndb = np.sum(dz, axis=1)",
        "Look at the axis in dz.sum(1)",
    ),
    "no 1/N": (
        "z = x @ W + b\nJ = np.mean(np.sum(z**2, axis=1)) / 2\ndW = x.T @ (z / N)\nN = len(x)\ndz = z",
        "N times",
    ),
    "a mask too many": ("z = W @ x\nJ = np.sum(z**2)/2\ndz = z * (z > 0)", "a mask too many"),
    "a blank": ("z = W @ x\nJ = np.sum(z**2)/2\ndz = ...", "not filled in yet"),
    "a number": ("z = W @ x\nJ = lam * np.sum(z**2)\ndlam = np.sum(z**2)", "a number, and no node"),
}


@pytest.mark.parametrize(("text", "said"), OTHERWISE.values(), ids=OTHERWISE)
def test_what_is_wrong_elsewhere_is_said(text, said):
    *_, fault = [text for text in check(read(text)).verdicts.values() if text]
    assert said in fault


def test_each_line_is_judged_with_the_right_gradients_before_it():
    checked = check(read(SHEET + GRADIENTS.replace("dz3 = z3 - y", "dz3 = y - z3").replace("dx = W0.T @ dz1", "")))
    assert checked.faults == {"z3": "the sign is wrong", "x": "it is not there"}
    assert "line 7: dJ/dz3: the sign is wrong" in checked.report()
    assert "10 of 12 gradients are right." in checked.report()
    assert "the sign is wrong" in checked.to_html() and r"\textbf{(not right)}" in checked.to_latex()
    assert "dJ/dx is not there" in checked.to_html()


CS231N = """
def forward(X, params, y):
    W0, b0 = params["W0"], params["b0"]
    W1 = params["W1"]
    h = np.maximum(X.dot(W0) + b0, 0)
    out = h.dot(W1) + params["b1"]
    loss = np.mean((out - y) ** 2)
def backward(X, params, cache):
    grads = {}
    X, h, out = cache
    dout = 2 * (out - y) / out.size
    grads["W1"] = h.T.dot(dout)
    dh = dout.dot(params["W1"].T)
    dh[h <= 0] = 0
    grads["W0"] = X.T.dot(dh)
    grads["b0"] = np.sum(dh, axis=0)
    dX = dh.dot(W0)
"""


def test_a_right_gradient_is_right_though_a_name_before_it_means_another():
    verdicts = check(read(CS231N)).verdicts
    assert [symbol for symbol, text in verdicts.items() if text] == ["h", "X"]
    assert "a mask too many" in verdicts["h"] and "cannot be computed" in verdicts["X"]


def test_stated_shapes_are_taken():
    assert check(read("x: (7, 1)\n" + SHEET)).measured.shapes["W0"][1] == 7
    assert check(read("x = np.zeros((6, 9))\nz = W @ x\nJ = np.sum(z)")).measured.layout.of_batch
    shapes = check(read("n = 2\nW = 0.1 * np.random.randn(n, 3)\nz = W @ x\nJ = np.sum(z)")).measured.shapes
    assert shapes == {"W": (2, 3), "x": (3, 1)}


def test_sizes_that_nothing_fixes_are_different(sheet):
    sizes = {size for shape in sheet.shapes.values() for size in shape}
    assert len(sizes - {1}) == 4


def test_the_points_show_dead_and_living_units():
    measured = laid_out(read("W: (2, 3)\nz = W @ x\na = np.maximum(z, 0)\nJ = np.sum(a**2)"))
    for point in measured.points:
        assert (point.values["z"] > 0).any() and (point.values["z"] < 0).any()


# ---- what cannot be read

UNREAD = {
    "for i in range(3):\n    z = x\nJ = z": "line 1: 'for i in range(3):' cannot be read: it is a loop",
    "z = W @ x +": "line 1: 'z = W @ x +' cannot be read",
    "z = W @ x\n\nJ = np.sum(z": "line 3",
    "z = foo(x)\nJ = np.sum(z)": "line 1: 'z = foo(x)' cannot be read: foo with 1 argument",
    "z = x[0, :]\nJ = np.sum(z)": "it takes a part of an array",
    "z = W @ x\nJ = np.sum(z^3)": "^ is no power in Python: write **",
    "z = W @ x": "states no loss",
    "": "states no forward pass",
    "z = W @ x\nJ = np.sum(z)\ndJ/dq = z": "line 3: there is no q in the forward pass",
    "z = W @ x\nz = z + b\nJ = np.sum(z)": "line 2: 'z = z + b' states z again, as line 1 does",
    "z = W @ x\nif z:\n    a = z\nJ = np.sum(z)": "line 2: 'if z:' cannot be read",
    "z = W @ x\nz.sum()\nJ = np.sum(z)": "line 2: 'z.sum()' cannot be read: it states nothing",
    "z = __import__('os').getcwd()\nJ = np.sum(z)": "'os' has no meaning",
    "def g(z):\n    if z: return 1\nz = g(x)\nJ = np.sum(z)": "a function is understood that consists of",
    "def g(z):\n    return g(z)\nz = g(x)\nJ = np.sum(z)": "a function calls itself",
    "z = W @ x + ...\nJ = np.sum(z)": "a blank within an expression",
    "z = ...\nJ = np.sum(z)": "a forward pass has no blanks",
    "z = np.sum(x, where=x > 0)\nJ = z": "a keyword that is not understood: where",
    "a, b = f(x)\nJ = np.sum(a)": "several names are stated at once",
    "W: (4, 3)\nx: (5, 1)\nz = W @ x\nJ = np.sum(z)": "W @ x: 3 and 5 entries do not fit",
    "z = np.log(0 * x)\nJ = np.sum(z)": "J is not finite",
}


@pytest.mark.parametrize(("text", "said"), UNREAD.items())
def test_what_cannot_be_read_is_named_with_its_line(text, said):
    with pytest.raises(UnreadableError) as refused:
        check(read(text, "mine.py"))
    assert said in str(refused.value)


READ = {
    "np.dot(W, x)": "W @ x",
    "x.T.dot(W)": "x.T @ W",
    "np.matmul(W, x)": "W @ x",
    "np.square(x) + x ** 2.0": "x ** 2 + x ** 2.0",
    "np.sum(x, axis=-1, keepdims=True)": "x.sum(-1, keepdims=True)",
    "x.mean(0)": "x.mean(0)",
    "np.mean(x)": "x.mean()",
    "np.max(x)": "x.max()",
    "max(x, 0)": "maximum(x, 0)",
    "np.clip(x, 0, 1)": "minimum(maximum(x, 0), 1)",
    "relu(x)": "maximum(x, 0)",
    "1.0 * (x > 0).astype(np.float64)": "1.0 * (x > 0)",
    "~(x > 0) & (x < 1)": "(1 - (x > 0)) * (x < 1)",
    "np.exp(-x) if x else x": "where(x, exp(-x), x)",
    "np.heaviside(x, 0)": "(x > 0) + 0 * (x == 0)",
    "b[:, None]": "b.reshape(-1, 1)",
    "b[np.newaxis, :] * x": "b.reshape(1, -1) * x",
    "params['W'] @ x": "W @ x",
    "W[1] @ x": "W1 @ x",
    "self.W @ x": "W @ x",
    "len(x)": "x.shape[0]",
    "-x.reshape(-1)": "-x.reshape(-1)",
    "np.tanh(x) * np.pi": "tanh(x) * 3.141592653589793",
    "np.ones_like(x)": "0 * x + 1",
    "np.vdot(x, x)": "(x * x).sum()",
    "dJ_dz @ x.T": "dz @ x.T",
    "(dJ/dz) * grad_z": "dz * dz",
}


@pytest.mark.parametrize(("text", "line"), READ.items())
def test_numpy_is_read_as_mathematics(text, line):
    assert ast.unparse(read_expression(text, ["x", "W", "W1", "b", "z"])) == line


def test_nothing_in_a_hand_in_is_executed(tmp_path):
    marker = tmp_path / "executed"
    text = f"W = open({str(marker)!r}, 'w')\nz = W @ x\nJ = np.sum(z)"
    with pytest.raises(UnreadableError):
        check(read(text))
    assert not marker.exists()


# ---- the command


def run(*arguments: object, text: str = "", folder: Path = ROOT) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "course", *map(str, arguments)]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    return subprocess.run(command, cwd=folder, input=text, capture_output=True, text=True, env=environment)


def test_the_command_writes_a_page_or_latex(tmp_path):
    (tmp_path / "mine.py").write_text(SHEET + GRADIENTS, encoding="utf-8")
    done = run("hand-in", "mine.py", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("12 of 12 gradients are right.\nmine.html is what you hand in.\n")
    assert (tmp_path / "mine.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    (tmp_path / "mine.py").write_text(SHEET + GRADIENTS.replace("z2 > 0", "z1 > 0"), encoding="utf-8")
    done = run("hand-in", "mine.py", "--out", "mine.tex", folder=tmp_path)
    assert done.returncode == 1
    assert "line 11: dJ/dz2: da2 * (z1 > 0) cannot be computed" in done.stdout
    assert (tmp_path / "mine.tex").read_text(encoding="utf-8").startswith(r"\documentclass")
    for arguments, said in (
        (("mine.py", "--out", "mine.py"), "expected a name that ends in .html or .tex"),
        (("mine.py", "--out", "no/mine.tex"), "there is no folder no"),
        (("nowhere.py",), "nowhere.py: No such file or directory"),
        (("mine.tex", "--out", "mine.tex"), "would overwrite the hand-in"),
    ):
        done = run("hand-in", *arguments, folder=tmp_path)
        assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


# ---- the quiz


def played(*answers: str, forward: str = SHEET) -> str:
    said = io.StringIO()
    Quiz(read(forward)).play(io.StringIO("".join(f"{answer}\n" for answer in answers)), said)
    return said.getvalue()


def test_the_quiz_asks_from_the_loss_back_to_the_data():
    questions = Quiz(read(SHEET)).questions
    assert questions == ["z3", "W2", "b2", "a2", "z2", "W1", "b1", "a1", "z1", "W0", "b0", "x"]


def test_right_answers_are_right_in_any_spelling():
    lines = {line.partition(" = ")[0][1:]: line.partition(" = ")[2] for line in GRADIENTS.splitlines()}
    answers = [lines[symbol] for symbol in Quiz(read(SHEET)).questions]
    answers[1] = "dJ/dW2 = np.dot(dJ_dz3, a2.T)"
    said = played(*answers)
    assert said.count("Right.") == 12
    assert said.endswith("12 of 12 right.\n")


def test_the_quiz_helps_and_never_answers():
    said = played("y - z3", "hint", "hint", "hint", "hint", "z3 - y", "(", "da2", "skip", "quit")
    assert "No: the sign is wrong." in said
    assert "It has shape (5, 1), as z3 has." in said
    assert "z3 leads to J itself" in said
    assert "twice what is squared" in said
    assert "'(' cannot be read" in said
    assert "No: dJ/da2 is not known here" in said
    assert said.endswith("1 of 12 right, 1 of them after hints; 10 were not asked.\n")
    assert "dz3 @ a2.T" not in said


def test_each_question_has_hints_that_do_not_answer_it():
    quiz = Quiz(read(margin(NETWORKS["softmax in columns"][0])))
    for symbol in quiz.questions:
        shape, leads, rule = quiz.hints(symbol)
        assert str(np.shape(quiz.measured.points[0].values[symbol])) in shape
        assert "leads to" in leads and len(rule) > 20


def test_the_quiz_ends_with_its_input_and_in_ascii():
    done = run("quiz", text="z3 - y\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 12 right" in done.stdout
    done = subprocess.run(f"{sys.executable} -m course quiz <&-", shell=True, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 of 12 right" in done.stdout
