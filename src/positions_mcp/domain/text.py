"""Text from outside made safe to show: it cannot hide characters, break a line, or pretend to be the program's own.

Symbols, rejection reasons and order details are free text of the API. They are cleaned, capped, and quoted as data
wherever they are not plainly an identifier.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Letters and marks that Unicode does not call invisible although they show nothing.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_NAMED = 8
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9./_-]*", re.ASCII)


def clean(text: str, limit: int = 200) -> str:
    """`text` on one line without control, bidi, zero-width or blank characters, at most `limit` characters long.

    Runs of white space become one space; what is cut is marked with an ellipsis.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return " ".join(text.split())
    # Four times the limit leaves room for what is removed without walking a hostile megabyte.
    head = text[: 4 * limit]
    visible = "".join(_visible(character) for character in _BLANK.sub("", head))
    line = " ".join(visible.split())
    return line if len(line) <= limit and len(head) == len(text) else f"{line[: limit - 1]}…"


def quoted(text: str, limit: int = 200) -> str:
    """`text` cleaned and in double quotes: how free text of the API stands in an answer. Inner quotes become single."""
    return f'"{clean(text, limit).replace(chr(34), chr(39))}"'


def label(text: str, limit: int = 40) -> str:
    """A symbol or code as it stands in an answer: bare where it plainly is one, otherwise quoted as data."""
    return text if len(text) <= limit and _PLAIN.fullmatch(text) else quoted(text, limit)


def first_of(said: Sequence[str], most: int) -> str:
    """The first of several, and how many more there are: `AAPL, TSLA and 3 more`."""
    more = len(said) - most
    return ", ".join(said[:most]) + (f" and {more} more" if more > 0 else "")


def said_once(said: Iterable[tuple[str, str]], *, whole: bool = False) -> list[str]:
    """Sentences with the name that each is on; several that differ in it alone as one: `Each of 2 (A, B) …`.

    Of many names the first stand there, and all where it is to be `whole`: where they stand nowhere else.
    """
    alike: dict[tuple[str, str], dict[str, None]] = {}
    for name, sentence in said:
        before, named, after = sentence.partition(name) if name else (sentence, "", "")
        alike.setdefault((before, after), {})[named] = None
    return [f"{before}{_each_of(list(names), not before, whole)}{after}" for (before, after), names in alike.items()]


def _each_of(names: Sequence[str], is_first: bool, whole: bool) -> str:
    if len(names) == 1:
        return names[0]
    return f"{'E' if is_first else 'e'}ach of {len(names)} ({first_of(names, len(names) if whole else _NAMED)})"


def counted(count: int, what: str = "position") -> str:
    """`1 position`, `2 positions`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def letters_of(symbols: Sequence[str]) -> list[str]:
    """Each in upper case without white space."""
    together = "".join(symbols)
    if together.isascii() and together.isprintable():  # of white space there are only blanks
        return "\n".join(symbols).upper().replace(" ", "").split("\n") if symbols else []
    return ["".join(symbol.upper().split()) for symbol in symbols]


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    return "" if unicodedata.category(character) in _HIDDEN_CATEGORIES else character
