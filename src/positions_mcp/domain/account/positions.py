"""Positions as the API reports them, and the book of one account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from positions_mcp.domain.account.letters import ByLetters
from positions_mcp.domain.account.readings import Reading
from positions_mcp.domain.enums import PositionType, SecurityType
from positions_mcp.domain.ids import AccountId, InstrumentId
from positions_mcp.domain.instruments import (
    SHORTEST_OSI,
    STANDARD_MULTIPLIER,
    OptionContract,
    as_root,
    parse_option_symbol,
)
from positions_mcp.domain.many import OnDemand
from positions_mcp.domain.money import EXACT, ZERO, exact_sum
from positions_mcp.domain.operation.records import Text
from positions_mcp.domain.text import letters_of


class Side(StrEnum):
    """Which way a position is held."""

    LONG = "long"
    SHORT = "short"
    FLAT = "flat"


class Holding:
    """A position in brief: what it takes to name, count, group and order it, and to price the options on it.

    Money is in dollars; quantities are shares or contracts, negative when short. What the API leaves out or sends as
    null is None: missing, never zero. No arithmetic holds between the API's own fields (its examples do not add up),
    so none is assumed.
    """

    __slots__ = ()
    FIELDS: ClassVar = (
        "instrument_id",
        "quantity",
        "symbol",
        "available_quantity",
        "instrument_type",
        "position_type",
        "market_value",
        "instrument_price",
        "closing_price",
        "closing_price_date",
        "unrealized_pnl",
        "daily_unrealized_pnl",
        "underlying_instrument_id",
        "cost_basis",
        "unrealized_pnl_pct",
        "daily_realized_pnl",
        "underlying_instrument_type",
    )

    if TYPE_CHECKING:
        # A listing may have a hundred thousand: who reads them chooses how to keep these.
        @property
        def instrument_id(self) -> InstrumentId:
            """The instrument, by its UUID."""

        @property
        def quantity(self) -> Decimal:
            """Shares or contracts; negative when short."""

        @property
        def symbol(self) -> str:
            """May be empty for an option the API cannot resolve."""

        @property
        def available_quantity(self) -> Decimal | None:
            """What is free to be operated on: not locked by open orders or exercise instructions."""

        @property
        def instrument_type(self) -> SecurityType | None:
            """What kind of security it is."""

        @property
        def position_type(self) -> PositionType | None:
            """How the API classifies it: long or short."""

        @property
        def market_value(self) -> Decimal | None:
            """Dollars; negative when short."""

        @property
        def instrument_price(self) -> Decimal | None:
            """Dollars per share, now."""

        @property
        def closing_price(self) -> Decimal | None:
            """Dollars per share at the last trading day's close, on `closing_price_date`."""

        @property
        def closing_price_date(self) -> date | None:
            """The day of `closing_price`."""

        @property
        def unrealized_pnl(self) -> Decimal | None:
            """Unrealized profit or loss in dollars."""

        @property
        def daily_unrealized_pnl(self) -> Decimal | None:
            """Unrealized profit or loss relative to the previous close, in dollars."""

        @property
        def underlying_instrument_id(self) -> InstrumentId | None:
            """An option's underlying."""

        @property
        def underlying_instrument_type(self) -> SecurityType | None:
            """What kind of security that is."""

        @property
        def cost_basis(self) -> Decimal | None:
            """Dollars."""

        @property
        def unrealized_pnl_pct(self) -> Decimal | None:
            """Percent, signed and unbounded."""

        @property
        def daily_realized_pnl(self) -> Decimal | None:
            """Realised profit or loss of the day in dollars."""

    @property
    def contract(self) -> OptionContract | None:
        """The option contract the symbol names, or None: not an option, or one whose symbol is unresolved."""
        return parse_option_symbol(self.symbol)

    @property
    def is_option(self) -> bool:
        """Whether this is an option, by its type or by its symbol."""
        return self.instrument_type is SecurityType.OPTION or parse_option_symbol(self.symbol) is not None

    @property
    def is_cash(self) -> bool:
        """Whether this is money that the account lists as a position: never closed, never counted."""
        return self.instrument_type is not None and self.instrument_type.is_money and not self.is_option

    @property
    def is_closable(self) -> bool:
        """Whether an order can close it: cash and an index can only be listed."""
        kind = self.instrument_type
        return kind is None or not (kind.is_money or kind is SecurityType.INDEX) or self.is_option

    @property
    def value(self) -> Decimal | None:
        """The market value; None where it is zero for want of a price: that is not known, not nothing."""
        if self.market_value or self.instrument_price is not None or not self.quantity:
            return self.market_value
        return None

    @property
    def day_pnl(self) -> Decimal | None:
        """Profit or loss of the day: unrealised, and realised where the API gives it. Not known without the first."""
        open_part, closed_part = self.daily_unrealized_pnl, self.daily_realized_pnl
        if open_part is None:
            return None if self.quantity else closed_part
        return exact_sum((open_part, closed_part)) if closed_part else open_part

    @property
    def side(self) -> Side:
        """Long, short or flat by the sign of the quantity; short where the API contradicts itself."""
        if self.quantity == 0:
            return Side.FLAT
        return Side.LONG if self.quantity > 0 and not self.side_contradicts else Side.SHORT

    @property
    def side_contradicts(self) -> bool:
        """Whether the sign of the quantity says long and the position's type short, or the reverse."""
        kind = self.position_type
        return kind is not None and ((self.quantity > 0 and kind.is_short) or (self.quantity < 0 and kind.is_long))

    @property
    def counted_quantity(self) -> Decimal:
        """The quantity to reckon cover with: negative, which is the worse, where the API contradicts itself."""
        return self.quantity.copy_abs().copy_negate() if self.side_contradicts else self.quantity

    @property
    def multiplier(self) -> int | None:
        """Shares behind one unit: 1 for other than options, 100 for a standard option, None where it is not known."""
        if not self.is_option:
            return 1
        return STANDARD_MULTIPLIER if self.contract and self.contract.is_standard else None

    @property
    def locked_quantity(self) -> Decimal | None:
        """How much of |quantity| open orders or instructions hold; None where the API does not say."""
        if self.available_quantity is None:
            return None
        return max(EXACT.subtract(self.quantity.copy_abs(), self.available_quantity.copy_abs()), Decimal(0))

    @property
    def name(self) -> str:
        """What to call it in an answer: the symbol without spaces for options, the id where there is no symbol."""
        if self.contract:
            return self.contract.compact
        return self.symbol or self.instrument_id


