"""The command line of homework: `python -m course COMMAND`, where each command is a module of its own.

A command's module has `add_arguments(parser)`, which says what it takes, and `run(arguments)`, which returns the exit
status: 0 where all is well, 1 where something that was looked at is wrong. What `run` raises because it could not do
its work ends in one line and exit status 2. The first line of the module's docstring is its help.
"""

from __future__ import annotations

import argparse
import sys

from . import audit, blank, grade, hand_in, new, quiz

COMMANDS = {"new": new, "blank": blank, "grade": grade, "audit": audit, "hand-in": hand_in, "quiz": quiz}


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m course", description="Homework on backpropagation.")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, module in COMMANDS.items():
        text = module.__doc__ or ""
        command = commands.add_parser(
            name, help=text.splitlines()[0], description=text, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run, prog=command.prog)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        print(f"{arguments.prog}: interrupted", file=sys.stderr)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else error
        print(f"{arguments.prog}: {message}", file=sys.stderr)
    except (ValueError, TypeError, RuntimeError) as error:
        print(f"{arguments.prog}: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
