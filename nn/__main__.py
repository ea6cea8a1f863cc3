"""The command line: `python -m nn gradcheck package.module:factory` checks the gradients of a layer of one's own.

The factory, such as a class, is called and returns a Module, or a tuple of a Module and what to call it with; a Module
itself will do too. Arguments for it stand in brackets, "package.module:Scale(3)". For a Module alone, inputs are drawn
from the shapes that are given with --shape. With --command, a program in any language is checked, as docs/gradcheck.md
describes.
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
from .module import Module
from .random import manual_seed


def main(argv: list[str] | None = None) -> int:
    """Run a command; return the exit status: 0 if all gradients are right, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m nn", description="Tools for authors of layers.")
    commands = parser.add_subparsers(required=True, metavar="command")
    command = commands.add_parser("gradcheck", help="check the gradients of a layer of your own", description=__doc__)
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
    args = parser.parse_args(argv)
    if (args.target is None) == (args.program is None):
        command.error("expected either package.module:factory or --command")
    report = _checked_module(command, args) if args.program is None else _checked_program(command, args)
    print(report)
    return 0 if report else 1


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