class _PositionFields(NamedTuple):
    account_id: AccountId
    instrument_id: InstrumentId
    quantity: Decimal
    symbol: Text = ""
    available_quantity: Decimal | None = None
    instrument_type: SecurityType | None = None
    position_type: PositionType | None = None
    market_value: Decimal | None = None
    avg_price: Decimal | None = None
    instrument_price: Decimal | None = None
    closing_price: Decimal | None = None
    closing_price_date: date | None = None
    cost_basis: Decimal | None = None
    unrealized_pnl: Decimal | None = None
    unrealized_pnl_pct: Decimal | None = None
    daily_unrealized_pnl: Decimal | None = None
    daily_unrealized_pnl_pct: Decimal | None = None
    daily_realized_pnl: Decimal | None = None
    underlying_instrument_id: InstrumentId | None = None
    underlying_instrument_type: SecurityType | None = None
    extra: tuple[tuple[str, object], ...] = ()
    """Names and values of fields that this program does not know, as the API sent them."""


class Position(_PositionFields, Holding):
    """A holding of one instrument in one account, with all that the API says of it.

    Percentages are signed and unbounded. A tuple with names: small, and it cannot change.
    """

    __slots__ = ()


HoldingT = TypeVar("HoldingT", bound=Holding)
_id = attrgetter("instrument_id")


class Whole(OnDemand[HoldingT]):
    """All positions of a listing, page by page as they come in.

    A page of a long listing makes them anew each time it is looked through.
    """

    def __init__(self) -> None:
        self._pages: list[Sequence[HoldingT]] = []
        self.answers: dict[str, Any] = {}
        """What was made of all of them, by what was asked: who asks the same of the same reading shares it."""

    def add(self, positions: Sequence[HoldingT]) -> None:
        self._pages.append(positions)

    def __iter__(self) -> Iterator[HoldingT]:
        return chain.from_iterable(self._pages)

    def __len__(self) -> int:
        return sum(map(len, self._pages))

    def made(self, wanted: range) -> Sequence[HoldingT]:
        held = list(self)
        return [held[each] for each in wanted]


@dataclass(frozen=True, kw_only=True)
class Book(Reading):
    """All positions of one account as one listing returned them."""

    account_id: AccountId
    positions: tuple[Position, ...]
    sizes: Mapping[InstrumentId, Decimal | None] = field(default_factory=dict)
    """Multipliers of options that the API states otherwise than their symbols have it; None: not known."""

    @classmethod
    def indexed(cls, by_id: dict[InstrumentId, Position], account_id: AccountId, reading: Reading) -> Book:
        """A book whose positions are already found by their ids."""
        book = cls(account_id=account_id, positions=tuple(by_id.values()), **vars(reading))
        vars(book)["by_id"] = by_id
        return book

    @cached_property
    def by_id(self) -> dict[InstrumentId, Position]:
        return dict(zip(map(_id, self.positions), self.positions, strict=True))

    def multiplier_of(self, position: Position) -> Decimal | None:
        """Shares behind one unit of a position: what the API states, else what its symbol says."""
        standard = position.multiplier
        said = None if standard is None else Decimal(standard)
        return self.sizes.get(position.instrument_id, said) if self.sizes else said

    def namesakes(self, position: Position) -> list[Position]:
        """Other positions that an answer would call the same, in whatever case: only their ids tell them apart."""
        name, alike = position.name.upper(), self.spelled(position.symbol)
        return [each for each in alike if each.name.upper() == name and each.instrument_id != position.instrument_id]

    def spelled(self, symbol: str) -> Sequence[Position]:
        """The positions of this symbol, in whatever case and with whatever blanks."""
        return self.by_letters.of(letters_of([symbol])[0])

    @cached_property
    def by_letters(self) -> ByLetters[Position]:
        return ByLetters(self.positions)

    @cached_property
    def options(self) -> tuple[Position, ...]:
        option = SecurityType.OPTION
        return tuple(
            [
                each
                for each in self.positions
                if each.instrument_type is option or (len(each.symbol) >= SHORTEST_OSI and each.is_option)
            ]
        )

    @cached_property
    def short_options(self) -> tuple[Position, ...]:
        """The options that need cover."""
        long = PositionType.LONG  # of what is positive and says so, nothing contradicts
        return tuple(
            [
                each
                for each in self.options
                if each.quantity < ZERO or (each.position_type is not long and each.side_contradicts)
            ]
        )

    @cached_property
    def by_root(self) -> dict[str, list[Position]]:
        """What is no option, also cash, by its symbol as the roots of options write it."""
        found: dict[str, list[Position]] = {}
        for position in self.positions:
            if not position.is_option:
                found.setdefault(as_root(position.symbol), []).append(position)
        return found
