"""Learn to predict one column of a CSV file from the others.

    python scripts/train_csv.py data/files/auto_mpg.csv --target mpg --save mpg.npz
    python scripts/train_csv.py new_cars.csv --predict mpg.npz

A fifth of the rows is kept for the test, and a fifth of the others tells when to stop.
"""

import argparse
import csv
import math
import re
import shlex
import sys
from dataclasses import dataclass, field
from typing import Any

import common
import numpy as np
import pictures
import scores
from tqdm import tqdm

import nn
import optim
from data import DataLoader, Table, TableEncoder, TensorDataset, read_table

FEWEST_ROWS = 10
MOST_CLASSES = 1000  # beyond, the target is no class
FEWEST_ROWS_A_CLASS = 5  # on average; with fewer, a class is hardly learnt
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "blank": " "}
FLAGS = ("missing", "text", "text_columns", "exclude", "include", "task", "sep", "decimal", "encoding", "na")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", metavar="FILE", help="a CSV file with a header, plain or compressed by gzip")
    parser.add_argument("--target", metavar="COLUMN", help="the column to learn")
    parser.add_argument("--task", choices=("regression", "classification"), help="in place of what the target tells")
    parser.add_argument("--predict", metavar="MODEL", help="apply a saved model to FILE instead of training")

    file = parser.add_argument_group("how the file is written, in place of what it looks like")
    words = ", ".join(SEPARATORS)
    file.add_argument("--sep", type=separator, help=f"what separates its fields: a character, or one of {words}")
    file.add_argument("--decimal", choices=(".", ","), help="its decimal sign")
    file.add_argument("--encoding", help="as Python names it, such as utf-8 or latin-1")
    file.add_argument("--na", metavar="WORD", nargs="+", default=[], help="further words for a missing value")

    columns = parser.add_argument_group("what becomes of its columns")
    columns.add_argument("--missing", default="refuse", choices=("refuse", "drop", "mean"), help="missing values")
    columns.add_argument("--text", default="drop", choices=("drop", "onehot"), help="text columns")
    names = {"metavar": "COLUMN", "nargs": "+", "default": []}
    columns.add_argument("--text-columns", **names, help="columns that are text, though they may look like numbers")
    columns.add_argument("--exclude", **names, help="columns to leave out")
    columns.add_argument("--include", **names, help="columns to use that would be left out: ids, dates, names")

    training = parser.add_argument_group("training")
    training.add_argument("--hidden", type=common.positive_int, nargs="+", default=[256], help="hidden layer widths")
    training.add_argument("--epochs", type=common.positive_int, default=500, help="at most (default: 500)")
    training.add_argument("--patience", type=common.positive_int, default=50, help="epochs to wait for a better one")
    training.add_argument("--batch-size", type=common.positive_int, default=32)
    training.add_argument("--lr", type=common.non_negative, default=1e-3, help="learning rate")
    training.add_argument("--weight-decay", type=common.non_negative, default=1e-2)
    training.add_argument("--class-weight", choices=("balanced",), help="give rare classes as much weight as frequent")
    training.add_argument("--seed", type=common.seed, default=0)
    training.add_argument("--compile", action="store_true", help="take training steps in C")

    output = parser.add_argument_group("output")
    output.add_argument("--plot", metavar="FILE", help="write a picture of the losses and the test")
    output.add_argument("--metrics", metavar="FILE", help="write the test's results as JSON")
    output.add_argument("--save", metavar="FILE", help="write the model, for --predict")
    output.add_argument("--export-c", metavar="FILE.c", help="write the model as a C file that predicts and learns")
    output.add_argument("--out", metavar="FILE", help="where predictions go; standard output by default")
    output.add_argument("--proba", action="store_true", help="predict the probability of each class, too")
    output.add_argument("--quiet", action="store_true", help="print nothing but errors and predictions")
    args = parser.parse_args(argv)
    if not args.target and not args.predict:
        parser.error("--target COLUMN is needed to train, or --predict MODEL to predict")
    common.check_paths(
        parser,
        reads={"FILE": args.file, "--predict": args.predict},
        writes={
            "--plot": args.plot,
            "--metrics": args.metrics,
            "--save": args.save,
            "--export-c": args.export_c,
            "the header of --export-c": args.export_c and re.sub(r"\.c$", ".h", args.export_c),
            "--out": args.out,
        },
    )
    if args.export_c and args.predict:
        parser.error("--export-c belongs to training, not to --predict")
    if args.export_c and not args.export_c.endswith(".c"):
        parser.error(f"--export-c expects a file that ends in .c, got {args.export_c}")
    for flag in ("out", "proba"):
        if getattr(args, flag) and not args.predict:
            parser.error(f"--{flag} belongs to --predict")
    return args


