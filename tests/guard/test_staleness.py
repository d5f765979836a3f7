"""The book is read again before sending: more is stale, less is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from guard.desk import AAPL, CALLER, PASSPHRASE, TSLA, Desk, desk, usual_positions
from guard.exchange import ACCOUNT, held, instrument, raising
from positions_mcp.domain.errors import OutcomeUnknown, Overtaken, ReadFailed
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.guard.reports import OperationReport


async def say_yes(it: Desk, operation: Operation) -> OperationReport:
    return await it.guard.send_elicited(operation, caller=CALLER, client="Claude")


@pytest.mark.requirement("G-03")
@pytest.mark.parametrize(
    ("number", "change", "reason"),
    [
        (AAPL, {"quantity": Decimal(101)}, "AAPL: 101 would now be sold, 100 planned."),
        (TSLA, {"quantity": Decimal(-51)}, "TSLA: 51 would now be bought, 50 planned."),
        (AAPL, {"quantity": Decimal(-1)}, "AAPL changed sign: -1 now, 100 planned."),
        (AAPL, {"market_value": Decimal(16600)}, "AAPL moved +10.3 % in value"),
        (AAPL, {"market_value": Decimal(13500)}, "AAPL moved -10.3 % in value"),
        (AAPL, {"quantity": Decimal(50), "market_value": Decimal(8400)}, "AAPL moved +11.6 % in value"),
        (AAPL, {"market_value": None}, "AAPL has no value now"),
    ],
)
async def test_growth_a_change_of_sign_or_a_price_beyond_the_tolerance_is_stale(
    tmp_path: Path, number: int, change: dict[str, Any], reason: str
) -> None:
    async with desk(tmp_path) as it:
        operation = await it.asked("AAPL", "TSLA")
        it.exchange.change(number, **change)
        report = await say_yes(it, operation)
        assert report.state is OperationState.STALE
        assert reason in report.reason
        assert it.exchange.requests == []
        assert report.anything_sent is False


@pytest.mark.requirement("G-03")
async def test_a_quantity_nearer_zero_is_sent_and_said(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.asked("AAPL")
        it.exchange.change(AAPL, quantity=Decimal(60), available_quantity=Decimal(60), market_value=Decimal(9030))
        report = await say_yes(it, operation)
        assert report.state is OperationState.SUBMITTED
        assert report.rows[0].state is RowState.SUBMITTED
        assert report.rows[0].planned == "SELL 100"
        assert report.rows[0].detail == "60 held now, 100 when planned"


async def test_what_was_not_sent_says_why_and_what_changed(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.asked("AAPL", "TSLA")
        it.exchange.change(AAPL, quantity=Decimal(60), market_value=Decimal(9030))
        it.exchange.before.append(raising(OutcomeUnknown("dropped")))
        report = await say_yes(it, operation)
        assert report.rows[1].detail == (
            "An outcome is unknown, so nothing more was sent. 60 held now, 100 when planned"
        )


@pytest.mark.requirement("G-03")
async def test_a_target_already_flat_is_said_and_the_rest_is_sent(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.asked("AAPL", "TSLA")
        del it.exchange.positions[instrument(TSLA)]
        report = await say_yes(it, operation)
        assert it.exchange.effects == [instrument(AAPL)]
        by_symbol = {row.symbol: row for row in report.rows}
        assert by_symbol["TSLA"].state is RowState.NOT_SENT
        assert "Already flat" in by_symbol["TSLA"].detail
        it.exchange.fill(AAPL)
        assert (await it.guard.operation(operation.operation_id)).state is OperationState.CLOSED


@pytest.mark.requirement("G-03")
async def test_close_all_is_stale_when_something_new_is_held_or_the_book_contradicts_itself(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.asked()
        it.exchange.hold(held("NVDA", 1, number=9))
        assert (await say_yes(it, operation)).state is OperationState.STALE
        again = await it.approved_at_desk()
        it.exchange.consistent = False
        report = await it.guard.send_approved(again.operation_id, caller=CALLER)
        assert report.state is OperationState.STALE
        assert it.exchange.requests == []


async def test_a_book_that_cannot_be_read_again_sends_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.asked("AAPL")
        planned = await it.plan("AAPL")
        assert planned.operation == operation
        it.exchange.orders_fail = True

        async def fail(name: str, _: str) -> None:
            it.exchange.reads_fail = name == "claimed"

        object.__setattr__(it.guard._executor._deps, "checkpoint", fail)
        report = await say_yes(it, operation)
        assert report.state is OperationState.LAPSED
        assert "could not be read again" in report.reason
        assert it.exchange.requests == []


@pytest.mark.requirement("G-02", "G-03")
async def test_an_approval_of_a_stale_plan_is_used_up(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.approved_at_desk("AAPL")
        it.exchange.change(AAPL, quantity=Decimal(200))
        report = await it.guard.send_approved(operation.operation_id, caller=CALLER)
        assert report.state is OperationState.STALE
        it.exchange.change(AAPL, quantity=Decimal(100))
        with pytest.raises(Overtaken):
            await it.guard.send_approved(operation.operation_id, caller=CALLER)
        assert it.exchange.requests == []


@pytest.mark.requirement("G-02", "G-03", "G-13")
@pytest.mark.parametrize("everything", [False, True])
async def test_more_to_sell_than_was_approved_is_stale_although_no_more_is_held(
    tmp_path: Path, everything: bool
) -> None:
    positions = [held("AAPL", 100, price="150", number=AAPL, available_quantity=Decimal(40))]
    async with desk(tmp_path, positions=positions) as it:
        operation = await it.asked(*([] if everything else ["AAPL"]))
        it.exchange.change(AAPL, available_quantity=Decimal(100))
        report = await say_yes(it, operation)
        assert report.state is OperationState.STALE
        assert report.reason == "AAPL: 100 would now be sold, 40 planned; less is locked than before."
        assert it.exchange.requests == []


@pytest.mark.requirement("G-02")
async def test_a_report_says_planned_of_what_was_approved(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.asked("AAPL")
        it.exchange.change(AAPL, available_quantity=Decimal(40))
        (row,) = (await say_yes(it, operation)).rows
        assert row.planned == "SELL 100"
        assert row.state is RowState.DEVIATED
        assert row.detail == (
            "Planned SELL 100 AAPL (40 by the book read just before); the order is for 100. "
            "40 can be closed now, 100 when planned"
        )


@pytest.mark.requirement("G-03")
async def test_what_an_incomplete_listing_does_not_show_is_not_called_flat(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.approved_at_desk("AAPL")
        del it.exchange.positions[instrument(AAPL)]
        it.exchange.consistent = False
        report = await it.guard.send_approved(operation.operation_id, caller=CALLER)
        assert report.state is OperationState.STALE
        assert report.reason == "AAPL is not in the listing just read, which was incomplete."
        assert report.rows[0].residual is None
        assert it.exchange.requests == []


@pytest.mark.requirement("G-03", "G-17")
@pytest.mark.parametrize("everything", [False, True])
async def test_a_person_flattens_what_an_incomplete_listing_does_not_show(tmp_path: Path, everything: bool) -> None:
    shown: list[Desk] = []

    async def lose_it(name: str, _operation_id: str) -> None:
        if name == "claimed":
            kept.update(shown[0].exchange.positions)
            shown[0].exchange.positions.clear()
            shown[0].exchange.consistent = False
        if name == "read again":
            shown[0].exchange.positions.update(kept)

    kept: dict[Any, Any] = {}
    async with desk(tmp_path, checkpoint=lose_it) as it:
        shown.append(it)
        await it.supervisor.set_up_approver(PASSPHRASE)
        flattening = await it.supervisor.plan_flatten(ACCOUNT, None if everything else ["AAPL"], by="root")
        report = await it.supervisor.flatten(flattening, PASSPHRASE, typed_account=str(ACCOUNT))
        assert instrument(AAPL) in it.exchange.effects
        assert {row.state for row in report.rows} == {RowState.SUBMITTED}
        assert report.rows[0].detail == "not in the listing just read, which was incomplete"


class SilentOrders:
    """Orders that cannot be read; `asked` for what."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def read_orders(self, *_: Any, **__: Any) -> tuple[()]:
        self.asked.append("by status")
        raise ReadFailed("no answer within 15 s")

    async def read_orders_of_unknown_status(self, *_: Any, **__: Any) -> tuple[()]:
        self.asked.append("of unknown status")
        raise ReadFailed("no answer within 15 s")


