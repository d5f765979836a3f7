"""The terms of an option contract that decide what its expiration does: from the API, else from what its root says.

Of cash-settled index options what is known goes by their root, where the API says nothing. Reviewed on 27 November 2026
against the product specifications that the listing exchanges publish (Cboe: SPX, XSP, OEX, XEO, DJX, RUT and VIX;
Nasdaq: NDX and XND). A root that is not here is not known, which is not the same as settled in shares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from positions_mcp.domain.account.market import ContractFacts
from positions_mcp.domain.account.positions import Book, Holding
from positions_mcp.domain.enums import ExerciseStyle, ListingType, SecurityType
from positions_mcp.domain.ids import InstrumentId

REVIEWED: Final = date(2026, 11, 27)
"""When the list was last gone through."""


class SettlesAt(StrEnum):
    """Which level settles the option on its expiration day."""

    OPEN = "open"
    """AM settlement, by the opening prices of the index's components; the last session is the one before."""
    CLOSE = "close"
    """PM settlement, by the closing level of the expiration day."""


@dataclass(frozen=True, slots=True)
class IndexRoot:
    """The options under one root: on which index, exercised when, settled by which level, and who publishes so."""

    root: str
    index: str
    settles_at: SettlesAt
    source: str
    style: ExerciseStyle = ExerciseStyle.EUROPEAN


_CBOE, _NASDAQ = "Cboe product specifications", "Nasdaq product specifications"

_LISTED = (
    IndexRoot("SPX", "SPX", SettlesAt.OPEN, _CBOE),
    IndexRoot("SPXW", "SPX", SettlesAt.CLOSE, _CBOE),
    IndexRoot("XSP", "XSP", SettlesAt.CLOSE, _CBOE),
    IndexRoot("NDX", "NDX", SettlesAt.OPEN, _NASDAQ),
    IndexRoot("NDXP", "NDX", SettlesAt.CLOSE, _NASDAQ),
    IndexRoot("XND", "XND", SettlesAt.CLOSE, _NASDAQ),
    IndexRoot("RUT", "RUT", SettlesAt.OPEN, _CBOE),
    IndexRoot("RUTW", "RUT", SettlesAt.CLOSE, _CBOE),
    IndexRoot("MRUT", "MRUT", SettlesAt.CLOSE, _CBOE),
    IndexRoot("DJX", "DJX", SettlesAt.OPEN, _CBOE),
    IndexRoot("VIX", "VIX", SettlesAt.OPEN, _CBOE),
    IndexRoot("VIXW", "VIX", SettlesAt.OPEN, _CBOE),
    IndexRoot("OEX", "OEX", SettlesAt.CLOSE, _CBOE, ExerciseStyle.AMERICAN),
    IndexRoot("XEO", "OEX", SettlesAt.CLOSE, _CBOE),
)

INDEX_ROOTS: Final = {each.root: each for each in _LISTED}
"""By root, as OSI symbols write it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a contract is exercised and settled. None is not known.

    `multiplier` is None where what a contract delivers does not follow from its symbol: an adjusted contract may
    deliver other shares, other amounts and cash, whatever its multiplier is.
    """

    style: ExerciseStyle | None
    in_cash: bool
    """An index option: dollars for the points in the money, and no shares."""
    settles_at: SettlesAt | None
    multiplier: Decimal | None

    @property
    def may_be_exercised_early(self) -> bool:
        """Whether its holder may exercise before its expiration day, as far as is known."""
        return self.style is not ExerciseStyle.EUROPEAN


def terms_of(option: Holding, facts: ContractFacts | None = None) -> Terms:
    """The terms of an option that is held: the API's own word first.

    What the API leaves open follows from the list of index roots; an option on shares is American, and its day's close
    decides. Of an index option that is not listed there, neither is known.
    """
    listed = INDEX_ROOTS.get(option.contract.root) if option.contract else None
    at_the_open = facts.is_settle_on_open if facts else None
    on_index = option.underlying_instrument_type is SecurityType.INDEX
    on_shares = option.underlying_instrument_type is not None and not on_index
    in_cash = on_index or bool(at_the_open) or (listed is not None and not on_shares)
    style: ExerciseStyle | None = ExerciseStyle.AMERICAN
    settles_at: SettlesAt | None = SettlesAt.CLOSE
    if in_cash:
        style, settles_at = (listed.style, listed.settles_at) if listed else (None, None)
    if facts and facts.exercise_style and facts.exercise_style.is_known:
        style = facts.exercise_style
    if at_the_open is not None:
        settles_at = SettlesAt.OPEN if at_the_open else SettlesAt.CLOSE
    return Terms(style, in_cash, settles_at, _multiplier(option, facts))


def sizes_of(
    options: Iterable[Holding], contracts: Mapping[InstrumentId, ContractFacts]
) -> dict[InstrumentId, Decimal | None]:
    """The multipliers that the API states otherwise than their symbols have it."""
    stated = ((each, contracts.get(each.instrument_id)) for each in options)
    sizes = {each.instrument_id: (each, _multiplier(each, facts)) for each, facts in stated if facts is not None}
    return {key: size for key, (each, size) in sizes.items() if size != each.multiplier}


def sized(book: Book, contracts: Mapping[InstrumentId, ContractFacts]) -> Book:
    """The book with the multipliers that the API states."""
    held = (book.by_id[key] for key in contracts if key in book.by_id)
    sizes = sizes_of(held, contracts)
    return replace(book, sizes=sizes) if sizes else book


def _multiplier(option: Holding, facts: ContractFacts | None) -> Decimal | None:
    standard = option.multiplier
    if standard is None or (facts and facts.listing_type is ListingType.OTC):
        return None
    stated = facts.multiplier if facts else None
    return stated if stated is not None and stated > 0 else Decimal(standard)
