"""Learn to tell images apart with a small convolutional network.

    python scripts/train_images.py --plot images.png --save digits.npz
    python scripts/train_images.py --data my_pictures --save mine.npz
    python scripts/train_images.py --predict mine.npz new_pictures

The first takes the 10,000 test images of MNIST, which are shipped. A fifth of the images is held out and scored once,
in the end; an eighth of the others, the validation images, tells which epoch's weights are the best.
"""

import argparse
import copy
import csv
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import common
import numpy as np
import pictures
import scores
from tqdm import tqdm

import nn
import optim
from data import (
    DataLoader,
    ImageSet,
    TensorDataset,
    augment,
    idx_files,
    image_files,
    load_digits,
    load_mnist,
    read_idx,
    read_image,
    read_images,
)

FEWEST_IMAGES = 20
FEWEST_IMAGES_A_CLASS = 10  # on average; with fewer, a class is hardly learnt
SHIFTED = 14  # an image is shifted by one pixel for so many of its side: none of 8, two of 28
SECONDS_BETWEEN_SAVES = 1.0  # of the checkpoint, at the end of an epoch
HISTORY = ("training", "validation", "training_accuracy", "validation_accuracy")  # losses without a word of it
AT_ONCE = 500  # images whose class is predicted in one go
# What makes a run what it is: a checkpoint is only resumed under the same.
IDENTITY = ("data", "channels", "epochs", "batch_size", "lr", "label_smoothing", "shift", "flip", "seed")


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", help="with --predict: the images to tell apart, picture or IDX files"
    )
    parser.add_argument(
        "--data",
        default="mnist",
        metavar="mnist|digits|FOLDER",
        help="what to learn: a set that is shipped, or a folder with IDX files or with a folder of PNG files for each "
        "class (default: mnist)",
    )
    parser.add_argument("--predict", metavar="MODEL", help="apply a saved model to FOLDER instead of training")

    training = parser.add_argument_group("training")
    training.add_argument(
        "--channels", type=common.positive_int, nargs="+", default=[16, 32, 64], help="of each convolution"
    )
    training.add_argument("--epochs", type=common.positive_int, default=40)
    training.add_argument("--batch-size", type=common.positive_int, default=32)
    training.add_argument("--lr", type=common.non_negative, default=2e-3, help="learning rate at the start; falls to 0")
    training.add_argument("--label-smoothing", type=share, default=0.1, help="of the loss in training (default: 0.1)")
    training.add_argument(
        "--shift",
        type=whole_number,
        metavar="PIXELS",
        help="move each image by up to so many, anew in each epoch (default: a fourteenth of the smaller side)",
    )
    training.add_argument("--flip", action="store_true", help="mirror every other image, where left and right are one")
    training.add_argument("--seed", type=common.seed, default=0, help="of the split, the first weights and the order")

    output = parser.add_argument_group("output")
    output.add_argument("--plot", metavar="FILE", help="write a picture of the losses, the mistakes and the filters")
    output.add_argument("--metrics", metavar="FILE", help="write the test's results as JSON")
    output.add_argument("--save", metavar="FILE", help="write the model, for --predict")
    output.add_argument("--checkpoint", metavar="FILE", help="save the run here at the end of each epoch")
    output.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    output.add_argument("--out", metavar="FILE", help="where predictions go; standard output by default")
    output.add_argument("--quiet", action="store_true", help="print nothing but errors and predictions")
    args = parser.parse_args(argv)
    common.check_paths(
        parser,
        reads={"--data": args.data, "--predict": args.predict, "FOLDER": args.folder},
        writes={
            "--plot": args.plot,
            "--metrics": args.metrics,
            "--save": args.save,
            "--checkpoint": args.checkpoint,
            "--out": args.out,
        },
    )
    if bool(args.folder) != bool(args.predict):
        parser.error("--predict MODEL FOLDER belong together; --data FOLDER names what to learn")
    if args.out and not args.predict:
        parser.error("--out belongs to --predict")
    if args.resume and not args.checkpoint:
        parser.error("--resume needs --checkpoint FILE")
    return args


def share(text: str) -> float:
    """Read an argument that is a part of one."""
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 0 and below 1, got {text}")
    return value


