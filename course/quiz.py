"""Ask for each gradient of a network, from J back to x, and check each answer by running it.

    python -m course quiz
    python -m course quiz mine.py

Asked is the network of the sheet, or the forward pass in a file. An answer is written as in Python, such as
`dz3 @ a2.T`; dz3, dJ_dz3 and dJ/dz3 all mean the gradient of J by z3. `hint` gives a hint, and another one when asked
again; `skip` goes on; `quit` ends. An answer may be tried as often as you like. It is never executed as Python, and the
right one is never shown.
"""

from __future__ import annotations

import argparse
import ast
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np

from nn.mathematics.trees import names_in, nodes

from .hand_in import read_file
from .paper import (
    HandIn,
    Measured,
    UnreadableError,
    is_data,
    is_target,
    laid_out,
    outer,
    read,
    read_expression,
    shown,
    values_in,
    verdict,
)

SHEET = """z1 = W0 @ x + b0
a1 = np.maximum(z1, 0)
z2 = W1 @ a1 + b1
a2 = np.maximum(z2, 0)
z3 = W2 @ a2 + b2
J = 0.5 * np.sum((z3 - y)**2)
"""
COMMANDS = ("hint", "skip", "quit")
HOW = "Write each as in Python, such as `A.T @ dz1`; or hint, skip, quit."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("file", type=Path, nargs="?", help="a forward pass of your own (default: that of the sheet)")


def run(arguments: argparse.Namespace) -> int:
    """Ask, and return the exit status: 0, whatever the score."""
    hand_in = read_file(arguments.file) if arguments.file else read(SHEET, "the sheet")
    Quiz(hand_in).play(sys.stdin or io.StringIO(), sys.stdout)
    return 0


class Quiz:
    """The questions on a forward pass.

    Args:
        hand_in: whose forward pass.

    Attributes:
        questions: the symbols by which J is to be differentiated, from J back.
    """

    def __init__(self, hand_in: HandIn) -> None:
        self.hand_in = hand_in._replace(answers=[], helpers=[])
        self.measured: Measured = laid_out(hand_in)
        self.measured.hand_in = self.hand_in
        self.questions = [*self._from_loss_back()]

    def _from_loss_back(self) -> Iterator[str]:
        """Yield the nodes, each behind those that it leads to, and what enters a line right behind its value."""
        point = self.measured.points[0]
        stated = {line.names[0] for line in self.hand_in.forward}
        asked: set[str] = {self.hand_in.loss}
        for line in reversed(self.hand_in.forward):
            symbol = line.names[0]
            if symbol not in asked and point.is_node(symbol):
                asked.add(symbol)
                yield symbol
            for name in sorted(self.hand_in.inputs, key=is_data):
                first = next(each for each in self.hand_in.forward if name in names_in(each.value))
                if first is line and name not in stated and point.is_node(name) and not is_target(name):
                    yield name

    def play(self, answers: TextIO, to: TextIO) -> None:
        """Ask one question after another, until all are answered, or the answers end."""

        def say(text: str = "") -> None:
            print(text, file=to, flush=True)

        say("The forward pass:")
        for line in self.hand_in.forward:
            say(f"  {outer(line.names[0])} = {shown(line.value)}")
        say(f"Read as {self.measured.layout.name}. What is the gradient of J by each node?")
        say(HOW)
        score = helped = asked = 0
        for number, symbol in enumerate(self.questions, 1):
            hints = self.hints(symbol)
            given = 0
            asked += 1
            say()
            while True:
                print(f"{number} of {len(self.questions)}  dJ/d{outer(symbol)} = ", end="", file=to, flush=True)
                text = answers.readline()
                if not answers.isatty():  # nobody has typed it here
                    say(text.rstrip("\n"))
                word = text.strip().lower()
                if word == "quit" or not text:
                    say()
                    say(self._score(score, helped, asked - 1))
                    return
                if word == "skip":
                    break
                if word == "hint":
                    say(f"  {hints[min(given, len(hints) - 1)]}")
                    given += 1
                elif word:
                    fault = self.fault(symbol, text)
                    say(f"  No: {fault}." if fault else "  Right.")
                    if not fault:
                        score, helped = score + 1, helped + bool(given)
                        break
        say()
        say(self._score(score, helped, asked))

    def _score(self, score: int, helped: int, asked: int) -> str:
        hints = f", {helped} of them after hints" if helped else ""
        rest = "" if asked == len(self.questions) else f"; {len(self.questions) - asked} were not asked"
        return f"{score} of {len(self.questions)} right{hints}{rest}."

    def fault(self, symbol: str, text: str) -> str:
        """Return what is wrong with an answer; nothing if it is right."""
        answer = text.strip()
        left, equals, right = answer.partition("=")
        if equals and right and right[0] != "=" and left[-1:] not in "<>!=":
            answer = right  # the whole line was written
        try:
            tree = read_expression(answer, self.measured.points[0].values)
        except UnreadableError as error:
            return str(error)
        done = self.questions[: self.questions.index(symbol)]
        return verdict(self.measured, symbol, tree, done)

    # ---- hints

    def hints(self, symbol: str) -> list[str]:
        """Return the hints for a gradient: its shape, the nodes that it depends on, the rule; never the answer."""
        point = self.measured.points[0]
        shape = np.shape(point.values[symbol])
        users = [line for line in self.hand_in.forward if symbol in values_in(line.value)]
        name = outer(symbol)
        ways = " and ".join(outer(line.names[0]) for line in users)
        lines = "; ".join(f"{outer(line.names[0])} = {shown(line.value)}" for line in users)
        leads = f"{name} leads to {ways}: {lines}. So dJ/d{name} is made of the gradient by {ways}"
        if users[0].names[0] == self.hand_in.loss and len(users) == 1:
            leads = f"{name} leads to J itself: {lines}. So differentiate that"
        leads += ", and each way adds its part." if len(users) > 1 else "."
        rules = dict.fromkeys(rule for line in users for rule in _rules(line.value, symbol))
        return [
            f"It has shape {shape}, as {name} has.",
            leads,
            " ".join(rules) or "Move one entry, and see what J does.",
        ]


