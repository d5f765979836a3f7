"""Balances of one account."""

from __future__ import annotations

from decimal import Decimal

from positions_mcp.domain.enums import MarginType
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.records import Record


class Balances(Record):
    """What the API says of an account's money. None is not known, never zero."""

    account_id: AccountId
    buying_power: Decimal | None = None
    """With open orders taken into account."""
    equity: Decimal | None = None
    settled_cash: Decimal | None = None
    trade_cash: Decimal | None = None
    """Cash as of the trade date, settled or not."""
    withdrawable_cash: Decimal | None = None
    margin_type: MarginType | None = None
    multiplier: Decimal | None = None
    """Of the margin: 4 in the sessions of a day, 2 overnight; None where it does not apply."""
    currency: str | None = None
    daily_pnl: Decimal | None = None
    """Since the start of the day, realised and not."""
    daily_realized_pnl: Decimal | None = None
    daily_unrealized_pnl: Decimal | None = None
    daily_change: Decimal | None = None
    unrealized_pnl: Decimal | None = None
    long_market_value: Decimal | None = None
    short_market_value: Decimal | None = None
    """Negative. The API leaves out what is zero."""
    open_order_adjustment: Decimal | None = None
    """What open orders add to buying power: negative where they use it."""
    unsettled_credits: Decimal | None = None
    unsettled_debits: Decimal | None = None
