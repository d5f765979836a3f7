"""An option that expires today is called out with its last trade and cut-off; one that trades no more is no plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from guard.desk import CALLER, PASSPHRASE, desk
from guard.exchange import ACCOUNT, Exchange, StandingClock, held
from positions_mcp.domain.account.market import ContractFacts, Snapshot
from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.domain.errors import InvalidInput, ReadFailed
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.guard.approval.questions import question
from positions_mcp.guard.policy.findings import Rule
from positions_mcp.ports import Neighbours

OPTION = 7
SHARES = held("MSFT", 10, price="400", number=3)


def at(text: str) -> StandingClock:
    """New York time."""
    return StandingClock(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC))


@dataclass
class Listed:
    """What the API says of the contract, or that it refuses."""

    facts: dict[str, Any] = field(default_factory=dict)
    prices: dict[InstrumentId, str] = field(default_factory=dict)
    refuses: bool = False
    asked: list[str] = field(default_factory=list)

    async def read_option_contracts(self, ids: Sequence[InstrumentId]) -> dict[InstrumentId, ContractFacts]:
        self.asked.append("contracts")
        if self.refuses:
            raise ReadFailed("Not entitled.")
        return {key: ContractFacts.model_validate({"id": key, **self.facts}) for key in ids}

    async def read_snapshots(self, ids: Sequence[InstrumentId]) -> dict[InstrumentId, Snapshot]:
        self.asked.append("snapshots")
        if self.refuses:
            raise ReadFailed("Not entitled.")
        trades = {key: {"price": price, "timestamp": "2026-11-20T15:30:00Z"} for key, price in self.prices.items()}
        rows = {key: {"instrument_id": key, "last_trade": trades[key]} for key in ids if key in trades}
        return {key: Snapshot.model_validate(row) for key, row in rows.items()}

    @property
    def neighbours(self) -> Neighbours:
        return Neighbours(contracts=self, market_data=self)


def book(clock: StandingClock, symbol: str, quantity: int = 1, **fields: Any) -> Exchange:
    exchange = Exchange(clock)
    exchange.hold(held(symbol, quantity, price="1.50", number=OPTION, **fields), SHARES)
    return exchange


@pytest.mark.requirement("I-06")
@pytest.mark.parametrize(
    ("now", "symbol", "said"),
    [
        (
            "2026-11-27T12:30",
            "AAPL261127C00225000",
            "last trade is at 13:00 New York (early close). Exercise instructions are taken until 2026-11-27 at 14:30",
        ),
        ("2026-11-20T15:59", "AAPL261120C00225000", "its last trade is at 16:00 New York. Exercise instructions are"),
        ("2026-11-20T16:14", "SPY261120C00600000", "SPY261120C00600000 expires today: its last trade is at 16:15 New"),
        ("2026-11-20T15:59", "SPXW261120C06000000", "its last trade is at 16:00 New York. It is settled in cash"),
        (
            "2026-11-19T16:10",
            "SPX261120C06000000",
            "SPX261120C06000000 trades for the last time today, until 16:15 New York: the opening of 2026-11-20",
        ),
        ("2026-04-02T15:00", "AAPL260403C00225000", "AAPL260403C00225000 expires today: its last trade is at 16:00"),
        ("2026-11-20T12:00", "AAPL261121C00225000", "AAPL261121C00225000 expires today: its last trade is at 16:00"),
        ("2026-11-20T08:00", "AAPL261120C00225000", "its last trade is at 16:00 New York"),
    ],
    ids=["early close", "day", "fund", "PM index", "AM index", "Good Friday", "Saturday-dated", "before the opening"],
)
async def test_an_option_that_expires_today_is_called_out_with_its_last_trade_and_cut_off(
    tmp_path: Path, now: str, symbol: str, said: str
) -> None:
    async with desk(tmp_path, clock=(clock := at(now)), exchange=book(clock, symbol)) as it:
        for names in ([symbol], []):
            assert said in question((await it.plan(*names)).operation.plan)


def many(clock: StandingClock, count: int = 20) -> Exchange:
    """Long calls that expire on 20 November 2026, and shares."""
    exchange = Exchange(clock)
    calls = [held(f"AAPL261120C{200 + n:05}000", 1, price="1.50", number=20 + n) for n in range(count)]
    exchange.hold(*calls, held("SPY261120C00600000", 1, price="1.50", number=OPTION), SHARES)
    return exchange


FIRST = ", ".join(f"AAPL261120C{200 + n:05}000" for n in range(8))


@pytest.mark.requirement("I-06")
async def test_many_options_that_expire_today_are_called_out_once_with_the_first_names(tmp_path: Path) -> None:
    clock = at("2026-11-20T12:00")
    async with desk(tmp_path, clock=clock, exchange=many(clock)) as it:
        asked = question((await it.plan()).operation.plan)
        assert asked.count("expires today") == 2
        assert f"Warning: Each of 20 ({FIRST} and 12 more) expires today: its last trade is at 16:00 New York." in asked
        assert "Warning: SPY261120C00600000 expires today: its last trade is at 16:15 New York." in asked
        assert all(f"AAPL261120C{200 + n:05}000 (sell-to-close)" in asked for n in range(20))


@pytest.mark.requirement("I-06")
async def test_many_options_that_trade_no_more_are_refused_once_and_named_whole_where_they_are_left_out(
    tmp_path: Path,
) -> None:
    clock = at("2026-11-20T16:20")
    exchange = many(clock)
    exchange.hold(held("USD", 10, number=3_000, instrument_type="CASH"))
    async with desk(tmp_path, clock=clock, exchange=exchange) as it:
        planned = await it.plan()
        said = [each.message for each in planned.verdict.findings if each.rule is Rule.LEFT_OUT]
        assert len(said) == 3
        calls = [f"AAPL261120C{200 + n:05}000" for n in range(20)]
        whole = f"Each of 20 ({', '.join(calls)}) is left out: its last trade was on 2026-11-20 at"
        assert said[0].startswith(whole)
        assert f"Warning: {whole}" in question(planned.operation.plan)
        with pytest.raises(InvalidInput) as refused:
            await it.plan(*calls)
        why = "its last trade was on 2026-11-20 at 16:00 New York."
        assert refused.value.message == f"Each of 20 ({FIRST} and 12 more) cannot be closed now: {why}"
        del exchange.positions[SHARES.instrument_id]
        with pytest.raises(InvalidInput, match=r"cannot be closed now.*USD \(10\) is left out: it is cash"):
            await it.plan()


@pytest.mark.requirement("G-03")
async def test_many_contracts_that_end_between_plan_and_sending_are_stale_in_one_sentence(tmp_path: Path) -> None:
    clock = at("2026-11-20T15:59")
    async with desk(tmp_path, clock=clock, exchange=many(clock)) as it:
        operation = await it.asked(*(f"AAPL261120C{200 + n:05}000" for n in range(20)))
        clock.at = at("2026-11-20T16:01").at
        report = await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        assert report.state is OperationState.STALE
        assert report.reason.count("cannot be closed now") == 1
        assert "Each of 20 (" in report.reason


async def test_options_of_one_symbol_that_expire_today_are_called_out_by_their_ids(tmp_path: Path) -> None:
    symbol, clock = "AAPL261120C00225000", at("2026-11-20T12:00")
    exchange = book(clock, symbol)
    exchange.hold(held(symbol, 1, price="1.50", number=8))
    first, second = (f"{symbol} [a1a2a3a4-b1b2-c1c2-d1d2-{n:012}]" for n in (7, 8))
    async with desk(tmp_path, clock=clock, exchange=exchange) as it:
        assert f"Each of 2 ({first}, {second}) expires today" in question((await it.plan()).operation.plan)
        clock.at = at("2026-11-20T16:20").at
        assert f"Each of 2 ({first}, {second}) is left out" in question((await it.plan()).operation.plan)


async def test_a_short_option_that_expires_today_is_not_said_to_take_instructions(tmp_path: Path) -> None:
    symbol, clock = "AAPL261120C00225000", at("2026-11-20T15:00")
    async with desk(tmp_path, clock=clock, exchange=book(clock, symbol, -1)) as it:
        asked = question((await it.plan(symbol)).operation.plan)
        assert "its last trade is at 16:00 New York. Only its holder decides whether it is exercised" in asked


async def test_an_option_that_trades_on_tomorrow_is_not_called_out(tmp_path: Path) -> None:
    symbol, clock = "AAPL261127C00225000", at("2026-11-25T15:00")
    async with desk(tmp_path, clock=clock, exchange=book(clock, symbol)) as it:
        assert "last trade" not in question((await it.plan(symbol)).operation.plan)


OVER = {
    "early close": (
        "2026-11-27T13:30",
        "AAPL261127C00225000",
        1,
        "2026-11-27 at 13:00 New York (early close)",
        "14:30",
    ),
    "at the close": ("2026-11-20T16:00", "AAPL261120C00225000", 1, "2026-11-20 at 16:00 New York", "17:30"),
    "past the cut-off": ("2026-11-20T17:30", "AAPL261120C00225000", 1, "2026-11-20 at 16:00", "instructions ended"),
    "short": ("2026-11-20T16:30", "AAPL261120C00225000", -1, "2026-11-20 at 16:00", "Only its holder decides"),
    "expired a week ago": ("2026-11-27T12:00", "AAPL261120C00200000", -1, "expired on 2026-11-20", "Nothing is left"),
    "the weekend after": ("2026-11-21T12:00", "AAPL261120C00225000", 1, "expired on 2026-11-20", "Nothing is left"),
    "Saturday-dated": (
        "2026-11-20T16:05",
        "AAPL261121C00225000",
        1,
        "2026-11-20 at 16:00",
        "until 2026-11-20 at 17:30",
    ),
    "Good Friday": ("2026-04-02T16:30", "AAPL260403C00225000", 1, "2026-04-02 at 16:00", "2026-04-02 at 17:30"),
    "AM index, the evening before": ("2026-11-19T17:00", "SPX261120C06000000", 1, "2026-11-19 at 16:15", "in cash"),
    "AM index, the morning": ("2026-11-20T10:00", "SPX261120C06000000", 1, "the opening of 2026-11-20", "in cash"),
    "PM index": ("2026-11-20T16:05", "SPXW261120C06000000", 1, "2026-11-20 at 16:00", "settled in cash"),
    "fund": ("2026-11-20T16:15", "SPY261120C00600000", 1, "2026-11-20 at 16:15", "until 2026-11-20 at 17:30"),
}


@pytest.mark.requirement("I-06")
@pytest.mark.parametrize(("now", "symbol", "quantity", "since", "way"), OVER.values(), ids=OVER)
async def test_an_option_that_trades_no_more_is_refused_with_the_way_that_is_left(
    tmp_path: Path, *, now: str, symbol: str, quantity: int, since: str, way: str
) -> None:
    async with desk(tmp_path, clock=(clock := at(now)), exchange=book(clock, symbol, quantity)) as it:
        with pytest.raises(InvalidInput) as refused:
            await it.plan(symbol, "MSFT")
        assert f"{symbol} cannot be closed now" in refused.value.message
        assert since in refused.value.message
        assert way in (refused.value.hint or "")
        assert "Plan the other 1 without it." in (refused.value.hint or "")
        assert it.exchange.requests == []


@pytest.mark.requirement("I-06")
@pytest.mark.parametrize(("now", "symbol", "quantity", "since", "way"), OVER.values(), ids=OVER)
async def test_close_all_leaves_out_what_trades_no_more_and_names_it(
    tmp_path: Path, *, now: str, symbol: str, quantity: int, since: str, way: str
) -> None:
    async with desk(tmp_path, clock=(clock := at(now)), exchange=book(clock, symbol, quantity)) as it:
        planned = await it.plan()
        plan = planned.operation.plan
        assert [target.symbol for target in plan.closes] == ["MSFT"]
        (left_out,) = [each for each in planned.verdict.findings if each.rule is Rule.LEFT_OUT]
        assert left_out.message.startswith(f"{symbol} is left out: ")
        assert since in left_out.message
        assert way in left_out.message
        assert f"Warning: {left_out.message}" in question(plan)
        report = await it.guard.send_elicited(await it.guard.ask(planned.operation), caller=CALLER, client="Claude")
        assert report.state is OperationState.SUBMITTED


async def test_of_several_that_trade_no_more_each_way_that_is_left_names_what_it_is_for(tmp_path: Path) -> None:
    long, short, clock = "AAPL261120C00225000", "AAPL261120P00225000", at("2026-11-20T16:30")
    exchange = book(clock, long)
    exchange.hold(held(short, -1, price="1.50", number=8))
    async with desk(tmp_path, clock=clock, exchange=exchange) as it:
        with pytest.raises(InvalidInput) as refused:
            await it.plan(long, short)
        assert f"{long}: Exercise instructions are taken until 2026-11-20 at 17:30 New York" in refused.value.hint
        assert f"{short}: Only its holder decides whether it is exercised" in refused.value.hint


async def test_close_all_of_nothing_that_trades_is_no_plan(tmp_path: Path) -> None:
    clock = at("2026-11-20T16:30")
    exchange = book(clock, "AAPL261120C00225000")
    exchange.positions = {key: each for key, each in exchange.positions.items() if each.is_option}
    async with desk(tmp_path, clock=clock, exchange=exchange) as it:
        with pytest.raises(InvalidInput, match="its last trade was on 2026-11-20"):
            await it.plan()


@pytest.mark.requirement("G-03")
async def test_a_contract_that_ends_between_plan_and_sending_is_stale(tmp_path: Path) -> None:
    symbol, clock = "AAPL261120C00225000", at("2026-11-20T15:59")
    async with desk(tmp_path, clock=clock, exchange=book(clock, symbol)) as it:
        operation = await it.asked(symbol)
        clock.at = at("2026-11-20T16:01").at
        report = await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        assert report.state is OperationState.STALE
        assert f"{symbol} cannot be closed now: its last trade was on 2026-11-20 at 16:00" in report.reason
        assert it.exchange.requests == []


@pytest.mark.parametrize(
    ("now", "symbol", "facts", "trades"),
    [
        ("2026-11-20T16:05", "AAPL261120C00225000", {"last_trade_cutoff": "2026-11-20T21:15:00Z"}, True),
        ("2026-11-20T15:50", "AAPL261120C00225000", {"last_trade_cutoff": "2026-11-20T20:45:00Z"}, False),
        ("2026-11-20T15:50", "AAPL261120C00225000", {"last_trade_cutoff": "2026-11-20T00:00:00Z"}, True),
        ("2026-11-20T16:30", "AAPL261121C00225000", {"last_trade_cutoff": "2026-11-21T21:00:00Z"}, False),
        ("2026-11-20T10:00", "MYST261120C00225000", {"is_settle_on_open": True}, False),
        ("2026-11-20T10:00", "SPX261120C06000000", {"is_settle_on_open": False}, True),
    ],
    ids=["later", "earlier", "a date for an instant", "on a Saturday", "AM by its facts", "PM by its facts"],
)
async def test_what_the_api_says_of_the_contract_goes_first_as_far_as_it_can_be_so(
    tmp_path: Path, *, now: str, symbol: str, facts: dict[str, Any], trades: bool
) -> None:
    clock, listed = at(now), Listed(facts)
    async with desk(tmp_path, clock=clock, exchange=book(clock, symbol), neighbours=listed.neighbours) as it:
        if trades:
            assert (await it.plan(symbol)).operation.plan.closes[0].symbol == symbol
        else:
            with pytest.raises(InvalidInput, match="cannot be closed now"):
                await it.plan(symbol)


@pytest.mark.parametrize(
    ("now", "way"),
    [
        ("2026-11-20T09:29", "Exercise instructions are taken until 2026-11-20 at 09:30 New York"),
        ("2026-11-20T09:30", "Exercise instructions ended on 2026-11-20 at 09:30 New York"),
    ],
)
async def test_the_way_that_is_left_for_what_an_opening_settles_ends_with_it(
    tmp_path: Path, now: str, way: str
) -> None:
    symbol, clock, listed = "OEX261120C00225000", at(now), Listed({"is_settle_on_open": True})
    async with desk(tmp_path, clock=clock, exchange=book(clock, symbol), neighbours=listed.neighbours) as it:
        with pytest.raises(InvalidInput) as refused:
            await it.plan(symbol)
        assert way in (refused.value.hint or "")


async def test_what_the_api_refuses_to_say_of_contracts_and_prices_stops_nothing(tmp_path: Path) -> None:
    symbol, clock = "AAPL261120C00225000", at("2026-11-20T12:00")
    listed = Listed(refuses=True)
    exchange = book(clock, symbol, underlying_instrument_id=InstrumentId("a1a2a3a4-b1b2-c1c2-d1d2-0000000000ff"))
    async with desk(tmp_path, clock=clock, exchange=exchange, neighbours=listed.neighbours) as it:
        assert "its last trade is at 16:00" in question((await it.plan(symbol)).operation.plan)
        assert sorted(listed.asked) == ["contracts", "snapshots"]


async def test_an_account_without_options_asks_for_nothing_beside_its_book(tmp_path: Path) -> None:
    listed = Listed()
    async with desk(tmp_path, neighbours=listed.neighbours) as it:
        await it.plan("AAPL")
        assert listed.asked == []


async def test_shares_may_be_sold_although_a_short_call_on_them_that_expired_is_still_listed(tmp_path: Path) -> None:
    clock = at("2026-11-27T12:00")
    exchange = book(clock, "AAPL261120C00200000", -1)
    exchange.hold(held("AAPL", 100, price="230", number=1))
    async with desk(tmp_path, clock=clock, exchange=exchange) as it:
        assert not (await it.plan("AAPL")).verdict.refusals
        assert not (await it.plan()).verdict.refusals


@pytest.mark.requirement("G-12")
async def test_shares_may_not_be_sold_under_a_short_call_that_can_be_assigned_tonight(tmp_path: Path) -> None:
    clock = at("2026-11-20T16:30")
    exchange = book(clock, "AAPL261120C00200000", -1)
    exchange.hold(held("AAPL", 100, price="230", number=1))
    async with desk(tmp_path, clock=clock, exchange=exchange) as it:
        assert [each.rule for each in (await it.plan()).verdict.refusals] == [Rule.UNCOVERED]


@pytest.mark.requirement("G-17")
async def test_a_person_may_flatten_what_trades_no_more_and_is_told(tmp_path: Path) -> None:
    symbol, clock = "AAPL261120C00225000", at("2026-11-20T16:30")
    async with desk(tmp_path, clock=clock, exchange=book(clock, symbol)) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        flattening = await it.supervisor.plan_flatten(ACCOUNT, [symbol], by="root")
        assert f"Warning: {symbol} cannot be closed now: its last trade was" in flattening.question


@pytest.mark.requirement("G-12")
async def test_the_multiplier_that_the_api_states_counts_for_limits_and_cover(tmp_path: Path) -> None:
    clock = at("2026-11-20T12:00")
    exchange = Exchange(clock)
    on = {"underlying_instrument_id": SHARES.instrument_id}
    short = held("MSFT261218C00410000", -1, price="1.50", number=OPTION, **on)
    exchange.hold(short, held("MSFT", 150, price="400", number=3))
    listed = Listed({"multiplier": "150"})
    async with desk(tmp_path, exchange=exchange, clock=clock, neighbours=listed.neighbours) as it:
        whole = (await it.plan("MSFT261218C00410000")).operation.plan
        shares = await it.plan("MSFT")
    assert whole.measure == 60_000  # 150 x 400
    assert shares.verdict is not None
    assert Rule.UNCOVERED in [each.rule for each in shares.verdict.findings]
