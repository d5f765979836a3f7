"""A close of shares on the day that options on them end: what those move beside its order is said before a person."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from guard.clearing import listed
from guard.desk import CALLER, desk
from guard.exchange import StandingClock, held, instrument
from positions_mcp.domain.enums import InstructionStatus
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.guard.approval.questions import question

pytestmark = pytest.mark.requirement("I-06")
SHARES, CALL, PUT, OTHER = 1, 2, 3, 4
ON_AAPL = {"underlying_instrument_id": instrument(SHARES)}
MOVE, MAY_MOVE = (
    f"Tonight's exercises and assignments {verb} AAPL too. With this close: " for verb in ("move", "may move")
)


def at(text: str) -> StandingClock:
    return StandingClock(datetime.fromisoformat(text))


def option(symbol: str, quantity: int, number: int = PUT, **fields: Any) -> Any:
    return held(symbol, quantity, price="1.00", number=number, **ON_AAPL, **fields)


async def said(folder: Path, *options: Any, shares: int = 100, clock: str = "15:00", names: tuple[str, ...]) -> str:
    positions = (held("AAPL", shares, price="150.00", number=SHARES), *options)
    async with desk(folder, positions=positions, clock=at(f"2026-11-20T{clock}:00-05:00")) as it:
        return question((await it.plan(*names)).operation.plan)


@pytest.mark.parametrize("clock", ["09:45", "15:00", "16:20", "17:45"])
async def test_shares_that_a_put_sells_too_are_said_to_end_short(tmp_path: Path, clock: str) -> None:
    words = await said(tmp_path, option("AAPL261120P00160000", 1), clock=clock, names=("AAPL",))
    outcome = f"{MOVE}160P 1 exercised by exception; shares 0 → -100, cash 16,000"
    if clock >= "16:00":  # its close is not in the book
        outcome = f"{MAY_MOVE}160P 1; up to 159.99: shares 0 → -100, cash 16,000 | above 159.99: nothing moves"
    assert f"{outcome}; up to 100 shares short that are not now." in words


@pytest.mark.parametrize(
    ("shares", "symbol", "quantity", "then"),
    [
        (-100, "AAPL261120C00140000", 1, f"{MOVE}140C 1 exercised by exception; shares 0 → 100, cash -14,000."),
        (100, "AAPL261120P00160000", -1, f"{MOVE}160P -1 assigned; shares 0 → 100, cash -16,000."),
        (100, "AAPL261120P00160000", 3, f"{MOVE}160P 3 exercised by exception; shares 0 → -300, cash 48,000; up to"),
        (150, "AAPL261121P00160000", 1, f"{MOVE}160P 1 exercised by exception; shares 0 → -100"),  # a Saturday's date
        (100, "AAPL261120P00150500", 1, f"{MOVE}150.5P 1 exercised by exception; shares 0 → -100"),
        (100, "AAPL261120P00149500", -1, f"{MAY_MOVE}149.5P -1 lapse; nothing moves; strike 149.5 is too near to call"),
        (100, "AAPL1261120P00160000", 1, f"{MAY_MOVE}AAPL1 160P 1 not stated; not stated: AAPL1261120P00160000."),
    ],
)
async def test_whatever_moves_the_shares_beside_the_order_is_said(
    tmp_path: Path, shares: int, symbol: str, quantity: int, then: str
) -> None:
    words = await said(tmp_path, option(symbol, quantity), shares=shares, names=("AAPL",))
    assert f"Warning: {then}" in words


@pytest.mark.parametrize(
    ("symbol", "names"),
    [
        ("AAPL261120P00100000", ("AAPL",)),  # lapses
        ("AAPL261218P00160000", ("AAPL",)),  # ends another day
        ("AAPL261120P00160000", ("AAPL261120P00160000",)),  # the shares stay as they are
        ("AAPL261120P00160000", ("AAPL", "AAPL261120P00160000")),  # it is closed too
        ("AAPL261120P00160000", ()),  # everything is
    ],
)
async def test_nothing_is_said_where_nothing_else_moves_what_is_traded(
    tmp_path: Path, symbol: str, names: tuple[str, ...]
) -> None:
    assert "Tonight" not in await said(tmp_path, option(symbol, 1), names=names)


async def test_after_its_last_trade_closing_everything_leaves_the_put_and_says_what_it_does(tmp_path: Path) -> None:
    words = await said(tmp_path, option("AAPL261120P00160000", 1), clock="16:20", names=())
    assert "AAPL261120P00160000 is left out" in words
    assert "shares 0 → -100" in words


async def test_an_early_exercise_under_way_moves_the_shares_too(tmp_path: Path) -> None:
    put = option("AAPL261218P00160000", 2)
    sent = listed(1, "EXERCISE", 1, at=PUT, status=InstructionStatus.ACCEPTED, created_at="2026-11-20T16:00:00Z")
    positions = (held("AAPL", 100, price="150.00", number=SHARES), put)
    async with desk(tmp_path, positions=positions, clock=at("2026-11-20T15:00:00-05:00")) as it:
        it.exchange.instructions = [sent]
        words = question((await it.plan("AAPL")).operation.plan)
    assert f"{MOVE}2026-12-18 160P 2 (1 exercised on instruction); shares 0 → -100, cash 16,000" in words


@pytest.mark.requirement("G-02")
@pytest.mark.parametrize("everything", [False, True])
async def test_what_was_planned_in_the_session_is_not_sent_after_it_to_wait(
    tmp_path: Path, *, everything: bool
) -> None:
    clock = at("2026-11-20T15:59:30-05:00")
    async with desk(tmp_path, clock=clock) as it:
        approved = await it.approved_at_desk(*(() if everything else ("AAPL",)))
        clock.at = datetime.fromisoformat("2026-11-20T16:00:05-05:00")
        done = await it.guard.send_approved(approved.operation_id, caller=CALLER)
        assert (done.state, it.exchange.requests) == (OperationState.STALE, [])
        assert "The market is closed until 2026-11-23 09:30 New York, and was open when this was planned" in done.reason


@pytest.mark.parametrize(
    ("planned", "later", "market"),
    [
        ("2026-11-20T15:59:00-05:00", "2026-11-20T16:00:00-05:00", "closed: may queue until Mon 2026-11-23 09:30"),
        ("2026-11-27T12:59:00-05:00", "2026-11-27T13:00:00-05:00", "closed: may queue until Mon 2026-11-30 09:30"),
    ],
)
async def test_a_plan_is_not_found_again_once_its_session_is_over(
    tmp_path: Path, planned: str, later: str, market: str
) -> None:
    clock = at(planned)
    async with desk(tmp_path, clock=clock) as it:
        first = (await it.plan("AAPL")).operation
        clock.at = datetime.fromisoformat(later)
        second = (await it.plan("AAPL")).operation
        assert second.operation_id != first.operation_id
        assert f"Market: {market}" in question(second.plan)


@pytest.mark.parametrize(
    ("sent", "clock", "evening"),
    [
        ("2026-11-20T16:00:00Z", "2026-11-20T18:00:00-05:00", "Tonight's"),
        ("2026-11-20T22:45:00Z", "2026-11-20T18:00:00-05:00", "The evening of 2026-11-23: its"),  # 17:45 in New York
        ("2026-11-20T22:45:00Z", "2026-11-21T12:00:00-05:00", "The evening of 2026-11-23: its"),
    ],
)
async def test_an_early_exercise_moves_shares_in_the_evening_that_it_was_sent_for(
    tmp_path: Path, sent: str, clock: str, evening: str
) -> None:
    put = option("AAPL261218P00160000", 2)
    early = listed(1, "EXERCISE", 1, at=PUT, status=InstructionStatus.ACCEPTED, created_at=sent)
    positions = (held("AAPL", 100, price="150.00", number=SHARES), put)
    async with desk(tmp_path, positions=positions, clock=at(clock)) as it:
        it.exchange.instructions = [early]
        words = question((await it.plan("AAPL")).operation.plan)
    assert words.count("exercises and assignments") == 1
    assert f"{evening} exercises and assignments move AAPL too. With this close: " in words