async def test_orders_of_a_silent_broker_are_waited_for_once_between_a_yes_and_sending(tmp_path: Path) -> None:
    orders = SilentOrders()
    async with desk(tmp_path, orders=orders) as it:
        operation = await it.asked("AAPL")
        orders.asked.clear()
        it.exchange.reads_fail = True
        report = await say_yes(it, operation)
        assert report.state is OperationState.LAPSED
        assert report.reason.startswith("The account could not be read again before sending")
        assert orders.asked == ["of unknown status"]


@pytest.mark.requirement("G-02", "G-03")
@pytest.mark.parametrize("symbol", ["AAPX", "AAPL1", ""])
@pytest.mark.parametrize("everything", [False, True])
async def test_an_id_that_stands_for_another_name_by_now_is_stale(
    tmp_path: Path, symbol: str, *, everything: bool
) -> None:
    async with desk(tmp_path) as it:
        operation = await it.approved_at_desk(*([] if everything else ["AAPL"]))
        it.exchange.change(AAPL, symbol=symbol)
        report = await it.guard.send_approved(operation.operation_id, caller=CALLER)
        assert report.state is OperationState.STALE
        assert f"AAPL is called {symbol or instrument(AAPL)} now" in report.reason
        assert it.exchange.requests == []


@pytest.mark.requirement("G-03")
async def test_what_is_left_of_a_batch_when_the_session_ends_is_not_sent(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.clock.at = it.clock.at.replace(hour=20, minute=59, second=50)
        operation = await it.asked("AAPL", "TSLA")
        it.exchange.on_write = lambda _: it.clock.advance(timedelta(seconds=15))
        report = await say_yes(it, operation)
        assert [(row.symbol, row.state) for row in report.rows] == [
            ("TSLA", RowState.SUBMITTED),
            ("AAPL", RowState.NOT_SENT),
        ]
        assert "Held back: The market is closed until 2026-11-23 09:30 New York" in report.rows[1].detail
        assert it.exchange.effects == [instrument(TSLA)]


def no_orders(it: Desk) -> None:
    it.exchange.orders_fail = True


def contradicting_pages(it: Desk) -> None:
    it.exchange.consistent = False


@pytest.mark.requirement("G-03", "G-12")
@pytest.mark.parametrize("happens", [no_orders, contradicting_pages])
async def test_what_needs_the_supervisor_and_the_supervisor_was_not_told_is_not_sent(
    tmp_path: Path, happens: Callable[[Desk], None]
) -> None:
    short = held("AAPL280121C00195000", -1, number=7)
    async with desk(tmp_path, positions=[*usual_positions(), short]) as it:
        operation = await it.approved_at_desk("MSFT")
        happens(it)
        report = await it.guard.send_approved(operation.operation_id, caller=CALLER)
        assert report.state is OperationState.REFUSED
        assert report.reason.startswith("Whoever approved it was not told this: ")
        assert it.exchange.requests == []
        again = await it.approved_at_desk("MSFT")
        report = await it.guard.send_approved(again.operation_id, caller=CALLER)
        assert report.state is OperationState.SUBMITTED
