"""Tracing: which nodes and edges there are, what their gradients must be, and that nothing of the caller's changes."""

import copy
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import nn
from nn.module import watching

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(5, 2)), RNG.normal(size=(5, 1))


def linear(inputs, outputs, **settings):
    return nn.Linear(inputs, outputs, dtype="float64", generator=10 * inputs + outputs, **settings)


def mlp():
    return nn.Sequential(linear(2, 4), nn.ReLU(), linear(4, 3), nn.ReLU(), linear(3, 1))


class Chain(nn.Module):
    """A user's own composite, which leaves its backward to the layers inside: it has none."""

    def __init__(self):
        self.first = linear(2, 3)
        self.rest = [nn.Tanh(), linear(3, 1)]

    def forward(self, x):
        return self.rest[1](self.rest[0](self.first(x)))


class Backed(Chain):
    """The same with a backward."""

    def backward(self, grad_output):
        return self.first.backward(self.rest[0].backward(self.rest[1].backward(grad_output)))


class Sum(nn.Module):
    """Arithmetic between modules, and no backward for it."""

    def __init__(self):
        self.a = linear(2, 3)
        self.b = linear(2, 3)

    def forward(self, x):
        return self.a(x) + self.b(x)


class OwnSum(Sum):
    """Arithmetic between modules, covered by a backward."""

    def backward(self, grad_output):
        return self.a.backward(grad_output) + self.b.backward(grad_output)


class OwnProduct(Sum):
    """The same for a product, which is one node: of what it is made does not show in its value."""

    def forward(self, x):
        a, b = self.a(x), self.b(x)
        self.save_for_backward(a, b)
        return a * b

    def backward(self, grad_output):
        a, b = self.saved()
        return self.a.backward(grad_output * b) + self.b.backward(grad_output * a)


class InPlace(OwnSum):
    """The same sum, hidden in an array that a module made."""

    def forward(self, x):
        y = self.a(x)
        y += self.b(x)
        return y


class Reversal(Backed):
    """Forward is a chain, but backward is not the chain rule through it."""

    def backward(self, grad_output):
        return -super().backward(grad_output)


class Doubled(nn.Module):
    """Another composite inside, and a parameter of its own between modules."""

    def __init__(self):
        self.inner = OwnSum()
        self.scale = nn.Parameter(np.array(2.0))
        self.last = linear(3, 1)

    def forward(self, x):
        h = self.inner(x)
        self.save_for_backward(h)
        return self.last(h * self.scale.data)

    def backward(self, grad_output):
        h = self.saved()
        g = self.last.backward(grad_output)
        self.scale.grad += (g * h).sum()
        return self.inner.backward(g * self.scale.data)


class ByHand(Chain):
    """A composite that does all of the way back itself, since a layer inside cannot."""

    def __init__(self):
        self.square = Square()

    def forward(self, x):
        self.save_for_backward(x)
        return self.square(x)

    def backward(self, grad_output):
        return 2 * self.saved() * grad_output


class Square(nn.Module):
    """No backward."""

    def forward(self, x):
        return self.cast(x) ** 2


class Split(nn.Module):
    """One input, two outputs, by one backward."""

    def forward(self, x):
        x = self.cast(x)
        self.save_for_backward(x)
        return x[:, :1], x[:, 1:] ** 2

    def backward(self, grad_output):
        x = self.saved()
        return np.concatenate([grad_output[0], 2 * x[:, 1:] * grad_output[1]], axis=1)


class Counter(nn.Module):
    """A buffer and a plain attribute that each training pass changes."""

    def __init__(self):
        self.seen = nn.Buffer(np.zeros(()))
        self.passes = 0

    def forward(self, x):
        self.seen.data += len(x)
        self.passes += 1
        factor = float(self.seen.data) + self.passes
        self.save_for_backward(factor)
        return x * factor

    def backward(self, grad_output):
        return grad_output * self.saved()


def shared():
    layer = linear(2, 2)
    return nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), layer.share(), linear(2, 1))


def residual():
    inner = nn.Sequential(linear(4, 4), nn.Tanh(), linear(4, 4))
    return nn.Sequential(linear(2, 4), nn.Residual(inner), nn.Residual(nn.ReLU(), linear(4, 4)), linear(4, 1))


def branches():
    fork = nn.ConcatTable(linear(2, 3), nn.Sequential(linear(2, 2), nn.Sigmoid()), nn.Identity())
    return nn.Sequential(fork, nn.JoinTable(1), linear(7, 1))


class Outer(nn.Module):
    """Arithmetic between modules, one of which could be followed."""

    def __init__(self):
        self.inner = Backed()

    def forward(self, x):
        return 2 * self.inner(x)

    def backward(self, grad_output):
        return self.inner.backward(2 * grad_output)


