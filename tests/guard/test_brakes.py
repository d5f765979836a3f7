"""What a person relies on when something went wrong: true words after a full disk, a flatten that looks again."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from guard.desk import CALLER, PASSPHRASE, TSLA, desk
from guard.exchange import ACCOUNT, raising
from positions_mcp.domain.enums import OrderStatus
from positions_mcp.domain.errors import OutcomeUnknown, StoreUnavailable
from positions_mcp.domain.operation.operation import Conclusion
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.guard.approval.check import ApprovalCheck


def full_at(monkeypatch: pytest.MonkeyPatch, store: Any, *methods: str) -> None:
    """The disk is full from now on for these writes."""

    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("The operation store cannot be written: database or disk is full.")

    for method in methods:
        monkeypatch.setattr(store, method, refuse)


@pytest.mark.requirement("G-14", "G-04")
async def test_a_disk_that_is_full_after_the_claim_is_not_told_as_approved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path) as it:
        operation = await it.approved_at_desk("AAPL")
        full_at(monkeypatch, it.store, "begin", "finish")
        done = await it.guard.send_approved(operation.operation_id, caller=CALLER)
        assert done.state is OperationState.LAPSED
        assert done.anything_sent is False
        assert "disk is full" in done.reason
        assert it.exchange.requests == []


@pytest.mark.requirement("G-14", "G-04")
@pytest.mark.parametrize("methods", [("finish",), ("record", "finish")], ids=" and ".join)
async def test_a_disk_that_is_full_after_the_request_is_told_with_what_the_api_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, methods: tuple[str, ...]
) -> None:
    async with desk(tmp_path) as it:
        operation = await it.asked("AAPL")
        full_at(monkeypatch, it.store, *methods)
        done = await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        assert done.state is OperationState.SUBMITTED
        assert done.anything_sent is True
        assert [row.state for row in done.rows] == [RowState.SUBMITTED]


@pytest.mark.requirement("G-21")
async def test_a_flatten_whose_record_fails_before_sending_says_so_by_raising(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        flattening = await it.supervisor.plan_flatten(ACCOUNT, ["AAPL"], by="root")
        full_at(monkeypatch, it.store, "begin")
        with pytest.raises(StoreUnavailable, match="disk is full"):
            await it.supervisor.flatten(flattening, PASSPHRASE, typed_account=str(ACCOUNT))
        assert it.exchange.requests == []


@pytest.mark.requirement("G-21", "G-17")
async def test_a_close_that_left_after_flatten_was_shown_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        flattening = await it.supervisor.plan_flatten(ACCOUNT, ["AAPL"], by="root")
        other = await it.close("AAPL")
        sent = len(it.exchange.requests)
        done = await it.supervisor.flatten(flattening, PASSPHRASE, typed_account=str(ACCOUNT))
        assert done.anything_sent is False
        assert other.operation_id in done.reason
        assert "COLLISION" in done.reason
        assert len(it.exchange.requests) == sent
        again = await it.supervisor.plan_flatten(ACCOUNT, ["AAPL"], by="root")
        assert other.operation_id in again.question
        done = await it.supervisor.flatten(again, PASSPHRASE, typed_account=str(ACCOUNT))
        assert done.anything_sent is True


@pytest.mark.requirement("G-17")
async def test_a_close_of_something_else_that_left_meanwhile_stops_no_flatten(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        flattening = await it.supervisor.plan_flatten(ACCOUNT, ["AAPL"], by="root")
        await it.close("MSFT")
        assert (await it.supervisor.flatten(flattening, PASSPHRASE, typed_account=str(ACCOUNT))).anything_sent is True


@pytest.mark.requirement("G-10", "G-05")
@pytest.mark.parametrize("conclusion", Conclusion)
async def test_settling_that_it_had_no_effect_gives_the_dollars_back_and_that_it_had_keeps_them(
    tmp_path: Path, conclusion: Conclusion
) -> None:
    async with desk(tmp_path) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        it.exchange.before.append(raising(OutcomeUnknown("The connection broke.")))
        lost = await it.close("AAPL")
        day = it.clock.now().date()
        reserved = it.store.used(Mode.PAPER, ACCOUNT, day)
        assert reserved > 0
        await it.supervisor.settle(lost.operation_id, "AAPL", conclusion, PASSPHRASE, evidence="a call")
        left = it.store.used(Mode.PAPER, ACCOUNT, day)
        assert left == (Decimal(0) if conclusion is Conclusion.DID_NOT else reserved)
        assert it.store.verify().intact


@pytest.mark.requirement("G-10")
async def test_an_order_that_is_rejected_after_it_was_accepted_gives_its_dollars_back(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        done = await it.close("TSLA")
        it.exchange.end(TSLA, OrderStatus.REJECTED, "no borrow")
        assert (await it.guard.operation(done.operation_id)).state is OperationState.REJECTED
        assert it.store.used(Mode.PAPER, ACCOUNT, it.clock.now().date()) == 0


@pytest.mark.requirement("G-02")
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_passphrase_replaced_several_times_while_a_server_runs_is_no_false_alarm(
    tmp_path: Path, times: int
) -> None:
    async with desk(tmp_path) as it:
        server = ApprovalCheck(it.parts)
        await it.supervisor.set_up_approver(PASSPHRASE)
        assert (await server.rosters()).roster is not None
        words = [PASSPHRASE, *(f"{PASSPHRASE} {number}" for number in range(times))]
        for old, new in pairwise(words):
            await it.supervisor.replace_approver(old, new)
        assert await server.rosters() == it.store.rosters()
        operation = await it.asked("AAPL")
        await it.supervisor.approve(operation.operation_id, words[-1])
        assert (await it.guard.send_approved(operation.operation_id, caller=CALLER)).anything_sent is True
