"""A row made ready: the same module, inputs and upstream gradient wherever the row is run."""

import numpy as np

import nn

from .base import Case, numbers
from .trees import filled, flat, mapped


class Setup:
    """A row's module, its inputs, and a way to run it with the same randomness each time.

    All numbers are drawn in float64 from a generator seeded by the row's name: parameters, then inputs, then upstream
    gradients. `seed` gives other draws.
    """

    def __init__(self, case: Case, mode: str = "train", dtype: type = np.float64, seed: int = 0) -> None:
        self.case = case
        self.rng = np.random.default_rng([seed, *case.name.encode()])
        self.dtype = dtype
        self.module = case.build().train(mode == "train").double()
        for parameter in self.module.parameters():
            parameter.data[...] = numbers(self.rng, parameter.data.shape)
        if dtype is np.float32:
            self.module.float()
        self.draw_inputs()
        self.is_loss = isinstance(self.module, nn.Loss)
        self.targets = case.targets if self.is_loss else ()

        self.generators = [m.generator for m in self.module.modules() if getattr(m, "generator", None) is not None]
        self.states = [generator.bit_generator.state for generator in self.generators]

    def draw_inputs(self):
        self.inputs = self.cast(self.case.draw(self.rng))

    def cast(self, tree):
        """Return the tree with its leaves as arrays, floating ones in the row's dtype; None stays."""
        return mapped(lambda leaf: np.array(leaf, self.dtype if np.asarray(leaf).dtype.kind == "f" else None), tree)

    def restore(self, record):
        """Take inputs and state from golden numbers, and return their upstream gradient."""
        self.inputs = self.cast(filled(self.inputs, record["inputs"]))
        self.module.load_state_dict(filled(self.module.state_dict(), record["state"]))
        return self.cast(filled(self.forward(), record["grad_output"]))

    def forward(self, *inputs):
        nn.manual_seed(0)
        for generator, state in zip(self.generators, self.states, strict=True):
            generator.bit_generator.state = state
        return self.module(*(inputs or self.inputs))

    def upstream(self, y):
        """Draw a gradient of the output, nested as the output is."""
        return self.cast(mapped(lambda leaf: numbers(self.rng, tuple(np.shape(leaf))), y))

    def gradients(self, *g):
        """Run backward and return a gradient for each input; where it returned a single one, that is the first's."""
        grads = self.module.backward(*g)
        return grads if isinstance(grads, tuple) and len(self.inputs) > 1 else (grads, *[None] * (len(self.inputs) - 1))

    def backward(self, *g):
        """Return `gradients`, each of which must be nested and shaped as its input; targets and integers have None."""
        grads = self.gradients(*g)
        wanted = [None if index in self.targets else x for index, x in enumerate(self.inputs)]
        shapes = {
            place: x.shape if x is not None and x.dtype.kind == "f" else None for place, x in flat(wanted).items()
        }
        given = {place: None if grad is None else np.shape(grad) for place, grad in flat(grads).items()}
        assert given == shapes, f"gradients of shapes {shapes} are expected, got {given}"
        return grads

    def grads(self):
        return {name: p.grad for name, p in self.module.named_parameters()}

    def forward_backward(self, g):
        """Run forward and backward once, and return the output and all gradients."""
        self.module.zero_grad()
        y = self.forward()
        return {"output": y, "grad_inputs": self.gradients(g), "grad_parameters": self.grads()}
