"""Learn to predict one column of a CSV file from the others.

    python scripts/train_csv.py data/files/auto_mpg.csv --target mpg --save mpg.npz
    python scripts/train_csv.py new_cars.csv --predict mpg.npz

A fifth of the rows is kept for the test, and a fifth of the others tells when to stop.
"""

import argparse
import csv
import math
import sys
from dataclasses import dataclass, field
from typing import Any

import common
import numpy as np
from tqdm import tqdm

import nn
import optim
from data import DataLoader, Table, TableEncoder, TensorDataset, read_table

FEWEST_ROWS = 10


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", metavar="FILE", help="a .csv or .csv.gz file with a header")
    parser.add_argument("--target", metavar="COLUMN", help="the column to learn")
    parser.add_argument("--task", choices=("regression", "classification"), help="in place of what the target tells")
    parser.add_argument("--missing", default="refuse", choices=("refuse", "drop", "mean"), help="missing values")
    parser.add_argument("--text", default="drop", choices=("drop", "onehot"), help="text columns")
    parser.add_argument("--exclude", metavar="COLUMN", nargs="+", default=[], help="columns to leave out")
    parser.add_argument("--hidden", type=common.positive_int, nargs="+", default=[256], help="hidden layer widths")
    parser.add_argument("--epochs", type=common.positive_int, default=500, help="at most")
    parser.add_argument("--patience", type=common.positive_int, default=50, help="epochs to wait for a better one")
    parser.add_argument("--batch-size", type=common.positive_int, default=32)
    parser.add_argument("--lr", type=common.non_negative, default=1e-3, help="learning rate")
    parser.add_argument("--weight-decay", type=common.non_negative, default=1e-2)
    parser.add_argument("--seed", type=common.seed, default=0)
    parser.add_argument("--plot", metavar="FILE", help="write a picture of the losses and the test")
    parser.add_argument("--metrics", metavar="FILE", help="write the test's results as JSON")
    parser.add_argument("--save", metavar="FILE", help="write the model, for --predict")
    parser.add_argument("--predict", metavar="MODEL", help="apply a saved model to FILE instead of training")
    parser.add_argument("--out", metavar="FILE", help="where predictions go; standard output by default")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors and predictions")
    args = parser.parse_args(argv)
    if not args.target and not args.predict:
        parser.error("--target COLUMN is needed to train, or --predict MODEL to predict")
    if args.out and not args.predict:
        parser.error("--out belongs to --predict")
    return args


@dataclass
class Predictor:
    """A network with what is around it: table to features in front, outputs to predictions behind."""

    encoder: TableEncoder
    hidden: list[int]
    target_mean: float = 0.0
    target_std: float = 1.0
    generator: Any = None
    model: nn.Sequential = field(init=False)

    def __post_init__(self) -> None:
        outputs = len(self.encoder.classes) if self.classifies else 1
        self.model = common.mlp([len(self.encoder.feature_names), *self.hidden, outputs], self.generator)

    @property
    def classifies(self) -> bool:
        return self.encoder.task == "classification"

    def targets(self, table: Table) -> np.ndarray:
        """Return what the network is to give: class codes, or standardised numbers."""
        y = self.encoder.transform_target(table)
        return y if self.classifies else ((y - self.target_mean) / self.target_std).astype(np.float32)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return class codes (N,), or numbers (N,) in the target's own unit."""
        with nn.no_grad():
            f = self.model(x)
        return f.argmax(1) if self.classifies else f[:, 0] * self.target_std + self.target_mean

    def state_dict(self) -> dict[str, Any]:
        return {
            "encoder": self.encoder.state_dict(),
            "hidden": self.hidden,
            "target_mean": self.target_mean,
            "target_std": self.target_std,
            "model": self.model.state_dict(),
        }

    @classmethod
    def load(cls, path: str) -> "Predictor":
        """Read a saved predictor; end the script if there is none."""
        try:
            state = nn.load(path)
            encoder = TableEncoder.from_state_dict(state["encoder"])
            predictor = cls(encoder, state["hidden"], state["target_mean"], state["target_std"])
            predictor.model.load_state_dict(state["model"])
        except FileNotFoundError:
            common.fail(f"there is no model {path}")
        except (KeyError, TypeError, AttributeError):
            common.fail(f"{path} is no model that this script saved")
        except (OSError, ValueError) as error:
            common.fail(error)
        return predictor


