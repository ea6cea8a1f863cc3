"""The command line: `gradcheck` checks the gradients of a layer of one's own, `export c` writes a model as a C file.

python -m nn gradcheck package.module:factory
python -m nn export c net.py:factory --weights model.npz --out net.c
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import os
import sys
from typing import Any

import numpy as np

from .checking import Report, Settings, gradcheck, program
from .losses.base import Loss
from .lowering import export_c
from .module import Module
from .random import manual_seed
from .serialization import load

GRADCHECK = """
The factory, such as a class, is called and returns a Module, or a tuple of a Module and what to call it with; a Module
itself will do too. Arguments for it stand in brackets, "package.module:Scale(3)". For a Module alone, inputs are drawn
from the shapes that are given with --shape. With --command, a program in any language is checked, as docs/gradcheck.md
describes.
"""

EXPORT = """
The factory, in a file or in a package.module, returns a Module, or a tuple of a Module and an example of its inputs,
whose place --shape can take. A loss and an optimizer in the tuple make the file learn: after the inputs, an example of
the target may stand. Arguments for the factory stand in brackets, "net.py:build(3)".
"""


def main(argv: list[str] | None = None) -> int:
    """Run a command; return the exit status: 0, or 1 if a gradient is wrong."""
    parser = argparse.ArgumentParser(prog="python -m nn", description="Tools for authors of layers and models.")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_gradcheck(commands)
    export = commands.add_parser("export", help="write a model for use without Python")
    _add_export_c(export.add_subparsers(required=True, metavar="format"))
    args = parser.parse_args(argv)
    return args.run(args)


def _add_gradcheck(commands: Any) -> None:
    command = commands.add_parser("gradcheck", help="check the gradients of a layer of your own", description=GRADCHECK)
    command.add_argument(
        "target", nargs="?", metavar="package.module:factory", help="where to find it, from the current folder"
    )
    command.add_argument("--command", dest="program", metavar="COMMAND", help="a program to check, with its arguments")
    command.add_argument(
        "--shape", action="append", type=_shape, default=[], metavar="[NAME=]N,M", help="of an input to be drawn"
    )
    command.add_argument("--inputs", metavar="FILE.npz", help="the program's inputs, by name, in place of drawn ones")
    command.add_argument("--timeout", type=float, default=60.0, help="seconds that a program may run (default: 60)")
    command.add_argument("--full", action="store_true", help="look at each entry, however many there are")
    command.add_argument("--seed", type=int, default=0, help="of the initial values and inputs (default: 0)")

    def run(args: argparse.Namespace) -> int:
        if (args.target is None) == (args.program is None):
            command.error("expected either package.module:factory or --command")
        report = _checked_module(command, args) if args.program is None else _checked_program(command, args)
        print(report)
        return 0 if report else 1

    command.set_defaults(run=run)


def _add_export_c(formats: Any) -> None:
    command = formats.add_parser("c", help="as a C file and a header", description=EXPORT)
    command.add_argument("target", metavar="FILE:FACTORY", help="where to find it, from the current folder")
    command.add_argument("--weights", metavar="FILE", help="a state that nn.save wrote, of the model or with a 'model'")
    command.add_argument("--out", metavar="FILE.c", required=True, help="what to write; the header stands beside it")
    command.add_argument("--shape", action="append", type=_shape, default=[], metavar="N,M", help="of an input")
    command.add_argument("--max-batch", type=int, default=64, help="the largest batch (default: 64)")

    def run(args: argparse.Namespace) -> int:
        model, given = _target(command, args.target)
        criterion = next((value for value in given if isinstance(value, Loss)), None)
        optimizer = next((value for value in given if hasattr(value, "param_groups")), None)
        inputs = [value for value in given if value is not criterion and value is not optimizer]
        inputs = [np.zeros(shape, np.float32) for _, shape in args.shape] or inputs or _inferred_inputs(model)
        if not inputs:
            command.error(f"{args.target} gives no inputs: add --shape, such as --shape 1,3 for a row of 3")
        try:
            if args.weights:
                state = load(args.weights)
                nested = isinstance(state, dict) and isinstance(state.get("model"), dict)
                model.load_state_dict(state["model"] if nested else state)
            example = tuple(inputs) if len(inputs) > 1 else inputs[0]
            export_c(model, example, args.out, criterion=criterion, optimizer=optimizer, max_batch=args.max_batch)
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            command.error(str(error))
        return 0

    command.set_defaults(run=run)


def _inferred_inputs(model: Module) -> list[np.ndarray]:
    """Return a row for a model whose first layer with parameters says how wide its input is; nothing otherwise."""
    first = next((module for module in model.modules() if vars(module).get("weight") is not None), None)
    width = getattr(first, "in_features", None)
    return [] if width is None else [np.zeros((1, width), np.float32)]


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, sizes = text.rpartition("=")
    return name, tuple(int(size) for size in sizes.split(",") if size)


def _drawn(args: argparse.Namespace) -> list[np.ndarray]:
    rng = np.random.default_rng(args.seed)
    return [rng.normal(size=shape) for _, shape in args.shape]


def _checked_module(command: argparse.ArgumentParser, args: argparse.Namespace) -> Report:
    manual_seed(args.seed)
    module, inputs = _target(command, args.target)
    if args.inputs:
        command.error("--inputs is for --command")
    if inputs and args.shape:
        command.error(f"{args.target} gives the inputs too: leave out --shape")
    if not inputs and not args.shape:
        command.error(f"{args.target} gives no inputs: add --shape, such as --shape 5,3 for an array of 5 rows of 3")
    inputs = inputs or _drawn(args)
    return gradcheck(module, *inputs, full=args.full or None, generator=args.seed, raise_exception=False)


def _checked_program(command: argparse.ArgumentParser, args: argparse.Namespace) -> Report:
    if bool(args.inputs) == bool(args.shape):
        command.error("--command needs either --shape, such as --shape x=5,3 for each input, or --inputs FILE.npz")
    names = [name or f"x{index}" for index, (name, _) in enumerate(args.shape)]
    inputs = dict(zip(names, _drawn(args), strict=True))
    settings: Settings = {"full": args.full or None, "generator": args.seed, "raise_exception": False}
    try:
        if args.inputs:
            with np.load(args.inputs) as file:
                inputs = dict(file)
        return program(args.program, inputs, timeout=args.timeout, **settings)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        command.error(str(error))


def _call(command: argparse.ArgumentParser, text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Return the name in a text like `name` or `name(3, bias=False)`, and the arguments, which are plain values."""
    name, bracket, _ = text.partition("(")
    if not bracket:
        return name, [], {}
    try:
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call):
            raise ValueError
        args = [ast.literal_eval(value) for value in call.args]
        kwargs = {keyword.arg or "**": ast.literal_eval(keyword.value) for keyword in call.keywords}
        if "**" in kwargs or not isinstance(call.func, ast.Name):
            raise ValueError
        return name, args, kwargs
    except (SyntaxError, ValueError):
        command.error(f"expected plain values in the brackets, such as {name}(3, bias=False), got {text}")


