"""Branches: how a tuple flows forward and backward, what is shared, and what the errors say."""

import copy

import numpy as np
import pytest

import nn
from nn.checking.measure import numerical_jacobian

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3))
G = RNG.normal(size=(4, 2))


def linear(*sizes, bias=True):
    return nn.Linear(*sizes, bias=bias, dtype=np.float64, generator=0)


# ---- ConcatTable and ParallelTable


def test_concat_table_feeds_one_input_to_all_and_sums_their_gradients():
    table = nn.ConcatTable(linear(3, 2), nn.Tanh(), nn.Identity())
    x = X.copy()
    outputs = table(x)
    assert isinstance(outputs, tuple) and [y.shape for y in outputs] == [(4, 2), (4, 3), (4, 3)]
    grads = tuple(RNG.normal(size=y.shape) for y in outputs)
    gradient = table.backward(grads)

    def objective():
        return sum((y * g).sum() for y, g in zip(table(x), grads, strict=True))

    expected = numerical_jacobian(objective, x)
    np.testing.assert_allclose(gradient, expected, atol=1e-8)
    np.testing.assert_allclose(table[0].weight.grad, grads[0].T @ X)


def test_concat_table_of_several_inputs_sums_each():
    table = nn.ConcatTable(nn.CAddTable(), nn.CMulTable())
    a, b = np.array([2.0, 3.0]), np.array([5.0, 7.0])
    added, multiplied = table(a, b)
    assert (added.tolist(), multiplied.tolist()) == ([7, 10], [10, 21])
    da, db = table.backward((np.array([1.0, 1.0]), np.array([10.0, 10.0])))
    assert (da.tolist(), db.tolist()) == ([51, 71], [21, 31])


def test_parallel_table_feeds_each_input_to_its_branch():
    table = nn.ParallelTable(linear(3, 2), nn.CMulTable(), nn.ReLU())
    pair = (np.array([2.0]), np.array([5.0]))
    outputs = table(X, pair, np.array([-1.0, 1.0]))
    assert outputs[0].shape == (4, 2) and outputs[1].tolist() == [10] and outputs[2].tolist() == [0, 1]
    dx, dpair, drelu = table.backward((G, np.array([1.0]), np.array([3.0, 3.0])))
    np.testing.assert_allclose(dx, G @ table[0].weight.data)
    assert [d.tolist() for d in dpair] == [[5], [2]]
    assert drelu.tolist() == [0, 3]


def test_one_branch_is_a_tuple_of_one():
    table = nn.ConcatTable(nn.ReLU())
    (y,) = table([-1.0, 1.0])
    assert y.tolist() == [0, 1]
    assert table.backward(([1.0, 1.0],)).tolist() == [0, 1]
    model = nn.Sequential(table, nn.CAddTable())
    model([-1.0, 1.0])
    assert model.backward([2.0, 2.0]).tolist() == [0, 2]
    assert isinstance(nn.Sequential(nn.ConcatTable(nn.ReLU()))([1.0]), tuple)


def test_tuples_flow_through_sequential():
    model = nn.Sequential(
        nn.CAddTable(), nn.ConcatTable(nn.Identity(), nn.ReLU()), nn.ParallelTable(nn.ReLU(), nn.Tanh())
    )
    outputs = model([-1.0, 2.0], [0.5, 0.5])
    np.testing.assert_allclose(outputs, [[0, 2.5], [0, np.tanh(2.5)]])
    da, db = model.backward(([1.0, 1.0], [0.0, 0.0]))
    assert da.tolist() == db.tolist() == [0, 1]
    a, b = nn.Sequential()([1.0], [2.0])
    assert (a, b) == ([1.0], [2.0])


# ---- the layers that join


def test_add_multiply_join():
    a, b, c = RNG.normal(size=(3, 2, 4))
    g = RNG.normal(size=(2, 4))
    add, multiply = nn.CAddTable(), nn.CMulTable()
    np.testing.assert_allclose(add(a, b, c), a + b + c)
    assert all(np.array_equal(grad, g) for grad in add.backward(g))
    np.testing.assert_allclose(multiply(a, b, c), a * b * c)
    for grad, others in zip(multiply.backward(g), (b * c, a * c, a * b), strict=True):
        np.testing.assert_allclose(grad, g * others)
    join = nn.JoinTable(-1)
    np.testing.assert_array_equal(join(a, b[:, :1], c), np.hstack([a, b[:, :1], c]))
    grads = join.backward(np.arange(18.0).reshape(2, 9))
    assert [grad[0].tolist() for grad in grads] == [[0, 1, 2, 3], [4], [5, 6, 7, 8]]


def test_a_factor_of_zero_has_a_gradient():
    multiply = nn.CMulTable()
    multiply([0.0, 0.0], [3.0, 0.0])
    da, db = multiply.backward([1.0, 1.0])
    assert (da.tolist(), db.tolist()) == ([3, 0], [0, 0])


