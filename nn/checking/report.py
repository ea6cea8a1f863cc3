"""What a gradient check has found, for the eye and for programs."""

from __future__ import annotations

import html
import textwrap
from dataclasses import dataclass, field

from ..texttable import aligned

WIDTH = 79  # of the lines of text


@dataclass
class Fault:
    """One mistake that `gradcheck` has found.

    Attributes:
        name: the array whose gradient is wrong, such as "input" or "0.weight"; or "forward" or "backward".
        kind: what is wrong with the numbers: "zero", "exchanged", "upstream ignored", "upstream misused", "passed
            through", "constant factor", "factor by index", "wrong sign", "wrong mode", "transposed", "reordered",
            "shifted", "not summed", "summed twice", "shared out", "not accumulated", "not carried", "mixed samples",
            "partly right", "factor by output", "elementwise slip", "extra term", "missing term", "wrong term",
            "unused", "slightly off", "unknown", "not measurable"; or else: "wrong upstream", "missing",
            "wrong count", "wrong shape", "wrong dtype", "memory order", "not finite", "changed in place",
            "overwritten", "stale values", "random forward", "random backward", "default upstream", "raised",
            "not as declared".
        message: sentences on it, with the evidence in numbers.
        modes: where it shows: "train", "eval", or both.
        worst: the entries that are off the most: index, the gradient that backward gave, the measured one.
        cause: what backward raised, if it did.
    """

    name: str
    kind: str
    message: str
    modes: list[str] = field(default_factory=list)
    worst: list[tuple[tuple[int, ...], float, float]] = field(default_factory=list)
    cause: Exception | None = None

    def rows(self) -> list[list[str]]:
        """Return the worst entries as a table of text, its headings first."""
        rows = [["index", "backward gave", "measured", "ratio"]] if self.worst else []
        for index, gave, measured in self.worst:
            ratio = f"{gave / measured + 0.0:.5g}" if measured else "-"
            rows.append([str(index) if index else "", f"{gave + 0.0:.7g}", f"{measured + 0.0:.7g}", ratio])
        return rows


