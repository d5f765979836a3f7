"""Choosing and ordering positions of a book, options about to expire among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import Any

from positions_mcp.domain.account.positions import Holding, HoldingT, Side
from positions_mcp.domain.account.quotes import Moneyness, moneyness, points_in_the_money, underlying_price
from positions_mcp.domain.enums import SecurityType, SortDirection
from positions_mcp.domain.errors import UnknownInstrument
from positions_mcp.domain.exercise.cutoffs import TradingDays, last_dated
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.instruments import OptionContract, as_root
from positions_mcp.domain.many import in_order
from positions_mcp.domain.money import ZERO
from positions_mcp.domain.portfolio.groups import Underlyings
from positions_mcp.domain.portfolio.resolve import Holdings, find_underlying, named_of

_FRIDAY = 4


@dataclass(frozen=True, slots=True)
class Week:
    """The days from today to the end of the trading week; on a weekend, all of the coming week."""

    first: date
    last: date
    dated_by: date
    """The last date of a contract that ends by then, which closed days may put later."""

    @classmethod
    def of(cls, today: date, calendar: TradingDays) -> Week:
        """The rest of the trading week that `today` belongs to."""
        last = today + timedelta(days=(_FRIDAY - today.weekday()) % 7)
        return cls(today, last, last_dated(last, calendar))


@dataclass(frozen=True, slots=True)
class ExpiringOption:
    """An option that expires soon; price and distance are None where the book does not hold its underlying."""

    position: Holding
    contract: OptionContract
    underlying: Holding | None
    price: Decimal | None
    has_namesakes: bool = False
    """Whether another of the options is called the same."""

    @property
    def identified(self) -> str:
        """Its id behind what it is called, where that is needed; else empty."""
        return f" [{self.position.instrument_id}]" if self.has_namesakes else ""

    @property
    def moneyness(self) -> Moneyness:
        """At that price; not known of an adjusted contract, whatever the price."""
        return moneyness(self.contract, None if self.position.multiplier is None else self.price)

    @property
    def distance(self) -> Decimal | None:
        """Dollars per share between the underlying's price and the strike, where that says anything."""
        if self.price is None or self.position.multiplier is None:
            return None
        return points_in_the_money(self.contract, self.price).copy_abs()


def expiring_by(last: date, positions: Iterable[HoldingT]) -> list[HoldingT]:
    """The options that expire on the day `last` or before."""
    day = f"{last:%y%m%d}"
    return [
        position
        for position in positions
        if not _plainly_expires_after(day, position.symbol)
        and (contract := position.contract) is not None
        and contract.expiration <= last
    ]


def _plainly_expires_after(last: str, symbol: str) -> bool:
    """Whether an OSI symbol in its usual form says so: enough to leave nearly all of a large book unread."""
    day = symbol[-15:-9]
    return day > last and symbol[-9] in "CP" and day.isdigit()


def expiring(options: Iterable[Holding], others: Iterable[Holding]) -> list[ExpiringOption]:
    """What `expiring_by` found, against its underlyings: soonest first, largest value first in a day.

    `others` are what the account holds besides options, and where the underlyings are looked for.
    """
    options = [option for option in options if option.contract is not None]
    held, alike = _Held(options, others), Counter(option.contract for option in options)
    priced: dict[str, tuple[Holding | None, Decimal | None]] = {}
    found = []
    for position in options:
        if (contract := position.contract) is None:
            continue
        key = position.underlying_instrument_id or contract.root
        if key not in priced:
            underlying = held.underlying_of(position)
            priced[key] = underlying, underlying_price(underlying)
        underlying, price = priced[key]
        found.append(ExpiringOption(position, contract, underlying, price, alike[contract] > 1))
    return sorted(found, key=lambda each: (each.contract.expiration, -(each.position.market_value or ZERO).copy_abs()))


