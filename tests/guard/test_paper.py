"""The guard over the production client and the paper exchange: every failure of a close, counted by the exchange."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from api.paper_book import ACCOUNT, paper_desk
from beginnings import store_in
from guard.desk import CALLER, PASSPHRASE, POLICY, QUICK
from guard.exchange import CountingIds
from guard.withdrawals import offered, withdraw
from positions_mcp.clock import SystemClock
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.guard.cancelling import Withdrawal
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.guard import Guard
from positions_mcp.guard.reports import OperationReport
from positions_mcp.guard.supervisor import Supervisor
from positions_mcp.market_calendar import NewYorkCalendar
from positions_mcp.paper import PaperExchange

NO_HALT = Policy(**{**POLICY.model_dump(), "halt_after": None})


@asynccontextmanager
async def guarded(folder: Path) -> AsyncIterator[tuple[Guard, Supervisor, PaperExchange]]:
    async with paper_desk(folder / "paper", write_timeout_s=1.5) as paper:
        store = store_in(folder / "operations.sqlite")
        pauses: list[float] = []

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)

        parts = Dependencies(
            mode=Mode.PAPER,
            policy=NO_HALT,
            store=store,
            positions=paper.client,
            orders=paper.client,
            order_writer=paper.client,
            order_canceller=paper.client,
            instructions=paper.client,
            clock=SystemClock(),
            market_clock=paper.exchange.clock,
            calendar=NewYorkCalendar(),
            ids=CountingIds(),
            write_timeout=timedelta(seconds=1.8),
            sleep=sleep,
        )
        try:
            async with Guard(parts) as guard:
                yield guard, Supervisor(parts, hardness=QUICK), paper.exchange
        finally:
            store.close()


async def close(guard: Guard, supervisor: Supervisor, *instruments: str) -> OperationReport:
    """Through the desk: the price behind some short options of the scenario is not known."""
    request = CloseRequest(
        account_id=ACCOUNT, instruments=instruments or None, everything=not instruments, cancel_orders=True
    )
    planned = await guard.plan(request, caller=CALLER)
    assert planned.verdict is not None
    assert not planned.verdict.is_refused, planned.verdict.shown
    operation = await guard.ask(planned.operation)
    await supervisor.set_up_approver(PASSPHRASE)
    await supervisor.approve(operation.operation_id, PASSPHRASE)
    return await guard.send_approved(operation.operation_id, caller=CALLER)


FAULTS = {
    "refuse": (OperationState.SUBMITTED, 1),
    "delay": (OperationState.UNKNOWN, 1),
    "drop_before_effect": (OperationState.UNKNOWN, 0),
    "drop_after_effect": (OperationState.UNKNOWN, 1),
    "truncated_body": (OperationState.UNKNOWN, 1),
    "non_json_body": (OperationState.UNKNOWN, 1),
    "empty_204": (OperationState.UNKNOWN, 1),
    "missing_order": (OperationState.UNKNOWN, 1),
    "changed_quantity": (OperationState.SUBMITTED, 1),
    "unknown_fields": (OperationState.SUBMITTED, 1),
    "status_301": (OperationState.UNKNOWN, 0),
    "status_400": (OperationState.REJECTED, 0),
    "status_403": (OperationState.REJECTED, 0),
    "status_408": (OperationState.UNKNOWN, 0),
    "status_409": (OperationState.REJECTED, 0),
    "status_429": (OperationState.REJECTED, 0),
    "status_500": (OperationState.UNKNOWN, 0),
    "status_503": (OperationState.UNKNOWN, 0),
}


@pytest.mark.requirement("G-04", "G-05")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("operation", ["close_position", "close_positions"])
async def test_no_failure_of_the_exchange_closes_twice_or_is_misreported(
    tmp_path: Path, fault: str, operation: str
) -> None:
    state, effects = FAULTS[fault]
    async with guarded(tmp_path) as (guard, supervisor, exchange):
        exchange.arm(fault, operation)
        report = await close(guard, supervisor, *(["XOM"] if operation == "close_position" else []))
        assert report.state is state
        assert exchange.effect_counts().get(operation, 0) == effects
        if fault == "changed_quantity":
            assert report.rows[0].state is RowState.DEVIATED
        if state is OperationState.UNKNOWN:
            followed = await guard.operation(report.operation_id)
            expected = OperationState.RECONCILED if effects else OperationState.UNKNOWN
            assert followed.state is expected
        assert exchange.effect_counts().get(operation, 0) == effects


CANCELS = {
    "drop_before_effect": (Withdrawal.UNKNOWN, 0),
    "drop_after_effect": (Withdrawal.UNKNOWN, 1),
    "truncated_body": (Withdrawal.UNKNOWN, 1),
    "non_json_body": (Withdrawal.UNKNOWN, 1),
    "status_301": (Withdrawal.UNKNOWN, 0),
    "status_403": (Withdrawal.REFUSED, 0),
    "status_409": (Withdrawal.REFUSED, 0),
    "status_500": (Withdrawal.UNKNOWN, 0),
    "status_503": (Withdrawal.UNKNOWN, 0),
}


@pytest.mark.requirement("G-24")
@pytest.mark.parametrize("fault", CANCELS)
async def test_no_failure_of_the_exchange_cancels_an_order_twice_or_is_misreported(tmp_path: Path, fault: str) -> None:
    outcome, effects = CANCELS[fault]
    async with guarded(tmp_path) as (guard, supervisor, exchange):
        await close(guard, supervisor, "XOM")
        halt = await supervisor.halt("news", by="Ana")
        exchange.arm(fault, "cancel_order")
        shown = await offered(supervisor._deps, [halt])
        (row,) = await withdraw(supervisor._deps, [halt], shown)
        assert row.outcome is outcome
        exchange.clock.advance(timedelta(minutes=1))
        (row,) = await withdraw(supervisor._deps, [halt], shown)
        # What reached the exchange has taken effect; the rest has filled meanwhile. Nothing is sent again for either.
        assert row.outcome in ((Withdrawal.ENDED, Withdrawal.FILLED) if effects else (Withdrawal.FILLED,))
        assert exchange.effect_counts().get("cancel_order", 0) == effects


@pytest.mark.requirement("G-24")
async def test_a_withdrawal_is_followed_until_the_order_has_ended(tmp_path: Path) -> None:
    async with guarded(tmp_path) as (guard, supervisor, exchange):
        await close(guard, supervisor, "XOM")
        halt = await supervisor.halt("news", by="Ana")

        async def passes(_seconds: float) -> None:
            exchange.clock.advance(timedelta(seconds=5))

        deps = replace(supervisor._deps, sleep=passes)
        (row,) = await withdraw(deps, [halt], await offered(deps, [halt]))
        assert row.outcome in (Withdrawal.CANCELLED, Withdrawal.PARTLY_FILLED)
        assert exchange.effect_counts()["cancel_order"] == 1
