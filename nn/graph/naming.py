"""Names for the nodes of a computing graph: x, W₀, b₀, z₁, a₁, ..., J for a plain chain of layers, paths for others."""

from __future__ import annotations

from collections.abc import Mapping

from ..module import Module
from .node import Call, Node


def name_nodes(nodes: list[Node], calls: list[Call], modules: Mapping[str, Module]) -> None:
    """Give every node its letter and subscript.

    Where each layer is an affine map or an elementwise function after one, layer k has W and b of subscript k - 1,
    and gives z and a of subscript k. Elsewhere the subscript is the layer's path, and the letter is the layer's own
    for a parameter, and h for what it gives.

    Args:
        nodes: from the data to the loss.
        calls: in order.
        modules: by path.
    """
    for kind, letter in (("data", "x"), ("target", "y")):
        found = [node for node in nodes if node.kind == kind]
        for index, node in enumerate(found):
            node.letter = letter
            node.subscript = str(index) if len(found) > 1 else ""
    for node in nodes:
        if node.kind == "loss":
            node.letter = "J"
    if not _name_chain(nodes, calls):
        _name_by_path(nodes, modules)


def _name_chain(nodes: list[Node], calls: list[Call]) -> bool:
    """Name the nodes of a plain chain; False, and nothing is named, if it is none."""
    of_loss = nodes[-1].kind == "loss"
    names: dict[Node, tuple[str, str]] = {}
    weights: dict[Node, str] = {}
    value = nodes[0]
    layer = 0
    for call in calls[:-1] if of_loss else calls:
        used = call.parameters
        if call.inputs != (value,) or call.outputs is not call.results[0] or call.note:
            return False
        value = call.outputs
        if not used and layer and names[call.inputs[0]][0] == "z" and value.shape == call.inputs[0].shape:
            names[value] = "a", str(layer)
        elif used.keys() in ({"weight"}, {"weight", "bias"}) and used["weight"].value.ndim == 2:
            layer += 1
            names[value] = "z", str(layer)
            index = weights.setdefault(used["weight"], str(len(weights)))
            names |= {used[name]: (letter, index) for name, letter in (("weight", "W"), ("bias", "b")) if name in used}
        else:
            return False
    named = {*names, *(node for node in nodes if node.letter)}
    if of_loss and calls[-1].inputs[:1] != (value,):
        return False
    if named != set(nodes) or len(set(names.values())) < len(names):
        return False
    for node, (letter, subscript) in names.items():
        node.letter, node.subscript = letter, subscript
    return True


def _name_by_path(nodes: list[Node], modules: Mapping[str, Module]) -> None:
    for node in nodes:
        if node.kind == "parameter":
            owner = max((path for path in modules if node.path.startswith(f"{path}." if path else "")), key=len)
            attribute = node.path.removeprefix(f"{owner}.")
            letters = {name: symbol for symbol, name in modules[owner].symbols.items()}
            node.letter, node.subscript = letters.get(attribute, attribute), owner
        elif node.call and node.kind != "loss":
            several = len(node.call.results) > 1
            node.letter = "h"
            node.subscript = f"{node.path}:{node.call.results.index(node)}" if several else node.path
    taken: set[str] = set()
    for node in nodes:  # a module that runs twice makes two values
        while node.name in taken:
            node.letter += "′"
        taken.add(node.name)
