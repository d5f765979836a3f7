"""Flattening although what the account holds cannot be read: the plan says so, and so does every answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from guard.desk import AAPL, MSFT, PASSPHRASE, TSLA, Desk, desk
from guard.exchange import instrument, raising
from positions_mcp.domain.errors import InvalidInput, OutcomeUnknown
from positions_mcp.domain.operation.operation import Conclusion
from positions_mcp.domain.operation.plan import HeldTarget
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.guard.policy.findings import Rule
from positions_mcp.guard.reports import OperationReport
from positions_mcp.guard.supervisor import Flattening


async def plan(it: Desk, *instruments: str) -> Flattening:
    await it.supervisor.set_up_approver(PASSPHRASE)
    return await it.supervisor.plan_flatten(19816, list(instruments) or None, by="root")


async def send(it: Desk, flattening: Flattening) -> OperationReport:
    return await it.supervisor.flatten(flattening, PASSPHRASE, typed_account="19816")


@pytest.mark.requirement("G-17")
@pytest.mark.parametrize("readable_when_sent", [True, False])
async def test_a_whole_account_is_flattened_although_the_book_cannot_be_read(
    tmp_path: Path, readable_when_sent: bool
) -> None:
    async with desk(tmp_path) as it:
        it.exchange.reads_fail = True
        flattening = await plan(it)
        assert "THE BOOK COULD NOT BE READ: whatever is held when it is sent" in flattening.question
        assert "EVERY position of the account" in flattening.question
        assert "Total not known" in flattening.question
        assert "Open orders of the account are CANCELLED first" in flattening.question
        assert Rule.INCOMPLETE_BOOK in {finding.rule for finding in flattening.overrides}
        it.exchange.reads_fail = not readable_when_sent
        report = await send(it, flattening)
        assert report.state is OperationState.SUBMITTED
        assert it.exchange.requests == ["close all cancel_orders=True"]
        (row,) = report.rows
        assert (row.symbol, row.planned, len(row.orders)) == ("EVERYTHING", "whatever is held", 3)
        assert row.residual is None
        it.exchange.reads_fail = False
        for number in (AAPL, TSLA, MSFT):
            it.exchange.fill(number)
        assert (await it.guard.operation(report.operation_id)).state is OperationState.CLOSED


@pytest.mark.requirement("G-17", "A-06")
async def test_an_incomplete_listing_that_shows_nothing_is_not_an_empty_account(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.consistent = False
        held = dict(it.exchange.positions)
        it.exchange.positions.clear()
        with pytest.raises(InvalidInput, match="is not known"):
            await it.plan()
        flattening = await plan(it)
        it.exchange.positions.update(held)
        assert (await send(it, flattening)).state is OperationState.SUBMITTED
        assert len(it.exchange.effects) == 3


@pytest.mark.requirement("G-17")
async def test_without_a_book_instruments_are_named_by_uuid(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.reads_fail = True
        with pytest.raises(InvalidInput, match="cannot be looked up"):
            await plan(it, "AAPL", instrument(TSLA))
        flattening = await it.supervisor.plan_flatten(
            19816, [instrument(TSLA).upper(), instrument(AAPL), instrument(TSLA)], by="root"
        )
        report = await send(it, flattening)
        assert report.state is OperationState.SUBMITTED
        assert it.exchange.effects == [instrument(TSLA), instrument(AAPL)]
        it.exchange.reads_fail = False
        it.exchange.fill(TSLA)
        it.exchange.fill(AAPL)
        assert (await it.guard.operation(report.operation_id)).state is OperationState.CLOSED


@pytest.mark.requirement("G-17")
async def test_what_an_incomplete_listing_still_shows_can_be_named_by_symbol_beside_a_uuid(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.consistent = False
        hidden = it.exchange.positions.pop(instrument(TSLA))
        flattening = await plan(it, "AAPL", instrument(TSLA))
        it.exchange.hold(hidden)
        await send(it, flattening)
        assert it.exchange.effects == [instrument(AAPL), instrument(TSLA)]


@pytest.mark.requirement("G-05", "G-17")
async def test_an_unknown_outcome_of_it_holds_the_account_until_a_person_settles_it(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.reads_fail = True
        flattening = await plan(it)
        it.exchange.before.append(raising(OutcomeUnknown("dropped")))
        report = await send(it, flattening)
        assert report.state is OperationState.UNKNOWN
        it.exchange.reads_fail = False
        planned = await it.plan("AAPL")
        assert Rule.IN_DOUBT in {finding.rule for finding in planned.verdict.refusals}
        assert (await it.guard.operation(report.operation_id)).rows[0].state is RowState.UNKNOWN
        settled = await it.supervisor.settle(
            report.operation_id, "everything", Conclusion.DID_NOT, PASSPHRASE, evidence="no orders"
        )
        assert settled.state is OperationState.RECONCILED


@pytest.mark.requirement("G-01", "G-02")
async def test_only_a_plan_to_flatten_closes_what_was_not_read(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.reads_fail = True
        made = (await plan(it)).operation.plan
        (target,) = made.targets
        assert isinstance(target, HeldTarget)
        with pytest.raises(ValidationError, match="only a person"):
            made.changed(flatten=False)
        with pytest.raises(ValidationError, match="by its own"):
            made.changed(targets=[target.changed(instrument_id=instrument(AAPL))])
