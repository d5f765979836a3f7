"""Dividends of one instrument."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.operation.records import Record


class Dividend(Record):
    """One dividend: who buys on `ex_date` or later does not get it. Dollars per share."""

    ex_date: date
    dividend_amount: Decimal | None = None
    adjusted_dividend_amount: Decimal | None = None
    """With splits since then taken into account."""
    declaration_date: date | None = None
    record_date: date | None = None
    payment_date: date | None = None
    frequency: str | None = None

    @property
    def amount(self) -> Decimal | None:
        """Dollars per share as they are paid, else adjusted for splits; None where neither is known."""
        return self.adjusted_dividend_amount if self.dividend_amount is None else self.dividend_amount


class InstrumentEvents(Record):
    """Events of one instrument. Only its dividends are read; the other kinds are kept as the API sent them."""

    instrument_id: InstrumentId | None = None
    dividends: list[Dividend]


def next_dividend(dividends: Iterable[Dividend], after: date) -> Dividend | None:
    """The first dividend whose ex-date is later than the day `after`, or None."""
    return min((each for each in dividends if each.ex_date > after), key=lambda each: each.ex_date, default=None)
