"""In or out of the money, intrinsic value, and the price of an underlying as far as the book knows it.

The API's positions carry no quote of an option's underlying: its price is known only where the account holds the
underlying too. Where it is not known, everything that follows from it is unknown, never assumed.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from positions_mcp.domain.account.positions import Book, Holding, Position
from positions_mcp.domain.instruments import OptionContract, OptionRight
from positions_mcp.domain.money import CENT, ZERO

BY_EXCEPTION_THRESHOLD = CENT
"""Dollars per share in the money from which an expiring option is exercised unless clearing is told otherwise (OCC)."""


class Moneyness(StrEnum):
    """Where the underlying stands against the strike, seen by the option's holder."""

    IN = "in the money"
    AT = "at the money"
    OUT = "out of the money"
    UNKNOWN = "unknown"


def points_in_the_money(contract: OptionContract, price: Decimal) -> Decimal:
    """Dollars per share by which the option is in the money; negative when it is out of the money."""
    return price - contract.strike if contract.right is OptionRight.CALL else contract.strike - price


def intrinsic_value(contract: OptionContract, price: Decimal) -> Decimal:
    """Dollars per share that exercising would be worth at `price`; zero when it is out of the money."""
    return max(points_in_the_money(contract, price), ZERO)


def moneyness(contract: OptionContract, price: Decimal | None) -> Moneyness:
    """In, at or out of the money at `price`; unknown without a price."""
    if price is None:
        return Moneyness.UNKNOWN
    points = points_in_the_money(contract, price)
    if points == 0:
        return Moneyness.AT
    return Moneyness.IN if points > 0 else Moneyness.OUT


def is_exercised_by_exception(contract: OptionContract, price: Decimal | None) -> bool | None:
    """Whether clearing would exercise the option at this closing price if told nothing; None without a price."""
    return None if price is None else points_in_the_money(contract, price) >= BY_EXCEPTION_THRESHOLD


def find_underlying(option: Holding, book: Book) -> Position | None:
    """The position in the option's underlying, by the API's id, else by the contract's root; None where none is held.

    The root of an adjusted or FLEX contract is not its underlying's symbol, and a symbol held twice names neither.
    """
    if option.underlying_instrument_id is not None:
        found = book.by_id.get(option.underlying_instrument_id)
        return None if found is None or found.is_option else found
    if option.contract is None or not option.contract.is_standard:
        return None
    held = [each for each in book.by_root.get(option.contract.underlying_root, ()) if not each.is_cash]
    return held[0] if len(held) == 1 else None


def underlying_price(underlying: Holding | None) -> Decimal | None:
    """What the book knows of the price, per share: the current one, else the last close; None where it has neither.

    A price of zero or less is a missing price.
    """
    if underlying is None:
        return None
    if underlying.instrument_price is not None and underlying.instrument_price > 0:
        return underlying.instrument_price
    closed = underlying.closing_price
    return closed if closed is not None and closed > 0 and underlying.closing_price_date else None