@dataclass
class Report:
    """What `gradcheck` has found: true if all is well, and a page of text when it is printed.

    Attributes:
        module: the module's repr, or what else was checked.
        modes: those that were looked at: "train", "eval", or both; none where there is no such thing.
        errors: by array, by how much its gradient is off at most, relative to its largest entry.
        faults: the mistakes.
        skipped: by input, why it has no gradient to check.
        declared: by array, what its gradient was declared to be in place of the derivative.
        unseen: by array, of what entries nothing was proven, their gradient being zero at every point tried.
        notes: what else there is to know.
        inside: by name, the reports on the innermost modules inside that are wrong by themselves.

    Example:
        >>> from nn import ReLU, gradcheck
        >>> report = gradcheck(ReLU(), [-1.0, 2.0])
        >>> bool(report), report.modes, list(report.errors)
        (True, ['train', 'eval'], ['input'])
    """

    module: str
    modes: list[str] = field(default_factory=list)
    errors: dict[str, float] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    declared: dict[str, str] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    inside: dict[str, Report] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return not self.faults

    def add(self, faults: list[Fault], modes: list[str]) -> None:
        """Enter the faults that show in some modes; one that is known from the other mode is the same."""
        known = {(fault.name, fault.kind): fault for fault in self.faults}
        for fault in faults:
            if (fault.name, fault.kind) not in known:
                known[fault.name, fault.kind] = fault
                self.faults.append(fault)
            known[fault.name, fault.kind].modes += modes

    def note(self, text: str) -> None:
        """Enter a note, once."""
        if text not in self.notes:
            self.notes.append(text)

    def __str__(self) -> str:
        parts = [self._headline(), _table(self._rows(), "<><")]
        for fault, message in self._told():
            parts += [f"{self._title(fault)}\n{_wrapped(message)}", _table(fault.rows(), "<>>>")]
        parts += map(_wrapped, [*self.unseen.values(), *self.notes])
        for name, report in self.inside.items():
            parts.append(f"Inside it, {name} is wrong by itself:\n\n" + textwrap.indent(str(report), "  "))
        return "\n\n".join(filter(None, parts))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{html.escape(self._headline())}</b></p>", _html_table(self._rows())]
        for fault, message in self._told():
            parts.append(f"<p><b>{html.escape(self._title(fault))}</b><br>{html.escape(message)}</p>")
            parts.append(_html_table(fault.rows()))
        parts += [f"<p>{html.escape(note)}</p>" for note in [*self.unseen.values(), *self.notes]]
        for name, report in self.inside.items():
            inner = f"<p>Inside it, {html.escape(name)} is wrong by itself:</p>\n{report._repr_html_()}"
            parts.append(f'<div style="margin-left: 2em">{inner}</div>')
        return "\n".join(filter(None, parts))

    def _leading(self) -> list[Fault]:
        """Return the faults worth reading: not those of the whole where a module inside is the culprit."""
        return [fault for fault in self.faults if not self.inside or fault.kind == "wrong upstream"]

    def _told(self) -> list[tuple[Fault, str]]:
        """Return the faults worth reading, each with what is said of it: what was said before is not said again."""
        said: dict[str, str] = {}
        told = []
        for fault in self._leading():
            before = said.setdefault(fault.message, fault.name)
            told.append((fault, fault.message if before == fault.name else f"As for {before}."))
        return told

    def _headline(self) -> str:
        title = self.module if len(self.module) < 50 and "\n" not in self.module else self.module.partition("(")[0]
        title += f" in {self.modes[0]} mode" if len(self.modes) == 1 else ""
        if self:
            declared = " or as declared" if self.declared else ""
            return f"{title}: all gradients {'that could be seen ' if self.unseen else ''}are right{declared}"
        names = list(dict.fromkeys(fault.name for fault in self.faults))
        arrays = [name for name in names if name not in ("forward", "backward")]
        said = [f"{name} is at fault" for name in names if name not in arrays]
        if arrays:
            *first, last = arrays
            these = f"gradients of {', '.join(first)} and {last} are" if first else f"gradient of {last} is"
            said.append(f"the {these} wrong")
        return f"{title}: {'; '.join(said)}"

    def _rows(self) -> list[list[str]]:
        """Return the arrays as a table of text, its headings first."""
        kinds: dict[str, list[str]] = {}
        for fault in self.faults:
            kinds.setdefault(fault.name, []).append(fault.kind)
        rows = [["gradient of", "error", ""]]
        for name in dict.fromkeys([*self.errors, *kinds]):
            error = (f"{self.errors[name]:.0e}" if self.errors[name] else "0") if name in self.errors else "-"
            right = f"as declared: {self.declared[name]}" if name in self.declared else "right"
            rows.append([name, error, f"WRONG: {', '.join(kinds[name])}" if name in kinds else right])
        return rows + [[name, "-", why] for name, why in self.skipped.items()]

    def _title(self, fault: Fault) -> str:
        where = f", in {fault.modes[0]} mode alone" if len(fault.modes) < len(self.modes) else ""
        return f"{fault.name}: {fault.kind}{where}"


class GradcheckError(RuntimeError):
    """Raised by `gradcheck` for a wrong gradient; its text is the report's.

    Attributes:
        report: what was found.

    Example:
        >>> from nn import ReLU, gradcheck
        >>> class Wrong(ReLU):
        ...     def backward(self, grad_output):
        ...         return 2 * super().backward(grad_output)
        >>> try:
        ...     gradcheck(Wrong(), [-1.0, 2.0, 3.0])
        ... except GradcheckError as error:
        ...     print(error.report.faults[0].kind)
        constant factor
    """

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self.report = report


def _table(rows: list[list[str]], sides: str) -> str:
    return "\n".join(f"  {line}" for line in aligned(rows, sides, gap="   "))


def _html_table(rows: list[list[str]]) -> str:
    lines = ("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{''.join(lines)}</table>" if rows else ""


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="  ")
