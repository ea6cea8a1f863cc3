"""Rows of nn/layers/response_norm.py."""

import math

import numpy as np

import nn

from .base import Case, normal


def response_norm(module, x):
    """Divide each entry by a power of k plus alpha times the mean of squares over neighbouring channels."""
    crossed = isinstance(module, nn.CrossMapLRN2d)
    before, behind = ((module.size - 1) // 2 if crossed else module.size // 2), (module.size - 1) // 2
    y = np.empty_like(x)
    for index in np.ndindex(x.shape):
        n, c, *place = index
        near = {e for e in range(c - before, c + behind + 1) if 0 <= e < x.shape[1]} | ({0} if crossed else set())
        total = math.fsum(float(x[(n, e, *place)]) ** 2 for e in near)
        y[index] = x[index] / (module.k + module.alpha * total / module.size) ** module.beta
    return y


def cross_map_twin(module):
    """Return the output of PyTorch's CrossMapLRN2d from operations that it can differentiate; its own gradient errs."""
    import torch

    own = torch.nn.CrossMapLRN2d(module.size, module.alpha, module.beta, module.k)

    class CrossMapLRN2d(torch.nn.Module):
        def forward(self, x):
            side, channels = (module.size - 1) // 2, x.shape[1]
            near = [[e == 0 or abs(e - c) <= side for e in range(channels)] for c in range(channels)]
            near = torch.tensor(near).tril(side).double()
            total = torch.einsum("ce,nehw->nchw", near, x * x)
            y = x / (module.k + module.alpha * total / module.size) ** module.beta
            torch.testing.assert_close(y.detach(), own(x.detach()), rtol=1e-12, atol=1e-14)
            return y

    return CrossMapLRN2d()


CASES = [
    Case("LocalResponseNorm", lambda: nn.LocalResponseNorm(3, alpha=0.5, k=2.0), normal(2, 4, 3), response_norm),
    Case("LocalResponseNorm-even", lambda: nn.LocalResponseNorm(2, alpha=2.0, beta=0.5), normal(2, 3, 2, 2), response_norm),
    Case("LocalResponseNorm-wide", lambda: nn.LocalResponseNorm(9, alpha=2.0), normal(2, 3, 2), response_norm),
    Case("CrossMapLRN2d", lambda: nn.CrossMapLRN2d(3, alpha=0.5, k=2.0), normal(2, 5, 2, 2), response_norm, cross_map_twin),
    Case("CrossMapLRN2d-even", lambda: nn.CrossMapLRN2d(2, alpha=2.0, beta=0.5), normal(2, 3, 2, 1), response_norm, cross_map_twin),
]  # fmt: skip
