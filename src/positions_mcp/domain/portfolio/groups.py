"""Positions in groups: by underlying with its options, by type, by side, by expiry."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.money import percent
from positions_mcp.domain.portfolio.totals import Sum, Totals


class GroupBy(StrEnum):
    """What positions are grouped by."""

    UNDERLYING = "underlying"
    INSTRUMENT_TYPE = "instrument_type"
    SIDE = "side"
    EXPIRY = "expiry"


class GroupOrder(StrEnum):
    """What groups are ordered by."""

    VALUE = "value"
    DAY_PNL = "day_pnl"
    UNREALIZED_PNL = "unrealized_pnl"


NO_EXPIRY = "no expiry"
UNKNOWN_EXPIRY = "unknown expiry"
UNKNOWN_TYPE = "unknown type"


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of positions and what it comes to."""

    name: str
    totals: Totals


def in_order(by: GroupBy, groups: Iterable[Group]) -> list[Group]:
    """Groups by expiry in date order, others largest gross value first."""
    if by is GroupBy.EXPIRY:
        # Dates sort before the words for no date.
        return sorted(groups, key=lambda each: each.name)
    return sorted(groups, key=lambda each: (-each.totals.gross.amount, each.name))


def ordered(groups: Iterable[Group], by: GroupOrder, *, descending: bool = True) -> list[Group]:
    """Groups by gross value or by profit or loss; those of which it is not known at all come last either way."""
    known: list[tuple[Decimal, str, Group]] = []
    missing: list[Group] = []
    for group in groups:
        if (amount := _AMOUNTS[by](group.totals).total) is None:
            missing.append(group)
        else:
            known.append((-amount if descending else amount, group.name, group))
    return [*(group for *_, group in sorted(known, key=lambda each: each[:2])), *missing]


def worst_of_day(groups: Iterable[Group]) -> Group | None:
    """The group that lost most in the day; None where none has lost anything."""
    lost = [group for group in groups if (group.totals.day_pnl.total or 0) < 0]
    return min(lost, key=lambda group: (group.totals.day_pnl.amount, group.name), default=None)


def share(part: Totals, whole: Totals) -> Decimal | None:
    """Gross value of `part` as percent of that of `whole`; None where it is not known."""
    if part.gross.total is None or whole.gross.total is None:
        return None
    return percent(part.gross.total, whole.gross.total)


def grouped(by: GroupBy, positions: Iterable[Holding]) -> dict[str, list[Holding]]:
    """Positions by the name of their group; not by underlying, which only the whole book can name."""
    parts: defaultdict[str, list[Holding]] = defaultdict(list)
    key_of = _KEYS[by]
    for position in positions:
        parts[key_of(position)].append(position)
    return parts


def _type(position: Holding) -> str:
    if position.is_option:
        return "OPTION"
    return position.instrument_type or UNKNOWN_TYPE


def _expiry(position: Holding) -> str:
    if not position.is_option:
        return NO_EXPIRY
    return position.contract.expiration.isoformat() if position.contract else UNKNOWN_EXPIRY


_AMOUNTS: dict[GroupOrder, Callable[[Totals], Sum]] = {
    GroupOrder.VALUE: lambda totals: totals.gross,
    GroupOrder.DAY_PNL: lambda totals: totals.day_pnl,
    GroupOrder.UNREALIZED_PNL: lambda totals: totals.unrealized_pnl,
}

_KEYS: dict[GroupBy, Callable[[Holding], str]] = {
    GroupBy.INSTRUMENT_TYPE: _type,
    GroupBy.SIDE: lambda position: position.side.value,
    GroupBy.EXPIRY: _expiry,
}
