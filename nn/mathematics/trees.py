"""Syntax trees of equations: what is in them, and trees rewritten. A tree is shared, and never written to."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator
from typing import Any

from .words import REDUCTIONS

Rule = Callable[[Any], Any]  # of a node: what takes its place, or None


def base(node: ast.expr) -> str:
    """Return the symbol of a target or of a subscripted expression; "" where there is none."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def subscripts(node: ast.expr) -> list[ast.expr]:
    """Return the subscripts of x[i, j]; none of anything else."""
    if not isinstance(node, ast.Subscript):
        return []
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


def is_ellipsis(node: ast.AST) -> bool:
    """Tell whether a subscript is `...`."""
    return isinstance(node, ast.Constant) and node.value is ...


def index_name(place: ast.expr) -> str:
    """Return the name of the index that a subscript is, "..." among them; "" where it is computed."""
    return "..." if is_ellipsis(place) else place.id if isinstance(place, ast.Name) else ""


def parts(node: ast.AST) -> list[ast.AST]:
    """Return what a node is made of, but for the names of functions, which are no symbols."""
    if isinstance(node, ast.Call):
        of = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        return [*of, *node.args, *node.keywords]
    return list(ast.iter_child_nodes(node))


def nodes(*trees: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes of trees."""
    for tree in trees:
        yield tree
        yield from nodes(*parts(tree))


def subscripted(*trees: ast.AST) -> list[ast.Subscript]:
    """Return what has subscripts in trees."""
    return [node for node in nodes(*trees) if isinstance(node, ast.Subscript)]


def names_in(*trees: ast.AST) -> set[str]:
    """Return all symbols and indices in trees."""
    return {node.id for node in nodes(*trees) if isinstance(node, ast.Name)}


def free_indices(tree: ast.AST, indices: Collection[str]) -> list[str]:
    """Return which of the indices, and `...`, stand in a tree outside of a reduction over them, in their order."""
    match tree:
        case ast.Call(func=ast.Name(id=name), args=[value, *which]) if name in REDUCTIONS:
            return [index for index in free_indices(value, indices) if index not in map(index_name, which)]
        case ast.Name() | ast.Constant():
            return [name for name in [index_name(tree)] if name == "..." or name in indices]
    return list(dict.fromkeys(name for part in parts(tree) for name in free_indices(part, indices)))


def with_parts(node: Any, change: Callable[[Any], Any]) -> Any:
    """Return a copy of a node with `change(part)` in the place of each of its parts; trees are never written to."""

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(item) for item in value]
        return change(value) if isinstance(value, ast.expr | ast.keyword) else value

    fields = {name: changed(value) for name, value in ast.iter_fields(node) if name != "func"}
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr=name)):  # the name of a function is no part
            fields["func"] = ast.Attribute(change(value), name)
        case ast.Call(func=word):
            fields["func"] = word
    return type(node)(**fields)


def rewritten(tree: Any, rule: Rule) -> Any:
    """Return a copy of a tree, in which what `rule` returns of a node, unless that is None, takes the node's place."""
    found = rule(tree)
    return with_parts(tree, lambda part: rewritten(part, rule)) if found is None else found


def without_indices(gone: Callable[[ast.expr], bool]) -> Rule:
    """Return the rule by which entries lose the subscripts that are `gone`, and reductions do not run over them."""

    def rule(node: ast.expr) -> ast.expr | None:
        match node:
            case ast.Subscript(value=value):
                value = rewritten(value, rule)
                places = [rewritten(place, rule) for place in subscripts(node) if not gone(place)]
                if not places:
                    return value
                return ast.Subscript(value, places[0] if len(places) == 1 else ast.Tuple(places, ast.Load()), node.ctx)
            case ast.Call(func=ast.Name(id=name) as word, args=[value, *which]) if name in REDUCTIONS:
                value = rewritten(value, rule)
                kept = [index for index in which if not gone(index)]
                if kept or not which or name == "argmax":
                    return ast.Call(word, [value, *kept], [])
                return ast.Call(ast.Name("abs"), [value], []) if name == "norm" else value
        return None

    return rule
