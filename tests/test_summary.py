"""The two watchers: what they say, and that they leave the model as it was."""

import copy
import textwrap
from collections import OrderedDict

import numpy as np
import pytest

import nn


class Exp(nn.Module):
    def forward(self, x):
        return np.exp(x)


class Branches(nn.Module):
    """Has two branches, one of them in a list, holds one layer twice and never calls another."""

    def __init__(self):
        self.left = nn.Linear(3, 2)
        self.right = [nn.Sequential(nn.Linear(4, 2), nn.Tanh()), self.left]
        self.spare = nn.Linear(100, 1000)
        self.scale = nn.Parameter(np.ones(1, np.float32))

    def forward(self, x, y):
        return {"sum": self.left(x) + self.right[0](y), "both": (x, y)}


class Restless(nn.Module):
    """Does in its forward whatever a layer might: draws, counts, saves, remembers."""

    def __init__(self):
        self.generator = np.random.default_rng(0)
        self.calls = nn.Buffer(0)
        self.dropout = nn.Dropout()
        self.modes = []

    def forward(self, x):
        self.save_for_backward(x, "of the watcher")
        self.calls.data += 1
        self.modes.append(self.training)
        noise = self.generator.normal() + nn.random.default_generator().normal()
        if x.shape == (13,):
            raise ValueError("no room for 13")
        return self.dropout(x) + noise


def table(text):
    return textwrap.dedent(text).strip("\n")


# ---- the table


def test_nested_containers_are_indented():
    model = nn.Sequential(
        nn.Linear(784, 256),
        nn.Sequential(nn.ReLU(), nn.Dropout(0.1), nn.Linear(256, 128, bias=False)),
        nn.Linear(128, 10),
    )
    model[0].requires_grad_(False)
    assert nn.summary(model, (32, 784)) == table(
        """
        Layer                                Output shape  Parameters
        -------------------------------------------------------------
        Sequential                           (32, 10)
          0: Linear(784, 256)                (32, 256)        200,960
          1: Sequential                      (32, 128)
            0: ReLU()                        (32, 256)
            1: Dropout(p=0.1)                (32, 256)
            2: Linear(256, 128, bias=False)  (32, 128)         32,768
          2: Linear(128, 10)                 (32, 10)           1,290
        -------------------------------------------------------------
        235,018 parameters, 34,058 trainable
        """
    )


def test_several_inputs_and_outputs_and_a_layer_that_does_not_run():
    assert nn.summary(Branches(), ((5, 3), (5, 4))) == table(
        """
        Layer                       Output shape            Parameters
        --------------------------------------------------------------
        Branches                    (5, 2), (5, 3), (5, 4)           1
          left: Linear(3, 2)        (5, 2)                           8
          right.0: Sequential       (5, 2)
            0: Linear(4, 2)         (5, 2)                          10
            1: Tanh()               (5, 2)
          spare: Linear(100, 1000)  -                          101,000
        --------------------------------------------------------------
        101,019 parameters, 101,019 trainable
        """
    )


def test_shared_parameters_count_once():
    first = nn.Linear(2, 2)
    half = first.share()
    half.bias = nn.Parameter([0.0, 0.0])
    model = nn.Sequential(OrderedDict(first=first, again=first, half=half, empty=nn.Linear(2, 0, bias=False)))
    assert nn.summary(model, (1, 2)) == table(
        """
        Layer                              Output shape  Parameters
        -----------------------------------------------------------
        Sequential                         (1, 0)
          first: Linear(2, 2)              (1, 2)                 6
          again: Linear(2, 2)              (1, 2)            shared
          half: Linear(2, 2)               (1, 2)                 2
          empty: Linear(2, 0, bias=False)  (1, 0)                 0
        -----------------------------------------------------------
        8 parameters, 8 trainable
        """
    )


def test_a_single_layer_and_an_input_without_dimensions():
    text = nn.summary(nn.ReLU(), ())
    assert text.splitlines()[2] == "ReLU()  ()" and text.splitlines()[-1] == "0 parameters, 0 trainable"
    assert nn.summary(nn.ReLU(), ((),)) == text


class Wordy(nn.Identity):
    def extra_repr(self):
        return "größe=½, " * 20


class Lines(nn.Identity):
    def extra_repr(self):
        return "\n"


def test_any_model_fits_a_plain_terminal():
    model = nn.Sequential({"größe": Wordy(), "lines": Lines()})
    lines = nn.summary(model, (1,)).splitlines()
    assert lines[3].startswith("  gr\\xf6\\xdfe: Wordy(gr\\xf6\\xdfe=\\xbd, gr") and "...  (1,)" in lines[3]
    assert lines[4].split() == ["lines:", "Lines", "(1,)"]
    for _ in range(40):
        model = nn.Sequential(nn.Linear(100, 100), model)
    lines = nn.summary(model, (1,) * 20 + (100,)).splitlines()
    assert max(map(len, lines)) == 80 and all(line.isascii() for line in lines)
    assert lines[3].startswith("  0: Linear(100, 100)") and lines[3].endswith("1, 1, 1,...      10,100")


