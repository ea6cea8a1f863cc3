"""Inputs and outputs may be tuples, lists and dicts of arrays, at any depth: how the checks walk them."""

from nn import tree as trees


def flat(tree, name="tree"):
    """Return the leaves by their places: {"tree[0]": x, "tree[1]['h']": h}."""
    return dict(trees.named_leaves(tree, name))


def mapped(function, tree):
    """Return the same nesting around `function(leaf)`; a leaf that is None stays None."""
    return trees.map(lambda leaf: None if leaf is None else function(leaf), tree)


def filled(tree, values):
    """Return the same nesting around `values`, which has a leaf for each place of `flat(tree)`."""
    assert [*values] == [*flat(tree)], f"leaves at {[*flat(tree)]} are expected, got {[*values]}"
    remaining = iter(values.values())
    return trees.map(lambda leaf: next(remaining), tree)
