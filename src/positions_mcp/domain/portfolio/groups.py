"""Positions in groups: by underlying with its options, by type, by side, by expiry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from positions_mcp.domain.money import percent
from positions_mcp.domain.portfolio.totals import Totals, totals_by
from positions_mcp.domain.portfolio.underlyings import Underlyings
from positions_mcp.domain.positions import Position


class GroupBy(StrEnum):
    """What positions are grouped by."""

    UNDERLYING = "underlying"
    INSTRUMENT_TYPE = "instrument_type"
    SIDE = "side"
    EXPIRY = "expiry"


NO_EXPIRY = "no expiry"
UNKNOWN_EXPIRY = "unknown expiry"
UNKNOWN_TYPE = "unknown type"


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of positions and what it comes to."""

    name: str
    totals: Totals


def group(positions: Sequence[Position], by: GroupBy, underlyings: Underlyings) -> list[Group]:
    """Every position in exactly one group. Groups by expiry are in date order, others largest gross value first."""
    groups = [Group(name, totals) for name, totals in totals_by(positions, _key(by, underlyings)).items()]
    if by is GroupBy.EXPIRY:
        # Dates sort before the words for no date.
        return sorted(groups, key=lambda each: each.name)
    return sorted(groups, key=lambda each: (-each.totals.gross.amount, each.name))


def share(part: Totals, whole: Totals) -> Decimal | None:
    """Gross value of `part` as percent of that of `whole`; None where it is not known."""
    if part.gross.total is None or whole.gross.total is None:
        return None
    return percent(part.gross.total, whole.gross.total)


def _key(by: GroupBy, underlyings: Underlyings) -> Callable[[Position], str]:
    match by:
        case GroupBy.UNDERLYING:
            return underlyings.name_of
        case GroupBy.INSTRUMENT_TYPE:
            return _type
        case GroupBy.SIDE:
            return lambda position: position.side.value
        case GroupBy.EXPIRY:
            return _expiry


def _type(position: Position) -> str:
    if position.is_option:
        return "OPTION"
    return position.instrument_type or UNKNOWN_TYPE


def _expiry(position: Position) -> str:
    if not position.is_option:
        return NO_EXPIRY
    return position.contract.expiration.isoformat() if position.contract else UNKNOWN_EXPIRY
