"""Problem 3: fill in each `...` in backward, then run this file and see the network fit a function.

    python train.py               checks what is filled in, and trains once all of it is right
    python train.py --hint dW1    gives a hint for one gradient; ask again for the next step

One sample at a time, as columns: x, y, b0, z1, a1 and so on have shape (d, 1). The matrix W1, which leads from a1 to
z2, has a row for each entry of z2 and a column for each entry of a1, so that z2 = W1 a1 + b1 can be computed. Where
your sheet has rows and columns of W the other way round, follow the equation.
"""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np


def forward(x, y, W0, b0, W1, b1, W2, b2):
    """Return every node of the computing graph that is computed, the loss J last."""
    z1 = W0 @ x + b0
    a1 = np.maximum(z1, 0)
    z2 = W1 @ a1 + b1
    a2 = np.maximum(z2, 0)
    z3 = W2 @ a2 + b2
    J = 0.5 * np.sum((z3 - y) ** 2)
    return z1, a1, z2, a2, z3, J


def backward(x, y, W0, b0, W1, b1, W2, b2, z1, a1, z2, a2, z3):
    """Return the gradient of J by each parameter, and by x; the name dz3 stands for dJ/dz3."""
    dz3 = z3 - y  # dJ/dz3: the gradient of J by z3, the output of the network
    db2 = dz3  # dJ/db2: the gradient of J by b2, the bias of the last layer
    dW2 = dz3 @ a2.T  # dJ/dW2: the gradient of J by W2, the weights of the last layer
    da2 = W2.T @ dz3  # dJ/da2: the gradient of J by a2, what the last layer is given
    dz2 = da2 * (z2 > 0)  # dJ/dz2: the gradient of J by z2, which a2 is made of
    db1 = dz2  # dJ/db1: the gradient of J by b1, the bias of the middle layer
    dW1 = dz2 @ a1.T  # dJ/dW1: the gradient of J by W1, the weights of the middle layer
    da1 = W1.T @ dz2  # dJ/da1: the gradient of J by a1, what the middle layer is given
    dz1 = da1 * (z1 > 0)  # dJ/dz1: the gradient of J by z1, which a1 is made of
    db0 = dz1  # dJ/db0: the gradient of J by b0, the bias of the first layer
    dW0 = dz1 @ x.T  # dJ/dW0: the gradient of J by W0, the weights of the first layer
    dx = W0.T @ dz1  # dJ/dx: the gradient of J by x, the data
    return dW0, db0, dW1, db1, dW2, db2, dx


# ---- the toy regression: y = sin(pi x) + noise

SIZES = 1, 32, 32, 1  # of x, a1, a2 and z3
SAMPLES = 1000  # to train on, and as many to test on
NOISE = 0.1  # its standard deviation
EPOCHS = 40
LEARNING_RATE = 0.02  # at the start; it falls to zero


def samples(rng):
    """Return inputs and targets, a sample a column."""
    x = rng.uniform(-2, 2, (1, SAMPLES))
    return x, np.sin(np.pi * x) + NOISE * rng.standard_normal(x.shape)


def initial_parameters(rng):
    """Return W0, b0, W1, b1, W2, b2."""
    parameters = []
    for inputs, outputs in pairwise(SIZES):
        parameters.append(rng.standard_normal((outputs, inputs)) * np.sqrt(2 / inputs))
        parameters.append(rng.uniform(-1, 1, (outputs, 1)))
    return parameters


def mean_loss(x, y, parameters):
    """Return J a sample; forward takes many columns as well as one, and then J is their sum."""
    return forward(x, y, *parameters)[-1] / x.shape[1]


def train(seed=0, epochs=EPOCHS):
    """Fit the parameters by stochastic gradient descent, and say how it goes.

    Yields:
        After each epoch the parameters, and the loss on the training and on the test samples.
    """
    rng = np.random.default_rng(seed)
    (x, y), (test_x, test_y) = samples(rng), samples(rng)
    parameters = initial_parameters(rng)
    for epoch in range(epochs):
        learning_rate = LEARNING_RATE * (1 - epoch / epochs)
        for i in rng.permutation(SAMPLES):
            sample = x[:, [i]], y[:, [i]]
            *nodes, _ = forward(*sample, *parameters)
            gradients = backward(*sample, *parameters, *nodes)
            for parameter, gradient in zip(parameters, gradients[:-1], strict=True):  # the last one is that of x
                parameter -= learning_rate * gradient
        yield parameters, mean_loss(x, y, parameters), mean_loss(test_x, test_y, parameters)


def fit(parameters):
    """Return points to draw: x, the true function and the network."""
    x = np.linspace(-2, 2, 400).reshape(1, -1)
    *_, z3, _ = forward(x, 0, *parameters)
    return x.ravel(), np.sin(np.pi * x).ravel(), z3.ravel()


# ---- the check, which handgrad does

FORM = "columns"  # how samples are laid out, for the check
HANDGRAD = ""  # its folder: where it was when this file was made; not needed where it is installed

if __name__ == "__main__":
    sys.path += [HANDGRAD, str(Path(__file__).resolve().parents[1])]
    try:
        from course.practice import main
    except ImportError as error:
        sys.exit(
            f"train.py needs handgrad to check your gradients, and cannot find it ({error}).\n"
            f"Looked among the installed packages, in {HANDGRAD} and in the folder above this one.\n"
            f'Install it with `python -m pip install PATH/TO/handgrad`, or write its path after "HANDGRAD =" above.'
        )
    sys.exit(main(globals()))