class _Held:
    """`quotes.find_underlying` for many options of one book, which is looked through once."""

    def __init__(self, options: Sequence[Holding], others: Iterable[Holding]) -> None:
        self._by_id: dict[InstrumentId, Holding] = {}
        self._by_root: dict[str, Holding | None] = {}
        ids = {option.underlying_instrument_id for option in options}
        roots = {option.contract.underlying_root for option in options if option.contract is not None}
        for position in others if options else ():
            if position.instrument_id in ids:
                self._by_id[position.instrument_id] = position
            if (root := as_root(position.symbol)) in roots:
                self._by_root[root] = None if root in self._by_root else position

    def underlying_of(self, option: Holding) -> Holding | None:
        """The position in the option's underlying; None where none is held or its symbol is held twice."""
        if option.underlying_instrument_id is not None:
            return self._by_id.get(option.underlying_instrument_id)
        if option.contract is None or not option.contract.is_standard:
            return None
        return self._by_root.get(option.contract.underlying_root)


class SortKey(StrEnum):
    """What positions are ordered by: the API's own keys, and what it cannot sort by."""

    SYMBOL = "SYMBOL"
    INSTRUMENT_TYPE = "INSTRUMENT_TYPE"
    QUANTITY = "QUANTITY"
    MARKET_VALUE = "MARKET_VALUE"
    POSITION_TYPE = "POSITION_TYPE"
    UNREALIZED_PNL = "UNREALIZED_PNL"
    UNREALIZED_PNL_PCT = "UNREALIZED_PNL_PCT"
    DAY_PNL = "DAY_PNL"
    DAILY_UNREALIZED_PNL = "DAILY_UNREALIZED_PNL"
    DAILY_REALIZED_PNL = "DAILY_REALIZED_PNL"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which positions are wanted; what is not given does not narrow. Conditions are joined by "and"."""

    instruments: tuple[str, ...] = ()
    """Symbols, OSI symbols in any spacing or UUIDs, each of which must be held."""
    underlying: str | None = None
    """A symbol or UUID: the instrument itself and every option on it."""
    instrument_type: SecurityType | None = None
    side: Side | None = None
    locked: bool | None = None
    """Whether open orders or exercise instructions hold some of it."""
    expires_by: date | None = None
    """Options that are dated on that day or before."""
    least_pct: Decimal | None = None
    """Of unrealised profit or loss, in percent. What has no percent is neither above nor below it."""
    most_pct: Decimal | None = None

    @property
    def by_percent(self) -> bool:
        return self.least_pct is not None or self.most_pct is not None

    def fits(self, percent: Decimal) -> bool:
        above = self.least_pct is None or percent >= self.least_pct
        return above and (self.most_pct is None or percent <= self.most_pct)

    @property
    def is_narrowing(self) -> bool:
        return self != Filter()


class Choice:
    """Chooses what `wanted` describes among all that are `held`, from any of them at a time.

    Raises UnknownInstrument where nothing held goes by a name, InvalidInput where one means several instruments.
    """

    def __init__(self, held: Sequence[Holding], wanted: Filter) -> None:
        self._wanted = wanted
        named = named_of(held) if wanted.instruments or wanted.underlying is not None else ()
        found = Holdings(named).find_all(wanted.instruments) if wanted.instruments else ()
        self.places = {each.instrument_id: place for place, each in enumerate(found)}
        """Of instruments that are asked for by name."""
        if wanted.underlying is not None:
            self._underlyings = Underlyings(named)
            self._underlying = find_underlying(wanted.underlying, named, self._underlyings)

    def among(self, some: Iterable[HoldingT]) -> list[HoldingT]:
        """Those of some that are wanted, in their order."""
        wanted, positions = self._wanted, some
        if wanted.instruments:
            positions = [position for position in positions if position.instrument_id in self.places]
        if wanted.underlying is not None:
            matches, underlying = self._underlyings.matches, self._underlying
            positions = [position for position in positions if matches(position, underlying)]
        if wanted.instrument_type is SecurityType.OPTION:
            positions = [position for position in positions if position.is_option]
        elif wanted.instrument_type is not None:
            positions = [position for position in positions if position.instrument_type is wanted.instrument_type]
        if wanted.side is not None:
            positions = [position for position in positions if position.side is wanted.side]
        if wanted.locked is not None:
            positions = [position for position in positions if bool(position.locked_quantity) is wanted.locked]
        if wanted.expires_by is not None:
            positions = expiring_by(wanted.expires_by, positions)
        if wanted.by_percent:
            positions = [p for p in positions if p.unrealized_pnl_pct is not None and wanted.fits(p.unrealized_pnl_pct)]
        return list(positions)


def select(held: Sequence[HoldingT], wanted: Filter) -> list[HoldingT]:
    """Those of all that are `held` that `wanted` describes: in their order, or in that of the names. As `Choice`."""
    choice = Choice(held, wanted)
    found = choice.among(held)
    return sorted(found, key=lambda each: choice.places[each.instrument_id]) if choice.places else found


def without(
    chosen: Iterable[HoldingT], names: Sequence[str], held: Sequence[HoldingT], *, of_underlying: str | None = None
) -> list[HoldingT]:
    """Of what is `chosen`, what `names` do not leave out.

    An option's symbol leaves out that option. The symbol of an underlying leaves out its options too, unless what is
    chosen is `of_underlying` the same: then only the instrument itself.

    Raises UnknownInstrument where nothing held goes by a name.
    """
    holdings, underlyings = Holdings(held), Underlyings(held)
    own = find_underlying(of_underlying, held, underlyings) if of_underlying is not None else None
    left_out: set[InstrumentId] = set()
    for name in names:
        try:
            position = holdings.find(name)
        except UnknownInstrument:
            of_all = find_underlying(name, held, underlyings)
        else:
            left_out.add(position.instrument_id)
            if position.is_option or (own is not None and underlyings.matches(position, own)):
                continue
            of_all = underlyings.name_of(position).upper()
        left_out.update(each.instrument_id for each in held if underlyings.matches(each, of_all))
    return [position for position in chosen if position.instrument_id not in left_out]


class Sorting:
    """In which order positions stand that are added one after another: by a key, or by absolute value.

    Those without the value come last in either direction; by absolute value those that are worth nothing before them.
    """

    def __init__(self, key: SortKey | None = None, direction: SortDirection = SortDirection.DESC) -> None:
        self._value: Callable[[Holding], Decimal | str | None] = _KEYS[key] if key else _size
        self._is_descending = direction is SortDirection.DESC
        self._values: list[Any] = []

    def add(self, positions: Iterable[Holding]) -> None:
        self._values += map(self._value, positions)

    def places(self) -> list[int]:
        """Where each was among those added. Ties stand as they were, whichever way it runs."""
        values = self._values
        known = [place for place, value in enumerate(values) if value is not None]
        missing = [place for place, value in enumerate(values) if value is None]
        return [*in_order(known, values.__getitem__, descending=self._is_descending), *missing]


def _size(position: Holding) -> Decimal | None:
    # copy_abs does not round to the context as abs() would.
    return None if (value := position.value) is None else value.copy_abs()


def natural_direction(key: SortKey) -> SortDirection:
    """The direction people mean when they name only the key: words ascend, numbers descend."""
    return SortDirection.ASC if key in _WORDS else SortDirection.DESC


_WORDS = frozenset({SortKey.SYMBOL, SortKey.INSTRUMENT_TYPE, SortKey.POSITION_TYPE})
_KEYS: dict[SortKey, Callable[[Any], Decimal | str | None]] = {
    SortKey.SYMBOL: attrgetter("name"),
    SortKey.INSTRUMENT_TYPE: attrgetter("instrument_type"),
    SortKey.QUANTITY: attrgetter("quantity"),
    SortKey.MARKET_VALUE: attrgetter("value"),
    SortKey.POSITION_TYPE: attrgetter("position_type"),
    SortKey.UNREALIZED_PNL: attrgetter("unrealized_pnl"),
    SortKey.UNREALIZED_PNL_PCT: attrgetter("unrealized_pnl_pct"),
    SortKey.DAY_PNL: attrgetter("day_pnl"),
    SortKey.DAILY_UNREALIZED_PNL: attrgetter("daily_unrealized_pnl"),
    SortKey.DAILY_REALIZED_PNL: attrgetter("daily_realized_pnl"),
}
