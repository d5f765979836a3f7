"""What a close needs to know of options beside the book: when they trade last, and what their underlyings cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from positions_mcp.domain.account.contracts import ContractFacts
from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.account.quotes import find_underlying
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.ids import InstrumentId, is_uuid
from positions_mcp.guard.market_facts import read_market_facts
from positions_mcp.ports import Clock, Neighbours

_MOST = 100
"""Contracts, or underlyings, that one request asks for: no more are asked for."""
_SOON = timedelta(days=4)
"""Whose last trade may be today, for its opening settlement after a long weekend at the latest."""


@dataclass(frozen=True, slots=True)
class OptionFacts:
    """By instrument id; what is missing is not known."""

    contracts: Mapping[InstrumentId, ContractFacts] = field(default_factory=dict)
    prices: Mapping[InstrumentId, Decimal] = field(default_factory=dict)
    """Of underlyings that are not held: the latest price by market data."""


async def read_option_facts(
    neighbours: Neighbours, book: Book, clock: Clock, *, closing: Sequence[Position] | None = None
) -> OptionFacts:
    """One request each, side by side, where options need it. What is refused is not known.

    `closing`: what is closed, so that only options among it and over the same underlyings are asked about; None is all.
    """
    options: Sequence[Position] = book.options
    if closing is not None:
        on = {None, *(_on(each) for each in closing)}
        options = [each for each in options if each.underlying_instrument_id in on]
    options = [each for each in options if each.quantity]
    soon = new_york_day(clock.now()) + _SOON
    ending = [each.instrument_id for each in options if each.contract and each.contract.expiration <= soon]
    facts = await read_market_facts(neighbours, terms_of=ending[:_MOST], market_of=_not_held(options, book)[:_MOST])
    return OptionFacts(facts.contracts, {InstrumentId(key): each.price for key, each in facts.latest.items()})


def _on(position: Position) -> InstrumentId | None:
    """What an option is over; for anything else, itself."""
    return position.underlying_instrument_id if position.is_option else position.instrument_id


def _not_held(options: Sequence[Position], book: Book) -> list[InstrumentId]:
    """The underlyings whose price the book does not show, each once."""
    found = [each.underlying_instrument_id for each in options if find_underlying(each, book) is None]
    return sorted({key for key in found if key is not None and is_uuid(key)})
