"""A person's own way out: whatever is held, under a halt, limits and unknown outcomes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from guard.desk import AAPL, CALLER, PASSPHRASE, POLICY, TSLA, Desk, desk
from guard.exchange import held, instrument, raising
from positions_mcp.domain.errors import InvalidInput, OutcomeUnknown, Refused
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.guard.policy.findings import Rule

STRICT = Policy(
    **{
        **POLICY.model_dump(),
        "max_notional": Decimal(1),
        "max_daily_notional": Decimal(1),
        "max_positions": 1,
        "allow_close_all": False,
        "trading_enabled": False,
        "deny_instruments": {"AAPL"},
    }
)


async def ready(it: Desk) -> Desk:
    await it.supervisor.set_up_approver(PASSPHRASE)
    return it


@pytest.mark.requirement("G-17", "G-11", "G-10")
async def test_everything_is_flattened_under_a_halt_and_limits_and_every_override_is_named(tmp_path: Path) -> None:
    async with desk(tmp_path, policy=STRICT) as it:
        await ready(it)
        await it.supervisor.halt("news", by="root")
        flattening = await it.supervisor.plan_flatten(19816, None, by="root")
        assert {finding.rule for finding in flattening.overrides} == {
            Rule.TRADING_ENABLED,
            Rule.HALT,
            Rule.INSTRUMENT,
            Rule.NOTIONAL_PER_OPERATION,
            Rule.NOTIONAL_PER_DAY,
            Rule.POSITIONS_PER_OPERATION,
            Rule.CLOSE_ALL,
        }
        assert "whatever is held when it is sent" in flattening.question
        report = await it.supervisor.flatten(flattening, PASSPHRASE, typed_account="\u00a0 19816\u200b ")
        assert report.state is OperationState.SUBMITTED
        assert it.exchange.requests == ["close all cancel_orders=True"]
        assert "terminal, approver" in report.decision
        assert "sending" in it.events()


@pytest.mark.requirement("G-17")
async def test_what_grew_or_turned_or_moved_since_is_flattened_too(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await ready(it)
        flattening = await it.supervisor.plan_flatten(19816, ["AAPL", "TSLA"], by="root")
        it.exchange.change(AAPL, quantity=Decimal(500), available_quantity=Decimal(500), market_value=Decimal(1))
        report = await it.supervisor.flatten(flattening, PASSPHRASE, typed_account="19816")
        assert report.state is OperationState.SUBMITTED
        assert it.exchange.effects == [instrument(TSLA), instrument(AAPL)]


@pytest.mark.requirement("G-17", "G-05")
async def test_an_unknown_outcome_is_overridden_by_name(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await ready(it)
        it.exchange.before.append(raising(OutcomeUnknown("dropped")))
        await it.close("AAPL")
        flattening = await it.supervisor.plan_flatten(19816, ["AAPL"], by="root")
        assert [finding.rule for finding in flattening.overrides] == [Rule.IN_DOUBT]
        report = await it.supervisor.flatten(flattening, PASSPHRASE, typed_account="19816")
        assert report.state is OperationState.SUBMITTED


@pytest.mark.requirement("G-17")
async def test_a_book_that_cannot_be_read_again_does_not_stop_a_person(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await ready(it)
        flattening = await it.supervisor.plan_flatten(19816, ["AAPL"], by="root")
        it.exchange.reads_fail = True
        report = await it.supervisor.flatten(flattening, PASSPHRASE, typed_account="19816")
        assert report.state is OperationState.SUBMITTED
        assert "could not be read again" in report.reason


@pytest.mark.requirement("G-17")
async def test_a_covered_call_is_flattened_with_its_shares(tmp_path: Path) -> None:
    positions = [held("AAPL", 100, price="190", number=1), held("AAPL280121C00195000", -1, price="3", number=2)]
    async with desk(tmp_path, positions=positions) as it:
        await ready(it)
        flattening = await it.supervisor.plan_flatten(19816, ["AAPL"], by="root")
        assert [finding.rule for finding in flattening.overrides] == [Rule.UNCOVERED]
        await it.supervisor.flatten(flattening, PASSPHRASE, typed_account="19816")
        assert it.exchange.effects == [instrument(1)]


@pytest.mark.requirement("G-05", "G-17")
async def test_flattening_goes_on_after_an_unknown_or_deviating_outcome_and_sends_each_row_once(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await ready(it)
        flattening = await it.supervisor.plan_flatten(19816, ["AAPL", "TSLA", "MSFT"], by="root")
        it.exchange.before.append(raising(OutcomeUnknown("timed out")))
        less = {"quantity": Decimal(1)}
        it.exchange.change_answer = lambda made: [order.model_copy(update=less) for order in made]
        report = await it.supervisor.flatten(flattening, PASSPHRASE, typed_account="19816")
        assert {row.symbol: row.state for row in report.rows} == {
            "TSLA": RowState.UNKNOWN,
            "AAPL": RowState.DEVIATED,
            "MSFT": RowState.DEVIATED,
        }
        assert len(it.exchange.requests) == len(set(it.exchange.requests)) == 3


@pytest.mark.requirement("G-01", "G-17")
async def test_flattening_needs_the_passphrase_and_the_account_typed(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        flattening = await it.supervisor.plan_flatten(19816, ["AAPL"], by="root")
        with pytest.raises(Refused, match="approver"):
            await it.supervisor.flatten(flattening, PASSPHRASE, typed_account="19816")
        await ready(it)
        with pytest.raises(Refused, match="passphrase"):
            await it.supervisor.flatten(flattening, "the wrong passphrase", typed_account="19816")
        with pytest.raises(InvalidInput, match="account typed"):
            await it.supervisor.flatten(flattening, PASSPHRASE, typed_account="19817")
        assert it.exchange.requests == []


@pytest.mark.requirement("G-01")
async def test_no_tool_can_continue_or_send_a_plan_to_flatten(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await ready(it)
        flattening = await it.supervisor.plan_flatten(19816, ["AAPL"], by="root")
        operation_id, caller = flattening.operation.operation_id, flattening.operation.plan.caller
        for name in (CALLER, caller):
            with pytest.raises(Refused):
                await it.guard.continue_plan(operation_id, caller=name)
        with pytest.raises(Refused):
            await it.supervisor.approve(operation_id, PASSPHRASE)
        with pytest.raises(Refused):
            await it.guard.send_approved(operation_id, caller=caller)
        assert it.exchange.requests == []
