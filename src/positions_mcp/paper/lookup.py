"""Finds instruments of the book by UUID, symbol or underlying."""

from __future__ import annotations

from collections.abc import Sequence

from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.holdings import Instrument
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.symbols import as_uuid, canonical

_LONGEST_SHOWN = 64


def found(ledger: Ledger, text: str) -> Instrument | None:
    """The instrument of a UUID or a symbol in any spacing; None if the market does not know it."""
    identifier = as_uuid(text)
    return ledger.instrument_by_id(identifier) if identifier else ledger.instruments.get(canonical(text))


def known_symbol(ledger: Ledger, text: str) -> str:
    """The book's symbol for a UUID or a symbol in any spacing. Raises Refusal: 404 if the market does not know it."""
    instrument = found(ledger, text)
    if instrument is None:
        raise Refusal(404, f"Instrument not found: {text[:_LONGEST_SHOWN]}")
    return instrument.symbol


def known_symbols(ledger: Ledger, wanted: Sequence[str] | None) -> set[str] | None:
    """The symbols of UUIDs and symbols; what the market does not know matches nothing."""
    if wanted is None:
        return None
    return {instrument.symbol for text in wanted if (instrument := found(ledger, text))}


def underlying_symbol(ledger: Ledger, symbol: str) -> str | None:
    """What an option is over; None for everything else."""
    instrument = ledger.instruments[symbol]
    return ledger.underlying(instrument).symbol if instrument.contract else None
