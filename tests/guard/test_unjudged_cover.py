"""Shares that may be covering a short option of unknown deliverable are sold by a person's decision only (G-12)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from guard.clearing import PUT, clearing_desk, listed, row
from guard.desk import POLICY, Desk, desk
from guard.exchange import held, instrument
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.enums import OrderStatus
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.operation.states import RowState
from positions_mcp.guard.policy.findings import Finding, Rule, Severity

pytestmark = pytest.mark.requirement("G-12")
SHARE, SHORT, OTHER = 1, 2, 3


async def found(it: Desk, *names: str, rule: Rule = Rule.UNCOVERED) -> list[Finding]:
    planned = await it.plan(*names)
    assert planned.verdict is not None
    return [finding for finding in planned.verdict.findings if finding.rule is rule]


@pytest.mark.parametrize(
    ("share", "short", "fields"),
    [
        ("BABA", "BABA2 270115C00145000", {"underlying_instrument_id": instrument(SHARE)}),
        ("BABA", "BABA2 270115C00145000", {}),
        ("AAPL", "1AAPL 270115C00145000", {}),
        ("BRK.B", "BRKB1 270115C00145000", {}),
        ("AAPL", "", {"underlying_instrument_id": instrument(SHARE), "instrument_type": "OPTION"}),
        ("AAPL", "", {"instrument_type": "OPTION"}),
        ("AAPL", "AAPL 15JAN27 145 C", {"instrument_type": "OPTION"}),
    ],
)
async def test_selling_what_may_cover_it_needs_the_supervisor(
    tmp_path: Path, share: str, short: str, fields: dict[str, Any]
) -> None:
    positions = [held(share, 100, number=SHARE), held(short, -1, number=SHORT, **fields), held("KO", 5, number=OTHER)]
    async with desk(tmp_path, positions=positions) as it:
        (finding,) = await found(it, share)
        assert finding.severity is Severity.DESK
        assert "not known" in finding.message
        assert bool(await found(it, "KO")) == (not short and not fields.get("underlying_instrument_id"))


async def test_a_plan_that_buys_the_option_back_too_needs_no_more_but_waits_for_it(tmp_path: Path) -> None:
    short = held("BABA2 270115C00145000", -1, number=SHORT)
    async with desk(tmp_path, positions=[held("BABA", 100, number=SHARE), short]) as it:
        assert await found(it, "BABA", "BABA2270115C00145000") == []

        def refused(orders: list[Order]) -> list[Order]:
            return [order.model_copy(update={"status": OrderStatus.REJECTED}) for order in orders]

        it.exchange.change_answer = refused
        operation = await it.approved_at_desk("BABA", "BABA2270115C00145000")
        report = await it.guard.send_approved(operation.operation_id, caller=operation.plan.caller)
        states = {row.symbol: row.state for row in report.rows}
        assert states["BABA"] is RowState.NOT_SENT


async def test_where_policy_allows_uncovered_options_it_is_only_said(tmp_path: Path) -> None:
    policy = POLICY.model_copy(update={"allow_uncovered": True})
    positions = [held("BABA", 100, number=SHARE), held("BABA2 270115C00145000", -1, number=SHORT)]
    async with desk(tmp_path, positions=positions, policy=policy) as it:
        (finding,) = await found(it, "BABA")
        assert finding.severity is Severity.NOTE


@pytest.mark.requirement("G-10")
@pytest.mark.parametrize(
    ("denied", "symbol", "fields"),
    [
        ("SPX", "SPXW  261218C05000000", {}),
        ("SPX", "4SPX  261218C05000000", {}),
        ("SPX", "2SPXW 261218C05000000", {}),
        ("NDX", "NDXP  261218C15000000", {}),
        ("VIX", "VIXW  261218C00020000", {}),
        ("AAPL", "1AAPL 261218C00200000", {}),
        ("AAPL", "AAPL1 261218C00200000", {}),
        ("AAPL", "AAPL 18DEC26 200 C", {"instrument_type": "OPTION"}),
        ("BRK.B", "BRKB  261218C00400000", {}),
        ("BRKB", "BRK/B", {}),
        ("BRK/B", "1BRKB 261218C00400000", {}),
        ("GOOG", "XYZ   261218C00200000", {"underlying_instrument_id": instrument(OTHER)}),
        (instrument(OTHER), "XYZ   261218C00200000", {"underlying_instrument_id": instrument(OTHER)}),
    ],
)
async def test_a_deny_list_catches_every_contract_on_what_it_names(
    tmp_path: Path, denied: str, symbol: str, fields: dict[str, Any]
) -> None:
    policy = POLICY.model_copy(update={"deny_instruments": frozenset({denied})})
    positions = [held(symbol, 1, number=SHARE, **fields), held("GOOG", 10, number=OTHER)]
    async with desk(tmp_path, positions=positions, policy=policy) as it:
        assert [each.severity for each in await found(it, instrument(SHARE), rule=Rule.INSTRUMENT)] == [Severity.REFUSE]


@pytest.mark.parametrize("denied", ["SPXW", "SPXL", "AAP", "APL"])
async def test_a_deny_list_catches_nothing_else(tmp_path: Path, denied: str) -> None:
    policy = POLICY.model_copy(update={"deny_instruments": frozenset({denied})})
    positions = [held("SPX   261218C05000000", 1, number=SHARE), held("AAPL  261218C00200000", 1, number=OTHER)]
    async with desk(tmp_path, positions=positions, policy=policy) as it:
        for number in (SHARE, OTHER):
            assert await found(it, instrument(number), rule=Rule.INSTRUMENT) == []


@pytest.mark.requirement("G-10")
@pytest.mark.parametrize(
    ("symbol", "on", "severity"),
    [
        ("", None, Severity.DESK),
        ("", OTHER, None),  # the API says that it is on GOOG, which is held
        ("", 9, Severity.DESK),
        ("???", 9, Severity.DESK),
        ("GOOGX 18DEC26 200 C", None, Severity.DESK),
        ("AAPL 18DEC26 200 C", None, Severity.REFUSE),
        ("aapl 18DEC26", 9, Severity.REFUSE),
        ("AAPL", None, Severity.REFUSE),
        ("2AAPL 18DEC26 200 C", 9, Severity.REFUSE),
    ],
)
async def test_a_deny_list_leaves_an_option_that_cannot_be_read_to_the_supervisor(
    tmp_path: Path, symbol: str, on: int | None, severity: Severity | None
) -> None:
    policy = POLICY.model_copy(update={"deny_instruments": frozenset({"AAPL"})})
    underlying = None if on is None else instrument(on)
    option = held(symbol, 1, number=SHARE, instrument_type="OPTION", underlying_instrument_id=underlying)
    async with desk(tmp_path, positions=[option, held("GOOG", 10, number=OTHER)], policy=policy) as it:
        seen = await found(it, instrument(SHARE), rule=Rule.INSTRUMENT)
        assert [each.severity for each in seen] == ([] if severity is None else [severity])


@pytest.mark.requirement("G-10")
@pytest.mark.parametrize(
    ("symbol", "on", "allowed"),
    [
        ("AAPL  261218C00200000", None, True),
        ("AAPL1 261218C00200000", None, True),
        ("", OTHER, True),
        ("AAPL 18DEC26 200 C", None, False),
        ("AAPL", None, False),
        ("AAPL 18DEC26 200 C", 9, False),
        ("", None, False),
        ("GOOG  261218C00200000", None, False),
    ],
)
async def test_an_allow_list_takes_no_guess_for_what_it_names(
    tmp_path: Path, symbol: str, on: int | None, allowed: bool
) -> None:
    policy = POLICY.model_copy(update={"allow_instruments": frozenset({"AAPL"})})
    underlying = None if on is None else instrument(on)
    option = held(symbol, 1, number=SHARE, instrument_type="OPTION", underlying_instrument_id=underlying)
    async with desk(tmp_path, positions=[option, held("AAPL", 10, number=OTHER)], policy=policy) as it:
        seen = await found(it, instrument(SHARE), rule=Rule.INSTRUMENT)
        assert [each.severity for each in seen] == ([] if allowed else [Severity.REFUSE])


@pytest.mark.parametrize(
    ("option", "kind", "shares", "short", "asks"),
    [
        ("AAPL1 261120P00220000", "EXERCISE", 200, "AAPL  261218C00230000", True),
        ("2AAPL 261120P00220000", "EXERCISE", 200, "AAPL  261218C00230000", True),
        ("AAPL1 261120P00220000", "CONTRARY_EXERCISE", 200, "AAPL  261218C00230000", True),
        ("AAPL1 261120C00220000", "EXERCISE", -200, "AAPL  261218P00230000", True),
        ("AAPL1 261120P00220000", "DO_NOT_EXERCISE", 200, "AAPL  261218C00230000", False),
        ("AAPL1 261120C00220000", "EXERCISE", 200, "AAPL  261218C00230000", False),
        ("AAPL1 261120P00220000", "EXERCISE", 200, "KO    261218C00230000", False),
        ("KO1   261120P00220000", "EXERCISE", 200, "AAPL  261218C00230000", False),
    ],
)
async def test_exercising_what_delivers_nobody_knows_what_may_not_take_cover_unseen(
    tmp_path: Path, *, option: str, kind: str, shares: int, short: str, asks: bool
) -> None:
    positions = [
        held("AAPL", shares, number=SHARE, price="215"),
        held(short, -1, number=SHORT),
        held(option, 1, number=OTHER),
    ]
    async with clearing_desk(tmp_path, positions=positions) as it:
        planned = await it.plan(row(instrument(OTHER), kind))
        assert planned.verdict is not None
        seen = [each for each in planned.verdict.findings if each.rule is Rule.UNCOVERED]
        assert [each.severity for each in seen] == ([Severity.DESK] if asks else [])
        assert all("what it delivers is not known" in each.message for each in seen)


async def test_a_cancel_that_lets_such_an_option_be_exercised_asks_too(tmp_path: Path) -> None:
    positions = [
        held("AAPL", 200, number=SHARE, price="215"),
        held("AAPL  261218C00230000", -1, number=SHORT),
        held("AAPL1 261120P00220000", 1, number=OTHER),
    ]
    async with clearing_desk(tmp_path, positions=positions) as it:
        it.desk.exchange.instructions.append(listed(1, "DO_NOT_EXERCISE", 1, at=PUT))
        planned = await it.plan_cancel(1)
        assert planned.verdict is not None
        assert Rule.UNCOVERED in [each.rule for each in planned.verdict.needs_desk]


@pytest.mark.parametrize("again", ["BRKB", "BRK/B", "brk.b", instrument(SHARE)])
async def test_two_spellings_of_one_instrument_continue_one_plan(tmp_path: Path, again: str) -> None:
    async with desk(tmp_path, positions=[held("BRK.B", 10, number=SHARE)]) as it:
        first = await it.plan("BRK.B")
        with_it = await it.guard.continue_plan(
            first.operation.operation_id, it.request(again), caller=first.operation.plan.caller
        )
        assert with_it.operation.operation_id == first.operation.operation_id
        with pytest.raises(InvalidInput):
            await it.guard.continue_plan(
                first.operation.operation_id, it.request("AAPL"), caller=first.operation.plan.caller
            )
