"""Blanks in any file: where each is, how what it belongs to is called, and with which inputs it is tried."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

INPUT = re.compile(r"(?P<shape>\d+(,\d+)*|\(\))(<(?P<below>\d+)|:(?P<low>[-.\d]+)\.\.(?P<high>[-.\d]+))?")


@dataclass(frozen=True)
class Part:
    """One blank.

    Attributes:
        file: the name of its file.
        blank: what it is called, "Scale.backward" or "scale_backward".
        kind: "module", "function" or "optimizer": what answers for it, see `calls`.
        name: the class or function that is called.
        args: the constructor's arguments.
        kwargs: its arguments by keyword.
        inputs: what is drawn: "4,3" for a shape, "4<3" for integers below 3, "4,3:0..1" for numbers between 0 and 1.
        backward: of a function, the one that goes back through it; "" for none.
        names: of the inputs.
        origin: the module of handgrad that holds the solution, and is withheld from hand-ins; "" for other files.
    """

    file: str
    blank: str
    kind: str
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[str, ...]
    backward: str = ""
    names: tuple[str, ...] = ()
    origin: str = ""

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Part:
        """Return the part whose fields a JSON text holds, where tuples are lists."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
        }
        return cls(**values)

    def draw(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Draw the inputs."""
        return [drawn(text, rng) for text in self.inputs]

    def request(self, inputs: list[np.ndarray], **rest: Any) -> dict[str, Any]:
        """Return the request that runs it."""
        called = {"kind": self.kind, "name": self.name, "args": list(self.args), "kwargs": self.kwargs}
        return {**called, "backward": self.backward, "inputs": inputs, **rest}


def drawn(text: str, rng: np.random.Generator) -> np.ndarray:
    """Draw an input.

    Raises:
        ValueError: for a text that says none.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> drawn("4,3", rng).shape, drawn("5<1", rng).tolist()
        ((4, 3), [0, 0, 0, 0, 0])
    """
    match = INPUT.fullmatch(text.replace(" ", ""))
    if not match:
        raise ValueError(f'expected a shape such as "4,3", "4<3" for integers below 3, or "4,3:0..1", got {text!r}')
    shape = () if match["shape"] == "()" else tuple(int(size) for size in match["shape"].split(","))
    if match["below"]:
        return rng.integers(int(match["below"]), size=shape)
    if match["low"]:
        return np.asarray(rng.uniform(float(match["low"]), float(match["high"]), shape))
    return np.asarray(rng.standard_normal(shape))


def part_of(source: str, file: str, target: str, inputs: tuple[str, ...], origin: str = "") -> Part:
    """Return the blank that a target names.

    Args:
        source: the text of the file.
        file: its name.
        target: "Class.method", "Class(3, bias=False).method" or "function". A method may be that of a base class in
            the same file, which then gets the blank.
        inputs: as in Part.
        origin: as in Part.

    Raises:
        ValueError: for a target that is not in the file.

    Example:
        >>> part_of("class Scale:\\n    def backward(self, g): ...", "a.py", "Scale(3).backward", ("4,3",)).args
        (3,)
    """
    inputs = inputs or ("4,3",)
    owner, _, method = target.rpartition(".") if target.count(".") and not target.endswith(")") else ("", "", target)
    name, args, kwargs = called(owner or method)
    blank = inherited(source, name, method) if owner else name
    if find(source, blank) is None:
        raise ValueError(f"{file} has no {blank}; it has {', '.join(functions(source)) or 'no function'}")
    if not owner:
        stem = name.removesuffix("_backward").removesuffix("_forward")
        paired = find(source, f"{stem}_forward") is not None and find(source, f"{stem}_backward") is not None
        first, second = (f"{stem}_forward", f"{stem}_backward") if paired and stem != name else (name, "")
        return Part(file, blank, "function", first, (), {}, inputs, second, _arguments(source, first, len(inputs)))
    kind = "optimizer" if find(source, f"{name}.update") or find(source, f"{name}.step") else "module"
    names = _arguments(source, f"{name}.forward", len(inputs))
    return Part(file, blank, kind, name, args, kwargs, inputs, names=names, origin=origin)


def inherited(source: str, name: str, method: str) -> str:
    """Return "Class.method" for the class of a text that a class has a method from, which may be itself.

    Example:
        >>> inherited("class A:\\n    def f(self): ...\\nclass B(A): ...", "B", "f")
        'A.f'
    """
    classes = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    waiting = [name]
    while waiting:
        owner = waiting.pop(0)
        if find(source, f"{owner}.{method}"):
            return f"{owner}.{method}"
        waiting += [ast.unparse(base) for base in classes[owner].bases] if owner in classes else []
    return f"{name}.{method}"


def _arguments(source: str, blank: str, count: int) -> tuple[str, ...]:
    """Return what a function calls its inputs, where it takes so many."""
    function = find(source, blank)
    names = [argument.arg for argument in function.args.args if argument.arg != "self"] if function else []
    if len(names) != count:
        names = [f"input {number}" if count > 1 else "input" for number in range(count)]
    return tuple(names)


def called(text: str) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """Return the name, and the arguments in brackets, which are plain values.

    Raises:
        ValueError: for anything else.

    Example:
        >>> called("Scale(3, bias=False)")
        ('Scale', (3,), {'bias': False})
    """
    try:
        node = ast.parse(text, mode="eval").body
        if isinstance(node, ast.Name):
            return node.id, (), {}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            kwargs = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
            return node.func.id, tuple(ast.literal_eval(value) for value in node.args), kwargs
    except (SyntaxError, ValueError):
        pass
    raise ValueError(f"expected a name, or a call with plain values such as Scale(3, bias=False), got {text!r}")


# ---- the source


def find(source: str, blank: str) -> ast.FunctionDef | None:
    """Return the function "name" or the method "Class.name" of a text; None where there is none."""
    owner, _, name = blank.rpartition(".")
    body = ast.parse(source).body
    if owner:
        classes = [node for node in body if isinstance(node, ast.ClassDef) and node.name == owner]
        body = classes[-1].body if classes else []
    found = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == name]
    return found[-1] if found else None


def functions(source: str) -> list[str]:
    """Return the functions, and the methods, that a text defines.

    Example:
        >>> functions("def f(): ...\\nclass A:\\n    def g(self): ...")
        ['f', 'A.g']
    """
    names = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.ClassDef):
            names += [f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)]
    return names


def is_blank(source: str, blank: str) -> bool:
    """Return whether a `...` is left in a function, as a statement or as what is assigned or returned.

    Example:
        >>> is_blank("def f(x):\\n    ...", "f"), is_blank("def f(x):\\n    return x[..., 0]", "f")
        (True, False)
    """
    function = find(source, blank)
    statements = (ast.Expr, ast.Assign, ast.AugAssign, ast.Return)
    return function is not None and any(
        isinstance(node, statements) and isinstance(node.value, ast.Constant) and node.value.value is ...
        for node in ast.walk(function)
    )


def line_of(source: str, blank: str) -> int:
    """Return the line in which a function begins; 0 where there is none."""
    function = find(source, blank)
    return function.lineno if function else 0
