"""What PyTorch has and this library lacks: whoever writes it is told what to write here.

Each table is read where the thing is looked for: NAMES and LAYERS by the package, METHODS by Module, TENSORS by
Parameter, KEYWORDS by the constructors of modules. A name leaves its table when it comes into the library.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Never

_FUNCTIONS = "layers are objects here: write nn.ReLU()(x) for F.relu(x)"
_OWN_LISTS = "assign a plain list or dict of modules to an attribute: what is in it is found, trained and saved"
_ONE_PROCESS = "everything runs in one process, on the CPU: leave it out"

# Names of torch.nn that will not come, or that something else stands for.
NAMES = {
    "functional": _FUNCTIONS,
    "ModuleList": _OWN_LISTS,
    "ModuleDict": _OWN_LISTS,
    "ParameterList": _OWN_LISTS.replace("modules", "Parameters"),
    "ParameterDict": _OWN_LISTS.replace("modules", "Parameters"),
    "BCELoss": "leave the Sigmoid out and write nn.BCEWithLogitsLoss(), which is stable for any logit",
    "NLLLoss": "leave the LogSoftmax out and write nn.CrossEntropyLoss(), which takes logits",
    "SmoothL1Loss": "write nn.HuberLoss(delta=beta), which is beta times it",
    "DataParallel": _ONE_PROCESS,
    "parallel": _ONE_PROCESS,
    "SyncBatchNorm": _ONE_PROCESS,
    "Tensor": "arrays are NumPy's: write np.array",
}

# Layers and losses of torch.nn that are not here yet.
LAYERS = frozenset(
    (
        *(
            "AdaptiveLogSoftmaxWithLoss",
            "Bilinear",
            "CELU",
            "CTCLoss",
            "CosineEmbeddingLoss",
            "CosineSimilarity",
            "ELU",
        ),
        *("Embedding", "EmbeddingBag", "GELU", "GLU", "GRU", "GRUCell", "GaussianNLLLoss", "Hardshrink", "Hardsigmoid"),
        *("Hardswish", "Hardtanh", "HingeEmbeddingLoss", "KLDivLoss", "LSTM", "LSTMCell", "LogSigmoid"),
        *("MarginRankingLoss", "Mish", "MultiLabelMarginLoss", "MultiLabelSoftMarginLoss", "MultiMarginLoss"),
        *("MultiheadAttention", "PReLU", "PairwiseDistance", "PoissonNLLLoss", "RNN", "RNNCell", "RReLU", "ReLU6"),
        *("SELU", "SiLU", "SoftMarginLoss", "Softmin", "Softshrink", "Softsign", "Tanhshrink", "Threshold"),
        *("Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder"),
        *("TransformerEncoderLayer", "TripletMarginLoss", "TripletMarginWithDistanceLoss"),
    )
)

_CPU = "everything is computed on the CPU: leave it out; double() and float() choose the precision"
_PRECISION = "write double() or float()"
_HOOK = "write what it does into forward and backward, which are yours to read; nn.trace and nn.summary look at a pass"
_BY_NAME = "write dict(model.named_parameters())[name], or the same of named_modules()"

# Of a Module.
METHODS = {
    **dict.fromkeys(("to", "cuda", "cpu", "to_empty", "share_memory"), _CPU),
    **dict.fromkeys(("half", "bfloat16", "type"), _PRECISION),
    "compile": "layers are NumPy calls already: leave it out",
    "register_parameter": "write self.name = nn.Parameter(values): it is found without being registered",
    "add_module": "write self.name = module: it is found without being registered",
    "register_module": "write self.name = module: it is found without being registered",
    "named_buffers": "write buffers(), or state_dict(), which has their names",
    **dict.fromkeys(("get_parameter", "get_submodule", "get_buffer"), _BY_NAME),
    **dict.fromkeys(
        (
            *("register_forward_hook", "register_forward_pre_hook", "register_backward_hook"),
            *("register_full_backward_hook", "register_full_backward_pre_hook"),
        ),
        _HOOK,
    ),
}

# Of a tensor, and so of a Parameter.
TENSORS = dict.fromkeys(("clone", "cpu", "cuda", "detach", "numpy", "to"), "its values are a NumPy array, .data")

# Of constructors.
KEYWORDS = {
    "inplace": "leave it out, a layer never writes into what it is given",
    "device": "leave it out, everything is computed on the CPU",
    "size_average": "write reduction='mean' or reduction='sum'",
    "reduce": "write reduction='none', 'mean' or 'sum'",
}


def missing_name(package: str, name: str, there: Iterable[str]) -> str:
    """Return the text of the error for a name that a package lacks.

    Args:
        package: its name.
        name: what was looked for.
        there: the names that it has.

    Example:
        >>> missing_name("nn", "linear", ["Linear", "ReLU"])
        "module 'nn' has no attribute 'linear': did you mean Linear?"
    """
    text = f"module {package!r} has no attribute {name!r}"
    if name in NAMES:
        return f"{text}: {NAMES[name]}"
    if name in LAYERS:
        return f"{text} yet: docs/from_pytorch.md tells what there is, and how to write a layer"
    names = {known.lower(): known for known in [*LAYERS, *NAMES, *there]}
    matches = (
        [name.lower()] if name.lower() in names else difflib.get_close_matches(name.lower(), sorted(names), 3, 0.75)
    )
    near = [names[match] for match in matches]
    here = [match for match in near if match not in NAMES and match not in LAYERS]
    if here:
        return f"{text}: did you mean {' or '.join(here)}?"
    if near:
        return f"{text}; PyTorch has {', '.join(near)}, not here yet: see docs/from_pytorch.md"
    return f"{text}: dir({package}) lists what it has"


class _Refused:
    """Stands in a class for an attribute that its objects lack; one that they are given comes before it.

    It costs nothing but where it is met; `__getattr__` would slow down every look at any attribute.
    """

    def __init__(self, name: str, advice: str) -> None:
        self.name = name
        self.advice = advice

    def __get__(self, instance: object, owner: type) -> Never:
        raise AttributeError(f"{owner.__name__} has no {self.name}: {self.advice}")


def refuse_attributes(kind: type, advice: Mapping[str, str]) -> None:
    """Have a class answer those who look for attributes that its objects lack.

    Args:
        kind: the class.
        advice: what to write instead, by name.

    Example:
        >>> class Light:
        ...     pass
        >>> refuse_attributes(Light, {"heavy": "write light"})
        >>> Light().heavy
        Traceback (most recent call last):
            ...
        AttributeError: Light has no heavy: write light
    """
    for name, text in advice.items():
        setattr(kind, name, _Refused(name, text))


def refuse_keywords(kind: type, keywords: Collection[str]) -> None:
    """Refuse keywords that PyTorch's constructors have, where a module's own has none of that name.

    Raises:
        TypeError: saying what to write instead.

    Example:
        >>> from nn import ReLU
        >>> refuse_keywords(ReLU, ["inplace"])
        Traceback (most recent call last):
            ...
        TypeError: ReLU has no inplace: leave it out, a layer never writes into what it is given
    """
    constructor: Callable[..., None] = getattr(kind, "__init__")  # noqa: B009
    for name in KEYWORDS.keys() & keywords:
        parameters = inspect.signature(constructor).parameters
        takes_any = constructor is not object.__init__ and any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        if name not in parameters and not takes_any:
            raise TypeError(f"{kind.__name__} has no {name}: {KEYWORDS[name]}")
