"""Trees of arrays: what is walked, in which order, and what fits into what."""

import numpy as np
import pytest

from nn import tree

NESTED = {"x": (1.0, [2, None]), "y": {"h": np.zeros(2), 3: ()}}


def test_leaves_come_in_order_under_their_names():
    assert [str(leaf) for leaf in tree.leaves(NESTED)] == ["1.0", "2", "None", "[0. 0.]"]
    assert [name for name, _ in tree.named_leaves(NESTED)] == ["x[0]", "x[1][0]", "x[1][1]", "y['h']"]
    assert tree.named_leaves({"x": 1}, "z") == [("z['x']", 1)]
    assert tree.named_leaves(7, "z") == [("z", 7)]


def test_what_is_a_leaf_may_be_told():
    assert tree.leaves([{"a": 1}, 2], is_leaf=lambda value: isinstance(value, dict)) == [{"a": 1}, 2]


def test_map_keeps_the_structure_and_makes_it_anew():
    made = tree.map(lambda leaf: leaf, NESTED)
    assert repr(made) == repr(NESTED) and made is not NESTED and made["x"][1] is not NESTED["x"][1]
    assert tree.map(str, (1, [2])) == ("1", ["2"])


def test_pairs_take_lists_for_tuples_and_none_for_whole_trees():
    assert tree.pairs((1, [2, 3]), [4, (5, 6)]) == [(1, 4), (2, 5), (3, 6)]
    assert tree.pairs({"a": (1, 2), "b": 3}, {"b": 4, "a": None}) == [(1, None), (2, None), (3, 4)]
    assert tree.pairs((1, (2, 3)), None) == [(1, None), (2, None), (3, None)]
    assert tree.pairs((), ()) == []


@pytest.mark.parametrize(
    ("one", "other", "text"),
    [
        ((1, 2), (1, 2, 3), r"expected the structure \(\*, \*\), got \(\*, \*, \*\)"),
        ((1, (2, 3)), (1, 2), r"expected the structure \(\*, \*\), got \*"),
        (1, (1,), r"expected the structure \*, got \(\*,\)"),
        ({"a": 1}, {"b": 1}, r"expected the structure \{'a': \*\}, got \{'b': \*\}"),
        ({"a": 1}, [1], r"got \[\*\]"),
    ],
)
def test_pairs_refuse_another_structure(one, other, text):
    with pytest.raises(ValueError, match=text):
        tree.pairs(one, other)


def test_ravel_and_unravel_pass_by_what_is_not_floating():
    nested = (np.arange(4, dtype=np.float32).reshape(2, 2), None, np.arange(3), {"h": 5.0})
    vector = tree.ravel(nested)
    assert vector.dtype == np.float64 and vector.tolist() == [0, 1, 2, 3, 5]
    a, none, integers, h = tree.unravel(2 * vector, nested)
    assert a.tolist() == [[0, 2], [4, 6]] and none is None and integers is nested[2] and h["h"].tolist() == 10
    assert tree.ravel((None, 1)).shape == (0,)