def whole_number(text: str) -> int:
    """Read an argument that counts something, or says that there is none."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text}")
    return value


def load(name: str) -> ImageSet:
    """Return the images to learn from."""
    if name not in ("mnist", "digits"):
        if not os.path.isdir(name):
            common.fail(f"--data {name}: expected mnist, digits or a folder of images, and there is no folder {name}")
        return read_images(name)
    x, y = load_mnist() if name == "mnist" else load_digits()
    x *= 255 / x.max()  # as picture files have it
    side = math.isqrt(x[0].size)
    names = [f"{name}[{row}]" for row in range(len(x))]
    return ImageSet(x.reshape(-1, 1, side, side), y, list(map(str, range(10))), names, np.zeros(len(x), bool))


def cnn(shape: tuple[int, ...], channels: list[int], classes: int, generator: Any = None) -> nn.Sequential:
    """Return convolution, normalisation, ReLU and pooling for each number of channels, and a linear map to the classes.

    Each pooling halves the height and the width.
    """
    inputs, height, width = shape
    layers: list[nn.Module] = []
    for outputs in channels:
        layers += [
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False, generator=generator),
            nn.BatchNorm2d(outputs),  # its own bias makes one of the convolution needless
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
        inputs, height, width = outputs, height // 2, width // 2
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * height * width, classes, generator=generator))
    model.needs_input_grad = False  # nobody asks for the gradient of the images
    return model


@dataclass
class Classifier:
    """A network with what is around it: pixels to inputs in front, outputs to probabilities behind.

    Args:
        shape: of an image: channels, height, width.
        classes: their names.
        channels: of the network's convolutions.
        mean: of the training images' pixels, a number a channel.
        std: their standard deviation.
        generator: where the network's first weights are drawn from.
    """

    shape: tuple[int, ...]
    classes: list[str]
    channels: list[int]
    mean: np.ndarray
    std: np.ndarray
    generator: Any = None
    model: nn.Sequential = field(init=False)

    def __post_init__(self) -> None:
        self.model = cnn(self.shape, self.channels, len(self.classes), self.generator)

    def inputs(self, images: np.ndarray) -> np.ndarray:
        """Return what the network is given for images: their pixels, standardised."""
        return (images - self.mean[:, None, None]) / self.std[:, None, None]

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Return what the network gives for images, as it predicts; it stays as it is for training."""
        self.model.eval()
        with nn.no_grad():
            starts = range(0, len(images), AT_ONCE)
            outputs = [self.model(self.inputs(images[start : start + AT_ONCE])) for start in starts]
        self.model.train()
        return np.concatenate(outputs)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return the classes' probabilities, (N, classes), float64."""
        return nn.Softmax(1)(self.outputs(images).astype(np.float64))

    def state_dict(self) -> dict[str, Any]:
        return {
            "shape": list(self.shape),
            "classes": self.classes,
            "channels": self.channels,
            "mean": self.mean,
            "std": self.std,
            "model": self.model.state_dict(),
        }

    @classmethod
    def load(cls, path: str) -> "Classifier":
        """Read a saved classifier; end the script if there is none."""
        try:
            state = nn.load(path)
        except FileNotFoundError:
            common.fail(f"there is no model {path}")
        except (OSError, ValueError) as error:
            common.fail(error)
        try:
            mean, std = (np.asarray(state[name], np.float32) for name in ("mean", "std"))
            shape, classes = tuple(state["shape"]), list(state["classes"])
            if not (len(shape) == 3 and mean.shape == std.shape == shape[:1]):
                raise ValueError("its means and standard deviations are not those of its images")
            if not (np.isfinite(mean).all() and (std > 0).all() and np.isfinite(std).all()):
                raise ValueError("its means and standard deviations are none")
            classifier = cls(shape, classes, list(state["channels"]), mean, std)
            classifier.model.load_state_dict(state["model"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            common.fail(f"{path} is no model that this script saved ({type(error).__name__}: {error})")
        return classifier


def split(held_out: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return numbers of images for training, validation and test: 70, 10 and 20 % of them, or those held out."""
    order = rng.permutation(len(held_out))
    if held_out.all() or not held_out.any():
        test, rest = np.split(order, [round(0.2 * len(order))])
    else:
        test, rest = order[held_out[order]], order[~held_out[order]]
    validation, training = np.split(rest, [round(0.125 * len(rest))])
    return training, validation, test


def check(args: argparse.Namespace, images: ImageSet) -> None:
    """End the script where there is nothing to learn from the images."""
    count, classes = int((~images.held_out).sum()) or len(images.images), len(images.classes)
    if count < FEWEST_IMAGES:
        common.fail(f"--data {args.data}: expected at least {FEWEST_IMAGES} images to learn from, got {count}")
    if classes < 2:
        common.fail(f"--data {args.data}: expected images of two classes or more, got only {images.classes[0]!r}")
    height, width = images.images.shape[2:]
    if min(height, width) >> len(args.channels) < 1:
        common.fail(
            f"--data {args.data}: {len(args.channels)} poolings, a --channels number each, halve images of {height} x "
            f"{width} pixels to nothing; expected at least {2 ** len(args.channels)} x {2 ** len(args.channels)}"
        )


def train(args: argparse.Namespace) -> None:
    start = time.perf_counter()
    rng = np.random.default_rng(args.seed)
    say = common.say if not args.quiet else lambda *_: None
    images = load(args.data)
    check(args, images)
    x, y = images.images, images.labels
    if args.shift is None:
        args.shift = min(x.shape[2:]) // SHIFTED
    training, validation, test = split(images.held_out, rng)
    mean, std = x[training].mean((0, 2, 3)), x[training].std((0, 2, 3))
    classifier = Classifier(x.shape[1:], images.classes, args.channels, mean, np.where(std > 0, std, 1), rng)
    say(
        f"images       {len(x)} of {' x '.join(map(str, x.shape[1:]))}, {len(images.classes)} classes\n"
        f"split        {len(training)} for training, {len(validation)} for validation, {len(test)} held out"
    )
    history = fit(args, classifier, (x[training], y[training]), (x[validation], y[validation]), rng)
    best = best_epoch(history) + 1

    usual = int(np.bincount(y[training]).argmax())
    guess = f"always {images.classes[usual]!r}, the most frequent class of the training images"
    comparison = scores.Comparison(y[test], classifier.predict(x[test]), usual, guess, images.classes)
    notes = remarks(y, comparison.class_scores)
    seconds = time.perf_counter() - start
    epochs = len(history["validation"])
    report = [
        f"epochs       {epochs}, the best on the validation images is {best}; {seconds:.0f} s",
        comparison.text(),
        *(f"note         {note}" for note in notes),
    ]
    if args.metrics:
        run = {"task": "classification", "epochs": epochs, "best_epoch": best, "seed": args.seed}
        sizes = {"train_rows": len(training), "validation_rows": len(validation), "test_rows": len(test)}
        common.write_json({**comparison.values(), **run, **sizes, "notes": notes}, args.metrics)
    if args.save:
        common.save_state(classifier.state_dict(), args.save)
        report.append(f"model        {args.save}")
    if args.plot:
        filters = classifier.model[0].weight.data
        figure = pictures.draw_images(history, best - 1, args.label_smoothing, comparison, x[test], filters)
        if figure:
            common.save_figure(figure, args.plot)
            report.append(f"picture      {args.plot}")
    say("\n".join(report))


def fit(
    args: argparse.Namespace,
    classifier: Classifier,
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> dict[str, list[float]]:
    """Train, put the weights of the best epoch back, return losses and accuracies."""
    model = classifier.model
    best = copy.deepcopy(model)
    criterion = nn.CrossEntropyLoss(label_smoothing=args.label_smoothing)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
    # A last batch of a few images would have a mean and a variance of its own in each BatchNorm.
    drop_last = len(training[0]) >= args.batch_size
    loader = DataLoader(TensorDataset(*training), args.batch_size, shuffle=True, drop_last=drop_last, generator=rng)
    history: dict[str, list[float]] = {name: [] for name in HISTORY}
    parts = {"model": model, "best": best, "optimizer": optimizer, "schedule": schedule, "loader": loader}
    if args.resume:
        common.resume(args, IDENTITY, parts, history)

    done = len(history["training"])
    saved = time.perf_counter()
    batches = {"initial": done * len(loader), "total": args.epochs * len(loader), "unit": "batch"}
    bar = tqdm(**batches, disable=args.quiet or None)
    for epoch in range(done, args.epochs):
        losses, right = [], []
        for x, y in loader:
            x = augment.shift(x, args.shift, "replicate", generator=rng)
            if args.flip:
                x = augment.flip(x, generator=rng)
            x = classifier.inputs(x)
            f = model(x)
            loss = criterion(f, y)
            common.stop_unless_finite(loss, model, x, epoch)
            optimizer.zero_grad()
            model.backward(criterion.backward())
            optimizer.step()
            losses.append(float(loss))
            right.append(accuracy(f, y))
            bar.set_postfix_str(progress(epoch, np.mean(losses), np.mean(right), history), refresh=False)
            bar.update()
        schedule.step()
        f = classifier.outputs(validation[0])
        figures = np.mean(losses), criterion(f, validation[1]), np.mean(right), accuracy(f, validation[1])
        for name, figure in zip(HISTORY, figures, strict=True):
            history[name].append(float(figure))
        if best_epoch(history) == epoch:
            best.load_state_dict(model.state_dict())
        if args.checkpoint and (epoch + 1 == args.epochs or time.perf_counter() - saved > SECONDS_BETWEEN_SAVES):
            common.save_run(args, IDENTITY, parts, history)
            saved = time.perf_counter()
    bar.close()
    model.load_state_dict(best.state_dict())
    return history


def accuracy(f: np.ndarray, y: np.ndarray) -> float:
    """Return the share of the images whose class has the largest output."""
    return float((f.argmax(1) == y).mean())


def progress(epoch: int, loss: float, right: float, history: dict[str, list[float]]) -> str:
    """Return what stands on the progress bar."""
    validation = history["validation_accuracy"]
    return f"epoch {epoch + 1}, loss {loss:.3f}, accuracy {right:.4f}" + (
        f", validation {validation[-1]:.4f}" if validation else ""
    )


def best_epoch(history: dict[str, list[float]]) -> int:
    """Return the epoch, from 0, with the lowest loss on the validation images."""
    return int(np.argmin(history["validation"]))


def remarks(y: np.ndarray, classes: list[dict[str, Any]]) -> list[str]:
    """Return what a reader of the scores had better know."""
    found = []
    if len(y) < FEWEST_IMAGES_A_CLASS * len(classes):
        found.append(f"{len(classes)} classes in {len(y)} images: few to learn from")
    unseen = [row["class"] for row in classes if not row["rows"]]
    if unseen:
        found.append(f"not there in the test images: {', '.join(unseen[:10])}")
    never = [row["class"] for row in classes if row["rows"] and not row["predicted"]]
    if never:
        found.append(f"never predicted, though there in the test images: {', '.join(never[:10])}")
    return found


def predict(args: argparse.Namespace) -> None:
    """Write a row for every image of a folder: its class, how probable that is, or why there is no answer."""
    classifier = Classifier.load(args.predict)
    if not os.path.isdir(args.folder):
        common.fail(f"--predict MODEL FOLDER: expected a folder of images, and {args.folder} is none")
    found = list(unlabelled(args.folder, classifier.shape))
    if not found:
        common.fail(f"{args.folder}: expected picture files or IDX files, got none")
    readable = [image for _, image, _ in found if image is not None]
    answers = iter(classifier.predict(np.stack(readable)) if readable else ())
    problems = [problem for _, _, problem in found if problem]
    with common.output(args.out) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "predicted", "probability", "problem"])
        for name, image, problem in found:
            if image is None:
                writer.writerow([name, "", "", problem])
            else:
                probabilities = next(answers)
                best = probabilities.argmax()
                writer.writerow([name, classifier.classes[best], f"{probabilities[best]:.4f}", ""])
    if problems:
        print(*problems, sep="\n", file=sys.stderr)
        common.fail(f"{len(problems)} of {len(found)} images have no answer")


def unlabelled(folder: str, shape: tuple[int, ...]) -> Iterator[tuple[str, np.ndarray | None, str]]:
    """Yield each image of a folder: its name, what there is of it in the given shape, and else what is wrong."""
    expected = " x ".join(map(str, shape[1:]))

    def checked(name: str, image: np.ndarray) -> tuple[str, np.ndarray | None, str]:
        if image.shape[1:] == shape[1:]:
            return name, np.broadcast_to(image.astype(np.float32), shape), ""
        size = " x ".join(map(str, image.shape[1:]))
        return name, None, f"{os.path.join(folder, name)}: expected an image of {expected} pixels, got {size}"

    for name in idx_files(folder):
        array = read_idx(os.path.join(folder, name))
        if array.ndim == 3:
            yield from (checked(f"{name}[{row}]", image[None]) for row, image in enumerate(array))
    for name in image_files(folder):
        try:
            yield checked(name, read_image(os.path.join(folder, name), shape[0]))
        except ValueError as error:
            yield name, None, str(error)


def main() -> None:
    args = parse()
    try:
        (predict if args.predict else train)(args)
    except ImportError as error:
        common.fail(error)
    except KeyboardInterrupt:
        resumable = args.checkpoint and os.path.exists(args.checkpoint)
        sys.exit("interrupted: --resume goes on from the checkpoint" if resumable else "interrupted")


if __name__ == "__main__":
    common.run(main)