def _target(command: argparse.ArgumentParser, target: str) -> tuple[Module, list[Any]]:
    """Return the module that a target names, and the inputs that come with it."""
    home, colon, name = target.partition(":")
    if not (home and colon and name):
        command.error(f"expected package.module:factory, got {target}")
    name, args, kwargs = _call(command, name)
    sys.path.insert(0, os.getcwd())  # python -P leaves it out
    if home.endswith(".py"):
        if not os.path.isfile(home):
            command.error(f"there is no file {home}")
        sys.path.insert(0, os.path.dirname(os.path.abspath(home)))
        home = os.path.basename(home).removesuffix(".py")
    try:
        value = getattr(importlib.import_module(home), name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{home}.".startswith(f"{error.name}."):
            raise  # the module is there, and misses another
        command.error(f"there is no module {error.name} in {os.getcwd()} or among the installed packages")
    except AttributeError:
        command.error(f"{home} has no {name}")
    if not isinstance(value, Module):
        if not callable(value):
            command.error(f"{target} should be a Module, or return one; it is {value!r}")
        try:
            inspect.signature(value).bind(*args, **kwargs)
        except (TypeError, ValueError) as error:  # also of a builtin, whose signature nobody knows
            command.error(f'{home}:{name} cannot be called so: {error}; arguments go in brackets, "{home}:{name}(3)"')
        value = value(*args, **kwargs)
    module, *inputs = value if isinstance(value, tuple) else (value,)
    if not isinstance(module, Module):
        command.error(f"{target} should return a Module, or a tuple of one and its inputs; it returned {module!r}")
    return module, inputs


if __name__ == "__main__":
    sys.exit(main())
