"""How a CSV file is written: its encoding, separator, quote and decimal sign, found by looking at it.

A table saved in Paris is not written as one saved in Boston, and neither says so.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Collection
from typing import NamedTuple

SEPARATORS = (";", "\t", ",", "|")  # where two fit alike, the first: a comma is also a decimal sign
SAMPLE = 1 << 18  # characters to look at for separator and quote
_THOUSANDS = {".": ",", ",": "."}  # the sign that may group digits by three, beside each decimal sign
# 1,234.5 and 1 234.5 and 1'234.5: one sign throughout.
_GROUPED = {
    point: re.compile(rf"[-+]?[1-9]\d{{0,2}}(?P<sign>[ \u00a0\u202f'{sign}])\d{{3}}((?P=sign)\d{{3}})*(\{point}\d*)?")
    for point, sign in _THOUSANDS.items()
}
# Numbers that only one decimal sign makes sense of, such as 1,5 and 0,123 and 1.234.567; 1,234 can be read either way.
_NEEDS = {
    point: re.compile(
        rf"[-+]?(?![1-9]\d{{0,2}}\{point}\d{{3}}$)\d*\{point}\d+([eE][-+]?\d+)?"
        rf"|[-+]?\d{{1,3}}(\{sign}\d{{3}})+\{point}\d+"
        rf"|[-+]?\d{{1,3}}(\{sign}\d{{3}}){{2,}}"
    )
    for point, sign in _THOUSANDS.items()
}
_EITHER = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")


class Dialect(NamedTuple):
    """How a file is written."""

    sep: str = ","
    decimal: str = "."
    encoding: str = "utf-8"


def _plain(text: str, decimal: str) -> str:
    """Return a number as Python writes it: no thousands set apart, and a decimal point."""
    grouped = _GROUPED[decimal].fullmatch(text)
    if grouped:
        text = text.replace(grouped["sign"], "")
    if decimal == ",":
        text = text.replace(".", "_").replace(",", ".")
    return text


def parse_number(text: str, decimal: str = ".") -> float | None:
    """Return the number that a text spells, infinity and NaN included; None if it spells none.

    Thousands may be set apart, by blanks, apostrophes, or the sign of comma and point that is not the decimal sign.

    Args:
        text: without blanks around it.
        decimal: the decimal sign, "." or ",".

    Example:
        >>> parse_number("1,234.5"), parse_number("1.234,5", decimal=","), parse_number("1.2.3")
        (1234.5, 1234.5, None)
    """
    text = _plain(text, decimal)
    try:
        return None if "_" in text else float(text)  # Python would read 1_000
    except ValueError:
        return None


def parse_label(text: str, decimal: str = ".") -> int | float | str:
    """Return a class as it is compared and shown: 3, 3.0 and 03 are the same one, 2**60 and 2**60 + 1 are two.

    Example:
        >>> parse_label("03.0"), parse_label("1152921504606846977"), parse_label("0.50"), parse_label("x")
        (3, 1152921504606846977, 0.5, 'x')
    """
    number = parse_number(text, decimal)
    if number is None or not math.isfinite(number):
        return text
    whole, _, fraction = _plain(text, decimal).partition(".")
    if whole.lstrip("+-").isdecimal() and not fraction.strip("0"):
        return int(whole)  # exactly, where a float would round
    return int(number) if number.is_integer() else number


def decode(path: str, content: bytes, encoding: str | None) -> tuple[str, str]:
    """Return a file's text, decompressed if it is compressed by gzip, and the encoding; ValueError if it is no text."""
    try:
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: broken gzip file: {error}") from error
    if not encoding:
        content = content.removeprefix(b"\xef\xbb\xbf")  # the mark of UTF-8, which need not be true
    # Any bytes are Latin-1. Windows calls its own form of it so, which leaves five bytes without a meaning.
    guesses = [encoding] if encoding else [_unicode(content), "cp1252", "latin-1"]
    text = None
    for guess in guesses:
        try:
            text = content.decode(guess)
            break
        except UnicodeError as error:
            line = content.count(b"\n", 0, getattr(error, "start", 0)) + 1
        except LookupError:
            raise ValueError(f"{path}: Python knows no encoding {encoding!r} for text") from None
    if text is None:
        raise ValueError(f"{path}, line {line}: not {encoding} text; without encoding it is found by looking")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"{path}, line {line}: a NUL character, so this is no text; save the table as CSV")
    return text.removeprefix("\ufeff"), guess


def _unicode(content: bytes) -> str:
    """Return the form of Unicode that a file would be in: by its mark, or by where its zeros stand."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    start = content[:2000]
    low, high = start[1::2].count(0), start[::2].count(0)
    if max(low, high) > len(start) // 4:
        return "utf-16-le" if low > high else "utf-16-be"
    return "utf-8"


def find_separator(text: str) -> str:
    """Return the separator under which most rows have as many fields as the first has, and the first has most."""
    best, found = (0.0, 0), ","
    for sep in SEPARATORS:
        reader = csv.reader(io.StringIO(text[:SAMPLE], newline=""), delimiter=sep, quotechar=find_quote(text, sep))
        widths: list[int] = []
        with contextlib.suppress(csv.Error):  # a field too long, in a quote that is not closed or not a quote here
            widths.extend(len(row) for row in reader if any(map(str.strip, row)))
        if widths and widths[0] > 1:
            fit = widths.count(widths[0]) / len(widths), widths[0]
            if fit > best:
                best, found = fit, sep
    return found


def find_quote(text: str, sep: str) -> str:
    """Return the quote: the apostrophe where no field is quoted as usual and one is quoted so."""
    sign = re.escape(sep)
    apostrophes = re.search(rf"(?m)(^|{sign})'[^'\n]*'({sign}|$)", text[:SAMPLE])
    return "'" if '"' not in text and apostrophes else '"'


def find_decimal(values: Collection[str], sep: str) -> str:
    """Return the decimal sign: the comma where more numbers need it than need the point."""
    commas = sum(1 for value in values if _NEEDS[","].fullmatch(value))
    if sep == ";":  # where the comma is no separator, it is the decimal sign of numbers that could be read either way
        commas += sum(1 for value in values if _EITHER.fullmatch(value))
    return "," if commas and commas > sum(1 for value in values if _NEEDS["."].fullmatch(value)) else "."