def beside():
    """One composite that cannot be followed, and one that must not."""
    return nn.Sequential(Outer(), linear(1, 2), Reversal())


def aliases():
    """The same array in several places of one sum."""
    return nn.Sequential(nn.Residual(nn.Identity()), nn.Residual(nn.Flatten(), nn.Identity()), linear(2, 1))


def nested():
    return nn.Sequential(nn.Sequential(linear(2, 3), nn.Tanh()), nn.Sequential(linear(3, 1)))


def single_precision():
    return nn.Sequential(nn.Linear(2, 3, generator=0), nn.ReLU(), nn.Linear(3, 1, generator=1))


def two_inputs():
    return nn.Sequential(
        nn.ParallelTable(linear(2, 3), nn.Sequential(linear(1, 3), nn.Tanh())), nn.CMulTable(), linear(3, 1)
    )


def passing():
    """Layers that return their input, or a view of it."""
    return nn.Sequential(
        nn.Identity(), nn.Flatten(), nn.Dropout(0.5), nn.Identity(), linear(2, 1), nn.Dropout(0.0)
    ).eval()


MODELS = {
    "mlp": (mlp, nn.HalfSquaredLoss, X, Y),
    "linear": (lambda: linear(2, 1), nn.MSELoss, X, Y),
    "no bias": (lambda: nn.Sequential(linear(2, 3, bias=False), nn.Tanh(), linear(3, 1)), nn.L1Loss, X, Y),
    "nested": (nested, nn.MSELoss, X, Y),
    "named": (lambda: nn.Sequential({"fc": linear(2, 3), "act": nn.Softplus(), "out": linear(3, 1)}), nn.MSELoss, X, Y),
    "empty": (lambda: nn.Sequential(nn.Sequential(), linear(2, 1)), nn.MSELoss, X, Y),
    "chain": (Backed, nn.MSELoss, X, Y),
    "own sum": (lambda: nn.Sequential(OwnSum(), linear(3, 1)), nn.MSELoss, X, Y),
    "own product": (lambda: nn.Sequential(OwnProduct(), linear(3, 1)), nn.MSELoss, X, Y),
    "in place": (lambda: nn.Sequential(InPlace(), linear(3, 1)), nn.MSELoss, X, Y),
    "reversal": (lambda: nn.Sequential(Reversal()), nn.MSELoss, X, Y),
    "composite in composite": (Doubled, nn.MSELoss, X, Y),
    "by hand": (lambda: nn.Sequential(linear(2, 1), ByHand()), nn.MSELoss, X, Y),
    "beside": (beside, nn.MSELoss, X, Y),
    "aliases": (aliases, nn.MSELoss, X, Y),
    "split": (lambda: nn.Sequential(Split(), nn.CAddTable()), nn.MSELoss, X, Y),
    "counter": (lambda: nn.Sequential(Counter(), linear(2, 1)), nn.MSELoss, X, Y),
    "shared": (shared, nn.MSELoss, X, Y),
    "residual": (residual, nn.MSELoss, X, Y),
    "branches": (branches, nn.MSELoss, X, Y),
    "two inputs": (two_inputs, nn.MSELoss, (X, Y), Y),
    "passing": (passing, nn.MSELoss, X, Y),
    "dropout": (lambda: nn.Sequential(linear(2, 8), nn.Dropout(0.5), linear(8, 1)), nn.MSELoss, X, Y),
    "dropout of its own": (lambda: nn.Sequential(nn.Dropout(0.3, generator=1), linear(2, 1)), nn.MSELoss, X, Y),
    "classes": (lambda: nn.Sequential(linear(2, 3)), nn.CrossEntropyLoss, X, np.array([0, 2, 1, 0, 2])),
    "a loss a sample": (mlp, lambda: nn.HalfSquaredLoss(reduction="none"), X, Y),
    "float32": (single_precision, nn.MSELoss, X, Y),
    "lists": (mlp, nn.HalfSquaredLoss, X.tolist(), Y.tolist()),
    "frozen": (lambda: mlp().requires_grad_(False), nn.MSELoss, X, Y),
}  # fmt: skip
models = pytest.mark.parametrize("name", MODELS)


def traced(name):
    build, loss, x, y = MODELS[name]
    nn.manual_seed(1)
    return nn.trace(build(), loss(), x, y)


def names(nodes):
    return [node.name for node in nodes]


def edges(graph):
    return {f"{a.name} {b.name}" for a, b in graph.edges}


# ---- the homework

