"""Flattening although the book cannot be read: whatever is held when it is sent, and nothing said that is not known."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.errors import InvalidInput, UnknownInstrument
from positions_mcp.domain.ids import NIL_UUID, InstrumentId, instrument_id, is_uuid
from positions_mcp.domain.instruments import with_its_id
from positions_mcp.domain.operation.plan import HeldTarget
from positions_mcp.domain.portfolio.resolve import Holdings
from positions_mcp.domain.text import label

EVERYTHING = "EVERYTHING"
"""What the one row of such a request for a whole account is called."""


def unread_targets(instruments: Sequence[str] | None, book: Book) -> tuple[HeldTarget, ...]:
    """What to close without knowing how much: the whole account, or instruments by UUID or by what was still listed.

    Raises:
        InvalidInput: a name can only be looked up in a book, and is not in what was read of it.
    """
    if instruments is None:
        return (HeldTarget(symbol=EVERYTHING, instrument_id=InstrumentId(NIL_UUID), measure=Decimal(0)),)
    holdings = Holdings(book.positions, book.by_letters)
    named = dict(_named(name, holdings) for name in instruments)
    return tuple(HeldTarget(symbol=name, instrument_id=key, measure=Decimal(0)) for key, name in named.items())


def _named(name: str, holdings: Holdings[Position]) -> tuple[InstrumentId, str]:
    try:
        position = holdings.find(name)
    except UnknownInstrument:
        shown = with_its_id(name)
        identifier = name.strip() if shown is None else shown[1]
        if is_uuid(identifier):
            return instrument_id(identifier), identifier.lower()
        raise InvalidInput(
            f"{label(name)} cannot be looked up, because what the account holds could not be read.",
            hint="Name instruments by UUID, or flatten the whole account by naming none.",
        ) from None
    return instrument_id(position.instrument_id), label(position.name)
