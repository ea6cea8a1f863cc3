"""Mistakes as people make them are caught and named, and what a sample of entries cannot show is found too.

`tools/diagnosis.py` counts all of them; here is a part.
"""

import collections

import numpy as np
import pytest
from faults import ASIDE, INPUTS, MISTAKES, layers, verdict
from planted import spoil

import nn

pytestmark = pytest.mark.usefixtures("unhurried")
X = np.random.default_rng(0).normal(size=(5, 6))
SAMPLE = [mistake for mistake in MISTAKES if not mistake.aside][::5]


def report(module, *inputs):
    return nn.gradcheck(module, *inputs, raise_exception=False)


def kinds(found):
    return {(fault.name, fault.kind) for fault in found.faults}


@pytest.mark.parametrize("name", INPUTS)
def test_the_layers_themselves_are_right(name):
    found = report(getattr(layers, name)(), *INPUTS[name](np.random.default_rng(1)))
    assert found and not found.unseen


def test_each_mistake_is_another():
    every = [*MISTAKES, *ASIDE]
    assert len({mistake.text() for mistake in every}) == len(every) > 250


def test_mistakes_are_caught_and_named():
    verdicts = {f"{mistake.layer}, {mistake.name}": verdict(mistake) for mistake in SAMPLE}
    counts = collections.Counter(verdicts.values())
    print(*(f"{name}: {v}" for name, v in verdicts.items() if v != "named"), sep="\n")
    assert not counts["missed"]
    assert counts["named"] >= 0.9 * len(SAMPLE)
    assert counts["misnamed"] <= 0.05 * len(SAMPLE)


# ---- what words say


def words(layer, name):
    (mistake,) = (mistake for mistake in MISTAKES if (mistake.layer, mistake.name) == (layer, name))
    found = report(mistake.build(), *mistake.draw(np.random.default_rng(1)))
    return " ".join(fault.message for fault in found.faults)


@pytest.mark.parametrize(
    ("layer", "name", "said"),
    [
        ("Gather", "+= with repeated indices", "the last one alone counts, in the order of the output's axis 1"),
        ("Conv2d", "padding cropped before", "shifted by -1 along axis 2 and -1 along axis 3"),
        ("RNN", "h not carried", "from one index to another, the gradient is zero"),
        ("Residual", "skip doubled", "It counts 2 times what comes from use 2 (in add)"),
        ("WeightNorm", "scale left out", "1/scale"),
        ("MaxPool2d", "shared out evenly", "is shared out evenly to several of them"),
        (
            "Network",
            "another's upstream",
            "second is given another gradient than that of its output: it is given grad_output",
        ),
        ("Network", "an activation skipped", "The backward of a is not called"),
        ("PReLU", "forward forgets the slope", "does forward use it?"),
    ],
)
def test_the_words_tell_what_to_look_for(layer, name, said):
    assert said in words(layer, name)


def test_a_tiny_error_is_called_one():
    found = report(spoil(nn.Tanh(), dx=lambda v: v.dx + 4e-6 * np.sin(v.x)), X)
    assert kinds(found) == {("input", "slightly off")} and "right to" in found.faults[0].message


def test_a_part_that_was_looked_at_is_not_called_all():
    x = np.random.default_rng(1).normal(size=(50, 40))
    found = report(
        spoil(nn.Linear(40, 30, generator=0), dx=lambda v: v.dx + 10 * np.exp(v.x) * (np.arange(40) == 0)), x
    )
    assert "entries looked at, all is right except column 0" in found.faults[0].message


# ---- what a sample of entries cannot show


class Tanh(nn.Module):
    """Written out, to be made wrong."""

    def forward(self, x):
        self.save_for_backward(x)
        return np.tanh(x)

    def backward(self, g):
        return g * (1 - np.tanh(self.saved()) ** 2)


class ToAllLargest(nn.Module):
    def forward(self, x):
        self.save_for_backward(x)
        return x.max(1)

    def backward(self, g):
        x = self.saved()
        return g[:, None] * (x == x.max(1, keepdims=True))


class InMemoryOrder(Tanh):
    def backward(self, g):
        x = self.saved()
        return g * (1 - np.tanh(x) ** 2).ravel(order="K").reshape(x.shape)


class FirstBatch(Tanh):
    def forward(self, x):
        self.size = getattr(self, "size", len(x))
        return super().forward(x) / self.size

    def backward(self, g):
        return super().backward(g) / self.size


class OutputAgain(Tanh):
    buffer = np.zeros((5, 6))

    def forward(self, x):
        y = super().forward(x)
        if y.shape != self.buffer.shape:
            return y
        self.buffer = self.buffer if self.buffer.flags.owndata else y
        self.buffer[...] = y
        return self.buffer


class GradientAgain(Tanh):
    def backward(self, g):
        gradient = super().backward(g)
        self.buffer = getattr(self, "buffer", None)
        if self.buffer is None or self.buffer.shape != gradient.shape:
            self.buffer = np.zeros_like(gradient)
        self.buffer[...] = gradient
        return self.buffer


class InFloat64(Tanh):
    def backward(self, g):
        gradient = np.zeros(g.shape)
        gradient += super().backward(g)
        return gradient


class Narrow(nn.Module):
    def forward(self, x):
        y = (1e3 + np.tanh(x.astype(np.float32))).astype(x.dtype)
        self.save_for_backward(np.tanh(x))
        return y

    def backward(self, g):
        y = self.saved()
        return g * (1 - y * y)


def test_a_gradient_to_each_of_several_largest():
    ties = X.copy()
    ties[:, 1:3] = 3
    assert kinds(report(ToAllLargest(), ties)) == {("input", "shared out")}
    assert report(ToAllLargest(), X)


def test_code_that_holds_for_c_order_alone():
    assert kinds(report(InMemoryOrder(), X)) == {("input", "memory order")}


def test_the_batch_size_of_the_first_call():
    assert kinds(report(FirstBatch(), X)) == {("forward", "stale values")}


@pytest.mark.parametrize(("build", "who"), [(OutputAgain, "forward"), (GradientAgain, "input")])
def test_arrays_that_are_used_again(build, who):
    found = report(build(), X)
    assert kinds(found) == {(who, "changed in place")} and "used again for the next call" in str(found)


def test_float64_for_float32_is_noted():
    assert "float64 where all else is float32" in " ".join(report(InFloat64(), X).notes)
    assert not report(Tanh(), X).notes


def test_what_could_mostly_not_be_judged_is_not_called_right():
    found = report(Narrow(), X)
    assert not found or found.unseen


def test_rounded_outputs_are_no_mistake():
    class Offset(Tanh):
        def forward(self, x):
            return super().forward(x) + 1e6 - 1e6

    for seed in range(20):
        x = np.random.default_rng(seed).normal(size=(5, 4))
        assert report(Offset(), x)