NODES = ["x", "W₀", "b₀", "z₁", "a₁", "W₁", "b₁", "z₂", "a₂", "W₂", "b₂", "z₃", "y", "J"]
EDGES = {
    "x z₁",
    "W₀ z₁",
    "b₀ z₁",
    "z₁ a₁",
    "a₁ z₂",
    "W₁ z₂",
    "b₁ z₂",
    "z₂ a₂",
    "a₂ z₃",
    "W₂ z₃",
    "b₂ z₃",
    "z₃ J",
    "y J",
}


def test_homework_has_its_nodes_and_edges():
    graph = traced("mlp")
    assert names(graph.nodes) == NODES
    assert edges(graph) == EDGES
    assert len(graph.edges) == len(EDGES)
    kinds = dict.fromkeys(NODES, "intermediate") | {"x": "data", "y": "target", "J": "loss"}
    kinds |= dict.fromkeys(["W₀", "b₀", "W₁", "b₁", "W₂", "b₂"], "parameter")
    assert {node.name: node.kind for node in graph.nodes} == kinds


def test_homework_gradients_by_hand():
    graph = traced("mlp")
    W1, W2 = graph["W₁"].value, graph["W₂"].value
    z3 = (graph["z₃"].value - Y) / 5
    a2 = z3 @ W2
    z2 = a2 * (graph["z₂"].value > 0)
    z1 = z2 @ W1 * (graph["z₁"].value > 0)
    by_hand = {"z₃": z3, "W₂": z3.T @ graph["a₂"].value, "b₂": z3.sum(0), "a₂": a2, "z₂": z2, "J": 1.0}
    by_hand |= {"W₁": z2.T @ graph["a₁"].value, "b₁": z2.sum(0), "a₁": z2 @ W1, "z₁": z1}
    by_hand |= {"W₀": z1.T @ X, "b₀": z1.sum(0), "x": z1 @ graph["W₀"].value}
    assert by_hand.keys() == {*NODES} - {"y"}
    for name, expected in by_hand.items():
        np.testing.assert_allclose(graph[name].grad, expected, rtol=0, atol=1e-15)
    assert graph["y"].grad is None


def test_homework_gradients_by_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    graph = traced("mlp")
    of = {
        name: torch.tensor(graph[name].value, requires_grad=name != "y") for name in NODES if graph[name].call is None
    }
    for k in (1, 2, 3):
        before = of["x"] if k == 1 else of[f"a{k - 1}"]
        of[f"z{k}"] = before @ of["W" + "₀₁₂"[k - 1]].T + of["b" + "₀₁₂"[k - 1]]
        of[f"a{k}"] = of[f"z{k}"].relu()
    for value in of.values():
        if value.requires_grad:
            value.retain_grad()
    (0.5 * ((of["z3"] - of["y"]) ** 2).sum() / 5).backward()
    for name, value in of.items():
        if value.grad is not None:
            np.testing.assert_allclose(graph[name].grad, value.grad.numpy(), rtol=0, atol=1e-12)


# ---- every shape of model


@models
def test_gradients_are_those_of_model_backward(name):
    build, loss, x, y = MODELS[name]
    nn.manual_seed(1)
    graph = nn.trace(build(), loss(), x, y)
    nn.manual_seed(1)
    model, criterion = build(), loss()
    assert np.array_equal(graph.loss.value, criterion(model(*x) if isinstance(x, tuple) else model(x), y))
    grads = model.backward(criterion.backward())
    for _ in range(3):
        graph.backward()
        for path, parameter in model.named_parameters():
            np.testing.assert_allclose(
                graph[path].grad, parameter.grad, rtol=1e-6 if name == "float32" else 1e-13, atol=0
            )
        data = [node for node in graph.nodes if node.kind == "data"]
        for node, grad in zip(data, grads if isinstance(x, tuple) else [grads], strict=True):
            np.testing.assert_allclose(node.grad, grad, rtol=1e-6 if name == "float32" else 1e-13, atol=0)


def everything(*modules):
    """Return all that modules hold, down to arrays and the states of generators."""

    def of(value):
        if isinstance(value, nn.Module | nn.Parameter | nn.Buffer):
            return type(value).__name__, {key: of(item) for key, item in vars(value).items()}
        if isinstance(value, list | tuple):
            return [of(item) for item in value]
        if isinstance(value, np.random.Generator):
            return str(value.bit_generator.state)
        return (value.tobytes(), value.dtype, value.shape) if isinstance(value, np.ndarray) else value

    return [of(module) for module in modules]


@models
@pytest.mark.parametrize("passed", [False, True], ids=["fresh", "after a pass"])
def test_trace_leaves_everything_as_it_was(name, passed):
    build, loss, x, y = MODELS[name]
    model, criterion = build(), loss()
    model.needs_input_grad = False
    if passed:
        criterion(model(*x) if isinstance(x, tuple) else model(x), y)
        for parameter in model.parameters():
            parameter.grad += 1
    before = everything(model, criterion), nn.get_rng_state(), copy.deepcopy((x, y))
    graph = nn.trace(model, criterion, x, y)
    graph.backward()
    graph.derivation()
    assert (everything(model, criterion), nn.get_rng_state()) == before[:2]
    assert str((x, y)) == str(before[2])