@pytest.mark.parametrize("input_shape", [3, "32", (3, -1), (3, 1.5), ((3,), 4), ((3,), None), None])
def test_what_is_no_shape(input_shape):
    with pytest.raises(ValueError, match="expects input_shape to be a shape or a tuple of shapes, got"):
        nn.summary(nn.ReLU(), input_shape)


def test_lists_and_numpy_integers_are_shapes_too():
    assert "(2, 3)" in nn.summary(nn.ReLU(), [np.int64(2), 3])


# ---- the first number that is not finite


def test_the_first_layer_that_loses_finiteness_is_named():
    model = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Tanh(), Exp(), Exp(), Exp(), Exp()), nn.ReLU())
    nn.init.zeros_(model[0].bias)
    nn.init.zeros_(model[0].weight)
    assert nn.first_nonfinite(model, np.ones((2, 1))) is None  # exp(exp(exp(exp(0)))) is 4e6
    nn.init.ones_(model[0].weight)
    assert nn.first_nonfinite(model, np.ones((2, 1))) == "output of 1.4: Exp()"
    assert nn.first_nonfinite(model[1], np.array([5.0, np.inf])) == "input 0"
    assert nn.first_nonfinite(Exp(), [0.0, 1e3]) == "output of Exp()"


def test_a_model_that_loses_finiteness_between_its_layers():
    class Between(nn.Module):
        def __init__(self):
            self.first = nn.Identity()
            self.second = nn.Sequential(nn.ReLU())

        def forward(self, x):
            return self.second(self.first(x) / 0)

    model = nn.Sequential(nn.Tanh(), Between())
    assert nn.first_nonfinite(model, [0.0, 1.0]) == "output of 1: Between"


def test_a_layer_that_is_no_member_is_named_by_its_repr():
    class Unrolled(nn.Module):
        def __init__(self):
            self.cell = Exp()

        def forward(self, x):
            for _ in range(4):
                x = self.cell.share()(x)
            return x

    assert nn.first_nonfinite(Unrolled(), [1.0]) == "output of Exp()"


def test_an_input_or_a_parameter_is_named():
    model = Branches()
    x, y = np.ones((5, 3)), np.ones((5, 4))
    assert nn.first_nonfinite(model, x, y) is None
    y[3, 2] = np.nan
    assert nn.first_nonfinite(model, x, y) == "input 1"
    model.right[0][0].bias.data[1] = -np.inf
    assert nn.first_nonfinite(model, x, np.ones((5, 4))) == "parameter right.0.0.bias"


def test_outputs_in_a_nest_are_seen():
    class Nest(nn.Module):
        def forward(self, x):
            return [1, {"a": (x, np.log(x))}]

    assert nn.first_nonfinite(Nest(), [1.0]) is None
    assert nn.first_nonfinite(Nest(), [0.0]) == "output of Nest()"


def test_a_loss_is_a_module_too():
    loss = nn.HalfSquaredLoss()
    prediction, target = np.full((2, 1), 1e30, np.float32), np.zeros((2, 1))
    assert nn.first_nonfinite(loss, prediction, target) == "output of HalfSquaredLoss()"
    assert nn.first_nonfinite(nn.CrossEntropyLoss(), np.zeros((2, 3)), np.array([0, 2])) is None


# ---- the model stays as it was


def remembered(model):
    """Return everything that a forward pass could change."""
    modules = [(module.training, module._saved, list(getattr(module, "modes", []))) for module in model.modules()]
    return modules, model.state_dict(), copy.deepcopy(model[0].generator.bit_generator.state), nn.get_rng_state()


@pytest.mark.parametrize("size", [12, 13])
@pytest.mark.parametrize("watch", [lambda m, n: nn.summary(m, (n,)), lambda m, n: nn.first_nonfinite(m, np.zeros(n))])
def test_the_model_stays_as_it_was(watch, size):
    model = nn.Sequential(Restless(), nn.Dropout(0.5, generator=3), nn.Tanh().eval())
    nn.manual_seed(0)
    model(np.ones(3))
    before = remembered(model)
    if size == 13:
        with pytest.raises(ValueError, match="in layer 0 of Sequential: no room for 13"):
            watch(model, size)
    else:
        watch(model, size)
    np.testing.assert_equal(remembered(model), before)
    x, *rest = model[0].saved()
    assert (x == np.ones(3)).all() and rest == ["of the watcher"]
    assert model(np.ones(3)) is not None and model[0]._saved is not None  # saving is on again


def test_the_table_is_of_evaluation_and_the_search_in_the_mode_at_hand():
    class OnlyInTraining(nn.Module):
        def forward(self, x):
            return np.log(x) if self.training else x

    model = nn.Sequential(OnlyInTraining())
    assert nn.first_nonfinite(model, [0.0]) == "output of 0: OnlyInTraining()"
    assert nn.first_nonfinite(model.eval(), [0.0]) is None
    model.train()
    assert "OnlyInTraining()" in nn.summary(model, (1,))  # log(0) would warn, and here warnings are errors


def test_nothing_is_saved_for_a_backward_that_never_comes():
    slots = []

    class Saving(nn.Module):
        def forward(self, x):
            self.save_for_backward(x)
            slots.append(self._saved)
            return x

    nn.summary(Saving(), (3,))
    nn.first_nonfinite(Saving(), np.zeros(3))
    assert slots == [None, None]