@pytest.mark.parametrize("layer", [nn.CAddTable(), nn.CMulTable(), nn.JoinTable(0)], ids=repr)
def test_joining_layers_cast_as_losses_do(layer):
    y = layer(np.ones(2, np.float32), np.ones(2))
    assert y.dtype == np.float32
    assert [grad.dtype for grad in layer.backward(np.ones(y.shape))] == [np.float32] * 2
    assert layer([1, 2], [3, 4]).dtype == np.float32
    single = np.ones(3)
    np.testing.assert_array_equal(layer(single), single)
    np.testing.assert_array_equal(layer.backward(single), single)


@pytest.mark.parametrize("layer", [nn.CAddTable(), nn.CMulTable()], ids=repr)
def test_shapes_are_never_broadcast(layer):
    with pytest.raises(
        ValueError, match=rf"{layer!r}.* expects input 1 of shape \(4, 3\), got \(4, 1\)".replace("()", r"\(\)")
    ):
        layer(X, X[:, :1])
    with pytest.raises(ValueError, match="at least one input"):
        layer()
    layer(X, X)
    with pytest.raises(ValueError, match=r"expects grad_output of shape \(4, 3\), got \(3,\)"):
        layer.backward(np.ones(3))


def test_what_cannot_be_joined():
    for inputs in ((X, X[:2]), (X, X[0]), (np.ones(3), np.ones(3)), (np.ones(()),)):
        with pytest.raises(ValueError, match=r"JoinTable\(1\) expects inputs that differ in dimension 1 alone, got \("):
            nn.JoinTable(1)(*inputs)


# ---- Residual


def test_residual_adds_its_input():
    block = nn.Residual(nn.Sequential(linear(3, 5), nn.Tanh(), linear(5, 3)))
    assert nn.gradcheck(block, X)
    twin = copy.deepcopy(block[0])
    np.testing.assert_allclose(block(X), twin(X) + X)
    twin(X)
    g = RNG.normal(size=X.shape)
    np.testing.assert_allclose(block.backward(g), twin.backward(g) + g)


def test_residual_with_a_shortcut():
    block = nn.Residual(linear(3, 2), nn.Sequential(linear(3, 2, bias=False)))
    assert [name for name, _ in block.named_parameters()] == ["0.weight", "0.bias", "1.0.weight"]
    assert nn.gradcheck(block, X)
    empty = nn.Residual(nn.ReLU(), nn.Sequential())  # an empty chain is a shortcut too
    assert len(empty) == 2 and empty([1.0]).tolist() == [2]


def test_residual_says_where_shapes_part():
    with pytest.raises(
        ValueError,
        match=r"in layer 0 of Sequential: in the sum of Residual: CAddTable\(\) expects input 1 of shape \(4, 2\)",
    ):
        nn.Sequential(nn.Residual(linear(3, 2)))(X)


# ---- one object in several places