@models
def test_graph_is_sound(name):
    graph = traced(name)
    assert len(set(names(graph.nodes))) == len(graph.nodes)
    position = {node: index for index, node in enumerate(graph.nodes)}
    assert all(position[a] < position[b] for a, b in graph.edges)
    assert graph.loss.kind == "loss" and names([graph.loss]) == ["J"]
    assert {node.path for node in graph.nodes if node.kind == "parameter"} == dict(
        MODELS[name][0]().named_parameters()
    ).keys()
    for node in graph.nodes:
        made = node.kind in ("intermediate", "composite", "loss")
        assert (node.call is not None) == made == any(b is node for _, b in graph.edges)
        assert node.grad is None or node.grad.shape == node.value.shape


@models
def test_one_seed_one_graph(name):
    first, second = traced(name), traced(name)
    assert [node.value.tobytes() for node in first.nodes] == [node.value.tobytes() for node in second.nodes]
    assert first.to_svg() == second.to_svg()


# ---- what becomes of which module


def test_layers_that_return_their_input_are_told_apart():
    graph = traced("passing")
    assert names(graph.nodes) == ["x", "h₀", "h₁", "h₂", "h₃", "W₄", "b₄", "h₄", "h₅", "y", "J"]
    assert {"x h₀", "h₀ h₁", "h₁ h₂", "h₂ h₃", "h₃ h₄", "W₄ h₄", "b₄ h₄", "h₄ h₅", "h₅ J", "y J"} == edges(graph)


def test_a_shared_parameter_is_one_node_with_several_edges():
    graph = traced("shared")
    assert names(graph.nodes) == ["x", "W₀", "b₀", "z₁", "a₁", "z₂", "a₂", "z₃", "W₁", "b₁", "z₄", "y", "J"]
    assert {"W₀ z₁", "W₀ z₂", "W₀ z₃", "b₀ z₁", "b₀ z₂", "b₀ z₃"} < edges(graph)
    assert len(graph["W0"].terms) == 3


def test_branches_are_summed():
    graph = traced("residual")
    assert {"h₀ h[1.0.0]", "h₀ h₁", "h[1.0.2] h₁"} < edges(graph)
    terms = graph["h0"].terms
    np.testing.assert_allclose(graph["h0"].grad, terms[0].grad + terms[1].grad, rtol=1e-15)


def test_a_sum_that_a_module_makes_by_itself_is_followed():
    graph = traced("own sum")
    assert {"x h[0.a]", "x h[0.b]", "h[0.a] h₀", "h[0.b] h₀"} < edges(graph)
    assert graph["h0"].kind == "intermediate" and type(graph["h0"].call.before) is nn.CAddTable
    assert len(graph["x"].terms) == 2


def test_a_sum_is_followed_whatever_the_precision_of_the_data():
    block = nn.Residual(nn.Sequential(nn.Linear(2, 2, generator=0), nn.ReLU()))
    graph = nn.trace(nn.Sequential(block, nn.Linear(2, 1, generator=1)), nn.MSELoss(), X, Y)
    assert X.dtype == np.float64 and {"x h₀", "h[0.0.1] h₀"} < edges(graph)
    assert graph.derivation().right


def test_a_graph_without_a_loss():
    model = residual()
    graph = nn.record(model, X)
    assert graph.nodes[-1] is graph.outputs and graph.nodes[0].kind == "data"
    assert "J" not in names(graph.nodes) and len(graph.nodes) == len(traced("residual").nodes) - 2
    np.testing.assert_array_equal(graph.outputs.value, model(X))
    g = RNG.normal(size=graph.outputs.shape)
    graph.backward(g)
    np.testing.assert_allclose(graph["x"].grad, model.backward(g), rtol=1e-13)
    graph.backward()  # of ones
    model(X)
    np.testing.assert_allclose(graph["x"].grad, model.backward(np.ones_like(g)), rtol=1e-13)
    assert graph.to_svg().startswith("<svg") and graph.to_text() and graph.to_mermaid()
    with pytest.raises(ValueError, match="the graph has no loss: trace"):
        graph.derivation()
    with pytest.raises(ValueError, match="a gradient of shape"):
        graph.backward(g[:1])


