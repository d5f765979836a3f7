"""The evening in `summarize_positions` and `get_trading_status`: assignments, cash, and no request more than needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from positions_mcp.domain.account.balances import Balances
from positions_mcp.domain.account.market import ContractFacts, Dividend, Greeks, LastTrade, Snapshot
from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.errors import ReadFailed, Sent
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.ids import AccountId, InstrumentId
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.ports import Neighbours
from positions_mcp.server import build_server
from positions_mcp.tools.context import ToolContext
from tools.serving import (
    ACCOUNT,
    StandingClock,
    StubBroker,
    call,
    context_over,
    data_of,
    held,
    own_store,
    paper_server,
    text_of,
)
from tools.test_several_accounts import TwoAccounts

FRIDAY = datetime(2026, 11, 27, 16, 0, tzinfo=UTC)
"""11:00 in New York on the day after Thanksgiving, which closes at 13:00."""
AAPL = "a1a2a3a4-b1b2-c1c2-d1d2-000000000009"
SHORT = held("AAPL261127C00230000", "-2", number=1, underlying_instrument_id=AAPL)
LONG = held("AAPL261127P00235000", "1", number=2, underlying_instrument_id=AAPL)
WORDS = "short 2 AAPL 230C: in the money by 1.40, expect assignment: sells 200 AAPL for 46,000"


@dataclass
class Beside:
    """Neighbours that count what they are asked, and may refuse it."""

    refuses: bool = False
    dividends: tuple[Dividend, ...] = ()
    refuses_dividends: bool = False
    multiplier: Decimal | None = None
    asked: Counter[str] = field(default_factory=Counter)

    async def read_option_contracts(self, ids: Any) -> dict[InstrumentId, Any]:
        self._ask("contracts")
        assert len(ids) <= 100
        return {key: ContractFacts(id=key, multiplier=self.multiplier) for key in ids if self.multiplier}

    async def read_snapshots(self, ids: Any) -> dict[InstrumentId, Snapshot]:
        self._ask("snapshots")
        trade = LastTrade(price=Decimal("231.40"), timestamp=FRIDAY)
        greeks = Greeks(delta=Decimal("0.5"))
        return {
            key: Snapshot(instrument_id=key, last_trade=trade if key == AAPL else None, greeks=greeks) for key in ids
        }

    async def read_dividends(self, of: InstrumentId, *, since: date, until: date) -> tuple[Dividend, ...]:
        self._ask("dividends")
        assert (of, since, until) == (AAPL, since, since + timedelta(days=14))
        return tuple(each for each in self.dividends if since <= each.ex_date <= until)

    async def read_balances(self, account_id: AccountId) -> Balances:
        self._ask("balances")
        return Balances(account_id=account_id, buying_power=Decimal(10000))

    def _ask(self, what: str) -> None:
        self.asked[what] += 1
        if self.refuses or (self.refuses_dividends and what == "dividends"):
            raise ReadFailed("Refused.", sent=Sent.YES)


def server(beside: Beside, *positions: Position, at: datetime = FRIDAY, broker: StubBroker | None = None) -> Any:
    it = broker or StubBroker(positions=list(positions))
    it.clock = StandingClock(at)
    accounts = (19816, 20000) if isinstance(it, TwoAccounts) else (ACCOUNT,)
    neighbours = Neighbours(contracts=beside, market_data=beside, balances=beside, events=beside)

    @asynccontextmanager
    async def parts() -> AsyncIterator[ToolContext]:
        with closing(own_store()) as store:
            yield replace(context_over(it, accounts=accounts, store=store), neighbours=neighbours)

    return build_server(parts, mode=Mode.PAPER, accounts=tuple(map(AccountId, accounts)))


async def test_a_summary_says_the_assignment_the_cash_and_the_cut_off_of_an_early_close(era: str) -> None:
    flat = held("AAPL261127C00240000", "0", number=8, underlying_instrument_id=AAPL)
    answer = await call(server(Beside(), SHORT, LONG, flat), "summarize_positions", era=era)
    expiring = data_of(answer)["expiring"]
    assert expiring["counts"]["total"] == 2
    assert expiring["evening"] == ["Tonight", WORDS, "cash 69,500"]
    assert expiring["cutoff"] == "2026-11-27 14:30 New York"
    assert f"Tonight, if nothing more is sent: {WORDS}; cash 69,500." in text_of(answer)


@pytest.mark.parametrize("tool", ["summarize_positions", "get_trading_status"])
async def test_two_options_of_one_symbol_are_told_apart_by_their_ids(era: str, tool: str) -> None:
    same = held(SHORT.symbol, "-1", number=3, underlying_instrument_id=AAPL)
    said = text_of(await call(server(Beside(), SHORT, same, LONG), tool, era=era))
    for short in (SHORT, same):
        assert f"short {-short.quantity} AAPL 230C [{short.instrument_id}]: in the money by 1.40" in said
    alone = text_of(await call(server(Beside(), SHORT, LONG), tool, era=era))
    assert f"AAPL 230C [{SHORT.instrument_id}]" not in alone


@pytest.mark.parametrize("refuses", [False, True])
async def test_short_calls_of_one_symbol_that_may_be_assigned_early_are_told_apart_too(era: str, refuses: bool) -> None:
    dividend = Dividend(ex_date=date(2026, 12, 1), dividend_amount=Decimal("0.26"))
    same = held(LATER.symbol, "-1", number=3, underlying_instrument_id=AAPL)
    beside = Beside(dividends=(dividend,), refuses_dividends=refuses)
    said = data_of(await call(server(beside, LATER, same), "summarize_positions", era=era))["exposure"]
    for short in (LATER, same):
        assert f"AAPL 2026-12-18 230C [{short.instrument_id}]" in said["early_assignment"]


@pytest.mark.parametrize("tool", ["summarize_positions", "list_positions"])
async def test_the_cut_off_of_what_the_opening_settled_is_that_opening(era: str, tool: str) -> None:
    settled = held("SPX261127C06000000", "1", number=3, underlying_instrument_type="INDEX")
    arguments = {"expires_by": "2026-11-27"} if tool == "list_positions" else {}
    both = text_of(await call(server(Beside(), settled, LONG), tool, arguments, era=era))
    until = "Cut-off for exercise instructions: 2026-11-27 09:30 New York (passed)"
    assert f"{until}, 2026-11-27 14:30 New York." in both
    assert f"{until}." in text_of(await call(server(Beside(), settled), tool, arguments, era=era))


async def test_the_price_of_market_data_tells_of_an_underlying_that_is_not_held(era: str) -> None:
    (row,) = data_of(await call(server(Beside(), SHORT), "summarize_positions", era=era))["expiring"]["rows"]
    assert row[2:7] == ["", "assigned 2", "ITM", "1.40", "231.40"]


@pytest.mark.parametrize("tool", ["summarize_positions", "get_trading_status"])
async def test_each_neighbour_is_asked_once_at_most(era: str, tool: str) -> None:
    beside = Beside()
    await call(server(beside, SHORT, LONG), tool, era=era)
    assert beside.asked == {"contracts": 1, "snapshots": 1, "balances": 1}


async def test_what_neighbours_refuse_is_named_and_stops_nothing(era: str) -> None:
    answer = data_of(await call(server(Beside(refuses=True), SHORT), "summarize_positions", era=era))
    assert answer["exposure"]["delta_adjusted_net"] == "not known: market data could not be read"
    said = "short 2 AAPL 230C: assignment not known (no price); assigned, it sells 200 AAPL for 46,000"
    assert answer["expiring"]["evening"][1:] == [said, "cash not known"]


async def test_exposure_is_said_beside_market_value_and_concentration_says_which_it_uses(era: str) -> None:
    stock = held("KO", number=3, market_value="7000", instrument_price="70")
    answer = await call(server(Beside(), SHORT, LONG, stock), "summarize_positions", era=era)
    assert data_of(answer)["exposure"] == {"short_calls": "46000", "delta_adjusted_net": "-4570.00"}
    assert "Assignment notional at the strikes: short calls 46000; delta adjusted net -4570.00." in text_of(answer)
    assert "Concentration (underlyings, of gross market value)" in text_of(answer)


LATER = held("AAPL261218C00230000", "-2", number=4, underlying_instrument_id=AAPL, instrument_price="1.55")


@pytest.mark.parametrize(
    ("day", "amount", "said"),
    [
        ("2026-12-01", "0.26", "0.26 a share"),
        (
            "2026-12-01",
            None,
            "amount not known",
        ),
        ("2026-12-18", "0.26", ""),
        ("2026-11-27", "0.26", ""),
    ],
)
async def test_a_short_call_in_the_money_is_called_out_where_its_share_is_ex_dividend_soon(
    era: str, day: str, amount: str | None, said: str
) -> None:
    dividend = Dividend(ex_date=date.fromisoformat(day), dividend_amount=amount and Decimal(amount))
    out = held("AAPL261218C00250000", "-1", number=5, underlying_instrument_id=AAPL)
    answer = await call(server(Beside(dividends=(dividend,)), LATER, out, LONG), "summarize_positions", era=era)
    evening = "last evening 2026-11-30"
    called = (
        f"short 2 AAPL 2026-12-18 230C before AAPL is ex-dividend on 2026-12-01 ({said}, time value 0.15, {evening})"
    )
    assert data_of(answer)["exposure"].get("early_assignment") == (called if said else None)
    assert (f" May be assigned early: {called}." in text_of(answer)) == bool(said)


async def test_dividends_are_asked_for_only_where_a_short_call_is_in_the_money_and_what_is_not_known_is_said(
    era: str,
) -> None:
    beside, out = Beside(), held("AAPL261218C00250000", "-1", underlying_instrument_id=AAPL)
    await call(server(beside, SHORT, LONG, out), "summarize_positions", era=era)
    assert "dividends" not in beside.asked
    other = held("AAPL261218C00225000", "-1", number=6, underlying_instrument_id=AAPL)
    await call(server(beside, LATER, other), "summarize_positions", era=era)
    assert beside.asked["dividends"] == 1
    told = data_of(await call(server(Beside(refuses_dividends=True), LATER), "summarize_positions", era=era))
    assert told["exposure"]["early_assignment"] == "ex-dividend dates not known (1): short 2 AAPL 2026-12-18 230C"
    many = [held(f"AAPL261218C{strike:05d}000", "-1", strike, underlying_instrument_id=AAPL) for strike in range(101)]
    told = data_of(await call(server(Beside(), *many), "summarize_positions", era=era))
    assert told["exposure"]["early_assignment"] == "not known: too many options"


async def test_of_short_calls_without_a_price_or_adjusted_it_is_said_that_it_is_not_known(era: str) -> None:
    unpriced = held("KO261218C00060000", "-1", number=5, underlying_instrument_id=AAPL[:-1] + "8")
    adjusted = held("AAPL1261218C00230000", "-3", number=6, underlying_instrument_id=AAPL)
    nothing = [
        held("KO261127C00060000", "-1", number=7),  # it expires today
        held("KO261128C00060000", "-1", number=8),  # today, as Saturday has no session
        held("KO261218P00060000", "-1", number=11),
        held("KO261218C00065000", "1", number=12),
        held("SPX261218C06000000", "-1", number=13, underlying_instrument_type="INDEX"),
    ]
    answer = await call(server(Beside(), unpriced, adjusted, *nothing), "summarize_positions", era=era)
    known = "not known whether in the money (2): short 1 KO 2026-12-18 60C, short 3 AAPL1 2026-12-18 230C"
    assert data_of(answer)["exposure"]["early_assignment"] == known
    assert f"May be assigned early: {known}." in text_of(answer)
    many = [held(f"KO261218C{strike:05d}000", "-1", strike) for strike in range(50, 56)]
    said = data_of(await call(server(Beside(), *many), "summarize_positions", era=era))["exposure"]["early_assignment"]
    assert said.startswith("not known whether in the money (6): short 1 KO 2026-12-18 50C, ")
    assert said.endswith("short 1 KO 2026-12-18 53C and 2 more")


@pytest.mark.parametrize(
    ("now", "ex_date", "last"),
    [
        (datetime(2026, 11, 25, 22, 0, tzinfo=UTC), "2026-11-27", "2026-11-25"),  # 17:00 before Thanksgiving
        (datetime(2026, 11, 25, 22, 30, tzinfo=UTC), "2026-11-27", "2026-11-25, over"),  # its cut-off, 17:30
        (datetime(2026, 11, 26, 16, 0, tzinfo=UTC), "2026-11-27", "2026-11-25, over"),  # Thanksgiving
        (datetime(2026, 11, 27, 19, 29, tzinfo=UTC), "2026-11-30", "2026-11-27"),  # the early close: until 14:30
        (datetime(2026, 11, 27, 19, 30, tzinfo=UTC), "2026-11-30", "2026-11-27, over"),
        (datetime(2026, 11, 29, 16, 0, tzinfo=UTC), "2026-12-01", "2026-11-30"),  # a Sunday
        (datetime(2026, 12, 23, 16, 0, tzinfo=UTC), "2026-12-28", "2026-12-24"),  # over Christmas
        (datetime(2026, 12, 30, 16, 0, tzinfo=UTC), "2027-01-04", "2026-12-31"),  # over New Year
        (datetime(2027, 3, 24, 16, 0, tzinfo=UTC), "2027-03-29", "2027-03-25"),  # over Good Friday
        (datetime(2027, 3, 26, 16, 0, tzinfo=UTC), "2027-03-29", "2027-03-25, over"),
    ],
)
async def test_the_last_evening_for_a_dividend_is_that_of_the_session_before_its_ex_date(
    era: str, now: datetime, ex_date: str, last: str
) -> None:
    dividend = Dividend(ex_date=date.fromisoformat(ex_date), dividend_amount=Decimal("0.26"))
    short = held("AAPL270416C00230000", "-2", number=4, underlying_instrument_id=AAPL)
    answer = await call(server(Beside(dividends=(dividend,)), short, at=now), "summarize_positions", era=era)
    assert f"last evening {last})" in data_of(answer)["exposure"]["early_assignment"]


async def test_a_listing_by_expiry_says_moneyness_by_market_data_where_the_share_is_not_held(era: str) -> None:
    beside = Beside()
    arguments = {"expires_by": "2026-11-27"}
    rows = data_of(await call(server(beside, SHORT, LONG), "list_positions", arguments, era=era))["rows"]
    assert [row[-5:] for row in rows] == [
        ["", "assigned 2", "ITM", "1.40", "231.40"],
        ["", "exercised 1", "ITM", "3.60", "231.40"],
    ]
    assert beside.asked == {"contracts": 1, "snapshots": 1}
    refused = data_of(await call(server(Beside(refuses=True), SHORT), "list_positions", arguments, era=era))["rows"]
    assert refused[0][-5:] == ["", "no price", "unknown", "missing", "missing"]


async def test_without_options_nothing_is_said_of_either_and_no_market_is_read(era: str) -> None:
    beside = Beside()
    answer = data_of(await call(server(beside, held("KO", market_value="7")), "summarize_positions", era=era))
    assert ("exposure" in answer, "evening" in answer["expiring"], beside.asked["snapshots"]) == (False, False, 0)


async def test_the_status_says_what_tonight_does_and_asks_nothing_on_a_day_without_a_session(era: str) -> None:
    answer = await call(server(Beside(), SHORT), "get_trading_status", era=era)
    assert data_of(answer)["tonight"] == {"19816": [WORDS, "cash 46,000"]}
    assert f"Tonight, account 19816: {WORDS}; cash 46,000." in text_of(answer)
    broker = StubBroker(positions=[SHORT])
    thanksgiving = server(Beside(), at=FRIDAY - timedelta(days=1), broker=broker)
    assert "tonight" not in data_of(await call(thanksgiving, "get_trading_status", era=era))
    assert broker.requests == 0


async def test_an_early_exercise_beside_what_expires_is_said_not_to_be_counted(era: str) -> None:
    early = held("AAPL261218P00240000", "3", number=7, underlying_instrument_id=AAPL)
    row = {"id": "b1b2b3b4-b1b2-c1c2-d1d2-000000000001", "account_id": ACCOUNT, "instrument_id": early.instrument_id}
    told = Instruction.model_validate(row | {"instruction_type": "EXERCISE", "status": "SENT", "quantity": "1"})
    broker = StubBroker(positions=[SHORT, early], rows=[told])
    answer = data_of(await call(server(Beside(), broker=broker), "summarize_positions", era=era))
    assert answer["expiring"]["evening"][-1] == "1 early exercise not counted: project_expiration"


async def test_the_evening_of_a_later_day_of_the_week_is_named_by_its_day(era: str) -> None:
    monday = FRIDAY - timedelta(days=4)
    answer = await call(server(Beside(), SHORT, at=monday), "summarize_positions", era=era)
    assert data_of(answer)["expiring"]["evening"][0] == "Evening of Fri 2026-11-27"
    status = await call(server(Beside(), SHORT, at=monday), "get_trading_status", era=era)
    assert "tonight" not in data_of(status)


async def test_an_account_that_cannot_be_read_is_named_and_the_status_still_answers(era: str) -> None:
    broker = TwoAccounts(books={19816: [SHORT]}, refused=20000)
    said = data_of(await call(server(Beside(), broker=broker), "get_trading_status", era=era))["tonight"]
    assert said == {"19816": [WORDS, "cash 46,000"], "20000": ["not known: No answer"]}


async def test_a_summary_of_an_expiry_afternoon_stays_within_800_tokens(tmp_path: Path, era: str) -> None:
    with paper_server(tmp_path, "expiry") as it:
        answer = text_of(await call(it, "summarize_positions", era=era))
    assert "Tonight, if nothing more is sent: " in answer
    assert len(answer) < 800 * 2.5


@pytest.mark.parametrize(
    ("dated", "day"),
    [
        ("270326", datetime(2027, 3, 25, 15, 0, tzinfo=UTC)),  # Good Friday
        ("261226", datetime(2026, 12, 24, 15, 0, tzinfo=UTC)),  # the Saturday after Christmas
        ("261126", datetime(2026, 11, 25, 15, 0, tzinfo=UTC)),  # Thanksgiving
        ("270101", datetime(2026, 12, 31, 15, 0, tzinfo=UTC)),  # New Year's Day
        ("261121", datetime(2026, 11, 20, 15, 0, tzinfo=UTC)),  # a Saturday
    ],
)
async def test_the_status_knows_what_a_contract_dated_on_a_closed_day_does_the_evening_before(
    era: str, dated: str, day: datetime
) -> None:
    short = held(f"AAPL{dated}C00230000", "-2", number=1, underlying_instrument_id=AAPL)
    answer = await call(server(Beside(), short, at=day), "get_trading_status", era=era)
    assert data_of(answer)["tonight"] == {"19816": [WORDS, "cash 46,000"]}


@pytest.mark.requirement("I-06")
@pytest.mark.parametrize("root", ["AAPL1", "AAPL7", "1AAPL"])
@pytest.mark.parametrize("is_held", [True, False])
async def test_the_moneyness_of_an_adjusted_contract_is_not_known(era: str, root: str, *, is_held: bool) -> None:
    adjusted = held(f"{root}261127C00230000", "2", number=1, underlying_instrument_id=AAPL)
    share = held("AAPL", "100", number=9, instrument_price="231.40")
    answer = await call(server(Beside(), adjusted, *([share] if is_held else [])), "summarize_positions", era=era)
    expiring = data_of(answer)["expiring"]
    assert expiring["counts"] == {"total": 1, "unknown": 1}
    assert expiring["rows"][0][3:7] == ["adjusted contract", "unknown", "missing", "231.40"]
    listing = await call(server(Beside(), adjusted, share), "list_positions", {"expires_by": "2026-11-27"}, era=era)
    row = dict(zip(data_of(listing)["columns"], data_of(listing)["rows"][0], strict=True))
    assert (row["if_nothing_sent"], row["moneyness"], row["distance"]) == ("adjusted contract", "unknown", "missing")


@pytest.mark.parametrize(
    ("count", "refuses", "said"),
    [
        (2, True, "100 a contract assumed"),
        (51, False, "100 a contract assumed: too many options"),
        (2, False, None),
    ],
)
async def test_a_notional_that_no_stated_multiplier_was_read_for_says_that_it_counts_a_hundred(
    era: str, count: int, *, refuses: bool, said: str | None
) -> None:
    puts = [held(f"KO261218P{70000 + 1000 * n:08d}", "-1", number=n) for n in range(count)]
    answer = await call(server(Beside(refuses=refuses), *puts), "summarize_positions", era=era)
    notional = sum(7000 + 100 * n for n in range(count))
    exposure = data_of(answer)["exposure"]
    assert (exposure["short_puts"], exposure.get("multipliers")) == (str(notional), said)
    assumed = f" ({said})" if said else ""
    assert f"Assignment notional at the strikes{assumed}: short puts {notional};" in text_of(answer)


@pytest.mark.parametrize(
    ("count", "said"), [(60, None), (100, None), (101, "100 a contract assumed: too many options")]
)
async def test_the_notional_of_up_to_a_hundred_short_options_goes_by_their_stated_multipliers(
    era: str, count: int, said: str | None
) -> None:
    puts = [held(f"KO261218P{70000 + 1000 * n:08d}", "-1", number=n) for n in range(count)]
    longs = [held(f"KO261218P{70000 + 1000 * n:08d}", "1", number=200 + n) for n in range(60)]
    beside = Beside(multiplier=Decimal(10))
    answer = data_of(await call(server(beside, *longs, *puts), "summarize_positions", era=era))["exposure"]
    notional = sum(70 + n for n in range(count)) * (100 if said else 10)
    assert (answer["short_puts"], answer.get("multipliers")) == (str(notional), said)
    assert beside.asked["contracts"] == (0 if said else 1)
    assert answer["delta_adjusted_net"] == "not known: too many options"


async def test_once_the_close_decides_moneyness_goes_by_it_and_not_by_what_trades_after_hours(era: str) -> None:
    shares = held("AAPL", instrument_price="229", closing_price="231.40", closing_price_date="2026-11-27")
    short = SHORT._replace(underlying_instrument_id=shares.instrument_id)
    evening = server(Beside(), shares, short, at=FRIDAY + timedelta(hours=3))
    expiring = data_of(await call(evening, "summarize_positions", era=era))["expiring"]
    assert expiring["rows"][0][2:7] == ["", "assigned 2", "ITM", "1.40", "231.40"]
    assert expiring["counts"] == {"total": 1, "ITM": 1}
    listed = data_of(await call(evening, "list_positions", {"expires_by": "today"}, era=era))
    assert listed["rows"][0][-4:] == ["assigned 2", "ITM", "1.40", "231.40"]


async def test_the_last_session_before_a_holiday_has_what_is_dated_on_the_holiday(era: str) -> None:
    good_friday = held("AAPL270326P00235000", "1", number=1)
    thursday = server(Beside(), good_friday, at=datetime(2027, 3, 25, 19, 0, tzinfo=UTC))
    for day, count in (("2027-03-24", 0), ("today", 1), ("2027-03-25", 1), ("9999-12-31", 1)):
        listed = data_of(await call(thursday, "list_positions", {"expires_by": day}, era=era))
        assert len(listed["rows"]) == count, day


async def test_a_listing_by_expiry_says_what_it_left_out_since_its_symbol_cannot_be_read(era: str) -> None:
    unread = held("", "-3", number=7, instrument_type="OPTION")
    answer = await call(server(Beside(), SHORT, unread), "list_positions", {"expires_by": "today"}, era=era)
    assert len(data_of(answer)["rows"]) == 1
    assert "WARNING: when 1 position expires is not known; left out." in text_of(answer)


@pytest.mark.requirement("I-06")
async def test_a_projection_names_what_may_be_assigned_early_and_what_of_that_is_not_known(era: str) -> None:
    dividend = Dividend(ex_date=date(2026, 11, 30), dividend_amount=Decimal("0.26"))
    other = AAPL[:-1] + "8"
    unpriced = held("KO261218C00060000", "-1", number=5, underlying_instrument_id=other)
    it = server(Beside(dividends=(dividend,)), SHORT, LATER, unpriced)
    answer = await call(it, "project_expiration", era=era)
    called = (
        "May be assigned early: short 2 AAPL 2026-12-18 230C before AAPL is ex-dividend on 2026-11-30 (0.26 a share, "
        "time value 0.15, last evening 2026-11-27); not known whether in the money (1): short 1 KO 2026-12-18 60C"
    )
    assert data_of(answer)["watch"][-1] == called
    assert f"\n{called}.\n" in text_of(answer)
    alone = data_of(await call(it, "project_expiration", {"underlying": "AAPL"}, era=era))
    assert alone["watch"][-1] == called.partition("; not known")[0]
    assert "assigned early" not in text_of(await call(server(Beside(), SHORT, LATER), "project_expiration", era=era))


@pytest.mark.requirement("I-06")
async def test_of_two_options_of_one_symbol_a_projection_names_the_ids(era: str) -> None:
    twin = SHORT._replace(instrument_id=LONG.instrument_id)
    answer = await call(server(Beside(), SHORT, twin), "project_expiration", era=era)
    names = [f"AAPL261127C00230000 [{each.instrument_id}]" for each in (SHORT, twin)]
    assert [row[0] for row in data_of(answer)["options"]] == names
    assert f"230C [{SHORT.instrument_id}] -2 assigned; 230C [{twin.instrument_id}] -2 assigned." in text_of(answer)
    alone = data_of(await call(server(Beside(), SHORT, LONG), "project_expiration", era=era))
    assert [row[0] for row in alone["options"]] == ["AAPL261127C00230000", "AAPL261127P00235000"]
