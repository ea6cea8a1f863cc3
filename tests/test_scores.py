"""Scores against numbers worked out by hand from the definitions."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import scores


def test_regression_scores():
    got = scores.regression_scores(np.array([1.0, 2.0, 6.0]), np.array([1.0, 4.0, 5.0]))
    # errors 0, -2, 1: squares sum to 5; deviations from the mean 3 are -2, -1, 3: squares sum to 14
    assert got == pytest.approx({"rmse": np.sqrt(5 / 3), "r2": 1 - 5 / 14})
    assert scores.regression_scores(np.array([3.0, 3.0]), np.array([3.0, 4.0]))["r2"] is None
    big = 1_700_000_000 + np.arange(5.0)
    assert scores.regression_scores(big, big + 1)["rmse"] == 1


def test_class_scores():
    truth, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 0])
    rows = scores.class_scores(truth, predicted, ["a", "b", "c", "d"])
    assert rows[0] == {"class": "a", "rows": 3, "predicted": 4, "precision": 2 / 4, "recall": 2 / 3, "f1": 4 / 7}
    assert rows[1] == {"class": "b", "rows": 2, "predicted": 2, "precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2}
    assert rows[2] == {"class": "c", "rows": 1, "predicted": 0, "precision": None, "recall": 0, "f1": 0}
    assert rows[3] == {"class": "d", "rows": 0, "predicted": 0, "precision": None, "recall": None, "f1": None}
    confusion = scores.confusion_matrix(truth, predicted, 3)
    assert confusion.tolist() == [[2, 1, 0], [1, 1, 0], [1, 0, 0]]
    table = scores.class_table(rows).splitlines()
    assert table[1].split() == ["a", "3", "0.5000", "0.6667", "0.5714"] and table[4].split() == [
        "d",
        "0",
        "-",
        "-",
        "-",
    ]


def test_classification_scores():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]])
    got = scores.classification_scores(np.array([0, 1, 0, 1]), probabilities)
    # positives at 0.4 and 0.8, negatives at 0.1 and 0.7: 3 of the 4 pairs are in order; precision 1/1, then 2/3
    expected = {"accuracy": 0.5, "macro_f1": 0.5, "roc_auc": 3 / 4, "average_precision": (1 + 2 / 3) / 2}
    assert got == pytest.approx(expected)
    assert list(scores.classification_scores(np.array([0, 2]), np.eye(3)[[0, 1]])) == ["accuracy", "macro_f1"]


def test_areas_with_ties_and_without_a_class():
    positive = np.array([True, False, True, False, False])
    score = np.array([0.5, 0.5, 0.9, 0.1, 0.5])
    # of the 6 pairs 4 are in order and 2 tie; thresholds 0.9: 1 of 1, 0.5: 2 of 4
    assert scores.roc_auc(positive, score) == pytest.approx(5 / 6)
    assert scores.average_precision(positive, score) == pytest.approx((1 + 2 / 4) / 2)
    assert scores.roc_auc(positive, np.zeros(5)) == 0.5  # a constant says nothing
    assert scores.average_precision(positive, np.zeros(5)) == pytest.approx(2 / 5)
    for same in (np.ones(3, bool), np.zeros(3, bool)):
        assert scores.roc_auc(same, np.arange(3.0)) is None
    assert scores.average_precision(np.zeros(3, bool), np.arange(3.0)) is None


def test_areas_are_those_of_the_definitions():
    rng = np.random.default_rng(0)
    for _ in range(50):
        positive = np.append(rng.random(20) < 0.4, [True, False])
        score = rng.integers(0, 6, 22) / 5
        pairs = [(a > b) + 0.5 * (a == b) for a in score[positive] for b in score[~positive]]
        assert scores.roc_auc(positive, score) == pytest.approx(np.mean(pairs))
        area, recall = 0.0, 0.0
        for threshold in sorted(set(score), reverse=True):
            chosen = positive[score >= threshold]
            area += (chosen.sum() / positive.sum() - recall) * chosen.mean()
            recall = chosen.sum() / positive.sum()
        assert scores.average_precision(positive, score) == pytest.approx(area)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0.0000"), (1.0, "1.0000"), (2.78377, "2.7838"), (3e-7, "3e-07"), (0.99999, "0.99999"),
     (-1e-6, "-1e-06"), (12345.678, "12345.6780"), (1.5e9, "1.5e+09")],
)  # fmt: skip
def test_only_a_true_zero_or_one_looks_like_one(value, text):
    assert scores.shown(value) == text


def test_long_class_names_stay_apart_in_the_confusion_matrix():
    text = scores.confusion_text(np.eye(2, dtype=int), [2**60, 2**60 + 1]).splitlines()
    assert text[1].split() == ["504606846976", "504606846977"]
