"""The three formats of equations: Unicode text, LaTeX with amsmath, presentation MathML.

A format puts written parts together, and knows no trees; notation.py walks those. `%s` in a template is a written part.
"""

from __future__ import annotations

import html
import re
from typing import Any

SUBSCRIPTS = str.maketrans("0123456789aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
FROM_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
SUPERSCRIPTS = str.maketrans("0123456789−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
# fmt: off
GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "eps": "ε", "epsilon": "ε", "eta": "η",
    "lam": "λ", "mu": "μ", "rho": "ρ", "sigma": "σ", "tau": "τ",
}
HATS = {f"{letter}hat": f"{letter}\N{COMBINING CIRCUMFLEX ACCENT}" for letter in "abcdefghijklmnopqrstuvwxyz"}
LATEX_LETTERS = {
    **{letter: rf"\{name}" for name, letter in GREEK.items()}, "ε": r"\varepsilon", "λ": r"\lambda", "∞": r"\infty",
    "…": r"\dots", **{hat: rf"\hat{{{name[0]}}}" for name, hat in HATS.items()},
}
LATEX_SIGNS = {
    "−": "-", "⊙": r"\odot", "≥": r"\ge", "≤": r"\le", "≠": r"\ne", "∈": r"\in", "∉": r"\notin", "‖": r"\|",
    "⌊": r"\lfloor", "⌋": r"\rfloor", "∑": r"\sum", "∏": r"\prod", "+=": r"\mathrel{+}=", "mod": r"\bmod",
    "and": r"\text{ and }", "or": r"\text{ or }",
}
# fmt: on
INVISIBLE_TIMES = "\N{INVISIBLE TIMES}"


class TextFormat:
    """Lines of Unicode: the plainest format, from which the others differ.

    Attributes:
        built_up: whether fractions and cases have a height of their own, so that they need few brackets.
        chains: whether a subscript may follow another one.
        comma, subscript_comma: between arguments, and between subscripts.
        half, none, digits, one: 1/2, None, any other number, and the 1 before the brackets of a condition.
        minus: that of a number.
        fraction, partial, root, transposed: of two parts, and of one; partial is the derivative of J.
        cases: a value, its condition, and the other value.
        loop: the variable of a recurrence, its first and its last step.
        rows, row, next_row, indent: of several lines; a row has its indentation and its line.
    """

    built_up, chains = False, True
    comma, subscript_comma, minus = ", ", ",", "−"
    half, none, digits, one = "½", "none", "%s", "1"
    fraction, partial, root, transposed = "%s/%s", "∂J/∂%s", "√(%s)", "%sᵀ"
    cases, loop = "%s if %s, else %s", "for %s = %s, …, %s:"
    rows, row, next_row, indent = "%s", "%s%s", "\n", "  "

    def number(self, value: Any) -> str:
        """Write a number, or None."""
        digits = self.digits % str(value).replace("-", self.minus)
        return self.none if value is None else self.half if value == 0.5 else digits

    def letter(self, letter: str) -> str:
        """Return the Greek letter or the accented one that a name stands for."""
        return HATS.get(letter) or GREEK.get(letter, letter)

    def name(self, letter: str, subscript: str = "") -> str:
        """Write a symbol."""
        small = subscript.translate(SUBSCRIPTS)
        low = not any(c.isascii() for c in small) and (len(subscript) == 1 or subscript.isdecimal())
        return self.letter(letter) + (small if low or not subscript else f"[{subscript}]")

    def quoted(self, text: str) -> str:
        """Write a text as it is."""
        return text

    def sign(self, sign: str) -> str:
        """Write a sign, which is given in Unicode."""
        return {"∑": "Σ", "∏": "Π"}.get(sign, sign)

    def joined(self, *written: str) -> str:
        """Write parts one behind the other."""
        return "".join(written)

    def infix(self, left: str, sign: str, right: str) -> str:
        """Write a sign between two parts; "" is that of a product without a sign."""
        return f"{left} {self.sign(sign)} {right}" if sign else f"{left} {right}"

    def fenced(self, opening: str, text: str, closing: str) -> str:
        """Write brackets around a part."""
        return opening + text + closing

    def subscripts(self, written: list[str]) -> str:
        """Join what stands in a subscript."""
        return (self.comma if any(" " in place for place in written) else self.subscript_comma).join(written)

    def subscripted(self, base: str, subscript: str) -> str:
        """Write an entry of an array."""
        small = subscript.translate(SUBSCRIPTS)
        return base + (small if len(subscript) == 1 and small != subscript and base[-1].isascii() else f"[{subscript}]")

    def transpose(self, base: str) -> str:
        return self.transposed % base

    def power(self, base: str, exponent: str) -> str:
        """Write a power."""
        return base + (exponent.translate(SUPERSCRIPTS) if re.fullmatch(r"−?\d+", exponent) else f"^({exponent})")

    def call(self, name: str, arguments: str) -> str:
        """Write a function of arguments."""
        return f"{name}({arguments})"

    def large(self, sign: str, below: str, text: str) -> str:
        """Write a large sign, such as that of a sum, with what it runs over, before a part."""
        small = below.translate(SUBSCRIPTS)
        low = len(below) == 1 and not small.isascii() and below != "…"
        where = small if low else f"_{below}" if below.isidentifier() else f"_{{{below}}}" if below else ""
        return f"{self.sign(sign)}{where} {text}"

    def stacked(self, lines: list[tuple[int, str]]) -> str:
        """Write lines one below the other, each with its depth; a single one stands alone."""
        if len(lines) == 1:
            return lines[0][1]
        return self.rows % self.next_row.join(self.row % (self.indent * depth, line) for depth, line in lines)


class LatexFormat(TextFormat):
    """LaTeX for mathematics mode."""

    built_up, chains, minus = True, False, "-"
    half, none, one = r"\tfrac{1}{2}", r"\text{none}", r"\mathbf{1}"
    partial, fraction, root = r"\frac{\partial J}{\partial %s}", r"\frac{%s}{%s}", r"\sqrt{%s}"
    transposed, cases = r"%s^{\top}", r"\begin{cases} %s & \text{if } %s \\ %s & \text{else} \end{cases}"
    loop = r"\text{for } %s = %s, \dots, %s:"
    rows, row, next_row, indent = r"\begin{aligned} %s \end{aligned}", "&%s%s", r" \\ ", r"\quad "

    def name(self, letter: str, subscript: str = "") -> str:
        escaped = letter.replace("_", r"\_")
        upright = letter if len(letter) == 1 else rf"\mathrm{{{escaped}}}"
        low = subscript if subscript.isalnum() else self.quoted(subscript)
        return LATEX_LETTERS.get(self.letter(letter), upright) + (f"_{{{low}}}" if subscript else "")

    def quoted(self, text: str) -> str:
        named = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
        escaped = re.sub(r"[\\^~{}_#&%$]", lambda found: named.get(found[0], "\\" + found[0]), text)
        return rf"\text{{{escaped}}}"

    def sign(self, sign: str) -> str:
        return LATEX_SIGNS.get(sign, sign)

    def fenced(self, opening: str, text: str, closing: str) -> str:
        opening, closing = self.sign(opening), self.sign(closing)
        if any(name in text for name in (r"\frac", r"\sum", r"\prod", r"\begin")):  # it is tall
            return rf"\left{opening} {text} \right{closing}"
        return opening + " " * opening[-1].isalpha() + text + " " * closing[-1].isalpha() + closing

    def subscripts(self, written: list[str]) -> str:
        return ",".join(written)

    def subscripted(self, base: str, subscript: str) -> str:
        return f"{base}_{{{subscript}}}"

    def power(self, base: str, exponent: str) -> str:
        return f"{base}^{{{exponent}}}"

    def operator(self, name: str) -> str:
        known = rf"\{name}" if name in ("exp", "log", "max", "min", "tanh") else rf"\operatorname{{{name}}}"
        return LATEX_SIGNS.get(name) or LATEX_LETTERS.get(name) or known

    def call(self, name: str, arguments: str) -> str:
        return self.operator(name) + self.fenced("(", arguments, ")")

    def large(self, sign: str, below: str, text: str) -> str:
        return self.operator(sign) + (rf"_{{{below}}} " if below else " ") + text


class MathMLFormat(TextFormat):
    """Presentation MathML, for the inside of a `<math>` element."""

    built_up, chains = True, False
    comma = subscript_comma = "<mo>,</mo>"
    half, none, one = "<mfrac><mn>1</mn><mn>2</mn></mfrac>", "<mtext>none</mtext>", "<mn>1</mn>"
    digits, fraction, root = "<mn>%s</mn>", "<mfrac>%s%s</mfrac>", "<msqrt>%s</msqrt>"
    partial = "<mfrac><mrow><mo>∂</mo><mi>J</mi></mrow><mrow><mo>∂</mo>%s</mrow></mfrac>"
    cases = (
        '<mrow><mo>{</mo><mtable><mtr><mtd style="text-align: left">%s</mtd><mtd style="text-align: left"><mtext>if'
        '\N{NO-BREAK SPACE}</mtext>%s</mtd></mtr><mtr><mtd style="text-align: left">%s</mtd>'
        '<mtd style="text-align: left"><mtext>else</mtext></mtd></mtr></mtable></mrow>'
    )
    loop = "<mrow><mtext>for\N{NO-BREAK SPACE}</mtext>%s<mo>=</mo>%s<mo>,</mo><mo>…</mo><mo>,</mo>%s</mrow>"
    rows, row, next_row = "<mtable>%s</mtable>", '<mtr><mtd style="text-align: left">%s%s</mtd></mtr>', ""
    indent = '<mspace width="2em"/>'

    def name(self, letter: str, subscript: str = "") -> str:
        written = f"<mi>{html.escape(self.letter(letter), quote=False)}</mi>"
        low = f"<mn>{subscript}</mn>" if subscript.isdecimal() else f"<mi>{html.escape(subscript, quote=False)}</mi>"
        return f"<msub>{written}{low}</msub>" if subscript else written

    def quoted(self, text: str) -> str:
        return f"<mtext>{html.escape(text, quote=False)}</mtext>"

    def sign(self, sign: str) -> str:
        return f"<mo>{html.escape(sign or INVISIBLE_TIMES)}</mo>"

    def joined(self, *parts: str) -> str:
        return f"<mrow>{''.join(parts)}</mrow>"

    def infix(self, left: str, sign: str, right: str) -> str:
        return self.joined(left, self.sign(sign), right)

    def fenced(self, opening: str, text: str, closing: str) -> str:
        tall = any(name in text for name in ("<mfrac", "<munder", "<mtable"))
        sign = "<mo>" if tall else '<mo stretchy="false">'  # browsers space brackets of plain size better
        return self.joined(f"{sign}{opening}</mo>", text, f"{sign}{closing}</mo>")

    def subscripted(self, base: str, subscript: str) -> str:
        return f"<msub>{base}<mrow>{subscript}</mrow></msub>"

    def power(self, base: str, exponent: str) -> str:
        if base.startswith("<msub>"):  # one above the other: browsers set a power of an index too high and too far
            return f"<msubsup>{base.removeprefix('<msub>').removesuffix('</msub>')}{exponent}</msubsup>"
        return f"<msup>{base}{exponent}</msup>"

    def transpose(self, base: str) -> str:
        return self.power(base, "<mo>⊤</mo>")

    def call(self, name: str, arguments: str) -> str:
        return self.joined(f"<mi>{name}</mi><mo>\N{FUNCTION APPLICATION}</mo>", self.fenced("(", arguments, ")"))

    def large(self, sign: str, below: str, text: str) -> str:
        under = f"<munder>{self.sign(sign)}<mrow>{below}</mrow></munder>"
        return self.joined(under if below else self.sign(sign), text)
