"""Positions as the API reports them, and the book of one account."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

from positions_mcp.domain.enums import PositionType, SecurityType
from positions_mcp.domain.ids import AccountId, InstrumentId
from positions_mcp.domain.instruments import STANDARD_MULTIPLIER, OptionContract, parse_option_symbol
from positions_mcp.domain.records import Record, Text


class Side(StrEnum):
    """Which way a position is held. Follows the sign of the quantity."""

    LONG = "long"
    SHORT = "short"
    FLAT = "flat"


class Position(Record):
    """A holding of one instrument in one account.

    Money is in dollars; quantities are shares or contracts, negative when short; percentages are signed and
    unbounded. Fields that the API leaves out or sends as null are None: missing, never zero. No arithmetic holds
    between the API's own fields (its examples do not add up), so none is assumed.
    """

    account_id: AccountId
    instrument_id: InstrumentId
    quantity: Decimal
    symbol: Text = ""
    """May be empty for an option the API cannot resolve."""
    available_quantity: Decimal | None = None
    """What is free to be operated on: not locked by open orders."""
    instrument_type: SecurityType | None = None
    position_type: PositionType | None = None
    market_value: Decimal | None = None
    avg_price: Decimal | None = None
    instrument_price: Decimal | None = None
    closing_price: Decimal | None = None
    """The price at the last trading day's close, on `closing_price_date`."""
    closing_price_date: date | None = None
    cost_basis: Decimal | None = None
    unrealized_pnl: Decimal | None = None
    unrealized_pnl_pct: Decimal | None = None
    daily_unrealized_pnl: Decimal | None = None
    """Unrealised profit or loss relative to the previous close."""
    daily_unrealized_pnl_pct: Decimal | None = None
    daily_realized_pnl: Decimal | None = None
    underlying_instrument_id: InstrumentId | None = None
    underlying_instrument_type: SecurityType | None = None

    @cached_property
    def contract(self) -> OptionContract | None:
        """The option contract the symbol names, or None: not an option, or one whose symbol is unresolved."""
        return parse_option_symbol(self.symbol)

    @property
    def is_option(self) -> bool:
        """Whether this is an option, by its type or by its symbol."""
        return self.instrument_type is SecurityType.OPTION or self.contract is not None

    @property
    def side(self) -> Side:
        """Long, short or flat by the sign of the quantity."""
        if self.quantity == 0:
            return Side.FLAT
        return Side.LONG if self.quantity > 0 else Side.SHORT

    @property
    def multiplier(self) -> int | None:
        """Shares behind one unit: 1 for other than options, 100 for a standard option, None where it is not known."""
        if not self.is_option:
            return 1
        return STANDARD_MULTIPLIER if self.contract and not self.contract.is_adjusted else None

    @property
    def locked_quantity(self) -> Decimal | None:
        """How much of |quantity| is not available, because open orders hold it; None where the API does not say."""
        if self.available_quantity is None:
            return None
        return max(abs(self.quantity) - abs(self.available_quantity), Decimal(0))

    @property
    def name(self) -> str:
        """What to call it in an answer: the symbol without spaces for options, the id where there is no symbol."""
        if self.contract:
            return self.contract.compact
        return self.symbol or self.instrument_id


class Book(Record):
    """All positions of one account as one listing returned them.

    `consistent` is False when pages contradicted each other even after reading again, and `unreadable` counts rows
    that were not positions: with either, what the account holds is not fully known.
    """

    account_id: AccountId
    positions: tuple[Position, ...]
    as_of: datetime
    consistent: bool = True
    unreadable: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether this is known to be everything the account holds."""
        return self.consistent and self.unreadable == 0

    @cached_property
    def by_id(self) -> dict[InstrumentId, Position]:
        """Positions by instrument id."""
        return {position.instrument_id: position for position in self.positions}
