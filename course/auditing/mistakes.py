"""Wrong answers as students write them, planted one at a time in a file of Python functions.

Each kind of mistake is a rule: of a node of the syntax tree, what a student might have written in its place. The text
around it stays as it is, so that lines keep their numbers. Whether a mistake changes anything is not known here.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef
Change = tuple[ast.stmt | ast.expr, ast.AST, str, str]  # what goes, what comes, the kind, and what was done, in words

# Which function of NumPy is mistaken for which.
RELATED = {
    "argmax": "argmin",
    "argmin": "argmax",
    "max": "min",
    "min": "max",
    "maximum": "minimum",
    "minimum": "maximum",
    "mean": "sum",
    "sum": "mean",
    "std": "var",
    "var": "std",
}
GRADIENTS = ("back", "grad", "loss")  # what functions that compute gradients have in their names
LEFT_OUT = ("exp", "log", "sqrt", "tanh", "abs", "square", "transpose", "flip", "sign")
CLOSED = (ast.Name, ast.Constant, ast.Attribute, ast.Call, ast.Subscript)  # what needs no brackets


class Mistake(NamedTuple):
    """A mistake in one place.

    Attributes:
        function: the function that it is in; that of a method has its class before it.
        line: the number of the line.
        kind: in a word or two.
        said: what was done, in words.
        after: the line as it then stands.
        source: the whole file with the mistake in it.
    """

    function: str
    line: int
    kind: str
    said: str
    after: str
    source: str


def functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Yield the functions and the methods of a file, with their names."""
    for node in tree.body:
        if isinstance(node, Function):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, Function):
                    yield f"{node.name}.{method.name}", method


def plant(source: str) -> list[Mistake]:
    """Return all mistakes that can be planted in a file, such that the first ones are of many functions and kinds.

    Raises:
        SyntaxError: for a file that Python cannot read.

    Example:
        >>> source = "def backward(g, x):\\n    return g * (x > 0)\\n"
        >>> for mistake in plant(source)[:3]:
        ...     print(f"{mistake.said}: {mistake.after}")
        the factor x > 0 was left out: return g
        the factor g was left out: return (x > 0)
        > became >=: return g * ((x >= 0))
    """
    first: list[list[Mistake]] = []
    others: list[list[Mistake]] = []
    for name, function in functions(ast.parse(source)):
        kinds: dict[str, list[Mistake]] = {}
        for old, new, kind, said in _changes(function):
            after = _replaced(source, old, new)
            line = old.lineno
            if _is_python(after):
                shown = after.splitlines()[line - 1].strip()
                kinds.setdefault(kind, []).append(Mistake(name, line, kind, said, shown, after))
        each = [*kinds.pop("= for +=", ()), *_in_turn(kinds.values())]  # what tests see the least comes first
        if any(word in name.lower() for word in GRADIENTS):  # two for each one elsewhere
            first += [each[::2], each[1::2]]
        else:
            others.append(each)
    return list({mistake.source: mistake for mistake in _in_turn([*first, *others])}.values())


def _in_turn(lists: Iterable[list[Mistake]]) -> list[Mistake]:
    """Return the first of each list, then the second of each, and so on."""
    return [each for together in itertools.zip_longest(*lists) for each in together if each is not None]


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def _replaced(source: str, old: ast.AST, new: ast.AST) -> str:
    """Return a file's text with one node written anew; an expression gets brackets."""
    place: Any = old
    lengths = [0, *itertools.accumulate(len(line) for line in source.encode().splitlines(keepends=True))]
    start = lengths[place.lineno - 1] + place.col_offset
    end = lengths[place.end_lineno - 1] + place.end_col_offset
    text = ast.unparse(ast.fix_missing_locations(new))
    text = f"({text})" if isinstance(old, ast.expr) and not isinstance(new, CLOSED) else text
    whole = source.encode()
    return (whole[:start] + text.encode() + b"\n" * whole[start:end].count(b"\n") + whole[end:]).decode()


