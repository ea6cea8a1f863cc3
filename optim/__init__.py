"""Optimizers: rules that update parameters from their gradients, and schedules of their learning rates.

They need only a parameter's `data`, `grad` and `requires_grad`, so this package knows no layers.
"""

from . import lr_scheduler as lr_scheduler
from .adam import Adam as Adam
from .adam import AdamW as AdamW
from .optimizer import Optimizer as Optimizer
from .rmsprop import RMSprop as RMSprop
from .sgd import SGD as SGD
