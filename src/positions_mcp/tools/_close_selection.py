"""From a preview's filters to the instruments they mean: an explicit list, which the plan then freezes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from positions_mcp.domain.account.positions import Book, Position, Side
from positions_mcp.domain.enums import SecurityType
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.portfolio.resolve import Spellings
from positions_mcp.domain.portfolio.select import Filter, select, without
from positions_mcp.domain.text import counted, label
from positions_mcp.tools._format import names_of

MOST = 100
"""Instruments of one plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What of an account's positions is to be closed."""

    instruments: tuple[str, ...] = ()
    underlying: str | None = None
    instrument_type: str | None = None
    side: str | None = None
    excepted: tuple[str, ...] = ()

    @property
    def is_asked_for(self) -> bool:
        """Whether anything but names was given."""
        return any((self.underlying is not None, self.instrument_type, self.side, self.excepted))

    @property
    def words(self) -> str:
        """As an answer repeats it: `side long, except AAPL`."""
        said = [
            ("instruments", " ".join(map(label, self.instruments[:5]))),
            ("underlying", label(self.underlying) if self.underlying else ""),
            ("instrument_type", self.instrument_type),
            ("side", self.side),
            ("except", " ".join(map(label, self.excepted))),
        ]
        return ", ".join(f"{name} {value}" for name, value in said if value)


def instruments_of(book: Book, wanted: Selection) -> tuple[str, ...]:
    """The instruments that a selection means, as the book has them: what can be closed at all.

    Raises UnknownInstrument for anything named, also under `except`, that is not held: a misspelt one would widen the
    close; InvalidInput where nothing is meant, or more than one plan takes.
    """
    if not book.is_complete:
        raise InvalidInput(
            f"What account {book.account_id} holds is not fully known: {'; '.join(book.doubts)}. No plan was made.",
            hint="Name the instruments.",
        )
    asked = Filter(
        instruments=wanted.instruments,
        underlying=wanted.underlying,
        instrument_type=SecurityType(wanted.instrument_type) if wanted.instrument_type else None,
        side=Side(wanted.side) if wanted.side else None,
    )
    found = select(book.positions, asked) if asked.is_narrowing else list(book.positions)
    found = without(found, wanted.excepted, book.positions, of_underlying=wanted.underlying)
    meant = [position for position in found if position.quantity and position.is_closable]
    if not meant:
        raise InvalidInput(f"Nothing that can be closed is meant by {wanted.words}: no plan was made.")
    if len(meant) > MOST:
        raise InvalidInput(
            f"{counted(len(meant))} are meant, and one plan takes {MOST}: no plan was made.",
            hint="Narrow it, or all=true alone closes everything in one request.",
        )
    return _usable_names(meant, book.positions)


def _usable_names(meant: Sequence[Position], held: Sequence[Position]) -> tuple[str, ...]:
    name_of = names_of(Spellings(held))
    names = [(name_of(position), position) for position in meant]
    return tuple(position.instrument_id if "[" in name else name for name, position in names)