def _changes(function: Function) -> Iterator[Change]:
    """Yield all changes within a function, gradients' own mistakes first."""
    nodes = [node for statement in function.body for node in _nodes(statement)]
    inside = {part for node in nodes if isinstance(node, ast.Subscript) for part in ast.walk(node.slice)}
    siblings = _siblings(function)
    for rule in (_accumulation, _factor, _comparison, _sign, _term, _axis, _order, _index, _function, _steps, _power):
        for node in nodes:
            if rule not in (_sign, _term) or node not in inside:  # what is added there counts entries
                yield from rule(node)
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in siblings:
            other = siblings[node.id]
            yield node, ast.Name(other), "another variable", f"{other} stands for {node.id}"
    for node in nodes:
        if isinstance(node, ast.Assign | ast.AugAssign) and isinstance(_target(node), ast.Subscript):
            yield node, ast.Pass(), "left out", "the statement was left out"


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes under one in the order of the text; what has no place of its own in it is passed over."""
    if isinstance(node, ast.JoinedStr | ast.Assert | ast.Raise):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _nodes(child)


def _target(node: ast.Assign | ast.AugAssign) -> ast.expr:
    return node.targets[0] if isinstance(node, ast.Assign) else node.target


def _siblings(function: Function) -> dict[str, str]:
    """Return for each variable one that was unpacked beside it, or the next argument of the function."""
    groups = [[argument.arg for argument in function.args.args]]
    assigned = [node.targets[0] for node in ast.walk(function) if isinstance(node, ast.Assign)]
    groups += [
        [n.id for n in target.elts if isinstance(n, ast.Name)] for target in assigned if isinstance(target, ast.Tuple)
    ]
    pairs: dict[str, str] = {}
    for group in groups:
        for name, other in zip(group, [*group[1:], *group[:1]], strict=True):
            if name != other and not {"_", "self", "cache", "config"} & {name, other} and "param" not in name + other:
                pairs.setdefault(name, other)
    return pairs


# ---- the rules


def _accumulation(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.AugAssign(target=target, op=ast.Add(), value=value):
            yield node, ast.Assign([target], value), "= for +=", "= stands for +="
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=add, attr="at"), args=[array, where, value])):
            if ast.unparse(add).endswith("add"):
                entry = ast.Subscript(array, where, ast.Store())
                yield (
                    node,
                    ast.AugAssign(entry, ast.Add(), value),
                    "= for +=",
                    "x[i] += v stands for np.add.at(x, i, v)",
                )


def _factor(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            for gone, rest in ((right, left), (left, right)):
                is_mask = isinstance(gone, ast.Compare) or "mask" in ast.unparse(gone)
                kind = "mask" if is_mask else "factor" if _is_number(gone) else "product"
                yield node, rest, kind, f"the factor {ast.unparse(gone)} was left out"
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            yield node, left, "factor", f"the division by {ast.unparse(right)} was left out"
        case ast.AugAssign(op=ast.Mult() | ast.Div() as op, value=value):
            what = "factor" if isinstance(op, ast.Mult) else "division by"
            yield node, ast.Pass(), "factor", f"the {what} {ast.unparse(value)} was left out"
        case ast.Name(id=name, ctx=ast.Load()) if "stride" in name.lower():
            yield node, ast.Constant(1), "stride", f"{name} was forgotten: 1 stands for it"
        case ast.Name(id=name, ctx=ast.Load()) if "pad" in name.lower() and "param" not in name.lower():
            yield node, ast.Constant(0), "padding", f"{name} was forgotten: 0 stands for it"
        case ast.Subscript(value=ast.Attribute(attr="shape"), slice=ast.Constant(value=0 | 1 as axis)):
            other = ast.Subscript(node.value, ast.Constant(1 - axis), ast.Load())
            yield node, other, "size", f"shape[{1 - axis}] stands for shape[{axis}]"


def _comparison(node: ast.AST) -> Iterator[Change]:
    others: dict[type, tuple[ast.cmpop, ...]] = {
        ast.Gt: (ast.GtE(), ast.Lt()),
        ast.GtE: (ast.Gt(), ast.LtE()),
        ast.Lt: (ast.LtE(), ast.Gt()),
        ast.LtE: (ast.Lt(), ast.GtE()),
    }
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for op in others.get(type(node.ops[0]), ()):
            signs = [SIGNS[type(node.ops[0])], SIGNS[type(op)]]
            yield node, ast.Compare(node.left, [op], node.comparators), "comparison", f"{signs[0]} became {signs[1]}"


SIGNS = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<="}


def _sign(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand) if not isinstance(operand, ast.Constant):
            yield node, operand, "sign", "a minus was left out"
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            yield node, ast.BinOp(right, ast.Sub(), left), "sign", "the difference is the other way round"
            yield node, ast.BinOp(left, ast.Add(), right), "sign", "- became +"
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield node, ast.BinOp(left, ast.Sub(), right), "sign", "+ became -"
        case ast.AugAssign(target=target, op=ast.Add(), value=value):
            yield node, ast.AugAssign(target, ast.Sub(), value), "sign", "+= became -="
        case ast.AugAssign(target=target, op=ast.Sub(), value=value):
            yield node, ast.AugAssign(target, ast.Add(), value), "sign", "-= became +="


def _term(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield node, left, "term", f"the term {ast.unparse(right)} was left out"
            yield node, right, "term", f"the term {ast.unparse(left)} was left out"
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            yield node, left, "term", f"the term -{ast.unparse(right)} was left out"
        case ast.AugAssign(op=ast.Add(), target=ast.Name()):
            yield node, ast.Pass(), "term", "the addition was left out"


def _axis(node: ast.AST) -> Iterator[Change]:
    if not isinstance(node, ast.Call):
        return
    for keyword in node.keywords:
        if keyword.arg == "keepdims":
            rest = [other for other in node.keywords if other is not keyword]
            yield node, ast.Call(node.func, node.args, rest), "keepdims", "keepdims was left out"
        elif keyword.arg == "axis":
            for axis in _other_axes(keyword.value):
                said = f"axis={ast.unparse(axis)} stands for axis={ast.unparse(keyword.value)}"
                yield keyword.value, axis, "axis", said
    if isinstance(node.func, ast.Attribute) and node.func.attr in RELATED and node.args:
        place = 1 if ast.unparse(node.func.value) in ("np", "numpy") else 0  # np.sum(x, 0), x.sum(0)
        if len(node.args) > place and node.func.attr not in ("maximum", "minimum"):
            for axis in _other_axes(node.args[place]):
                yield node.args[place], axis, "axis", f"axis {ast.unparse(axis)} was taken"


def _other_axes(axis: ast.expr) -> list[ast.expr]:
    match axis:
        case ast.Constant(value=int() as number):
            return [ast.Constant(1 if number == 0 else 0)]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
            return [ast.Constant(0)]
        case ast.Tuple(elts=[_, _, *_] as parts):
            return [ast.Tuple([p for p in parts if p is not gone], ast.Load()) for gone in (parts[0], parts[-1])]
    return []


def _order(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Attribute(value=value, attr="T"):
            yield node, value, "transpose", ".T was left out"
        case ast.BinOp(left=left, op=ast.MatMult() as op, right=right):
            yield node, ast.BinOp(right, op, left), "order", "the factors of the product were exchanged"
            yield node, ast.BinOp(left, op, ast.Attribute(right, "T")), "transpose", "a factor was transposed"
        case ast.Call(func=ast.Attribute(value=left, attr="dot"), args=[right]):
            if ast.unparse(left) not in ("np", "numpy"):
                other = ast.Call(ast.Attribute(right, "dot"), [left], [])
                yield node, other, "order", "the factors of the product were exchanged"
        case ast.Call(func=ast.Attribute(attr="dot" | "matmul") as func, args=[left, right]):
            yield node, ast.Call(func, [right, left], []), "order", "the factors of the product were exchanged"


def _index(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Subscript(value=value, slice=ast.Tuple(elts=places), ctx=ctx):
            for i, k in itertools.pairwise(range(len(places))):
                one, other = ast.unparse(places[i]), ast.unparse(places[k])
                if one != other and one != ":" and other != ":":
                    turned = [*places[:i], places[k], places[i], *places[k + 1 :]]
                    changed = ast.Subscript(value, ast.Tuple(turned, ast.Load()), ctx)
                    yield node, changed, "index", f"the indices {one} and {other} were exchanged"
        case ast.Call(func=ast.Name(id="range"), args=[stop]):
            fewer = ast.BinOp(stop, ast.Sub(), ast.Constant(1))
            yield node, ast.Call(node.func, [fewer], []), "range", "the last one was left out"
            yield node, ast.Call(node.func, [ast.Constant(1), stop], []), "range", "the first one was left out"


def _function(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.BinOp(left=ast.Constant(value=1 | 1.0), op=ast.Sub(), right=square) if y := _squared(square):
            other = ast.BinOp(y, ast.Mult(), ast.BinOp(ast.Constant(1), ast.Sub(), y))
            yield node, other, "derivative", "the derivative of a sigmoid stands for that of tanh"
        case ast.BinOp(
            left=y, op=ast.Mult(), right=ast.BinOp(left=ast.Constant(value=1 | 1.0), op=ast.Sub(), right=z)
        ) if ast.dump(y) == ast.dump(z):
            other = ast.BinOp(ast.Constant(1), ast.Sub(), ast.BinOp(y, ast.Pow(), ast.Constant(2)))
            yield node, other, "derivative", "the derivative of tanh stands for that of a sigmoid"
        case ast.Call(func=ast.Attribute(value=of, attr=name), args=arguments):
            if name in RELATED:
                func = ast.Attribute(of, RELATED[name])
                yield node, ast.Call(func, arguments, node.keywords), "function", f"{name} became {RELATED[name]}"
            if name in ("maximum", "minimum") and len(arguments) == 2:
                for constant, rest in (arguments, reversed(arguments)):
                    if isinstance(constant, ast.Constant):
                        yield node, rest, "function", f"{name} was left out"
            if name in LEFT_OUT and arguments:
                yield node, arguments[0], "function", f"{name} was left out"


def _squared(node: ast.expr) -> ast.expr | None:
    match node:
        case ast.BinOp(left=y, op=ast.Pow(), right=ast.Constant(value=2)):
            return y
        case ast.BinOp(left=y, op=ast.Mult(), right=z) if ast.dump(y) == ast.dump(z):
            return y
        case ast.Call(func=ast.Attribute(attr="square"), args=[y]):
            return y
    return None


def _steps(node: ast.AST) -> Iterator[Change]:
    """Change what a slice takes."""
    match node:
        case ast.Slice(lower=lower, upper=ast.BinOp(left=start, op=ast.Add()) as upper) if lower:
            if ast.dump(lower) == ast.dump(start):
                yield upper, ast.BinOp(upper, ast.Sub(), ast.Constant(1)), "range", "the last one was left out"


def _power(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.BinOp(left=left, op=ast.Pow(), right=power):
            yield node, left, "power", f"the power {ast.unparse(power)} was left out"
        case ast.BinOp(left=left, op=ast.Mult(), right=right) if ast.dump(left) == ast.dump(right):
            yield node, left, "power", "the square was left out"


def _is_number(node: ast.expr) -> bool:
    """Tell whether a factor looks like a number: a constant, or a name of one letter."""
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and len(node.id) == 1 and node.id.isupper())
