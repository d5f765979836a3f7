"""Locks say what locks: an order by its id, an instruction, or nothing that was read. Only what is free is planned."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from guard.desk import AAPL, CALLER, MSFT, TSLA, Desk, desk, usual_positions
from guard.exchange import ACCOUNT, held, instrument
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.enums import OrderStatus
from positions_mcp.domain.errors import InvalidInput, Sent
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.guard.approval.questions import question
from positions_mcp.guard.policy.findings import Rule, Severity

CALL, PUT = 7, 8
CALL_SYMBOL, PUT_SYMBOL = "AAPL280121C00195000", "AAPL280121P00180000"


def call(free: int, quantity: int = 5, symbol: str = CALL_SYMBOL) -> Position:
    """Long calls of which so many are free."""
    return held(symbol, quantity, price="3.00", number=CALL, available_quantity=Decimal(free))


def order(number: int, *, side: str = "SELL", quantity: int = 1, on: int | None = CALL, **fields: Any) -> Order:
    """An open order on an instrument; `on` None: of several legs, or of none that can be read."""
    row: dict[str, Any] = {
        "id": f"order-{number}",
        "account_id": ACCOUNT,
        "status": "NEW",
        "side": side,
        "quantity": Decimal(quantity),
        "leaves_quantity": Decimal(quantity),
        "instrument_id": None if on is None else instrument(on),
        "symbol": None if on is None else "any",
    }
    return Order.model_validate(row | fields)


def leg(on: int, side: str, symbol: str, ratio: str = "1") -> dict[str, str]:
    return {"instrument_id": instrument(on), "symbol": symbol, "side": side, "ratio": ratio}


def spread(number: int, quantity: int = 2) -> Order:
    """Sells the calls and buys puts in one order."""
    legs = [leg(CALL, "SELL", CALL_SYMBOL), leg(PUT, "BUY", PUT_SYMBOL, "3")]
    return order(number, on=None, quantity=quantity, legs=legs)


def instructed(quantity: int | None, *, kind: str = "EXERCISE", status: str = "ACCEPTED", **fields: Any) -> Instruction:
    row = {
        "id": "0195f6d0-a1b2-7c3d-8002-000000000001",
        "account_id": ACCOUNT,
        "instruction_type": kind,
        "status": status,
        "instrument_id": instrument(CALL),
        "quantity": quantity,
        "symbol": CALL_SYMBOL,
    }
    return Instruction.model_validate(row | fields)


def lay_out(it: Desk, orders: list[Order], instructions: list[Instruction]) -> None:
    it.exchange.orders |= {each.id: each for each in orders}
    it.exchange.instructions = instructions


IDS = "0195f6d0-a1b2-7c3d-8002-000000000001"


@pytest.mark.requirement("G-13")
@pytest.mark.parametrize(
    ("free", "orders", "instructions", "kept", "freed", "said"),
    [
        (3, [], [instructed(2)], 3, 3, f"under exercise instructions (EXERCISE 2 ACCEPTED, id {IDS}), which stay"),
        (3, [order(1, quantity=2)], [], 3, 5, "locked by open orders: order order-1 (SELL 2)"),
        (2, [order(1)], [instructed(2)], 2, 3, "1 of 5 AAPL280121C00195000 are locked by open orders: order order-1"),
        (3, [order(1, quantity=9)], [instructed(2)], 3, 3, "EXERCISE 2 ACCEPTED"),
        (3, [], [instructed(2, kind="DO_NOT_EXERCISE")], 3, 3, "DO_NOT_EXERCISE 2 ACCEPTED"),
        (3, [order(1, quantity=2)], [instructed(2, kind="DO_NOT_EXERCISE")], 3, 5, "order order-1 (SELL 2)"),
        (3, [], [instructed(2, updated_at="2026-11-17T20:00:00Z")], 3, 3, "no order or instruction that was read"),
        (3, [], [instructed(None, status="SENT")], 3, 3, "EXERCISE ? SENT"),
        (3, [], [instructed(2, status="CANCEL_FAILED")], 3, 3, "EXERCISE 2 CANCEL_FAILED"),
        (3, [], [], 3, 3, "no order or instruction that was read"),
        (3, [order(1, side="BUY", quantity=2)], [], 3, 3, "no order or instruction that was read"),
        (3, [spread(1)], [], 3, 5, "order order-1 (SELL 2, one leg of several)"),
        (3, [order(1, on=None)], [], 3, 5, "order order-1 (side not stated ?, one leg of several)"),
        (1, [order(1, quantity=2), order(2, quantity=2)], [], 1, 5, "order order-1 (SELL 2), order order-2 (SELL 2)"),
    ],
    ids=[
        "exercise",
        "order",
        "both",
        "an order for more than is left",
        "do not exercise",
        "an order beside do not exercise",
        "an instruction of an earlier day",
        "an instruction of unknown size",
        "a cancel that failed",
        "nothing that was read",
        "an order on the other side",
        "several legs",
        "legs that cannot be read",
        "two orders",
    ],
)
async def test_a_lock_is_named_and_cancel_orders_frees_only_what_orders_lock(
    tmp_path: Path,
    *,
    free: int,
    orders: list[Order],
    instructions: list[Instruction],
    kept: int,
    freed: int,
    said: str,
) -> None:
    async with desk(tmp_path, positions=[call(free)]) as it:
        lay_out(it, orders, instructions)
        plan = (await it.plan(CALL_SYMBOL)).operation.plan
        assert plan.closes[0].order_quantity == kept
        assert said in question(plan)
        plan = (await it.plan(CALL_SYMBOL, cancel_orders=True)).operation.plan
        assert plan.closes[0].order_quantity == freed
        assert said in question(plan)


@pytest.mark.requirement("G-13")
@pytest.mark.parametrize(
    ("position", "orders", "instructions", "cancel", "why"),
    [
        (call(0, 2), [], [instructed(2)], False, "2 by the exercise instruction EXERCISE 2 ACCEPTED, id"),
        (call(0, 2), [], [instructed(2)], True, "2 by the exercise instruction EXERCISE 2 ACCEPTED, id"),
        (call(0, 2), [order(1, quantity=2)], [], False, "2 by open orders: order order-1 (SELL 2)"),
        (call(0, 2), [order(1)], [instructed(1)], False, "1 by open orders: order order-1 (SELL 1); 1 by the exercise"),
        (call(0, 2), [], [], True, "2 by nothing that the orders and instructions read explain"),
        (
            held("AAPL", 100, number=CALL, available_quantity=Decimal(0)),
            [order(1, quantity=100)],
            [],
            False,
            "all 100 are locked, 100 by open orders: order order-1 (SELL 100)",
        ),
        (
            held("TSLA", -50, number=CALL, available_quantity=Decimal(0)),
            [order(1, side="BUY", quantity=50)],
            [],
            False,
            "all 50 are locked, 50 by open orders: order order-1 (BUY 50)",
        ),
    ],
)
async def test_what_is_wholly_locked_is_no_plan_and_the_refusal_names_the_lock(
    tmp_path: Path,
    *,
    position: Position,
    orders: list[Order],
    instructions: list[Instruction],
    cancel: bool,
    why: str,
) -> None:
    async with desk(tmp_path, positions=[position]) as it:
        lay_out(it, orders, instructions)
        for names in ([position.name], []):
            with pytest.raises(InvalidInput) as refused:
                await it.plan(*names, cancel_orders=cancel)
            assert why in refused.value.message
            assert refused.value.sent is Sent.NO
        assert it.events() == []
        assert it.exchange.requests == []


@pytest.mark.requirement("G-13")
async def test_close_all_leaves_out_what_is_wholly_locked_and_names_the_lock(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=[*usual_positions(), call(0, 2)]) as it:
        lay_out(it, [], [instructed(2)])
        operation = await it.asked()
        assert CALL_SYMBOL not in {target.symbol for target in operation.plan.closes}
        assert f"Warning: {CALL_SYMBOL} is left out: all 2 are locked, 2 by the exercise" in question(operation.plan)
        it.exchange.change_answer = lambda orders: [
            each.model_copy(update={"status": OrderStatus.REJECTED}) if each.instrument_id == instrument(CALL) else each
            for each in orders
        ]
        report = await it.guard.send_elicited(operation, caller=operation.plan.caller, client="Claude")
        assert report.state is OperationState.SUBMITTED
        assert report.alarms == ()
        assert "Rejected, and not in the plan: SELL 2" in report.reason


@pytest.mark.requirement("G-03", "G-13")
async def test_what_is_left_out_and_becomes_free_before_sending_is_stale(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=[*usual_positions(), call(0, 2)]) as it:
        lay_out(it, [], [instructed(2)])
        operation = await it.asked()
        it.exchange.change(CALL, available_quantity=Decimal(2))
        it.exchange.instructions = []
        report = await it.guard.send_elicited(operation, caller=operation.plan.caller, client="Claude")
        assert report.state is OperationState.STALE
        assert it.exchange.requests == []


@pytest.mark.requirement("G-03", "G-13")
async def test_what_is_wholly_locked_by_the_time_of_sending_is_stale_and_names_the_lock(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.asked("AAPL")
        lay_out(it, [order(1, quantity=100, on=AAPL)], [])
        it.exchange.change(AAPL, available_quantity=Decimal(0))
        report = await it.guard.send_elicited(operation, caller=operation.plan.caller, client="Claude")
        assert report.state is OperationState.STALE
        assert "AAPL cannot be closed now: all 100 are locked, 100 by open orders: order order-1" in report.reason
        assert it.exchange.requests == []


@pytest.mark.requirement("G-13")
async def test_what_is_instructed_and_shown_as_free_is_decided_by_the_supervisor(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=[call(5)]) as it:
        lay_out(it, [], [instructed(2, status="SENT")])
        (finding,) = (await it.plan(CALL_SYMBOL)).verdict.needs_desk
        assert finding.rule is Rule.LOCKED
        assert "2 of 5 AAPL280121C00195000 are under exercise instructions (EXERCISE 2 SENT) al" in finding.message


@pytest.mark.requirement("G-13")
@pytest.mark.parametrize(
    ("names", "orders", "said"),
    [
        (
            [CALL_SYMBOL],
            [spread(1)],
            "whole orders of several legs: order order-1 (SELL 2 AAPL280121C00195000, BUY 6 AAPL280121P00180000)",
        ),
        ([], [spread(1)], "order order-1 (SELL 2 AAPL280121C00195000, BUY 6 AAPL280121P00180000)"),
        ([CALL_SYMBOL], [order(1, on=None)], "order order-1 (its legs cannot be read)"),
        ([CALL_SYMBOL], [order(1, side="BUY")], "also cancels what locks nothing here: order order-1 (BUY 1 any)"),
        ([], [order(1, side="BUY", on=99)], "also cancels what locks nothing here: order order-1 (BUY 1 any)"),
    ],
    ids=["a target's", "the account's", "unreadable legs", "the other side", "of something not held"],
)
async def test_cancel_orders_says_what_else_the_orders_did(
    tmp_path: Path, names: list[str], orders: list[Order], said: str
) -> None:
    async with desk(tmp_path, positions=[call(3), held("MSFT", 10, number=MSFT)]) as it:
        lay_out(it, orders, [])
        plan = (await it.plan(*names, cancel_orders=True)).operation.plan
        assert said in question(plan)
        assert "order order-1 (BUY" not in question((await it.plan(CALL_SYMBOL)).operation.plan)


async def test_cancel_orders_does_not_speak_of_orders_that_it_leaves_alone(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        lay_out(it, [order(1, on=MSFT), order(2, on=None, legs=[leg(MSFT, "SELL", "MSFT")])], [])
        verdict = (await it.plan("TSLA", cancel_orders=True)).verdict
        assert verdict.findings == ()


async def test_orders_that_cannot_be_read_leave_it_unknown_what_is_cancelled_along(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=[held("TSLA", -50, number=TSLA)]) as it:
        it.exchange.orders_fail = True
        verdict = (await it.plan("TSLA", cancel_orders=True)).verdict
        found = [each for each in verdict.findings if each.rule is Rule.CANCELLED_ALONG]
        assert [each.severity for each in found] == [Severity.NOTE]


@pytest.mark.requirement("G-17")
async def test_a_person_flattens_what_is_wholly_locked_and_is_told_what_locks_it(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=[call(0, 2)]) as it:
        lay_out(it, [], [instructed(2)])
        await it.supervisor.set_up_approver("correct horse battery staple")
        flattening = await it.supervisor.plan_flatten(ACCOUNT, [CALL_SYMBOL], by="root")
        assert "all 2 are locked, 2 by the exercise instruction" in flattening.question


@pytest.mark.requirement("G-13", "G-18")
@pytest.mark.parametrize(
    ("held_number", "side", "free", "quantity", "more"),
    [
        (AAPL, "SELL", 100, 60, 60),
        (AAPL, "SELL", None, 100, 100),
        (AAPL, "SELL", 70, 60, 30),
        (TSLA, "BUY", 50, 50, 50),
    ],
)
async def test_an_open_order_that_the_book_does_not_call_locked_is_named_and_needs_the_supervisor(
    tmp_path: Path, *, held_number: int, side: str, free: int | None, quantity: int, more: int
) -> None:
    async with desk(tmp_path) as it:
        it.exchange.change(held_number, available_quantity=None if free is None else Decimal(free))
        lay_out(it, [order(1, side=side, quantity=quantity, on=held_number)], [])
        name = it.exchange.positions[instrument(held_number)].symbol
        planned = await it.plan(name)
        assert planned.verdict is not None
        (finding,) = planned.verdict.needs_desk
        assert finding.rule is Rule.LOCKED
        assert f"order order-1 ({side} {quantity})" in question(planned.operation.plan)
        assert f"they may trade {more} more than is held" in question(planned.operation.plan)
        freed = await it.plan(name, cancel_orders=True)
        assert freed.verdict is not None
        assert freed.verdict.needs_desk == ()


@pytest.mark.requirement("G-03", "G-18")
@pytest.mark.parametrize("at_desk", [False, True])
async def test_an_open_order_that_comes_up_before_sending_stops_a_close_that_nobody_approved_with_it(
    tmp_path: Path, *, at_desk: bool
) -> None:
    async with desk(tmp_path) as it:
        operation = await (it.approved_at_desk("AAPL") if at_desk else it.asked("AAPL"))
        lay_out(it, [order(1, quantity=100, on=AAPL)], [])
        report = await (
            it.guard.send_approved(operation.operation_id, caller=CALLER)
            if at_desk
            else it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        )
        assert report.state is OperationState.REFUSED
        assert "Open orders close AAPL too: order order-1 (SELL 100)" in report.reason
        assert it.exchange.requests == []
        again = await it.approved_at_desk("AAPL")
        report = await it.guard.send_approved(again.operation_id, caller=CALLER)
        assert report.state is OperationState.SUBMITTED  # whoever approved it now was told
