"""Toy problems: functions of one variable to fit, points in the plane to tell apart.

Each is drawn in an instant, needs no file, and shows at a glance whether a network has learnt it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from . import settings

DOMAIN = (-2.0, 2.0)  # of every function below: inputs of order one, as the usual initialisations expect

MOST = 2**48  # samples or classes: no memory holds more, and NumPy's words for that name nothing

FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "absolute": np.abs,
    "bump": lambda x: np.exp(-4 * x**2),
    "polynomial": lambda x: x**3 / 2 - 3 * x / 2,
    "sinc": lambda x: np.sinc(2 * x),
    "sine": lambda x: np.sin(math.pi * x),
    "step": lambda x: np.where(x < 0, -1.0, 1.0),
}


def regression(
    function: str = "sine",
    samples: int = 1000,
    noise: float = 0.1,
    *,
    generator: np.random.Generator | int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Noisy samples of a function of one variable, y = f(x) + noise e: x uniform over [-2, 2), e standard normal.

    Args:
        function: the name of f in `FUNCTIONS`.
        samples: how many.
        noise: a standard deviation, in the units of y.
        generator: a NumPy Generator or a seed; None for a fresh one.

    Shape:
        x (samples, 1) and y (samples, 1), float32.

    Raises:
        ValueError: for an unknown function, and for negative samples or noise.
        TypeError: for samples, noise or a generator of another kind.

    Example:
        >>> x, y = regression("absolute", samples=3, noise=0, generator=0)
        >>> x.shape, bool((y == abs(x)).all())
        ((3, 1), True)
    """
    settings.choice("regression", "function", function, *FUNCTIONS)
    samples = settings.integer("regression", "samples", samples, at_least=0, below=MOST)
    noise = settings.number("regression", "noise", noise, at_least=0)
    rng = settings.random_generator("regression", generator)
    x = rng.uniform(*DOMAIN, (samples, 1))
    y = FUNCTIONS[function](x) + noise * rng.standard_normal(x.shape)
    return x.astype(np.float32), y.astype(np.float32)


def spirals(
    samples: int = 1000,
    classes: int = 2,
    noise: float = 0.02,
    *,
    generator: np.random.Generator | int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Points on the arms of a spiral, one arm a class; each makes one turn from the origin to radius 1.

    Args:
        samples: how many points; the classes take turns row by row.
        classes: how many arms.
        noise: the standard deviation of what is added to both coordinates.
        generator: a NumPy Generator or a seed; None for a fresh one.

    Shape:
        x (samples, 2), float32, and the class (samples,), int64.

    Raises:
        ValueError: for less than one class, and for negative samples or noise.
        TypeError: for samples, noise or a generator of another kind.

    Example:
        >>> x, y = spirals(samples=5, classes=3, generator=0)
        >>> x.shape, y
        ((5, 2), array([0, 1, 2, 0, 1]))
    """
    samples = settings.integer("spirals", "samples", samples, at_least=0, below=MOST)
    classes = settings.integer("spirals", "classes", classes, at_least=1, below=MOST)
    noise = settings.number("spirals", "noise", noise, at_least=0)
    rng = settings.random_generator("spirals", generator)
    y = np.arange(samples, dtype=np.int64) % classes
    radius = np.sqrt(rng.random(samples))  # the root spreads the points evenly along the arm's growing circles
    angle = 2 * math.pi * (radius + y / classes)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return (x + noise * rng.standard_normal(x.shape)).astype(np.float32), y


def moons(
    samples: int = 1000, noise: float = 0.1, *, generator: np.random.Generator | int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Points on two half circles of radius 1 that reach into one another.

    Class 0 is the upper half around (0, 0), class 1 the lower half around (1, 1/2).

    Args:
        samples: how many points; the classes take turns row by row.
        noise: the standard deviation of what is added to both coordinates.
        generator: a NumPy Generator or a seed; None for a fresh one.

    Shape:
        x (samples, 2), float32, and the class (samples,), int64.

    Raises:
        ValueError: for negative samples or noise.
        TypeError: for samples, noise or a generator of another kind.

    Example:
        >>> x, y = moons(samples=4, generator=0)
        >>> x.shape, y
        ((4, 2), array([0, 1, 0, 1]))
    """
    samples = settings.integer("moons", "samples", samples, at_least=0, below=MOST)
    noise = settings.number("moons", "noise", noise, at_least=0)
    rng = settings.random_generator("moons", generator)
    y = np.arange(samples, dtype=np.int64) % 2
    angle = rng.uniform(0, math.pi, samples) + math.pi * y
    x = np.stack([np.cos(angle) + y, np.sin(angle) + y / 2], axis=1)
    return (x + noise * rng.standard_normal(x.shape)).astype(np.float32), y
