"""How an account stands, gathered page by page: what has been added may be forgotten, however large the book is.

Beside market value it is what short options oblige to, and delta-adjusted value where greeks are known.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from operator import itemgetter

from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.enums import SecurityType
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.instruments import OptionRight
from positions_mcp.domain.money import ZERO, exact_product, exact_sum
from positions_mcp.domain.portfolio.groups import Group, GroupBy, Key, Underlyings, grouped, in_order
from positions_mcp.domain.portfolio.resolve import Spellings
from positions_mcp.domain.portfolio.select import ExpiringOption, Week, expiring, expiring_by
from positions_mcp.domain.portfolio.totals import Tallies, Tally, Totals

MOST_OPTIONS = 50
"""Options that a delta is asked for; of an account with more, delta-adjusted value is not known."""
MOST_SHORTS = 100
"""Short options whose terms are asked for, in one request; of more, sizes go by their symbols."""


class Obligations:
    """Dollars at their strikes for which short options may be assigned, gathered page by page."""

    def __init__(self) -> None:
        self.puts = ZERO
        """Paid for the shares that short puts buy."""
        self.calls = ZERO
        """Received for the shares that short calls sell."""
        self.in_cash = ZERO
        """Strikes of short index options, which settle in cash and move no shares."""
        self.not_known = 0
        """Short options whose deliverable does not follow from their symbol."""
        self.options: list[Holding] = []
        """All options, as long as they are few."""
        self.are_all = True
        """Whether `options` are all of them."""
        self.shorts: list[Holding] = []
        """All short options, as long as one request asks about them."""
        self.count = 0
        """Of them."""
        self.others = ZERO
        """Market value of what is no option and no cash."""
        self.unpriced = 0
        """Positions of these that have none."""
        self.sizes: Mapping[InstrumentId, Decimal | None] = {}
        """Multipliers that the API states otherwise than the symbols have it."""

    def add(self, positions: Sequence[Holding]) -> None:
        options: list[Holding] = []
        values: list[Decimal] = []
        for each in positions:
            if each.instrument_type is SecurityType.OPTION or each.is_option:
                options += [each] if each.quantity else []
            elif (value := each.value) is not None and not each.is_cash:
                values.append(value)
            else:
                self.unpriced += value is None
        self.others = exact_sum((self.others, *values))
        self.are_all = self.are_all and len(self.options) + len(options) <= MOST_OPTIONS
        self.options = [*self.options, *options] if self.are_all else []
        shorts = [each for each in options if each.counted_quantity < 0]
        self.count += len(shorts)
        self.shorts = [*self.shorts, *shorts] if self.count <= MOST_SHORTS else []
        for each in shorts:
            self._oblige(each, each.multiplier)

    def sized(self, sizes: Mapping[InstrumentId, Decimal | None]) -> Obligations:
        """The same with multipliers that the API states otherwise, as far as all short options are kept."""
        if not sizes or len(self.shorts) < self.count:
            return self
        again = Obligations()
        again.options, again.are_all, again.shorts, again.count = self.options, self.are_all, self.shorts, self.count
        again.others, again.unpriced, again.sizes = self.others, self.unpriced, sizes
        for each in self.shorts:
            again._oblige(each, again.multiplier_of(each))
        return again

    def multiplier_of(self, option: Holding) -> Decimal | int | None:
        """Shares behind a contract."""
        return self.sizes.get(option.instrument_id, option.multiplier)

    def _oblige(self, short: Holding, size: Decimal | int | None) -> None:
        contract = short.contract
        if contract is None or size is None:
            self.not_known += 1
            return
        amount = exact_product(abs(short.quantity), size, contract.strike)
        if short.underlying_instrument_type is SecurityType.INDEX:
            self.in_cash += amount
        elif contract.right is OptionRight.PUT:
            self.puts += amount
        else:
            self.calls += amount


@dataclass(frozen=True, slots=True)
class DeltaAdjusted:
    """Net dollars that an account moves like, and how many positions are not in it: no delta, price or size known."""

    net: Decimal
    lacking: int


def delta_adjusted(
    held: Obligations, deltas: Mapping[InstrumentId, Decimal], price_of: Mapping[InstrumentId, Decimal]
) -> DeltaAdjusted | None:
    """Market value of what is no option, and delta x size x the underlying's price of options; None: not known.

    `price_of` has the prices of underlyings by the id of the option.
    """
    parts = list(_parts(held, deltas, price_of))
    if not held.are_all or not parts:
        return None
    return DeltaAdjusted(exact_sum((held.others, *parts)), len(held.options) - len(parts) + held.unpriced)


def _parts(
    held: Obligations, deltas: Mapping[InstrumentId, Decimal], price_of: Mapping[InstrumentId, Decimal]
) -> Iterable[Decimal]:
    for each in held.options:
        delta, price, size = deltas.get(each.instrument_id), price_of.get(each.instrument_id), held.multiplier_of(each)
        if delta is not None and price is not None and size is not None:
            yield exact_product(each.counted_quantity, size, delta, price)


_first = itemgetter(0)
_MOST_REALIZED = 5
_SHORTEST_OPTION_SYMBOL = 16
"""One letter, the day, C or P, and the strike."""


@dataclass(frozen=True, slots=True)
class Summarizing:
    """Begins a summary. Equal ones begin the same, so that who asks the same at the same time shares one."""

    by: GroupBy
    week: Week
    count: int

    def __call__(self) -> Summary:
        """A summary of nothing yet."""
        return Summary(self.by, self.week, self.count)


class Summary:
    """What positions come to: totals, groups, the largest, today's winners and losers, options about to expire.

    Everything is added before anything is asked. Pages are looked through again for what options are on.
    """

    def __init__(self, by: GroupBy, week: Week, count: int) -> None:
        self._realized = _Extremes(_MOST_REALIZED)
        self._by = by
        self.week = week
        self._underlyings = Underlyings()
        self._of_underlyings: Tallies[Key] = Tallies()
        self._of_groups: Tallies[str] = Tallies()
        self._largest = _Extremes(count)
        self._winners = _Extremes(count)
        self._losers = _Extremes(count)
        self._soon: list[Holding] = []
        self._pages: list[Sequence[Holding]] = []
        self.count = 0
        """Positions that were added."""
        self.obligations = Obligations()
        self.spellings = Spellings()
        """Of all symbols held."""
        self.unknown_expiry = 0
        """Options whose symbol does not say when they expire."""

    def add(self, page: Sequence[Holding]) -> None:
        self._pages.append(page)
        positions = list(page)
        self.count += len(positions)
        self.spellings.add(positions)
        self.obligations.add(positions)
        self._of_underlyings.add(self._underlyings.add(positions))
        if self._by is not GroupBy.UNDERLYING:
            self._of_groups.add(grouped(self._by, positions))
        self._largest.add((p.market_value.copy_abs(), p) for p in positions if p.market_value)
        moved = [(day, p) for p in positions if (day := p.day_pnl)]
        self._winners.add(each for each in moved if not each[0].is_signed())
        self._losers.add((day.copy_negate(), p) for day, p in moved if day.is_signed())
        self._realized.add((p.daily_realized_pnl.copy_abs(), p) for p in positions if p.daily_realized_pnl)
        self.unknown_expiry += sum(p.is_option for p in positions if len(p.symbol) < _SHORTEST_OPTION_SYMBOL)
        self._soon += expiring_by(self.week.dated_by, positions)

    @cached_property
    def totals(self) -> Totals:
        return Totals.merged(group.tally for group in self.by_underlying)

    @cached_property
    def by_underlying(self) -> list[Group]:
        """The underlyings with their options, largest gross value first."""
        named: dict[str, list[Tally]] = {}
        for key, tally in self._of_underlyings.tallies().items():
            named.setdefault(self._underlyings.named(key), []).append(tally)
        groups = (Group(name, parts[0] if len(parts) == 1 else Totals.merged(parts)) for name, parts in named.items())
        return in_order(GroupBy.UNDERLYING, groups)

    @property
    def groups(self) -> list[Group]:
        """Every position in exactly one group. Groups by expiry are in date order, others largest gross value first."""
        if self._by is GroupBy.UNDERLYING:
            return self.by_underlying
        return in_order(self._by, (Group(name, tally) for name, tally in self._of_groups.tallies().items()))

    @property
    def largest(self) -> list[Holding]:
        """Those of the largest absolute market value, among those that have one above zero."""
        return self._largest.positions

    @property
    def winners(self) -> list[Holding]:
        """Those that gained most today, the largest gain first."""
        return self._winners.positions

    @property
    def losers(self) -> list[Holding]:
        """Those that lost most today, the largest loss first."""
        return self._losers.positions

    @property
    def realized(self) -> list[Holding]:
        """Those of which some was closed today at a profit or loss, the largest first."""
        return self._realized.positions

    def _others(self) -> Iterator[Holding]:
        """Those that are no options."""
        return (position for page in self._pages for position in page if not position.is_option)

    def options(self) -> list[ExpiringOption]:
        """All options against their underlyings; of an account with many, the short ones, where these are few."""
        return expiring(self.obligations.options or self.obligations.shorts, self._others())

    def expiring(self) -> list[ExpiringOption]:
        """The options that expire within the week, soonest first, priced as they were read."""
        return expiring((each for each in self._soon if each.quantity), self._others())


class _Extremes:
    """The few positions of the largest values, the first to come where they are equal."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: list[tuple[Decimal, Holding]] = []

    def add(self, valued: Iterable[tuple[Decimal, Holding]]) -> None:
        if len(self._kept) == self._count:
            least = self._kept[-1][0]
            valued = [each for each in valued if each[0] > least]
        self._kept = heapq.nlargest(self._count, [*self._kept, *valued], key=_first)

    @property
    def positions(self) -> list[Holding]:
        return [position for _, position in self._kept]
