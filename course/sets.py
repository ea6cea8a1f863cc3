"""Ready sets of blanks in handgrad's own files: a line a blank, with how it is called and what it is given.

A set is named on the command line, `python -m course blank layers`. To add one, add an entry here.
"""

from __future__ import annotations

TABLE = "4,3"  # the shape of most inputs

# By set: the file, what is called and the method that becomes a blank, and the inputs.
SETS: dict[str, list[tuple[str, str, tuple[str, ...]]]] = {
    "layers": [
        ("nn/layers/activation.py", "ReLU().backward", (TABLE,)),
        ("nn/layers/activation.py", "LeakyReLU(0.1).backward", (TABLE,)),
        ("nn/layers/activation.py", "Sigmoid().backward", (TABLE,)),
        ("nn/layers/activation.py", "Tanh().backward", (TABLE,)),
        ("nn/layers/activation.py", "Softplus(2.0).backward", (TABLE,)),
        ("nn/layers/activation.py", "Softmax(1).backward", (TABLE,)),
        ("nn/layers/activation.py", "LogSoftmax(1).backward", (TABLE,)),
        ("nn/layers/linear.py", "Linear(3, 2).backward", (TABLE,)),
    ],
    "conv": [
        ("nn/layers/conv.py", "Conv2d(2, 3, 3).backward", ("2,2,5,6",)),
        ("nn/layers/max_pool.py", "MaxPool2d(2, 1).backward", ("2,2,4,5",)),
        ("nn/layers/avg_pool.py", "AvgPool2d(2, 1).backward", ("2,2,4,5",)),
    ],
    "norms": [
        ("nn/layers/layer_norm.py", "LayerNorm(3).backward", (TABLE,)),
        ("nn/layers/layer_norm.py", "RMSNorm(3).backward", (TABLE,)),
        ("nn/layers/norm.py", "GroupNorm(2, 4).backward", ("3,4,5",)),
    ],
    "losses": [
        ("nn/losses/regression.py", "HalfSquaredLoss().backward", (TABLE, TABLE)),
        ("nn/losses/regression.py", "MSELoss().backward", (TABLE, TABLE)),
        ("nn/losses/regression.py", "L1Loss().backward", (TABLE, TABLE)),
        ("nn/losses/regression.py", "HuberLoss().backward", (TABLE, TABLE)),
        ("nn/losses/classification.py", "BCEWithLogitsLoss().backward", (TABLE, "4,3:0..1")),
        ("nn/losses/classification.py", "CrossEntropyLoss().backward", (TABLE, "4<3")),
    ],
    "optimizers": [
        ("optim/sgd.py", "SGD(lr=0.1, momentum=0.9, weight_decay=0.01).update", (TABLE,)),
        ("optim/adam.py", "Adam(lr=0.1, weight_decay=0.01).update", (TABLE,)),
        ("optim/rmsprop.py", "RMSprop(lr=0.1, momentum=0.5).update", (TABLE,)),
    ],
}
