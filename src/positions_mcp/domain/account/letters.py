"""Positions by the letters of their symbols: whatever is called the same has the same ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Generic, Protocol, TypeVar

from positions_mcp.domain.text import letters_of


class _Named(Protocol):
    @property
    def symbol(self) -> str: ...


HeldT = TypeVar("HeldT", bound=_Named)

_PLAIN = re.compile(r"[A-Za-z0-9./_ -]*", re.ASCII)
_LONGEST_PLAIN = 40


class ByLetters(Generic[HeldT]):
    """Finds positions by their symbols in upper case without white space, or by what those begin with.

    All symbols stand in one text, a line each: of a hundred thousand positions few are looked for, and searching a
    text costs less than an index of it.
    """

    def __init__(self, positions: Sequence[HeldT]) -> None:
        self._positions = positions

    @cached_property
    def _symbols(self) -> list[str]:
        return [each.symbol for each in self._positions]

    def of(self, letters: str) -> list[HeldT]:
        """Those with these letters, in their order."""
        return list(self._behind(f"\n{letters}\n", self._lines))

    def beginning_with(self, letters: str) -> Iterator[HeldT]:
        """Those whose letters are these, or begin so."""
        return self._behind(f"\n{letters}", self._lines)

    def of_root(self, root: str) -> list[HeldT]:
        """Those with these letters and digits, whatever stands between them: all that are plain."""
        return list(self._behind(f"\n{root}\n", self._roots))

    @cached_property
    def odd(self) -> list[HeldT]:
        """Those with other characters in their symbols than symbols usually have, or very many."""
        if self._are_plain:
            return []
        are_plain = (_PLAIN.fullmatch(each) and len(each) <= _LONGEST_PLAIN for each in self._symbols)
        return [position for position, is_plain in zip(self._positions, are_plain, strict=True) if not is_plain]

    @cached_property
    def _are_plain(self) -> bool:
        is_plain = _PLAIN.fullmatch("".join(self._symbols)) is not None
        return is_plain and max(map(len, self._symbols), default=0) <= _LONGEST_PLAIN

    @cached_property
    def _lines(self) -> str:
        if self._are_plain:
            return "\n".join(["", *self._symbols, ""]).upper().replace(" ", "")
        return "\n".join(["", *letters_of(self._symbols), ""])

    @cached_property
    def _roots(self) -> str:
        return self._lines.translate(dict.fromkeys(map(ord, "./_-")))

    def _behind(self, wanted: str, lines: str) -> Iterator[HeldT]:
        """The positions on whose lines it stands, with the line feed before them."""
        number, begin = 0, 0
        while (at := lines.find(wanted, begin)) >= 0:
            number += lines.count("\n", begin, at)
            yield self._positions[number]
            number, begin = number + 1, at + 1