def test_a_graph_of_several_outputs_and_inputs():
    fork = nn.Sequential(nn.ParallelTable(linear(2, 3), nn.Tanh()), nn.ParallelTable(nn.ReLU(), nn.Identity()))
    graph = nn.record(fork, X, Y)
    assert isinstance(graph.outputs, tuple) and [node.shape for node in graph.outputs] == [(5, 3), (5, 1)]
    graph.backward((np.ones((5, 3)), None))
    assert graph["x0"].grad.any() and (graph["x1"].grad == 1 - np.tanh(Y) ** 2).all()
    with pytest.raises(TypeError, match=r"record expects a Module as model, got <class .*: write ReLU\(\)"):
        nn.record(nn.ReLU, X)
    with pytest.raises(ValueError, match="trace cannot follow"):
        nn.record(nn.Sequential(Sum()), X)


class Top(nn.Module):
    """The largest entry of each row, and where it stands: an output without a gradient."""

    def forward(self, x):
        x = self.cast(x)
        places = x.argmax(1)
        self.save_for_backward(x, places)
        return x.max(1), places

    def backward(self, grads):
        x, places = self.saved()
        gradient = np.zeros_like(x)
        gradient[np.arange(len(x)), places] = grads[0]
        return gradient


def test_an_output_of_integers_has_no_gradient():
    graph = nn.record(nn.Sequential(linear(2, 3), Top()), X)
    values, places = graph.outputs
    assert places.grad is None and values.grad.shape == (5,)
    graph.backward((np.arange(5.0), None))
    np.testing.assert_array_equal(values.grad, np.arange(5.0))
    assert graph["x"].grad[0].tolist() == [0, 0] and graph["x"].grad[1:].all()


def test_paths_of_one_array_are_told_apart():
    graph = traced("aliases")
    assert {"x h[0.0]", "x h₀", "h[0.0] h₀"} < edges(graph)
    assert {"h[1.0] h₁", "h[1.1] h₁"} < edges(graph) and "h₀ h₁" not in edges(graph)
    inner = nn.Sequential(nn.Residual(nn.Sequential(nn.Flatten(), nn.Identity())), linear(2, 1))
    assert {"h[0.0.1] h₀", "x h₀"} < edges(nn.trace(inner, nn.MSELoss(), X, Y))


def test_several_inputs_and_outputs():
    graph = traced("two inputs")
    assert names(graph.nodes)[:2] == ["x₀", "x₁"]
    assert {"h[0.0] h₁", "h[0.1.1] h₁"} < edges(graph)
    assert {"x h[0:0]", "x h[0:1]", "h[0:0] h₁", "h[0:1] h₁"} < edges(traced("split"))


def test_a_composite_is_followed_where_its_values_can_be():
    for model in (Backed(), Chain()):  # with a backward of its own, and without
        graph = nn.trace(model, nn.MSELoss(), X, Y)
        assert names(graph.nodes) == ["x", "W₀", "b₀", "z₁", "a₁", "W₁", "b₁", "z₂", "y", "J"]
        assert graph["first.weight"] is graph["W0"] and graph["W0"].grad.any()
        assert graph["z2"].path == "rest.1"


@pytest.mark.parametrize(
    ("name", "node", "because"),
    [
        ("own product", "h₀", "0 (OwnProduct) returned an array of shape (5, 3) that no module made"),
        ("in place", "h₀", "0 (InPlace) returned an array of shape (5, 3) that was changed after a module had made it"),
        ("by hand", "h₁", "its own backward is not the chain rule through the layers inside"),
        ("reversal", "h₀", "its own backward is not the chain rule through the layers inside"),
        ("composite in composite", "h", "last (Linear(3, 1, dtype='float64')) received an array of shape (5, 3) that"),
    ],
)
def test_a_composite_that_cannot_be_followed_is_one_node(name, node, because):
    graph = traced(name)
    composite = graph[node]
    assert composite.kind == "composite"
    assert because in composite.call.note and because in graph.to_text()
    own = {a.path for a, b in graph.edges if b is composite and a.kind == "parameter"}
    assert own == {".".join(filter(None, (composite.path, path))) for path in composite.call.parameters}
    assert len(own) == len(list(composite.call.before.parameters()))


def test_composites_beside_one_another_are_judged_apart():
    graph = traced("beside")
    assert [node.path for node in graph.nodes if node.kind == "composite"] == ["0", "2"]
    assert "Outer" in graph["h0"].call.note and "chain rule" in graph["h2"].call.note


def test_an_unused_parameter_is_a_node_without_edges():
    model = Backed()
    model.spare = nn.Parameter(np.ones(3))
    graph = nn.trace(model, nn.MSELoss(), X, Y)
    assert graph["spare"].grad.tolist() == [0, 0, 0]
    assert not any("spare" in edge for edge in edges(graph))


