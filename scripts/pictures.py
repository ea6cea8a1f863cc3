"""The pictures of training runs: in each, a colour means one thing, and no line hides another."""

import math
from typing import Any

import common
import numpy as np
import scores

BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14), "frameon": False, "columnspacing": 1}  # of the axes
BROAD = {"linewidth": 4, "alpha": 0.4}  # a pale line below a narrow one: both are seen where they run together


def draw_table(target: str, history: dict[str, list[float]], comparison: scores.Comparison) -> Any:
    """Return the picture of a run of train_csv.py: the losses on the left, the test rows on the right."""
    figure = common.new_figure(8.4, 4.2)
    if figure is None:
        return None
    classes, truth, predicted = comparison.classes, comparison.truth, comparison.predicted
    target = target.replace("$", r"\$")[:30]
    losses, test = figure.subplots(1, 2)
    epochs = range(1, len(history["training"]) + 1)
    best = int(np.argmin(history["validation"]))
    losses.plot(epochs, history["training"], color="tab:blue", label="training", **BROAD)
    losses.plot(epochs, history["validation"], color="tab:orange", linewidth=1.5, label="validation")
    losses.plot(best + 1, history["validation"][best], "o", color="tab:orange", label=f"best epoch, {best + 1}")
    losses.set(xlabel="epoch", ylabel="cross-entropy" if classes else "squared error / variance", title="loss")
    if min(map(min, history.values())) > 0:
        losses.set_yscale("log")
    losses.xaxis.get_major_locator().set_params(integer=True)
    losses.legend(ncols=3, **BELOW)
    name = next(iter(comparison.scores))
    value, baseline = (scores.shown(values[name]) for values in (comparison.scores, comparison.baseline))
    title = f"test {'accuracy' if classes else 'RMSE'} {value}, baseline {baseline}"
    if classes:
        show_confusion(test, comparison.confusion, classes)
        test.set(xlabel=f"{target}, predicted", ylabel=f"{target}, true", title=title)
        return figure
    low, high = min(truth.min(), predicted.min()), max(truth.max(), predicted.max())
    test.scatter(truth, predicted, s=14, color="tab:green", alpha=0.6, label=f"{len(truth)} test rows")
    test.plot([low, high], [low, high], color="black", linewidth=1, linestyle="--", label="predicted = true")
    test.set(xlabel=f"{target}, true", ylabel=f"{target}, predicted", title=title)
    test.legend(ncols=2, **BELOW)
    return figure


def show_confusion(axes: Any, confusion: np.ndarray, classes: list[Any]) -> None:
    """Draw a confusion matrix; with its counts and names where there is room for them."""
    axes.imshow(np.log1p(confusion), cmap="Greens")
    if len(classes) > scores.MOST_SHOWN:
        return
    for (row, column), count in np.ndenumerate(confusion):
        if count:
            dark = np.log1p(count) > 0.6 * np.log1p(confusion.max())
            axes.text(column, row, count, ha="center", va="center", color="white" if dark else "black", fontsize=8)
    names = [str(name).replace("$", r"\$")[:12] for name in classes]
    upright = len(classes) > 10 or max(map(len, names)) > 30 / len(classes)
    axes.set_xticks(range(len(classes)), names, rotation=90 * upright)
    axes.set_yticks(range(len(classes)), names)


def draw_toy(
    layers: list[int],
    samples: tuple[np.ndarray, np.ndarray],
    fit: tuple[np.ndarray, np.ndarray],
    function: tuple[str, np.ndarray],
    history: dict[str, list[float]],
    floor: float,
) -> Any:
    """Return the picture of a run of train_toy.py: the samples and the fit on the left, both losses on the right.

    Args:
        layers: the widths.
        samples: x and y of the training samples.
        fit: a grid, and what the network gives there.
        function: the true function's name, and its values on the grid.
        history: the losses on training and test samples.
        floor: what no loss on new samples can fall below; 0 for nothing to show.
    """
    figure = common.new_figure(8.4, 4)
    if figure is None:
        return None
    left, right = figure.subplots(1, 2)
    grid, f = fit
    name, truth = function
    left.scatter(*samples, s=6, color="0.75", label=f"{len(samples[0])} samples", rasterized=True)
    left.plot(grid, f, color="tab:green", linewidth=4, alpha=0.7, label="fit")
    left.plot(grid, truth, color="black", linewidth=1, linestyle="--", label=f"truth: {name}")
    left.set(xlabel="x", ylabel="y", title="-".join(map(str, layers)) + " ReLU network")
    left.legend(ncols=3, **BELOW)
    epochs = range(1, len(history["train_loss"]) + 1)
    right.plot(epochs, history["train_loss"], color="tab:blue", label="train", **BROAD)
    right.plot(epochs, history["test_loss"], color="tab:orange", linewidth=1, label="test")
    title = f"test loss {scores.shown(history['test_loss'][-1])}"
    if floor:
        right.axhline(floor, color="tab:red", linestyle=":", label="noise floor ½ σ²")
        title += f", noise floor {scores.shown(floor)}"
    right.set(xlabel="epoch", ylabel="J, mean over samples", yscale="log", title=title)
    right.legend(ncols=3, **BELOW)
    return figure


