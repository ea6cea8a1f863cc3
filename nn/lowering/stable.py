"""Rules by which formulas become numerics: what is mathematically the same, and does not overflow.

They are for programs alone: what is shown stays as it was stated. Each rule has a test of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from .expression import Expression, Load, Number, Operation, Reduction, operation, rebuilt

Definition = Callable[[Load], Expression | None]  # of an entry in memory: what was stored there


def stabilized(node: Expression, definition: Definition) -> Expression:
    """Return an expression with formulas that overflow rewritten.

    Args:
        node: the expression.
        definition: tells what was stored in an entry, since log(p) may stand on another line than p.
    """
    match node:
        case Operation("*", (factor, Operation("log", (p,)))) if _softmax(p, definition):
            # A share of zero counts nothing, also where the logarithm is -inf.
            logarithm = stabilized(Operation("log", (p,)), definition)
            factor = stabilized(factor, definition)
            return operation("where", operation("!=", factor, 0), operation("*", factor, logarithm), 0.0)
    node = rebuilt(node, lambda part: stabilized(part, definition))
    match node:
        case Operation("/", (Operation("exp", (x,)), Reduction("sum", indices, Operation("exp", (e,))))):
            # softmax: exp(x) / sum(exp(e)) = exp(x - m) / sum(exp(e - m)) with m = max(e)
            m = Reduction("max", indices, e)
            return operation("/", _exp(operation("-", x, m)), Reduction("sum", indices, _exp(operation("-", e, m))))
        case Operation("log", (value,)):
            return _log(value, definition)
        case Operation("-", (x, Operation("+", (Reduction("max") as m, Operation("log") as rest)))):
            return operation("-", operation("-", x, m), rest)
        case Operation("**", (Operation("sqrt", (square,)), Number(2))):
            return square
    return node


def _exp(value: Expression) -> Expression:
    return Operation("exp", (value,))


def _softplus(value: Expression) -> Expression:
    return Operation("softplus", (value,))


def _log(value: Expression, definition: Definition) -> Expression:
    """Return the logarithm of a value."""
    if isinstance(value, Load) and (found := definition(value)) is not None:
        rewritten = _log(found, definition)
        return Operation("log", (value,)) if rewritten == Operation("log", (found,)) else rewritten
    if (x := _logit(value)) is not None:  # log(1 / (1 + exp(-x)))
        return operation("neg", _softplus(operation("neg", x)))
    match value:
        case Operation("/", (Operation("exp", (x,)), s)):
            return stabilized(operation("-", x, _log(s, definition)), definition)
        case Operation("+", (Number(1), Operation("exp", (x,)))) | Operation("+", (Operation("exp", (x,)), Number(1))):
            return _softplus(x)
        case Operation("-", (Number(1), p)) if (x := _logit(_resolved(p, definition))) is not None:
            return operation("neg", _softplus(x))  # log(1 - 1 / (1 + exp(-x)))
        case Reduction("sum", indices, Operation("exp", (e,))) if not _is_shifted(e):
            m = Reduction("max", indices, e)
            return operation("+", m, Operation("log", (Reduction("sum", indices, _exp(operation("-", e, m))),)))
    return Operation("log", (value,))


def _is_shifted(e: Expression) -> bool:
    """Tell whether the largest value is taken off already."""
    return isinstance(e, Operation) and e.name == "-" and isinstance(e.arguments[1], Reduction)


def _resolved(value: Expression, definition: Definition) -> Expression:
    return (definition(value) if isinstance(value, Load) else None) or value


def _logit(p: Expression) -> Expression | None:
    """Return x where p is 1 / (1 + exp(-x)); else None."""
    match p:
        case Operation("sigmoid", (x,)):
            return x
        case Operation("/", (Number(1), Operation("+", (Number(1), Operation("exp", (x,)))))):
            return x.arguments[0] if isinstance(x, Operation) and x.name == "neg" else operation("neg", x)
    return None


def _softmax(p: Expression, definition: Definition) -> bool:
    """Tell whether p is exp(x) over a sum of such."""
    match _resolved(p, definition):
        case Operation("/", (Operation("exp"), Reduction("sum", _, Operation("exp")))):
            return True
    return False
