"""Layers with hand-written gradients: this page lists them all, by family.

Every module writes its own `forward` and `backward`; `Sequential` chains them, a loss gives the first gradient.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .pytorch import missing_name as _missing_name

# What modules are made of
from .parameter import Buffer as Buffer
from .parameter import Parameter as Parameter
from .module import Module as Module
from .module import no_grad as no_grad

# Containers
from .container import Sequential as Sequential

# Branches
from .branch import CAddTable as CAddTable
from .branch import CMulTable as CMulTable
from .branch import ConcatTable as ConcatTable
from .branch import JoinTable as JoinTable
from .branch import ParallelTable as ParallelTable
from .branch import Residual as Residual

# Linear maps and shapes
from .layers.shape import ChannelShuffle as ChannelShuffle
from .layers.shape import Flatten as Flatten
from .layers.shape import Identity as Identity
from .layers.linear import Linear as Linear
from .layers.shape import PixelShuffle as PixelShuffle
from .layers.shape import PixelUnshuffle as PixelUnshuffle
from .layers.shape import Unflatten as Unflatten
from .layers.upsample import Upsample as Upsample
from .layers.upsample import UpsamplingBilinear2d as UpsamplingBilinear2d
from .layers.upsample import UpsamplingNearest2d as UpsamplingNearest2d

# Convolutions
from .layers.conv import Conv1d as Conv1d
from .layers.conv import Conv2d as Conv2d
from .layers.conv import Conv3d as Conv3d
from .layers.conv_transpose import ConvTranspose1d as ConvTranspose1d
from .layers.conv_transpose import ConvTranspose2d as ConvTranspose2d
from .layers.conv_transpose import ConvTranspose3d as ConvTranspose3d

# Pooling
from .layers.adaptive_pool import AdaptiveAvgPool1d as AdaptiveAvgPool1d
from .layers.adaptive_pool import AdaptiveAvgPool2d as AdaptiveAvgPool2d
from .layers.adaptive_pool import AdaptiveAvgPool3d as AdaptiveAvgPool3d
from .layers.adaptive_pool import AdaptiveMaxPool1d as AdaptiveMaxPool1d
from .layers.adaptive_pool import AdaptiveMaxPool2d as AdaptiveMaxPool2d
from .layers.adaptive_pool import AdaptiveMaxPool3d as AdaptiveMaxPool3d
from .layers.avg_pool import AvgPool1d as AvgPool1d
from .layers.avg_pool import AvgPool2d as AvgPool2d
from .layers.avg_pool import AvgPool3d as AvgPool3d
from .layers.lp_pool import LPPool1d as LPPool1d
from .layers.lp_pool import LPPool2d as LPPool2d
from .layers.lp_pool import LPPool3d as LPPool3d
from .layers.max_pool import MaxPool1d as MaxPool1d
from .layers.max_pool import MaxPool2d as MaxPool2d
from .layers.max_pool import MaxPool3d as MaxPool3d
from .layers.fractional_pool import FractionalMaxPool2d as FractionalMaxPool2d
from .layers.fractional_pool import FractionalMaxPool3d as FractionalMaxPool3d
from .layers.unpool import MaxUnpool1d as MaxUnpool1d
from .layers.unpool import MaxUnpool2d as MaxUnpool2d
from .layers.unpool import MaxUnpool3d as MaxUnpool3d

# Padding
from .layers.circular_pad import CircularPad1d as CircularPad1d
from .layers.circular_pad import CircularPad2d as CircularPad2d
from .layers.circular_pad import CircularPad3d as CircularPad3d
from .layers.constant_pad import ConstantPad1d as ConstantPad1d
from .layers.constant_pad import ConstantPad2d as ConstantPad2d
from .layers.constant_pad import ConstantPad3d as ConstantPad3d
from .layers.reflection_pad import ReflectionPad1d as ReflectionPad1d
from .layers.reflection_pad import ReflectionPad2d as ReflectionPad2d
from .layers.reflection_pad import ReflectionPad3d as ReflectionPad3d
from .layers.replication_pad import ReplicationPad1d as ReplicationPad1d
from .layers.replication_pad import ReplicationPad2d as ReplicationPad2d
from .layers.replication_pad import ReplicationPad3d as ReplicationPad3d
from .layers.constant_pad import ZeroPad1d as ZeroPad1d
from .layers.constant_pad import ZeroPad2d as ZeroPad2d
from .layers.constant_pad import ZeroPad3d as ZeroPad3d

# Windows as columns
from .layers.fold import Fold as Fold
from .layers.fold import Unfold as Unfold

# Activations
from .layers.activation import LeakyReLU as LeakyReLU
from .layers.activation import LogSoftmax as LogSoftmax
from .layers.activation import ReLU as ReLU
from .layers.activation import Sigmoid as Sigmoid
from .layers.activation import Softmax as Softmax
from .layers.activation import Softmax2d as Softmax2d
from .layers.activation import Softplus as Softplus
from .layers.activation import Tanh as Tanh

# Normalisation
from .layers.batch_norm import BatchNorm1d as BatchNorm1d
from .layers.batch_norm import BatchNorm2d as BatchNorm2d
from .layers.batch_norm import BatchNorm3d as BatchNorm3d
from .layers.response_norm import CrossMapLRN2d as CrossMapLRN2d
from .layers.norm import GroupNorm as GroupNorm
from .layers.batch_norm import InstanceNorm1d as InstanceNorm1d
from .layers.batch_norm import InstanceNorm2d as InstanceNorm2d
from .layers.batch_norm import InstanceNorm3d as InstanceNorm3d
from .layers.layer_norm import LayerNorm as LayerNorm
from .layers.response_norm import LocalResponseNorm as LocalResponseNorm
from .layers.layer_norm import RMSNorm as RMSNorm

# Lazy layers
from .layers.lazy_norm import LazyBatchNorm1d as LazyBatchNorm1d
from .layers.lazy_norm import LazyBatchNorm2d as LazyBatchNorm2d
from .layers.lazy_norm import LazyBatchNorm3d as LazyBatchNorm3d
from .layers.lazy import LazyConv1d as LazyConv1d
from .layers.lazy import LazyConv2d as LazyConv2d
from .layers.lazy import LazyConv3d as LazyConv3d
from .layers.lazy import LazyConvTranspose1d as LazyConvTranspose1d
from .layers.lazy import LazyConvTranspose2d as LazyConvTranspose2d
from .layers.lazy import LazyConvTranspose3d as LazyConvTranspose3d
from .layers.lazy_norm import LazyInstanceNorm1d as LazyInstanceNorm1d
from .layers.lazy_norm import LazyInstanceNorm2d as LazyInstanceNorm2d
from .layers.lazy_norm import LazyInstanceNorm3d as LazyInstanceNorm3d
from .layers.lazy import LazyLinear as LazyLinear

# Noise
from .layers.dropout import AlphaDropout as AlphaDropout
from .layers.dropout import Dropout as Dropout
from .layers.dropout import Dropout1d as Dropout1d
from .layers.dropout import Dropout2d as Dropout2d
from .layers.dropout import Dropout3d as Dropout3d
from .layers.dropout import FeatureAlphaDropout as FeatureAlphaDropout

# Losses
from .losses.classification import BCEWithLogitsLoss as BCEWithLogitsLoss
from .losses.classification import CrossEntropyLoss as CrossEntropyLoss
from .losses.regression import HalfSquaredLoss as HalfSquaredLoss
from .losses.regression import HuberLoss as HuberLoss
from .losses.regression import L1Loss as L1Loss
from .losses.base import Loss as Loss
from .losses.regression import MSELoss as MSELoss

# Chance
from .random import get_rng_state as get_rng_state
from .random import manual_seed as manual_seed
from .random import set_rng_state as set_rng_state

# Looking into a model
from .inspection import first_nonfinite as first_nonfinite
from .inspection import summary as summary

# Files
from .serialization import load as load
from .serialization import save as save

# Rooms of their own
from . import init as init
from . import utils as utils

# What proves, explains and lowers models is loaded when it is first asked for: it is more code than all the rest, and
# who trains a net need not wait for it.
if TYPE_CHECKING:
    # Proof
    from .checking import gradcheck as gradcheck
    from .checking import GradcheckError as GradcheckError

    # The computing graph
    from .graph import record as record
    from .graph import trace as trace

    # Files of other frameworks
    from .onnx import export_onnx as export_onnx
    from .onnx import import_onnx as import_onnx
    from .safetensors import load_safetensors as load_safetensors
    from .safetensors import save_safetensors as save_safetensors

    # To C
    from .lowering import compile as compile  # noqa: A004 - the name that it has in PyTorch
    from .lowering import export_c as export_c

    # Mathematics as data
    from .mathematics.columns import column_equations as column_equations
    from .mathematics.statement import evaluate_equations as evaluate_equations
    from .mathematics.notation import to_latex as to_latex
    from .mathematics.notation import to_mathml as to_mathml
    from .mathematics.notation import to_text as to_text

_ASKED_FOR = {
    "gradcheck": "checking",
    "GradcheckError": "checking",
    "record": "graph",
    "trace": "graph",
    "export_onnx": "onnx",
    "import_onnx": "onnx",
    "load_safetensors": "safetensors",
    "save_safetensors": "safetensors",
    "compile": "lowering",
    "export_c": "lowering",
    "column_equations": "mathematics.columns",
    "evaluate_equations": "mathematics.statement",
    "to_latex": "mathematics.notation",
    "to_mathml": "mathematics.notation",
    "to_text": "mathematics.notation",
}


if not TYPE_CHECKING:  # so that type checkers flag a name that there is not

    def __getattr__(name: str) -> Any:
        if name not in _ASKED_FOR:
            raise AttributeError(_missing_name(__name__, name, __dir__()))
        value = globals()[name] = getattr(importlib.import_module(f".{_ASKED_FOR[name]}", __name__), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_ASKED_FOR})
