"""What every answer to a close is taken to mean, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from guard.desk import AAPL, MSFT, TSLA, desk
from guard.exchange import ACCOUNT, held, instrument, raising
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.enums import OrderSide, OrderStatus
from positions_mcp.domain.errors import (
    Forbidden,
    NothingSent,
    OutcomeUnknown,
    PositionsError,
    RateLimited,
    Refused,
    RequestRejected,
)
from positions_mcp.domain.ids import OrderId
from positions_mcp.domain.operation.records import Problem
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.guard.policy.findings import Rule
from positions_mcp.tools._reports import summary_of

UNKNOWN = OutcomeUnknown("the connection dropped", request_id="req-7")


@pytest.mark.requirement("G-05")
@pytest.mark.parametrize("effect", ["before the effect", "after the effect"])
@pytest.mark.parametrize("error", [UNKNOWN, ValueError("a defect of the client")], ids=["dropped", "defect"])
async def test_an_unknown_outcome_is_said_sends_nothing_more_and_locks_its_scope(
    tmp_path: Path, effect: str, error: Exception
) -> None:
    async with desk(tmp_path) as it:
        faults = it.exchange.before if effect.startswith("before") else it.exchange.after
        faults.append(raising(error))
        report = await it.close("AAPL", "TSLA", "MSFT")
        assert report.state is OperationState.UNKNOWN
        assert report.anything_sent is None
        assert [(row.symbol, row.state) for row in report.rows] == [
            ("TSLA", RowState.UNKNOWN),
            ("AAPL", RowState.NOT_SENT),
            ("MSFT", RowState.NOT_SENT),
        ]
        assert len(it.exchange.requests) == 1
        for wanted in (["TSLA"], []):
            verdict = (await it.plan(*wanted)).verdict
            assert Rule.IN_DOUBT in {finding.rule for finding in verdict.refusals}
        assert not (await it.plan("AAPL")).verdict.is_refused
        assert (await it.guard.status()).use[0].in_doubt == (report.operation_id,)


@pytest.mark.requirement("G-05")
async def test_an_unknown_close_all_locks_the_account(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.before.append(raising(UNKNOWN))
        report = await it.close()
        assert {row.state for row in report.rows} == {RowState.UNKNOWN}
        assert (await it.plan("AAPL")).verdict.refusals[0].rule is Rule.IN_DOUBT


@pytest.mark.requirement("G-05")
async def test_no_answer_in_time_is_unknown(tmp_path: Path) -> None:
    from datetime import timedelta

    async with desk(tmp_path, write_timeout=timedelta(seconds=0.05)) as it:
        it.exchange.after.append(anyio.sleep_forever)
        report = await it.close("AAPL")
        assert report.rows[0].detail.startswith("No answer within 0.05 seconds.")
        assert report.state is OperationState.UNKNOWN
        assert it.exchange.effects == [instrument(AAPL)]


@pytest.mark.requirement("G-05")
async def test_a_writer_that_knows_at_its_time_out_that_nothing_left_is_believed(tmp_path: Path) -> None:
    from datetime import timedelta

    async def connecting_takes_too_long() -> None:
        await anyio.sleep(0.05)
        raise NothingSent("Nothing was sent: connecting took too long.")

    async with desk(tmp_path, write_timeout=timedelta(seconds=0.05)) as it:
        it.exchange.before += [connecting_takes_too_long] * 40
        report = await it.close("AAPL")
        assert [row.state for row in report.rows] == [RowState.NOT_SENT]
        assert it.exchange.effects == []


@pytest.mark.parametrize("error", [RequestRejected("no", status=422), Forbidden("no"), RateLimited("later")])
async def test_a_readable_refusal_rejects_its_row_and_the_rest_goes_on(tmp_path: Path, error: PositionsError) -> None:
    async with desk(tmp_path) as it:
        it.exchange.before.append(raising(error))
        report = await it.close("AAPL", "TSLA")
        assert [(row.symbol, row.state) for row in report.rows] == [
            ("TSLA", RowState.REJECTED),
            ("AAPL", RowState.SUBMITTED),
        ]
        assert report.state is OperationState.PARTIAL


async def test_an_order_already_rejected_rejects_its_row_with_the_reason_quoted(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.reject = "no\nmarket\u202e"
        report = await it.close("AAPL")
        assert report.state is OperationState.REJECTED
        assert report.rows[0].detail == 'The order was rejected: "no market".'


def one_half_rejected(orders: list[Order]) -> list[Order]:
    living, dead = split(orders)
    return [living, dead.model_copy(update={"status": OrderStatus.REJECTED, "details": ["odd lot"]})]


def both_halves_rejected(orders: list[Order]) -> list[Order]:
    return [
        half.model_copy(update={"status": OrderStatus.REJECTED, "details": [why]})
        for half, why in zip(split(orders), ("odd lot", "no market"), strict=True)
    ]


@pytest.mark.parametrize(
    ("change", "state", "said"),
    [
        (one_half_rejected, RowState.DEVIATED, '1 of 2 orders was rejected: "odd lot".'),
        (both_halves_rejected, RowState.REJECTED, '2 of 2 orders were rejected: "odd lot; no market".'),
    ],
)
async def test_each_rejected_order_of_a_row_says_why(
    change: Callable[[list[Order]], list[Order]], state: RowState, said: str, tmp_path: Path
) -> None:
    async with desk(tmp_path) as it:
        it.exchange.change_answer = change
        report = await it.close("AAPL")
        assert report.rows[0].state is state
        assert report.rows[0].detail.endswith(said)


async def test_an_order_rejected_without_a_reason_has_the_one_beside_the_orders(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.reject = " "
        it.exchange.error = Problem(code=7, message="market closed")
        report = await it.close("AAPL")
        assert report.rows[0].detail == 'The order was rejected: "market closed".'


def nothing(_: list[Order]) -> list[Order]:
    return []


def smaller(orders: list[Order]) -> list[Order]:
    return [order.model_copy(update={"quantity": Decimal(1)}) for order in orders]


def turned(orders: list[Order]) -> list[Order]:
    return [order.model_copy(update={"side": OrderSide.BUY}) for order in orders]


def without_quantity(orders: list[Order]) -> list[Order]:
    return [order.model_copy(update={"quantity": None}) for order in orders]


def by_symbol_only(orders: list[Order]) -> list[Order]:
    return [order.model_copy(update={"instrument_id": None}) for order in orders]


def split(orders: list[Order]) -> list[Order]:
    halves = [order.model_copy(update={"quantity": order.quantity / 2}) for order in orders for _ in range(2)]
    return [half.model_copy(update={"id": instrument(900 + number)}) for number, half in enumerate(halves)]


def of_something_else(orders: list[Order]) -> list[Order]:
    return [order.model_copy(update={"instrument_id": instrument(77), "symbol": "EVIL"}) for order in orders]


@pytest.mark.requirement("G-02", "G-05")
@pytest.mark.parametrize(
    ("change", "state", "detail"),
    [
        (nothing, RowState.UNKNOWN, "named no order for AAPL"),
        (smaller, RowState.DEVIATED, "Planned SELL 100 AAPL; the order is for 1."),
        (turned, RowState.DEVIATED, "Planned SELL 100 AAPL; the order's side is BUY."),
        (without_quantity, RowState.DEVIATED, "states no quantity"),
        (of_something_else, RowState.UNKNOWN, "named no order for AAPL"),
        (by_symbol_only, RowState.SUBMITTED, ""),
        (split, RowState.SUBMITTED, ""),
    ],
)
async def test_the_answer_is_compared_with_the_plan(
    tmp_path: Path, change: Callable[[list[Order]], list[Order]], state: RowState, detail: str
) -> None:
    async with desk(tmp_path) as it:
        it.exchange.change_answer = change
        report = await it.close("AAPL")
        assert report.rows[0].state is state
        assert detail in report.rows[0].detail
        if change is of_something_else:
            assert "SELL 100 EVIL" in report.reason


@pytest.mark.requirement("G-02")
async def test_a_deviation_stands_first_in_the_report(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.change_answer = lambda orders: smaller(orders) if orders[0].symbol == "MSFT" else orders
        report = await it.close("AAPL", "TSLA", "MSFT")
        assert [row.symbol for row in report.rows] == ["MSFT", "TSLA", "AAPL"]
        assert report.headline == "PAPER SUBMITTED: 1 deviated, 2 submitted; 0 of 3 flat"


async def test_close_all_accounts_for_every_target_of_one_request(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.change_answer = lambda orders: [order for order in orders if order.symbol != "MSFT"]
        report = await it.close(cancel_orders=True)
        assert it.exchange.requests == ["close all cancel_orders=True"]
        assert {row.symbol: row.state for row in report.rows} == {
            "MSFT": RowState.UNKNOWN,
            "TSLA": RowState.SUBMITTED,
            "AAPL": RowState.SUBMITTED,
        }
        assert report.state is OperationState.UNKNOWN


async def test_a_queued_order_is_its_own_state(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.queue = True
        report = await it.close("AAPL")
        assert report.rows[0].state is RowState.QUEUED
        assert report.state is OperationState.SUBMITTED


@pytest.mark.requirement("G-06")
async def test_where_nothing_left_it_is_tried_again_for_five_seconds_under_the_same_decision(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.before = [raising(NothingSent("no route"))] * 3
        report = await it.close("AAPL")
        assert report.state is OperationState.SUBMITTED
        assert it.exchange.effects == [instrument(AAPL)]
        assert it.pauses == [0.2, 0.4, 0.8]
        assert it.events().count("sending") == 4


async def test_after_five_seconds_nothing_more_is_tried(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.before = [raising(NothingSent("no route"))] * 40
        report = await it.close("AAPL", "TSLA")
        assert report.state is OperationState.LAPSED
        assert report.anything_sent is False
        assert {row.state for row in report.rows} == {RowState.NOT_SENT}
        assert 5 <= sum(it.pauses) < 7
        assert it.exchange.effects == []


@pytest.mark.requirement("G-11")
async def test_outcomes_that_fail_in_a_row_trip_the_halt_within_the_batch(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.before = [raising(RequestRejected("no"))] * 5
        report = await it.close("AAPL", "TSLA", "MSFT")
        assert it.store.halts()[0].reason == "3 rejected or unknown outcomes in a row in PAPER account 19816"
        assert report.state is OperationState.REJECTED
        with pytest.raises(Refused, match="halted"):
            await it.close("AAPL")
        assert len(it.exchange.requests) == 3


@pytest.mark.requirement("G-04")
async def test_an_outcome_that_cannot_be_journalled_is_told_and_ends_the_batch(tmp_path: Path) -> None:
    from store.test_opening import no_file_may_grow_beyond

    async with desk(tmp_path) as it:
        limit = anyio.Event()
        log = tmp_path / "operations.sqlite-wal"
        full = no_file_may_grow_beyond(0)

        async def fill_disk() -> None:
            nonlocal full
            full = no_file_may_grow_beyond(log.stat().st_size)
            full.__enter__()
            limit.set()

        it.exchange.after.append(fill_disk)
        try:
            report = await it.close("AAPL", "TSLA")
        finally:
            full.__exit__(None, None, None)
        assert limit.is_set()
        assert it.exchange.effects == [instrument(TSLA)]
        assert report.rows[0].state is RowState.SUBMITTED
        assert "could not be journalled" in report.reason
        assert it.store.operation(report.operation_id).rows[0].state is RowState.SENDING


@pytest.mark.requirement("G-02")
@pytest.mark.parametrize("everything", [True, False])
async def test_an_order_that_is_not_in_the_plan_is_said_first(tmp_path: Path, everything: bool) -> None:
    async with desk(tmp_path) as it:
        stray = {"instrument_id": instrument(9), "symbol": "NVDA", "quantity": Decimal(7)}
        it.exchange.change_answer = lambda made: [*made, made[0].model_copy(update=stray)]
        report = await it.close(*([] if everything else ["AAPL", "MSFT"]))
        assert report.headline.startswith("PAPER SUBMITTED: " if everything else "PAPER PARTIAL: ")
        assert ": DEVIATED by 1 order not in the plan; " in report.headline
        assert summary_of(report).startswith("PAPER account 19816: DEVIATED by 1 order not in the plan; ")
        (order,) = next(row.orders for row in report.rows if row.symbol == "AAPL")
        assert report.reason.startswith(f"DEVIATED by 1 order not in the plan: SELL 7 NVDA (order {order.order_id}).")
        if not everything:
            assert it.exchange.effects == [instrument(AAPL)]


@pytest.mark.requirement("G-02", "G-14")
@pytest.mark.parametrize(
    ("symbol", "number", "held_now", "said"),
    [
        ("AAPL", AAPL, -100, "AAPL is REVERSED: 100 long when planned, 100 SHORT now"),
        ("TSLA", TSLA, 20, "TSLA is REVERSED: 50 short when planned, 20 LONG now"),
    ],
)
async def test_a_position_that_changed_sides_is_said_first(
    tmp_path: Path, symbol: str, number: int, held_now: int, said: str
) -> None:
    async with desk(tmp_path) as it:
        operation = await it.close("MSFT", symbol)
        it.exchange.fill(number)
        it.exchange.hold(held(symbol, held_now, number=number))
        report = await it.guard.operation(operation.operation_id)
        assert report.headline.partition(": ")[2].startswith(f"{said}; ")
        assert summary_of(report).startswith(f"PAPER account 19816: {said}; ")
        assert report.rows[0].symbol == symbol
        assert report.next_step.startswith("Do not close it again before a person has looked")
        assert "is left" not in report.next_step


def rejected_with_a_fill(orders: list[Order]) -> list[Order]:
    return [each.model_copy(update={"status": OrderStatus.REJECTED, "filled_quantity": Decimal(40)}) for each in orders]


@pytest.mark.requirement("G-02", "G-14")
async def test_a_rejected_order_that_has_traded_is_not_told_as_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.change_answer = rejected_with_a_fill
        report = await it.close("AAPL")
        assert report.rows[0].state is RowState.SUBMITTED
        assert report.rows[0].detail == "The order was rejected."
        assert it.store.used(it.parts.mode, ACCOUNT, it.clock.now().date()) > 0


@pytest.mark.requirement("G-02")
async def test_a_rejected_order_of_something_else_that_has_traded_deviates(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        stray = {"id": OrderId("stray"), "instrument_id": instrument(MSFT), "symbol": "MSFT"}
        it.exchange.change_answer = lambda made: [*made, rejected_with_a_fill(made)[0].model_copy(update=stray)]
        report = await it.close("AAPL")
        assert report.alarms == ("DEVIATED by 1 order not in the plan",)