def separator(text: str) -> str:
    """Read an argument that is one character, or the word for one."""
    sep = SEPARATORS.get(text, text)
    if len(sep) != 1 or sep in '\r\n"':
        raise argparse.ArgumentTypeError(f"expected one character or {', '.join(SEPARATORS)}, got {text!r}")
    return sep


def read(args: argparse.Namespace) -> Table:
    return read_table(args.file, sep=args.sep, decimal=args.decimal, encoding=args.encoding, na=args.na)


def as_flags(message: object) -> str:
    """Return an error of the package with its arguments as this script's flags, which have the same names."""

    def flag(match: re.Match) -> str:
        return f"--{match['name'].replace('_', '-')} {shlex.quote(match['value'])}"

    names = "|".join(FLAGS)
    text = re.sub(rf"\b(?P<name>{names})=\[?(?P<quote>['\"])(?P<value>.*?)(?P=quote)\]?", flag, str(message))
    return re.sub(rf"\b(which|without) ({names})\b", r"\1 --\2", text)


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

    def fit_target(self, y: np.ndarray) -> None:
        """Learn the mean and the standard deviation of the target's numbers, from the training rows."""
        varies = np.ptp(y) > 0 and y.std() > np.finfo(np.float32).tiny
        self.target_mean, self.target_std = float(y.mean()), float(y.std()) if varies else 1.0

    def targets(self, y: np.ndarray) -> np.ndarray:
        """Return what the network is to give for y: class codes, or standardised numbers."""
        return y if self.classifies else ((y - self.target_mean) / self.target_std).astype(np.float32)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the classes' probabilities (N, classes), or numbers (N,) in the target's own unit; float64."""
        with nn.no_grad():
            f = self.model(x).astype(np.float64)
        return nn.Softmax(1)(f) if self.classifies else f[:, 0] * self.target_std + self.target_mean

    def export_c(self, path: str, criterion: nn.Loss, optimizer: optim.Optimizer) -> None:
        """Write a C file that predicts from raw rows, and goes on learning."""
        after: dict[str, Any] = {"name": self.encoder.target, "mean": self.target_mean, "std": self.target_std}
        if self.classifies:
            after = {"name": self.encoder.target, "classes": self.encoder.classes}
        example = np.zeros((1, len(self.encoder.feature_names)), np.float32)
        tools = {"criterion": criterion, "optimizer": optimizer}
        nn.export_c(self.model, example, path, before=self.encoder.columns(), after=after, **tools)

    def state_dict(self) -> dict[str, Any]:
        return {
            "encoder": self.encoder.state_dict(),
            "target_mean": self.target_mean,
            "target_std": self.target_std,
            "model": self.model.state_dict(),
        }

    @classmethod
    def load(cls, path: str) -> "Predictor":
        """Read a saved predictor; end the script if there is none."""
        try:
            state = nn.load(path)
        except FileNotFoundError:
            common.fail(f"there is no model {path}")
        except (OSError, ValueError) as error:
            common.fail(error)
        try:
            encoder = TableEncoder.from_state_dict(state["encoder"])
            mean, std = state["target_mean"], state["target_std"]
            plain = type(mean) is type(std) is float and math.isfinite(mean) and 0 < std < math.inf
            if not plain or not encoder.mean.size:
                raise ValueError("its means and standard deviations are none")
            widths = [len(array) for name, array in state["model"].items() if name.endswith("bias")]
            predictor = cls(encoder, widths[:-1], mean, std)
            predictor.model.load_state_dict(state["model"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            common.fail(f"{path} is no model that this script saved ({type(error).__name__}: {error})")
        return predictor


def split(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return row numbers for training, validation and test: 64, 16 and 20 % of them."""
    order = rng.permutation(rows)
    test, rest = np.split(order, [round(0.2 * rows)])
    validation, training = np.split(rest, [round(0.2 * len(rest))])
    return training, validation, test