@pytest.mark.parametrize("kind", [nn.ConcatTable, nn.ParallelTable, nn.Residual])
def test_an_object_given_twice_is_shared(kind):
    layer = linear(3, 3)
    table = kind(layer, layer)
    assert table[0] is layer and table[1] is not layer and table[1].weight is layer.weight
    assert len(list(table.parameters())) == 2
    assert list(table.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_a_shared_layers_gradients_add_up():
    layer, twin = linear(3, 2), linear(3, 2)
    model = nn.Sequential(nn.ConcatTable(layer, nn.Sequential(nn.Tanh(), layer.share())), nn.CAddTable())
    model(X)
    model.backward(G)
    np.testing.assert_allclose(layer.weight.grad, G.T @ X + G.T @ np.tanh(X))
    assert nn.gradcheck(nn.Sequential(nn.ConcatTable(twin, twin), nn.CAddTable()), X)


def test_share_and_deepcopy_of_branches():
    block = nn.Residual(nn.Sequential(linear(3, 3), nn.ReLU()))
    shared = block.share()
    y = block(X)
    np.testing.assert_array_equal(shared(X), y)
    g = np.ones(X.shape)
    np.testing.assert_array_equal(shared.backward(g), block.backward(g))  # each went back through slots of its own
    assert copy.deepcopy(block)[0][0].weight is not block[0][0].weight


# ---- gradients that are not there


def test_the_first_branches_may_spare_the_input_gradient():
    model = nn.Sequential(nn.ConcatTable(linear(3, 2), nn.Sequential(nn.Tanh(), linear(3, 2))), nn.CAddTable())
    model(X)
    model.backward(G)
    expected = [p.grad.copy() for p in model.parameters()]
    model.zero_grad()
    assert model.needs_input_grad
    model.needs_input_grad = False
    assert not model.needs_input_grad and not model[0][0].needs_input_grad and not model[0][1][1].needs_input_grad
    model(X)
    assert model.backward(G) is None
    for p, grad in zip(model.parameters(), expected, strict=True):
        np.testing.assert_array_equal(p.grad, grad)
    model.needs_input_grad = True
    model(X)
    assert model.backward(G).shape == X.shape


def test_the_first_residual_may_spare_it_too():
    block = nn.Residual(linear(3, 3))
    block.needs_input_grad = False
    block(X)
    assert block.backward(X) is None and block[0].weight.grad.any()


def test_a_missing_gradient_that_is_needed_is_loud():
    model = nn.Sequential(linear(3, 3), nn.ConcatTable(linear(3, 2), linear(3, 2)), nn.CAddTable())
    model[1][1].needs_input_grad = False
    model(X)
    with pytest.raises(
        RuntimeError, match=r"in layer 1 of Sequential: branch 1 of ConcatTable, Linear\(3, 2.*set its needs_input_grad"
    ):
        model.backward(G)

    model[1].needs_input_grad = False
    model(X)
    with pytest.raises(RuntimeError, match=r"(?s)layer 1 of Sequential, ConcatTable.*needs_input_grad"):
        model.backward(G)

    block = nn.Residual(linear(3, 3))
    block[0].needs_input_grad = False
    block(X)
    with pytest.raises(RuntimeError, match=r"branch 0 of Residual, Linear.*needs_input_grad"):
        block.backward(X)

    model = nn.Sequential(nn.ParallelTable(linear(3, 2), nn.Tanh()), nn.ParallelTable(linear(2, 2), nn.Identity()))
    model[1][0].needs_input_grad = False
    model(X, X)
    with pytest.raises(
        RuntimeError, match=r"in layer 0 of Sequential: in branch 0 of ParallelTable: Linear.*no gradient came back"
    ):
        model.backward((G, X))


class Lookup(nn.Module):
    """Its input are integers, which have no gradient."""

    def forward(self, x):
        self.save_for_backward()
        return np.eye(3)[x]

    def backward(self, grad_output):
        self.saved()


def test_integers_pass_without_a_gradient():
    model = nn.Sequential(
        nn.ParallelTable(nn.Sequential(), nn.Tanh()), nn.ParallelTable(Lookup(), linear(3, 3)), nn.CAddTable()
    )
    assert model(np.array([0, 1, 2, 0]), X).shape == (4, 3)
    nothing, gradient = model.backward(X)
    assert nothing is None and gradient.shape == X.shape

    table = nn.ConcatTable(Lookup(), Lookup())
    table(np.array([0, 1]))
    assert table.backward((np.ones((2, 3)), np.ones((2, 3)))) is None


# ---- errors and how they are shown


def test_errors_name_the_branch():
    table = nn.Sequential(nn.ConcatTable(nn.ReLU(), nn.Sequential(nn.Tanh(), linear(5, 2))))
    with pytest.raises(
        ValueError,
        match=r"in layer 0 of Sequential: in branch 1 of ConcatTable: in layer 1 of Sequential: Linear\(5, 2",
    ):
        table(X)
    table = nn.ConcatTable(nn.ReLU(), nn.Tanh())
    table(X)
    with pytest.raises(ValueError, match=r"in branch 1 of ConcatTable: .*expects grad_output of shape"):
        table.backward((X, G))
    with pytest.raises(RuntimeError, match=r"in branch 0 of ConcatTable: .*nothing saved"):
        table.backward((X, X))


def test_the_number_of_inputs_and_gradients():
    with pytest.raises(ValueError, match="ParallelTable of 2 branches expects as many inputs, got 1"):
        nn.ParallelTable(nn.ReLU(), nn.Tanh())(X)
    table = nn.ConcatTable(nn.ReLU(), nn.Tanh())
    table(X)
    for grads, count in (((X,), 1), ((X, X, X), 3), (X, 1)):
        with pytest.raises(
            ValueError, match=f"ConcatTable of 2 branches expects a tuple of as many gradients, got {count}"
        ):
            table.backward(grads)


def test_only_modules_are_branches():
    with pytest.raises(TypeError, match="ConcatTable expects modules, got 3 for '1'"):
        nn.ConcatTable(nn.ReLU(), 3)
    with pytest.raises(TypeError, match=r"Residual expects modules, got \['no'\]"):
        nn.Residual(nn.ReLU(), ["no"])
    with pytest.raises(ValueError, match="ParallelTable cannot name a branch 'forward'"):
        nn.ParallelTable({"forward": nn.ReLU()})


def test_repr_shows_one_branch_a_line():
    table = nn.ConcatTable(nn.Linear(3, 2), nn.Residual(nn.ReLU()))
    assert repr(table) == "ConcatTable(\n  Linear(3, 2),  # 8\n  Residual(\n    ReLU(),\n  ),\n)  # 8"
    assert repr(nn.JoinTable(1)) == "JoinTable(1)"
    assert repr(nn.ParallelTable({"left": nn.ReLU()})) == "ParallelTable({\n  'left': ReLU(),\n})"
    assert isinstance(table[:1], nn.ConcatTable) and table[:1][0] is table[0]


def test_no_grad_saves_nothing_in_branches():
    block = nn.Residual(nn.Sequential(linear(3, 3), nn.ReLU()))
    with nn.no_grad():
        block(X)
    with pytest.raises(RuntimeError, match="nothing saved"):
        block.backward(X)


def test_training_mode_reaches_the_branches():
    block = nn.Residual(nn.Dropout(0.5))
    np.testing.assert_array_equal(block.eval()(X), 2 * X)
    assert not block[0].training