def test_the_criterion_may_be_a_composite():
    class Penalised(nn.Loss):
        def __init__(self):
            super().__init__()
            self.squash = nn.Tanh()
            self.loss = nn.MSELoss()

        def forward(self, prediction, target):
            return self.loss(self.squash(prediction), target)

        def backward(self, grad_output=None):
            return self.squash.backward(self.loss.backward(grad_output))

    graph = nn.trace(linear(2, 1), Penalised(), X, Y)
    assert edges(graph) >= {"z₁ a₁", "a₁ J", "y J"}
    assert graph["a1"].path == "criterion.squash"
    assert graph.derivation().right


def test_the_gradient_of_the_data_is_there_also_where_the_model_spares_it():
    model = mlp()
    model.needs_input_grad = False
    assert nn.trace(model, nn.HalfSquaredLoss(), X, Y)["x"].grad.any()
    assert not model.needs_input_grad


def test_a_graph_stays_what_it_was_traced_from():
    nn.manual_seed(0)
    model = nn.Sequential(Counter(), nn.Dropout(0.5), linear(2, 1))
    graph = nn.trace(model, nn.MSELoss(), X, Y)
    alone = nn.trace(model, nn.MSELoss(), X[:1], Y[:1])
    before = graph.to_svg()
    model(X)
    model[2].weight.data += 1
    sample = graph.first_sample()
    assert [node.value.tobytes() for node in sample.nodes] == [node.value.tobytes() for node in alone.nodes]
    graph.backward()
    assert graph.to_svg() == before


def test_a_traced_model_may_be_a_single_layer_and_called_in_no_grad():
    with nn.no_grad(), pytest.raises(RuntimeError, match="outside no_grad"):
        nn.trace(linear(2, 1), nn.MSELoss(), X, Y)
    assert names(nn.trace(linear(2, 1), nn.MSELoss(), X, Y).nodes) == ["x", "W₀", "b₀", "z₁", "y", "J"]


def test_trace_goes_beside_other_watchers():
    calls = []
    with watching(lambda module, inputs, output: calls.append(module)):
        nn.trace(mlp(), nn.MSELoss(), X, Y)
        assert not calls
        linear(2, 1)(X)
    assert len(calls) == 1


# ---- names


def test_names_of_other_models_are_a_letter_and_the_path():
    named = nn.Sequential({"fc": linear(2, 3), "act": nn.Tanh(), "drop": nn.Dropout(0.0), "out": linear(3, 1)})
    graph = nn.trace(named, nn.MSELoss(), X, Y)
    assert names(graph.nodes) == [
        *["x", "W[fc]", "b[fc]", "h[fc]", "h[act]", "h[drop]", "W[out]", "b[out]", "h[out]", "y", "J"]
    ]
    assert names(traced("composite in composite").nodes)[1:3] == ["scale", "W[inner.a]"]


def test_a_module_that_runs_twice_makes_two_nodes():
    class Again(nn.Module):
        def __init__(self):
            self.layer = nn.Tanh()

        def forward(self, x):
            return self.layer(self.layer(x))

    graph = nn.trace(Again(), nn.MSELoss(), X, X)
    assert names(graph.nodes) == ["x", "h[layer]", "h′[layer]", "y", "J"]
    assert graph.derivation().right


def test_nodes_are_found_by_name_and_by_path():
    graph = traced("mlp")
    assert graph["W₁"] is graph["W1"] is graph["2.weight"]
    with pytest.raises(KeyError, match="no node 'W9'; it has x, W₀"):
        graph["W9"]


# ---- drawings and texts