def train(args: argparse.Namespace) -> None:
    rng = np.random.default_rng(args.seed)
    say = common.say if not args.quiet else lambda *_: None
    table = read(args)
    columns = {"text_columns": args.text_columns, "exclude": args.exclude, "include": args.include}
    encoder = TableEncoder(table, args.target, task=args.task, missing=args.missing, text=args.text, **columns)
    kept = encoder.drop_missing(table)
    if len(kept) < FEWEST_ROWS:
        common.fail(f"{args.file}: expected at least {FEWEST_ROWS} rows to learn from, got {len(kept)}")
    if len(encoder.classes) > MOST_CLASSES:
        many = f"{len(encoder.classes)} classes, more than {MOST_CLASSES}"
        common.fail(f"{args.file}: {args.target!r} has {many}: is it the --target, and a class?")
    if args.class_weight and encoder.task == "regression":
        common.fail("--class-weight belongs to a classification (--task classification makes it one)")
    training, validation, test = split(len(kept), rng)
    encoder.fit(kept, training)
    y = encoder.transform_target(kept)
    predictor = Predictor(encoder, args.hidden, generator=rng)
    if not predictor.classifies:
        predictor.fit_target(y[training])
    say(description(args, table, kept, encoder))

    x, targets = encoder.transform(kept), predictor.targets(y)
    trainer = make_trainer(args, predictor, targets[training])
    history = fit(args, predictor, trainer, (x[training], targets[training]), (x[validation], targets[validation]), rng)
    best = int(np.argmin(history["validation"])) + 1

    comparison = compare(predictor, x[test], y[test], y[training])
    notes = [*remarks(args, y, history, comparison.class_scores), *beyond(comparison.predicted)]
    report = [
        f"epochs       {len(history['validation'])}, the best on the validation rows is {best}",
        comparison.text(),
    ]
    report += [f"note         {note}" for note in notes]
    if args.metrics:
        run = {"task": encoder.task, "epochs": len(history["validation"]), "best_epoch": best, "seed": args.seed}
        sizes = {"train_rows": len(training), "validation_rows": len(validation), "test_rows": len(test)}
        common.write_json({**comparison.values(), **run, **sizes, "notes": notes}, args.metrics)
    if args.save:
        common.save_state(predictor.state_dict(), args.save)
        report.append(f"model        {args.save}")
    if args.export_c:
        predictor.export_c(args.export_c, *trainer)
        report.append(f"C file       {args.export_c}, and a header beside it")
    if args.plot and (figure := pictures.draw_table(args.target, history, comparison)):
        common.save_figure(figure, args.plot)
        report.append(f"picture      {args.plot}")
    say("\n".join(report))


def compare(predictor: Predictor, x: np.ndarray, y: np.ndarray, y_training: np.ndarray) -> scores.Comparison:
    """Return how the predictions of x compare with y, beside the most frequent class or the mean in training."""
    classes, predicted = predictor.encoder.classes, predictor.predict(x)
    if classes:
        usual = int(np.bincount(y_training).argmax())
        text = f"always {classes[usual]!r}, the most frequent class of the training rows"
        return scores.Comparison(y, predicted, usual, text, classes)
    mean = predictor.target_mean
    return scores.Comparison(y[:, 0], predicted, mean, f"always {mean:.10g}, the mean of the training rows", [])


def description(args: argparse.Namespace, table: Table, kept: Table, encoder: TableEncoder) -> str:
    """Return what was made of the table, as text."""
    inferred = "" if args.task else ", by the look of the target"
    classes = f" of {len(encoder.classes)} classes" if encoder.classes else ""
    dropped = f", {len(table) - len(kept)} with missing values dropped" * (len(kept) < len(table))
    lines = [
        f"task         {encoder.task}{classes}{inferred} (--task overrides)",
        f"rows         {len(kept)}{dropped}",
        f"features     {len(encoder.feature_names)} from {len(encoder.inputs)} columns",
    ]
    names = {sep: word for word, sep in SEPARATORS.items()} | {".": "point"}
    sep, decimal, encoding = table.dialect
    if (sep, decimal, encoding) != (",", ".", "utf-8"):
        written = f"separator {names.get(sep, sep)}, decimal {names[decimal]}, encoding {encoding}"
        lines.insert(0, f"file         {written} (--sep, --decimal, --encoding override)")
    for reason in dict.fromkeys(encoder.left_out.values()):
        left = ", ".join(name for name, why in encoder.left_out.items() if why == reason)
        advice = "--text onehot makes features of it" if reason == "text" else "--include uses it"
        lines.append(f"left out     {left} ({reason}; {advice})")
    return "\n".join(lines)


def remarks(
    args: argparse.Namespace, y: np.ndarray, history: dict[str, list[float]], classes: list[dict[str, Any]]
) -> list[str]:
    """Return what a reader of the scores had better know."""
    found = []
    if not np.ptp(y):
        found.append(f"{args.target} has one value in all rows: there is nothing to learn")
    elif classes and len(y) < FEWEST_ROWS_A_CLASS * len(classes):
        found.append(
            f"{len(classes)} classes in {len(y)} rows: is {args.target} a name, or a number (--task regression)?"
        )
    never = [str(row["class"]) for row in classes if row["rows"] and not row["predicted"]]
    if never:
        advice = "" if args.class_weight else "; --class-weight balanced gives rare classes more weight"
        found.append(f"never predicted, though there in the test rows: {', '.join(never[:10])}{advice}")
    if len(history["validation"]) == args.epochs and int(np.argmin(history["validation"])) == args.epochs - 1:
        found.append(f"the validation loss was still falling at the last epoch: try --epochs {2 * args.epochs}")
    return found