MISTAKES = 15  # that are shown, in rows of five


def draw_images(
    history: dict[str, list[float]],
    best: int,
    smoothing: float,
    comparison: scores.Comparison,
    images: np.ndarray,
    filters: np.ndarray,
) -> Any:
    """Return the picture of a run of train_images.py: losses, confusion matrix, the worst mistakes, the first filters.

    Args:
        history: the losses and accuracies on training and validation images.
        best: the epoch whose weights were taken, from 0.
        smoothing: of the labels, which keeps the loss above zero.
        comparison: of the test images.
        images: the test images, (N, C, H, W).
        filters: the first layer's weight, (O, C, K, K).
    """
    figure = common.new_figure(8.4, 8.6)
    if figure is None:
        return None
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.05])
    losses, test = above.subplots(1, 2)
    epochs = range(1, len(history["training"]) + 1)
    losses.plot(epochs, history["training"], color="tab:blue", label="training", **BROAD)
    losses.plot(epochs, history["validation"], color="tab:orange", linewidth=1.5, label="validation")
    losses.plot(best + 1, history["validation"][best], "o", color="tab:orange", label=f"best epoch, {best + 1}")
    smoothed = f", labels smoothed by {smoothing:g}" * bool(smoothing)
    losses.set(xlabel="epoch", ylabel=f"cross-entropy{smoothed}", title="loss")
    losses.xaxis.get_major_locator().set_params(integer=True)
    losses.legend(ncols=3, fontsize=8, **BELOW)
    classes = [str(name).replace("$", r"\$")[:12] for name in comparison.classes]
    show_confusion(test, comparison.confusion, comparison.classes)
    title = f"test accuracy {scores.shown(comparison.scores['accuracy'])}"
    test.set(xlabel="predicted", ylabel="true", title=title)

    left, right = below.subfigures(1, 2, width_ratios=[1.7, 1])
    predicted = comparison.predicted.argmax(1)
    wrong = np.flatnonzero(predicted != comparison.truth)
    worst = wrong[np.argsort(comparison.predicted[wrong, comparison.truth[wrong]])][:MISTAKES]
    left.suptitle(f"the worst of {len(wrong)} mistakes in {len(predicted)}: true → taken for", fontsize=11)
    for axes, row in zip(_grid(left, MISTAKES, 5), worst, strict=False):
        axes.imshow(_pixels(images[row]), cmap="gray", interpolation="nearest")
        names = f"{classes[comparison.truth[row]]} → {classes[predicted[row]]}"
        axes.set_title(f"{names}\n{comparison.predicted[row, predicted[row]]:.0%}", fontsize=9)
    right.suptitle(f"the first layer's {len(filters)} filters", fontsize=11)
    columns = math.ceil(math.sqrt(len(filters)))
    for axes, each in zip(_grid(right, len(filters), columns), filters, strict=False):
        largest = np.abs(each).max() or 1
        show = {"cmap": "RdBu", "vmin": -largest, "vmax": largest} if len(each) != 3 else {}
        axes.imshow(_pixels(each if len(each) != 3 else 0.5 + 0.5 * each / largest), interpolation="nearest", **show)
    return figure


def _grid(figure: Any, count: int, columns: int) -> list[Any]:
    """Return axes without ticks or frames, row by row."""
    axes = list(np.ravel(figure.subplots(math.ceil(count / columns), columns, squeeze=False)))
    for each in axes:
        each.set_axis_off()
    return axes


def _pixels(image: np.ndarray) -> np.ndarray:
    """Return an image (C, H, W) as it is shown: of three channels in colour from 0 to 1, else the first of them."""
    if len(image) != 3:
        return image[0]
    image = image.transpose(1, 2, 0)
    return image / 255 if image.max() > 1 else image