def points_of(path):
    """Return points on an SVG path of M, L and C commands."""
    found = []
    for command, *numbers in (part.replace(",", " ").split() for part in split_path(path)):
        corners = np.array(numbers, float).reshape(-1, 2)
        if command == "C":
            t = np.linspace(0, 1, 21)[:, None]
            a, b, c, d = found[-1], *corners
            found += list((1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d)
        elif found:
            found += list(np.linspace(found[-1], corners[0], 11))
        else:
            found.append(corners[0])
    return np.array(found)


def split_path(path):
    for letter in "MLC":
        path = path.replace(letter, f"|{letter} ")
    return path.strip("|").split("|")


def box_of(group):
    """Return left, top, right and bottom of a node's shape."""
    shape = group.find("{*}rect")
    if shape is not None:
        x, y, width, height = (float(shape.get(key)) for key in ("x", "y", "width", "height"))
        return x, y, x + width, y + height
    shape = group.find("{*}ellipse")
    if shape is not None:
        x, y, rx, ry = (float(shape.get(key)) for key in ("cx", "cy", "rx", "ry"))
        return x - rx, y - ry, x + rx, y + ry
    corners = np.array([point.split(",") for point in group.find("{*}polygon").get("points").split()], float)
    return *corners.min(0), *corners.max(0)


@models
@pytest.mark.parametrize("direction", ["down", "right"])
def test_svg_is_well_formed_and_nothing_lies_on_a_node(name, direction):
    graph = traced(name)
    root = ET.fromstring(graph.to_svg(direction))
    groups = {int(group.get("data-node")): group for group in root.findall("{*}g[@data-node]")}
    assert [group.get("data-name") for _, group in sorted(groups.items())] == names(graph.nodes)
    for index, node in enumerate(graph.nodes):
        assert node.name in groups[index].find("{*}title").text
        assert node.kind in groups[index].get("class")
    boxes = {index: box_of(group) for index, group in groups.items()}
    width, height = float(root.get("width")), float(root.get("height"))
    for index, (left, top, right, bottom) in boxes.items():
        assert left >= 0 and top >= 0 and right <= width and bottom <= height
        for other, (left2, top2, right2, bottom2) in boxes.items():
            assert index == other or right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top
    drawn = root.findall("{*}path[@data-from]")
    position = {node: index for index, node in enumerate(graph.nodes)}
    ends = [(int(path.get("data-from")), int(path.get("data-to"))) for path in drawn]
    assert ends == [(position[a], position[b]) for a, b in graph.edges]
    for path, (a, b) in zip(drawn, ends, strict=True):
        x, y = points_of(path.get("d")).T
        for index in boxes.keys() - {a, b}:
            left, top, right, bottom = boxes[index]
            assert not ((x > left) & (x < right) & (y > top) & (y < bottom)).any(), f"{a} to {b} runs through {index}"


@models
def test_mermaid_has_every_node_and_edge(name):
    graph = traced(name)
    mermaid = graph.to_mermaid("right")
    assert mermaid.startswith("flowchart LR")
    assert mermaid.count(" --> ") == len(graph.edges)
    assert mermaid.count(":::") == len(graph.nodes)


def test_names_that_mean_something_to_a_format_are_escaped():
    model = nn.Sequential({'<a & "b"> \\ `c`_*d*': linear(2, 1)})
    model_of_models = nn.Sequential({"x<y": nn.Sequential(model, nn.ReLU(), nn.ReLU())})
    graph = nn.trace(model_of_models, nn.MSELoss(), X, Y)
    name = 'W[x<y.0.<a & "b"> \\ `c`_*d*]'
    group = ET.fromstring(graph.to_svg()).find("{*}g[@data-node='1']")
    assert group.get("data-name") == name
    line = next(line for line in graph.to_mermaid().splitlines() if line.startswith("  n1"))
    assert not set("<>`*_") & set(line.replace("<br/>", ""))
    derivation = graph.derivation()
    assert derivation.right
    ET.fromstring(f"<div>{derivation.to_html()}</div>")
    assert r"\&" in derivation.to_latex()


def test_an_unknown_direction_is_refused():
    graph = traced("mlp")
    for write in (graph.to_svg, graph.to_mermaid):
        with pytest.raises(ValueError, match="direction is one of 'down', 'right', got 'up'"):
            write("up")


def test_text_and_notebook_forms():
    graph = traced("mlp")
    text = graph.to_text()
    assert str(graph) == text and len(text.splitlines()) == 2 + len(graph.nodes)
    assert "z₁    intermediate  (5, 4)" in text and "ReLU() of z₁" in text
    assert graph._repr_svg_() == graph.to_svg() and graph.to_svg() in graph._repr_html_()
    assert repr(graph) == "Graph(14 nodes, 13 edges)"
    assert repr(graph["W0"]) == "Node('W₀', 'parameter', (4, 2))"


# ---- what is refused


class NoArray(nn.Module):
    def forward(self, x):
        return {"y": x}


class Outsider(nn.Module):
    def forward(self, x):
        return linear(2, 1)(x)


class TooFew(nn.Module):
    def forward(self, a, b):
        return a + b

    def backward(self, grad_output):
        return grad_output, grad_output, grad_output


class Lazy(nn.Module):
    def forward(self, x):
        self.weight = nn.Parameter(np.ones(2))
        return x * self.weight.data

    def backward(self, grad_output):
        return grad_output * self.weight.data


class Overwriting(nn.Linear):
    def backward(self, grad_output):
        weight, bias = self.weight.grad.copy(), self.bias.grad.copy()
        grad = super().backward(grad_output)
        self.weight.grad -= weight
        self.bias.grad -= bias
        return grad


def overwriting():
    layer = Overwriting(2, 2, dtype="float64")
    return nn.Sequential(layer, nn.Tanh(), layer, linear(2, 1))


class Twice(Chain):
    """One object in two places, without share()."""

    def __init__(self):
        self.layer = linear(2, 2)

    def forward(self, x):
        return self.layer(self.layer(x))

    def backward(self, grad_output):
        return self.layer.backward(self.layer.backward(grad_output))


LOSS = nn.MSELoss()
THREES = np.ones((5, 3))
WIDTH = "in layer 0 of Sequential: Linear(2, 4, dtype='float64') expects input of shape (..., 2), got (5, 1)"
SUM = "Sum returned an array of shape (5, 3) that no module made"
COVER = f"trace cannot follow Sum: {SUM}, and Sum has no backward that covers it; use CAddTable, CMulTable"
NOT_HELD = "Linear(2, 1, dtype='float64') is called, and no module holds it as an attribute"
OTHER = "gives other gradients than the walk through the graph for W₀, b₀: does a module overwrite a gradient"
CLASS = "expects a Module as model, got <class 'nn.layers.linear.Linear'>: write Linear()"
REFUSED = [
    (nn.Linear, LOSS, X, Y, TypeError, CLASS),
    (mlp(), nn.MSELoss, X, Y, TypeError, "as criterion, got <class 'nn.losses.regression.MSELoss'>: write MSELoss()"),
    ([linear(2, 1)], LOSS, X, Y, TypeError, "expects a Module as model, got [Linear"),
    (mlp(), LOSS, "text", Y, TypeError, "expects x to be an array of real numbers, got dtype <U4"),
    (mlp(), LOSS, X, Y + 1j, TypeError, "expects y to be an array of real numbers, got dtype complex128"),
    (mlp(), LOSS, [[1, 2], [3]], Y, ValueError, "expects x to be an array of numbers: "),
    (mlp(), LOSS, Y, Y, ValueError, WIDTH),
    (mlp(), LOSS, X, Y[:, 0], ValueError, "expects a target shaped like the prediction, (5, 1), got (5,)"),
    (mlp(), LOSS, X * np.nan, Y, ValueError, "the loss is nan: the first value that is not finite is the data x"),
    (mlp(), LOSS, X, Y * np.inf, ValueError, "the loss is inf: the first value that is not finite is the target y"),
    (Sum(), LOSS, X, THREES, ValueError, COVER),
    (nn.Sequential(Sum()), LOSS, X, THREES, ValueError, "trace cannot follow 0 (Sum): 0 (Sum) returned an array"),
    (NoArray(), LOSS, X, Y, ValueError, "trace cannot follow the model: NoArray() returned dict, expected arrays"),
    (Outsider(), LOSS, X, Y, ValueError, NOT_HELD),
    (Lazy(), LOSS, X, X, ValueError, "the parameter weight is made by the call itself: call the model once before"),
    (TooFew(), LOSS, (X, X), X, RuntimeError, "the backward of TooFew() gave 3 gradients for 2 inputs"),
    (overwriting(), LOSS, X, Y, RuntimeError, OTHER),
    (Twice(), LOSS, X, X, RuntimeError, "use it once and its share() the second time"),
    (mlp(), linear(1, 1), X, Y, TypeError, "takes 2 positional arguments but 3 were given"),
]


@pytest.mark.parametrize(("model", "criterion", "x", "y", "kind", "text"), REFUSED, ids=range(len(REFUSED)))
def test_bad_input_is_refused(model, criterion, x, y, kind, text):
    before = everything(model, criterion) if isinstance(model, nn.Module) and isinstance(criterion, nn.Module) else None
    with np.errstate(invalid="ignore", over="ignore"), pytest.raises(kind) as caught:
        nn.trace(model, criterion, x, y)
    assert text in str(caught.value)
    assert before is None or everything(model, criterion) == before


def test_the_first_value_that_is_not_finite_is_named():
    model = mlp()
    model[2].weight.data[0, 0] = np.inf
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=r"is the parameter W₁ \(2.weight\)$"):
        nn.trace(model, nn.MSELoss(), X, Y)


def test_a_model_without_a_backward_is_drawn_without_gradients():
    graph = nn.trace(nn.Sequential(linear(2, 1), Square()), nn.MSELoss(), X, Y)
    assert all(node.grad is None for node in graph.nodes)
    assert "‖∇‖" not in graph.to_svg()
    with pytest.raises(NotImplementedError, match="Square has no backward"):
        graph.backward()


# ---- how well


def test_fifty_layers():
    layers = [layer for _ in range(50) for layer in (linear(16, 16), nn.Tanh())]
    x = RNG.normal(size=(8, 16))
    graph = nn.trace(nn.Sequential(*layers), nn.MSELoss(), x, x)
    derivation = graph.derivation()
    drawn = [graph.to_svg(), graph.to_mermaid(), derivation.to_html(), derivation.to_latex()]
    assert derivation.right and len(graph.nodes) == 203 and all(drawn)
