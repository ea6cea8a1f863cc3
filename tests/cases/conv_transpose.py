"""Rows of nn/layers/conv_transpose.py."""

import numpy as np

import nn

from .base import Case, normal, torch_twin


def conv_transpose(module, x, output_size=None):
    """The definition: each entry of the input adds a kernel, entry by entry; what falls outside of the output is lost."""
    W, b = module.weight.data, module.bias
    s, d, p, dims = module.stride, module.dilation, module.padding, len(module.stride)
    batch = x if x.ndim == dims + 2 else x[None]
    if output_size is None:
        sizes = [
            (batch.shape[2 + a] - 1) * s[a] - 2 * p[a] + d[a] * (W.shape[2 + a] - 1) + module.output_padding[a] + 1
            for a in range(dims)
        ]
    else:
        sizes = list(output_size)[-dims:]
    y = np.zeros((len(batch), module.out_channels, *sizes))
    if b is not None:
        y += b.data.reshape(-1, *[1] * dims)
    inputs, outputs = len(W) // module.groups, W.shape[1]
    for n, c, *i in np.ndindex(*batch.shape):
        for o, *u in np.ndindex(*W.shape[1:]):
            place = [s[a] * i[a] + d[a] * u[a] - p[a] for a in range(dims)]
            if all(0 <= h < size for h, size in zip(place, sizes, strict=True)):
                y[(n, c // inputs * outputs + o, *place)] += W[(c, o, *u)] * batch[(n, c, *i)]
    return y if x.ndim == dims + 2 else y[0]


def row(name, build, draw, **settings):
    return Case(name, build, draw, conv_transpose, **settings)


def sized(draw, *output_size):
    """An input, and the output_size that is asked for."""
    return lambda rng: (*draw(rng), np.array(output_size))


def sized_twin(module):
    """PyTorch takes an output_size that is no tensor."""
    twin = torch_twin(module)
    forward = twin.forward
    twin.forward = lambda x, output_size: forward(x, output_size.tolist())
    return twin


IMAGE = normal(2, 2, 3, 2)

CASES = [
    row("ConvTranspose1d", lambda: nn.ConvTranspose1d(2, 3, 3), normal(2, 2, 4)),
    row("ConvTranspose1d-settings", lambda: nn.ConvTranspose1d(4, 2, 2, 3, 1, 2, 2, False, 2), normal(2, 4, 3)),
    row("ConvTranspose1d-unbatched", lambda: nn.ConvTranspose1d(2, 3, 3, stride=2), normal(2, 3), batched=False),
    row("ConvTranspose2d", lambda: nn.ConvTranspose2d(2, 3, 3), IMAGE),
    row("ConvTranspose2d-nobias", lambda: nn.ConvTranspose2d(3, 1, (1, 2), bias=False), normal(2, 3, 3, 2)),
    row("ConvTranspose2d-padding", lambda: nn.ConvTranspose2d(2, 2, 3, padding=(1, 2)), normal(2, 2, 3, 4)),
    row("ConvTranspose2d-stride", lambda: nn.ConvTranspose2d(2, 2, 3, stride=2, padding=1), IMAGE),
    row("ConvTranspose2d-stride-over-kernel", lambda: nn.ConvTranspose2d(2, 2, (2, 1), stride=3), IMAGE),
    row("ConvTranspose2d-output-padding", lambda: nn.ConvTranspose2d(2, 2, 3, (2, 3), 1, (1, 2)), IMAGE),
    row("ConvTranspose2d-dilation", lambda: nn.ConvTranspose2d(2, 2, 2, output_padding=(1, 0), dilation=(2, 3)), IMAGE),
    row("ConvTranspose2d-groups", lambda: nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2), normal(2, 4, 2, 3)),
    row("ConvTranspose2d-depthwise", lambda: nn.ConvTranspose2d(3, 3, 3, padding=1, groups=3), normal(2, 3, 3, 2)),
    row("ConvTranspose2d-1x1", lambda: nn.ConvTranspose2d(3, 2, 1), normal(2, 3, 2, 3)),
    row("ConvTranspose2d-one", lambda: nn.ConvTranspose2d(2, 2, 2, stride=2), normal(1, 2, 1, 1)),
    row("ConvTranspose2d-unbatched", lambda: nn.ConvTranspose2d(2, 2, 3, 2, 1, 1), normal(2, 2, 3), batched=False),
    row(
        "ConvTranspose2d-sized",
        lambda: nn.ConvTranspose2d(2, 2, 3, 2, 1),
        sized(IMAGE, 6, 3),
        twin=sized_twin,
        batched=False,
    ),
    row(
        "ConvTranspose2d-sized-wholly",
        lambda: nn.ConvTranspose2d(2, 3, 2, 3),
        sized(IMAGE, 2, 2, 10, 5),
        twin=sized_twin,
        batched=False,
    ),
    row("ConvTranspose3d", lambda: nn.ConvTranspose3d(2, 2, 2), normal(2, 2, 2, 3, 2)),
    row(
        "ConvTranspose3d-settings",
        lambda: nn.ConvTranspose3d(2, 2, (2, 1, 2), (2, 1, 2), (1, 0, 0), (1, 0, 1), 2),
        normal(2, 2, 2, 2, 2),
    ),
    row(
        "ConvTranspose3d-unbatched",
        lambda: nn.ConvTranspose3d(1, 2, 2, 2, bias=False),
        normal(1, 2, 1, 2),
        batched=False,
    ),
]
