"""Which underlying a position belongs to, so that options roll up under it, and positions in other groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from operator import itemgetter
from typing import Literal, NamedTuple

from positions_mcp.domain import many
from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.enums import SecurityType
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.instruments import as_root
from positions_mcp.domain.money import ZERO, percent
from positions_mcp.domain.portfolio.totals import Tally, Totals, amount_of


class UnresolvedUnderlying(NamedTuple):
    """What an option says about its underlying where the API does not name it, or the symbol has no root."""

    instrument_id: InstrumentId | None
    root: str
    own_name: str
    """Where there is no root either."""


Key = InstrumentId | UnresolvedUnderlying
"""What a position says about its underlying. Several keys can mean the same one: `Underlyings.named` tells."""


class Underlyings:
    """The underlyings of a book by name: the symbol held, otherwise the root of the options on it.

    An option belongs to the instrument the API names as its underlying, whatever its root says (SPXW is on SPX);
    where the API names none, to the instrument that its root names. A position that is not an option is its own
    underlying. An option with neither is left alone under its own name.
    """

    def __init__(self, positions: Iterable[Holding] = ()) -> None:
        self._held: dict[InstrumentId, str] = {}
        self._roots: dict[InstrumentId, str] = {}
        self._read: set[tuple[InstrumentId, str]] = set()
        self._by_root: dict[str, str | None] | None = None
        self.add(positions)

    def add(self, positions: Iterable[Holding]) -> dict[Key, list[Holding]]:
        """Learn from some more positions of the book. Returns them by what they say about their underlying."""
        self._by_root = None
        parts: defaultdict[Key, list[Holding]] = defaultdict(list)
        roots, read = self._roots, self._read
        for position in positions:
            if position.instrument_type is not SecurityType.OPTION and not position.is_option:
                self._held[position.instrument_id] = position.name
                parts[position.instrument_id].append(position)
                continue
            underlying = position.underlying_instrument_id
            if underlying is not None and (underlying, position.symbol[:-_TAIL]) not in read:
                self._learn(underlying, position)
            parts[underlying if underlying in roots else self.key_of(position)].append(position)
        return parts

    def _learn(self, underlying: InstrumentId, option: Holding) -> None:
        if root := option_root(option):
            if option.symbol.find(" ", -_TAIL) < 0:
                # It ends in the usual form, so that what stands before is the root: of many options it is read once.
                self._read.add((underlying, option.symbol[:-_TAIL]))
            # The shortest root is the plain one: SPX before SPXW, AAPL before the adjusted AAPL1.
            known = self._roots.get(underlying, root)
            self._roots[underlying] = min(known, root, key=lambda each: (len(each), each))

    def key_of(self, position: Holding) -> Key:
        """What `position`, which has been added, says about its underlying."""
        underlying = position.underlying_instrument_id
        if not position.is_option:
            return position.instrument_id
        if underlying in self._roots:
            return underlying
        root = option_root(position)
        return UnresolvedUnderlying(underlying, root, "" if root else position.name)

    def named(self, key: Key) -> str:
        """The name of the underlying that a key means. All positions of the book have been added."""
        instrument_id = key.instrument_id if isinstance(key, UnresolvedUnderlying) else key
        if instrument_id in self._held:
            return self._held[instrument_id]
        if instrument_id in self._roots:
            return self._roots[instrument_id]
        assert isinstance(key, UnresolvedUnderlying)
        return self._held_under(key.root) or key.root or key.own_name

    def _held_under(self, root: str) -> str | None:
        """The one instrument held that a root names: by its very symbol, or alone as it is written in roots."""
        if self._by_root is None:
            by_root: dict[str, str | None] = {}
            for symbol in sorted(set(self._held.values()), key=lambda symbol: (symbol == as_root(symbol), symbol)):
                written = as_root(symbol)
                is_alone = written not in by_root or symbol == written
                by_root[written] = symbol if is_alone else None
            self._by_root = by_root  # whole: several threads may ask at the same time
        return self._by_root.get(root) if root else None

    def name_of(self, position: Holding) -> str:
        """The name of the underlying that `position`, one of the book, rolls up under."""
        return self.named(self.key_of(position))

    def matches(self, position: Holding, wanted: str) -> bool:
        """Whether `wanted` (a symbol or root in upper case, or an instrument UUID in lower case) is its underlying."""
        if wanted in (position.instrument_id, position.underlying_instrument_id):
            return True
        return self.name_of(position).upper() == wanted or option_root(position) == wanted


def option_root(position: Holding) -> str:
    """The root of an option's symbol; empty for what is not an option or cannot be read."""
    return position.contract.root if position.contract else ""


_TAIL = 15
"""Characters of expiration, right and strike, with which an OSI symbol usually ends."""


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
    tally: Tally

    @property
    def totals(self) -> Totals:
        """Worked out when they are asked for."""
        return Totals.merged([self.tally])

    def amount(self, by: GroupOrder) -> Decimal | None:
        """What it is ordered by; None where that is not known at all."""
        return amount_of(self.tally, _SUMS[by])


def in_order(by: GroupBy, groups: Iterable[Group]) -> list[Group]:
    """Groups by expiry in date order, others largest gross value first."""
    if by is GroupBy.EXPIRY:
        # Dates sort before the words for no date.
        return sorted(groups, key=lambda each: each.name)
    return list(
        many.in_order(list(groups), lambda each: ((each.amount(GroupOrder.VALUE) or ZERO).copy_negate(), each.name))
    )


def ordered(groups: Iterable[Group], by: GroupOrder, *, descending: bool = True) -> list[Group]:
    """Groups by gross value or by profit or loss; those of which it is not known at all come last either way."""
    known: list[tuple[Decimal, str, Group]] = []
    missing: list[Group] = []
    for group in groups:
        if (amount := group.amount(by)) is None:
            missing.append(group)
        else:
            known.append((amount.copy_negate() if descending else amount, group.name, group))
    return [*(group for *_, group in many.in_order(known, lambda each: each[:2])), *missing]


def worst_of_day(groups: Iterable[Group]) -> Group | None:
    """The group that lost most in the day; None where none has lost anything."""
    days = ((group.amount(GroupOrder.DAY_PNL), group.name, group) for group in groups)
    lost = [(amount, name, group) for amount, name, group in days if amount is not None and amount < 0]
    return min(lost, key=itemgetter(0, 1))[2] if lost else None


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


_SUMS: dict[GroupOrder, Literal["gross", "day_pnl", "unrealized_pnl"]] = {
    GroupOrder.VALUE: "gross",
    GroupOrder.DAY_PNL: "day_pnl",
    GroupOrder.UNREALIZED_PNL: "unrealized_pnl",
}

_KEYS: dict[GroupBy, Callable[[Holding], str]] = {
    GroupBy.INSTRUMENT_TYPE: _type,
    GroupBy.SIDE: lambda position: position.side.value,
    GroupBy.EXPIRY: _expiry,
}
