"""Cut-offs on short days, cash, and what was realized on positions that are closed altogether."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from positions_mcp.domain.account.balances import Balances
from positions_mcp.domain.account.readings import NotKnown
from positions_mcp.domain.portfolio.select import expiring
from positions_mcp.domain.portfolio.totals import Totals
from positions_mcp.ports import Neighbours
from positions_mcp.tools._day import cash_line, cash_of, closed_altogether, read_balances
from positions_mcp.tools._evening import cutoff_words, cutoffs_of
from tools.serving import ACCOUNT, StandingClock, StubBroker, context_over, held

EARLY = date(2026, 11, 27)
"""The day after Thanksgiving, which closes at 13:00."""


def at(year: int, month: int, day: int, hour: int, minute: int) -> StubBroker:
    return StubBroker(clock=StandingClock(datetime(year, month, day, hour, minute, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ((2026, 11, 27, 15, 0), "2026-11-27 14:30 New York (early close)"),
        ((2026, 11, 27, 19, 30), "2026-11-30 17:30 New York; that of today has passed"),
        ((2026, 11, 26, 15, 0), "2026-11-27 14:30 New York (early close)"),
        ((2026, 12, 24, 17, 0), "2026-12-24 14:30 New York (early close)"),
        ((2026, 11, 28, 15, 0), "2026-11-30 17:30 New York"),
        ((2026, 4, 3, 15, 0), "2026-04-06 17:30 New York"),
        ((2026, 11, 25, 15, 0), "2026-11-25 17:30 New York"),
    ],
    ids=["early close", "after its cut-off", "Thanksgiving", "Christmas Eve", "Saturday", "Good Friday", "ordinary"],
)
def test_the_next_cut_off_is_right_on_short_days_and_holidays(now: tuple[int, int, int, int, int], said: str) -> None:
    assert cutoff_words(context_over(at(*now))) == said


def test_the_cut_offs_of_expiration_days_go_by_their_last_sessions_and_say_which_have_passed() -> None:
    context = context_over(at(2026, 11, 27, 20, 0))
    days = [EARLY, EARLY + timedelta(days=1), date(2026, 12, 4)]
    options = expiring([held(f"AAPL{day:%y%m%d}C00200000", "1", number) for number, day in enumerate(days)], ())
    assert cutoffs_of(context, options, {}) == "2026-11-27 14:30 New York (passed), 2026-12-04 17:30 New York"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"trade_cash": "5.10", "currency": "USD"}, "Cash, from balances: trade_cash 5.10, currency USD."),
        ({"settled_cash": "0", "buying_power": "9"}, "Cash, from balances: settled_cash 0, buying_power 9."),
        ({}, "could not be read: the balances say nothing of it."),
    ],
)
def test_cash_is_said_as_far_as_the_balances_say_it(fields: dict[str, str], said: str) -> None:
    assert cash_line(cash_of(Balances.model_validate({"account_id": ACCOUNT} | fields))).endswith(said)


async def test_cash_is_not_known_where_no_balances_are_read() -> None:
    context = replace(context_over(StubBroker()), neighbours=Neighbours())
    said = cash_line(cash_of(await read_balances(context, ACCOUNT)))
    assert said.startswith("Cash: not known here.")


@pytest.mark.parametrize(
    ("balances", "beyond"),
    [
        ("-30.25", {"realized_no_longer_listed": "-20.25"}),
        ("-10", {}),
        (None, {}),
    ],
)
def test_what_balances_realized_beyond_the_listed_positions_is_of_those_closed_altogether(
    balances: str | None, beyond: dict[str, str]
) -> None:
    totals = Totals.of([held("KO", daily_realized_pnl="-10", daily_unrealized_pnl="1")])
    money = Balances(account_id=ACCOUNT, daily_realized_pnl=None if balances is None else Decimal(balances))
    context = context_over(StubBroker())
    assert closed_altogether(context, money, totals) == beyond
    assert closed_altogether(context, NotKnown("balances", "refused"), totals) == {}


@pytest.mark.parametrize("now", [(2026, 11, 21, 17, 0), (2026, 11, 23, 14, 0), (2026, 11, 26, 17, 0)])
def test_between_sessions_balances_of_another_day_are_not_set_against_what_positions_still_show(
    now: tuple[int, int, int, int, int],
) -> None:
    totals = Totals.of([held("KO", daily_realized_pnl="8600", daily_unrealized_pnl="0")])
    money = Balances(account_id=ACCOUNT, daily_realized_pnl=Decimal(0))
    assert closed_altogether(context_over(at(*now)), money, totals) == {}
