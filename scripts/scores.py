"""How good predictions are, by the definitions; None where there is no number, as for a part of nothing."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_SHOWN = 20  # classes in a table of text


def _ratio(part: float, whole: float) -> float | None:
    return float(part) / float(whole) if whole else None


def regression_scores(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float | None]:
    """Return the root mean squared error, and the share of the variance that is explained."""
    mean_square = float(np.square(truth - predicted).mean())
    if not math.isfinite(mean_square):
        return {"rmse": None, "r2": None}
    unexplained = _ratio(mean_square, truth.var() if np.ptp(truth) else 0)
    return {"rmse": math.sqrt(mean_square), "r2": None if unexplained is None else 1 - unexplained}


def classification_scores(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    """Return the accuracy and the mean F1 of the classes; of two classes also areas under curves, for the second one.

    Shape:
        truth (N,), class indices; probabilities (N, classes).
    """
    predicted = probabilities.argmax(1)
    f1 = [row["f1"] for row in class_scores(truth, predicted, list(range(probabilities.shape[1])))]
    f1 = [value for value in f1 if value is not None]
    scores: dict[str, float | None] = {"accuracy": float((truth == predicted).mean()), "macro_f1": float(np.mean(f1))}
    if probabilities.shape[1] == 2:
        scores["roc_auc"] = roc_auc(truth == 1, probabilities[:, 1])
        scores["average_precision"] = average_precision(truth == 1, probabilities[:, 1])
    return scores


def class_scores(truth: np.ndarray, predicted: np.ndarray, classes: list[Any]) -> list[dict[str, Any]]:
    """Return of each class how many rows it has, how many are predicted, and precision, recall and F1."""
    count = len(classes)
    rows, guesses = np.bincount(truth, minlength=count), np.bincount(predicted, minlength=count)
    hits = np.bincount(truth[truth == predicted], minlength=count)
    return [
        {
            "class": name,
            "rows": int(rows[code]),
            "predicted": int(guesses[code]),
            "precision": _ratio(hits[code], guesses[code]),
            "recall": _ratio(hits[code], rows[code]),
            "f1": _ratio(2 * hits[code], rows[code] + guesses[code]),
        }
        for code, name in enumerate(classes)
    ]


def roc_auc(positive: np.ndarray, score: np.ndarray) -> float | None:
    """Return the probability that a positive row has a higher score than a negative one; a tie counts half."""
    _, places, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts - 1) / 2)[places]
    positives = int(positive.sum())
    wins = ranks[positive].sum() - positives * (positives + 1) / 2
    return _ratio(wins, positives * (len(positive) - positives))


def average_precision(positive: np.ndarray, score: np.ndarray) -> float | None:
    """Return the precision at each threshold, averaged with what it adds to the recall."""
    _, places = np.unique(-score, return_inverse=True)
    hits = np.bincount(places, weights=positive)  # at each threshold, from the highest down
    precision = hits.cumsum() / np.bincount(places).cumsum()
    return _ratio((hits * precision).sum(), positive.sum())


def shown(value: float | None) -> str:
    """Return a score as text; only a true zero or one looks like one."""
    if value is None:
        return "-"
    text = f"{value:.4f}"
    rounded_away = abs(value) >= 1e6 or (text in ("0.0000", "-0.0000", "1.0000") and float(text) != value)
    return f"{value:.7g}" if rounded_away else text


def class_table(rows: list[dict[str, Any]]) -> str:
    """Return the scores of each class as text."""
    names = [str(row["class"])[:20] for row in rows]
    width = max(len("class"), *map(len, names))
    lines = [f"{'class':<{width}}   rows  precision  recall      f1"]
    for name, row in zip(names, rows, strict=True):
        precision, recall, f1 = (shown(row[key]) for key in ("precision", "recall", "f1"))
        lines.append(f"{name:<{width}} {row['rows']:>6} {precision:>10} {recall:>7} {f1:>7}")
    return "\n".join(lines)


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, count: int) -> np.ndarray:
    """Return how often each class, a row, was predicted to be each, a column."""
    matrix = np.zeros((count, count), dtype=int)
    np.add.at(matrix, (truth, predicted), 1)
    return matrix


def confusion_text(confusion: np.ndarray, classes: list[Any]) -> str:
    """Return the confusion matrix as text: a row a true class, a column a predicted one."""
    names = [str(name)[:12] for name in classes]
    if len(set(names)) < len(names):
        names = [str(name)[-12:] for name in classes]  # long numbers differ at their ends
    width = max(len(str(confusion.max())), *map(len, names)) + 1
    lines = ["rows are the truth, columns the prediction:"]
    lines += [" " * width + "".join(f"{name:>{width}}" for name in names)]
    lines += [
        f"{name:>{width}}" + "".join(f"{count or '.':>{width}}" for count in row)
        for name, row in zip(names, confusion.tolist(), strict=True)
    ]
    return "\n".join(lines)


@dataclass
class Comparison:
    """What a model predicts of rows it has not seen, beside a guess that looks at no input.

    Args:
        truth: class indices or numbers, (N,).
        predicted: the classes' probabilities (N, classes), or numbers (N,).
        guess: the same for every row: the index of a class, or a number.
        guess_text: the guess in words.
        classes: what the indices stand for; empty for a regression.
    """

    truth: np.ndarray
    predicted: np.ndarray
    guess: float
    guess_text: str
    classes: list[Any]

    def __post_init__(self) -> None:
        guesses = np.full(len(self.truth), self.guess)
        if self.classes:
            self.scores = classification_scores(self.truth, self.predicted)
            self.baseline = classification_scores(self.truth, np.eye(len(self.classes))[guesses])
            self.class_scores = class_scores(self.truth, self.predicted.argmax(1), self.classes)
        else:
            self.scores = regression_scores(self.truth, self.predicted)
            self.baseline = regression_scores(self.truth, guesses)
            self.class_scores = []

    @property
    def confusion(self) -> np.ndarray:
        return confusion_matrix(self.truth, self.predicted.argmax(1), len(self.classes))

    def values(self) -> dict[str, Any]:
        """Return the scores by name."""
        test = {f"test_{name}": value for name, value in self.scores.items()}
        baseline = {f"baseline_{name}": value for name, value in self.baseline.items()}
        return {**test, **baseline, "classes": self.class_scores}

    def text(self) -> str:
        """Return the scores, those of the guess, and what there is to know of each class."""
        width = max(12, *(len(f"test_{name}") for name in self.scores))
        lines = [
            f"{f'test_{name}':<{width}} {shown(value):<9} baseline {shown(self.baseline[name])}"
            for name, value in self.scores.items()
        ]
        lines.append(f"baseline     {self.guess_text}")
        if "roc_auc" in self.scores:
            lines.append(f"positive     {self.classes[1]!r}, for the ROC AUC and the average precision")
        if 0 < len(self.classes) <= MOST_SHOWN:
            lines += [class_table(self.class_scores), confusion_text(self.confusion, self.classes)]
        return "\n".join(lines)