def _rules(tree: ast.expr, symbol: str) -> Iterator[str]:
    """Yield the rules by which a gradient goes back from a value to a symbol in it, from the outside in."""
    for node in nodes(tree):
        inside = [part for part in ast.iter_child_nodes(node) if symbol in values_in(part)]
        if inside and (rule := _rule(node, inside[0])):
            yield rule


def _rule(node: ast.AST, part: ast.AST) -> str:
    match node:
        case ast.BinOp(op=ast.MatMult(), left=left):
            if part is left:
                return (
                    "Where u = A v, the entry A[i, j] moves u[i] at the rate v[j]. Which product with v, in what order "
                    "and with what transposed, has the shape of A?"
                )
            return (
                "Where u = A v, the entry v[j] moves each u[i] at the rate A[i, j], and these are summed over i: which "
                "product with A does that?"
            )
        case ast.BinOp(op=ast.Add()):
            return "What is added moves the sum as fast as itself; over samples that share it, sum."
        case ast.BinOp(op=ast.Sub(), left=left):
            return "" if part is left else "What is subtracted moves the difference the other way."
        case ast.BinOp(op=ast.Mult()):
            return "In a product entry by entry, the other factor is the rate."
        case ast.BinOp(op=ast.Div(), left=left):
            return "What is divided by a number moves the quotient by its part." if part is left else ""
        case ast.BinOp(op=ast.Pow()):
            return "A square grows at twice what is squared."
        case ast.Call(func=ast.Name(id="maximum" | "minimum" as name)):
            return f"A {name} passes on the gradient of what it took, and to the other one nothing comes back."
        case ast.Call(func=ast.Name(id="softmax")):
            return "Each entry of a softmax depends on all: part of it is its own, and a sum over all comes off."
        case ast.Call(func=ast.Name(id=name)):
            return f"{name} works entry by entry: multiply by its derivative, entry by entry."
        case ast.Attribute(attr="T"):
            return "The gradient of a transpose is the transpose of the gradient."
    return ""