def split(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return row numbers for training, validation and test: 64, 16 and 20 % of them."""
    order = rng.permutation(rows)
    test, rest = np.split(order, [round(0.2 * rows)])
    validation, training = np.split(rest, [round(0.2 * len(rest))])
    return training, validation, test


def train(args: argparse.Namespace) -> None:
    rng = np.random.default_rng(args.seed)
    table = read_table(args.file)
    encoder = TableEncoder(
        table, args.target, task=args.task, missing=args.missing, text=args.text, exclude=args.exclude
    )
    kept = encoder.drop_missing(table)
    if len(kept) < FEWEST_ROWS:
        common.fail(f"{args.file}: expected at least {FEWEST_ROWS} rows to learn from, got {len(kept)}")
    training, validation, test = split(len(kept), rng)
    encoder.fit(kept, training)
    predictor = Predictor(encoder, args.hidden, generator=rng)
    if not predictor.classifies:
        numbers = encoder.transform_target(kept)[training]
        predictor.target_mean, predictor.target_std = float(numbers.mean()), float(numbers.std()) or 1.0
    say = print if not args.quiet else lambda *_: None
    describe(args, table, kept, encoder, say)

    x, y = encoder.transform(kept), predictor.targets(kept)
    history = fit(args, predictor, (x[training], y[training]), (x[validation], y[validation]), rng)
    best = int(np.argmin(history["validation"]))
    say(f"epochs       {len(history['validation'])}, the best on the validation rows is {best + 1}")

    truth, predicted = encoder.transform_target(kept)[test].ravel(), predictor.predict(x[test])
    metrics = score(truth, predicted, predictor.classifies)
    for name, value in metrics.items():
        say(f"{name:<12} {value:.4f}")
    confusion = None
    if predictor.classifies:
        confusion = np.zeros((len(encoder.classes),) * 2, int)
        np.add.at(confusion, (truth, predicted), 1)
        say(confusion_text(confusion, encoder.classes))
    if args.metrics:
        sizes = {"train_rows": len(training), "validation_rows": len(validation), "test_rows": len(test)}
        run = {"task": encoder.task, "epochs": len(history["validation"]), "best_epoch": best + 1, "seed": args.seed}
        common.write_json({**metrics, **run, **sizes}, args.metrics)
    if args.save:
        common.save_state(predictor.state_dict(), args.save)
        say(f"model        {args.save}")
    if args.plot and (figure := draw(args.target, history, truth, predicted, confusion, encoder.classes)):
        common.save_figure(figure, args.plot)
        say(f"picture      {args.plot}")


def describe(args: argparse.Namespace, table: Table, kept: Table, encoder: TableEncoder, say: Any) -> None:
    """Print what was made of the table."""
    inferred = "" if args.task else ", by the look of the target"
    classes = f" of {len(encoder.classes)} classes" if encoder.classes else ""
    say(f"task         {encoder.task}{classes}{inferred} (--task overrides)")
    say(
        f"rows         {len(kept)}"
        + (f", {len(table) - len(kept)} with missing values dropped" * (len(kept) < len(table)))
    )
    say(f"features     {len(encoder.feature_names)} from {len(encoder.inputs)} columns")
    left = [name for name in table.columns if name not in [*encoder.inputs, *args.exclude, args.target]]
    if left:
        say(f"left out     {', '.join(left)} (text; --text onehot makes features of it)")


def fit(
    args: argparse.Namespace,
    predictor: Predictor,
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> dict[str, list[float]]:
    """Train until the validation loss has not fallen for a while, put the best state back, return the losses."""
    model = predictor.model
    criterion = nn.CrossEntropyLoss() if predictor.classifies else nn.MSELoss()
    optimizer = optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    loader = DataLoader(TensorDataset(*training), args.batch_size, shuffle=True, generator=rng)
    history: dict[str, list[float]] = {"training": [], "validation": []}
    best = model.state_dict()
    bar = tqdm(range(args.epochs), unit="epoch", disable=args.quiet or None)
    for epoch in bar:
        for x, y in loader:
            loss = criterion(model(x), y)
            common.stop_unless_finite(loss, model, x, epoch)
            optimizer.zero_grad()
            model.backward(criterion.backward())
            optimizer.step()
        with nn.no_grad():
            history["training"].append(float(criterion(model(training[0]), training[1])))
            history["validation"].append(float(criterion(model(validation[0]), validation[1])))
        bar.set_postfix({name: f"{losses[-1]:.4f}" for name, losses in history.items()}, refresh=False)
        best_epoch = int(np.argmin(history["validation"]))
        if best_epoch == epoch:
            best = model.state_dict()
        elif epoch - best_epoch >= args.patience:
            break
    bar.close()
    model.load_state_dict(best)
    return history


def score(truth: np.ndarray, predicted: np.ndarray, classifies: bool) -> dict[str, float]:
    """Return the accuracy, or the root mean squared error and the share of variance explained."""
    if classifies:
        return {"test_accuracy": float((truth == predicted).mean())}
    residual = truth - predicted
    variance = float(truth.var())
    mean_square = float(np.square(residual, dtype=np.float64).mean())
    return {"test_rmse": math.sqrt(mean_square), "test_r2": 1 - mean_square / variance if variance else math.nan}


def confusion_text(confusion: np.ndarray, classes: list[Any]) -> str:
    """Return the confusion matrix as text: a row a true class, a column a predicted one."""
    names = [str(name)[:12] for name in classes]
    width = max(len(str(confusion.max())), *map(len, names)) + 1
    lines = ["rows are the truth, columns the prediction:"]
    lines += [" " * width + "".join(f"{name:>{width}}" for name in names)]
    lines += [
        f"{name:>{width}}" + "".join(f"{count or '.':>{width}}" for count in row)
        for name, row in zip(names, confusion.tolist(), strict=True)
    ]
    return "\n".join(lines)


def draw(
    target: str,
    history: dict[str, list[float]],
    truth: np.ndarray,
    predicted: np.ndarray,
    confusion: np.ndarray | None,
    classes: list[Any],
) -> Any:
    """Return the picture: the losses on the left, the test rows on the right."""
    figure = common.new_figure(10, 4.5)
    if figure is None:
        return None
    losses, test = figure.subplots(1, 2)
    epochs = range(1, len(history["training"]) + 1)
    for name, color in (("training", "tab:blue"), ("validation", "tab:orange")):
        losses.plot(epochs, history[name], color=color, label=name)
    best = int(np.argmin(history["validation"])) + 1
    losses.axvline(best, color="black", linestyle="--", label=f"best epoch, {best}")
    losses.set(xlabel="epoch", ylabel="loss", yscale="log", title="loss")
    losses.legend()
    if confusion is None:
        low, high = min(truth.min(), predicted.min()), max(truth.max(), predicted.max())
        test.plot([low, high], [low, high], color="black", linestyle="--", label="truth")
        test.scatter(truth, predicted, s=14, color="tab:orange", label=f"{len(truth)} test rows")
        test.set(xlabel=f"{target}, true", ylabel=f"{target}, predicted", title="test")
        test.legend()
        return figure
    test.imshow(np.log1p(confusion), cmap="Blues")
    for (row, column), count in np.ndenumerate(confusion):
        if count and len(classes) <= 20:
            dark = count > confusion.max() / 4
            test.text(column, row, count, ha="center", va="center", color="white" if dark else "black", fontsize=8)
    if len(classes) <= 20:
        test.set_xticks(range(len(classes)), [str(name)[:12] for name in classes], rotation=45 * (len(classes) > 10))
        test.set_yticks(range(len(classes)), [str(name)[:12] for name in classes])
    accuracy = np.trace(confusion) / confusion.sum()
    test.set(xlabel=f"{target}, predicted", ylabel=f"{target}, true", title=f"test accuracy {accuracy:.3f}")
    return figure


def predict(args: argparse.Namespace) -> None:
    """Write the rows of a file with a column of predictions behind the others."""
    predictor = Predictor.load(args.predict)
    encoder = predictor.encoder
    table = read_table(args.file)
    kept = encoder.drop_missing(table, target=False)
    if len(kept) < len(table):
        print(f"{len(table) - len(kept)} rows with missing values have no prediction", file=sys.stderr)
    values = predictor.predict(encoder.transform(kept))
    shown = [encoder.classes[code] for code in values] if predictor.classifies else [f"{value:.6g}" for value in values]
    columns = {**kept.columns, f"predicted_{encoder.target}": shown}
    with common.output(args.out) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


if __name__ == "__main__":
    arguments = parse()
    try:
        (predict if arguments.predict else train)(arguments)
    except FileNotFoundError as error:
        common.fail(f"there is no file {error.filename}")
    except (OSError, ValueError) as error:
        common.fail(error)
    except KeyboardInterrupt:
        sys.exit("interrupted")