def beyond(predicted: np.ndarray) -> list[str]:
    """Return in words how many predictions are not finite, if any."""
    count = int((~np.isfinite(predicted.reshape(len(predicted), -1)).all(axis=1)).sum())
    return (
        [f"{count} of {len(predicted)} predictions are not finite: those rows lie far beyond the training rows"]
        if count
        else []
    )


def make_trainer(
    args: argparse.Namespace, predictor: Predictor, targets: np.ndarray
) -> tuple[nn.Loss, optim.Optimizer]:
    """Return the loss and the optimizer."""
    weight = None
    if args.class_weight:
        counts = np.bincount(targets, minlength=len(predictor.encoder.classes))
        weight = len(targets) / (len(counts) * np.maximum(counts, 1))
    criterion = nn.CrossEntropyLoss(weight=weight) if predictor.classifies else nn.MSELoss()
    return criterion, optim.AdamW(predictor.model.parameters(), lr=args.lr, weight_decay=args.weight_decay)


def fit(
    args: argparse.Namespace,
    predictor: Predictor,
    trainer: tuple[nn.Loss, optim.Optimizer],
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> dict[str, list[float]]:
    """Train until the validation loss has not fallen for a while, put the best state back, return the losses."""
    model = predictor.model
    criterion, optimizer = trainer
    compiled = nn.compile(model, criterion, optimizer) if args.compile else None
    loader = DataLoader(TensorDataset(*training), args.batch_size, shuffle=True, generator=rng)
    history: dict[str, list[float]] = {"training": [], "validation": []}
    best = model.state_dict()
    bar = tqdm(range(args.epochs), unit="epoch", disable=args.quiet or None)
    for epoch in bar:
        for x, y in loader:
            if compiled:
                common.stop_unless_finite(compiled(x, y), model, x, epoch)
                continue
            loss = criterion(model(x), y)
            common.stop_unless_finite(loss, model, x, epoch)
            optimizer.zero_grad()
            model.backward(criterion.backward())
            optimizer.step()
        for name, (x, y) in (("training", training), ("validation", validation)):
            with nn.no_grad():
                loss = criterion(model(x), y)
            common.stop_unless_finite(loss, model, x, epoch)
            history[name].append(float(loss))
        bar.set_postfix({name: f"{losses[-1]:.4f}" for name, losses in history.items()}, refresh=False)
        best_epoch = int(np.argmin(history["validation"]))
        if best_epoch == epoch:
            best = model.state_dict()
        elif epoch - best_epoch >= args.patience:
            break
    bar.close()
    model.load_state_dict(best)
    return history


def predict(args: argparse.Namespace) -> None:
    """Write every row of a file with its prediction behind, and what had to be filled in for it."""
    predictor = Predictor.load(args.predict)
    encoder = predictor.encoder
    if args.proba and not predictor.classifies:
        common.fail(f"--proba belongs to a classification, and {args.predict} is a regression")
    table = read(args)
    gaps = encoder.gaps(table)
    predicted = predictor.predict(encoder.transform(table, strict=False))

    def text(value: Any) -> str:
        return value if isinstance(value, str) else str(value).replace(".", table.dialect.decimal)

    columns = dict(table.columns)
    if predictor.classifies:
        columns[unused(f"predicted_{encoder.target}", columns)] = [
            text(encoder.classes[code]) for code in predicted.argmax(1)
        ]
        for label, probabilities in zip(encoder.classes, predicted.T, strict=True):
            if args.proba:
                columns[unused(f"probability_{label}", columns)] = [text(float(f"{p:.6g}")) for p in probabilities]
    else:
        columns[unused(f"predicted_{encoder.target}", columns)] = [text(value) for value in predicted.tolist()]
    columns[unused("filled_in", columns)] = gaps
    with common.output(args.out) as file:
        writer = csv.writer(file, delimiter=table.dialect.sep, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    for note in beyond(predicted):
        print(note, file=sys.stderr)
    if any(gaps):
        count = sum(map(bool, gaps))
        filled = "the mean of the training rows stands in, as column filled_in tells"
        print(f"{count} of {len(table)} rows lack a value or have an unknown one: {filled}", file=sys.stderr)


def unused(name: str, columns: dict[str, list[str]]) -> str:
    """Return a name that no column of the user's has."""
    while name in columns:
        name += "_"
    return name


def main() -> None:
    args = parse()
    try:
        (predict if args.predict else train)(args)
    except FileNotFoundError as error:
        common.fail(f"there is no file {error.filename}")
    except ValueError as error:
        common.fail(as_flags(error))


if __name__ == "__main__":
    common.run(main)
