"""Orders and positions come from different services: filled is not flat, and not listed is not gone."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from guard.desk import AAPL, CALLER, PASSPHRASE, TSLA, Desk, desk
from guard.exchange import ACCOUNT, CountingIds, held, instrument
from positions_mcp.domain.enums import OrderStatus
from positions_mcp.domain.errors import ReadFailed, Refused
from positions_mcp.domain.operation.operation import Conclusion
from positions_mcp.domain.operation.plan import Kind
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.guard.account import AccountReader
from positions_mcp.guard.policy.findings import Rule, Severity
from positions_mcp.guard.reports import OperationReport

NUMBERS = {"AAPL": AAPL, "TSLA": TSLA}


def trade(it: Desk, status: OrderStatus, filled: int) -> None:
    """Every order comes to its end without the book moving."""
    for key, order in it.exchange.orders.items():
        left = order.quantity - filled
        update = {"status": status, "filled_quantity": Decimal(filled), "leaves_quantity": left}
        it.exchange.orders[key] = order.model_copy(update=update)


async def followed(it: Desk, report: OperationReport) -> OperationReport:
    return await it.guard.operation(report.operation_id)


@pytest.mark.requirement("G-14", "G-18")
@pytest.mark.parametrize(("symbol", "held", "left"), [("AAPL", 100, 0), ("TSLA", -50, 0)])
async def test_filled_is_not_closed_and_holds_its_instrument_until_the_book_has_followed(
    tmp_path: Path, symbol: str, held: int, left: int
) -> None:
    async with desk(tmp_path) as it:
        report = await it.close(symbol)
        trade(it, OrderStatus.FILLED, abs(held))
        report = await followed(it, report)
        assert report.state is OperationState.SUBMITTED
        assert f"filled {abs(held)}, the book has not followed yet" in report.rows[0].detail
        finding = next(each for each in (await it.plan(symbol)).verdict.findings if each.rule is Rule.IN_FLIGHT)
        assert finding.severity is Severity.DESK
        assert f"filled {abs(held)}, the book has not followed yet" in finding.message
        it.exchange.change(NUMBERS[symbol], quantity=Decimal(left))
        report = await followed(it, report)
        assert report.state is OperationState.CLOSED
        assert "the book" not in report.rows[0].detail


@pytest.mark.requirement("G-14", "G-18")
async def test_of_an_order_cancelled_after_a_part_the_book_decides_what_is_left(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        report = await it.close("AAPL")
        trade(it, OrderStatus.CANCELED, 40)
        assert (await followed(it, report)).state is OperationState.SUBMITTED
        it.exchange.change(AAPL, quantity=Decimal(60))
        report = await followed(it, report)
        assert (report.state, report.rows[0].residual) == (OperationState.PARTIAL, 60)


@pytest.mark.requirement("G-14", "G-18")
@pytest.mark.parametrize("instruments", [(), ("AAPL", "TSLA", "MSFT")])
async def test_an_answer_that_is_filled_at_once_is_followed_too(tmp_path: Path, instruments: tuple[str, ...]) -> None:
    async with desk(tmp_path) as it:
        it.exchange.change_answer = lambda made: [
            order.model_copy(update={"status": OrderStatus.FILLED, "filled_quantity": order.quantity}) for order in made
        ]
        report = await it.close(*instruments)
        for key, order in it.exchange.orders.items():
            update = {"status": OrderStatus.FILLED, "filled_quantity": order.quantity}
            it.exchange.orders[key] = order.model_copy(update=update)
        planned = await it.plan("AAPL")
        assert Rule.IN_FLIGHT in {finding.rule for finding in planned.verdict.needs_desk}
        it.exchange.positions.clear()
        assert (await followed(it, report)).state is OperationState.CLOSED


@pytest.mark.requirement("G-14", "G-18")
@pytest.mark.parametrize("cancel_orders", [False, True])
async def test_an_order_that_was_seen_to_end_is_not_open_again_because_a_late_listing_says_so(
    tmp_path: Path, *, cancel_orders: bool
) -> None:
    async with desk(tmp_path) as it:
        it.exchange.change_answer = lambda made: [
            order.model_copy(update={"status": OrderStatus.FILLED, "filled_quantity": order.quantity}) for order in made
        ]
        report = await followed(it, await it.close("AAPL"))
        assert report.rows[0].orders[0].status == OrderStatus.FILLED
        assert "filled 100, the book has not followed yet" in report.rows[0].detail
        verdict = (await it.plan("AAPL", cancel_orders=cancel_orders)).verdict
        assert [each.rule for each in verdict.needs_desk] == [Rule.IN_FLIGHT]


@pytest.mark.requirement("G-14", "G-18")
@pytest.mark.parametrize(("symbol", "held", "followed_to"), [("AAPL", 100, 60), ("TSLA", -50, -10)])
async def test_an_open_order_is_replaced_without_the_desk_only_once_the_book_shows_its_fills(
    tmp_path: Path, symbol: str, held: int, followed_to: int
) -> None:
    async with desk(tmp_path) as it:
        report = await it.close(symbol)
        trade(it, OrderStatus.PARTIALLY_FILLED, 40)
        report = await followed(it, report)
        assert (report.state, report.rows[0].residual) == (OperationState.SUBMITTED, held)
        assert "filled 40, the book has not followed yet" in report.rows[0].detail
        (finding,) = (await it.plan(symbol, cancel_orders=True)).verdict.needs_desk
        assert "filled 40, the book has not followed yet" in finding.message
        it.exchange.change(NUMBERS[symbol], quantity=Decimal(followed_to), available_quantity=Decimal(0))
        report = await followed(it, report)
        assert report.state is OperationState.SUBMITTED
        assert "the book" not in report.rows[0].detail
        assert (await it.plan(symbol, cancel_orders=True)).verdict.needs_desk == ()


@pytest.mark.requirement("G-14", "G-18")
async def test_a_book_that_never_follows_is_waited_for_no_longer_than_the_policy_says(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        report = await it.close("AAPL")
        trade(it, OrderStatus.FILLED, 100)
        await followed(it, report)
        it.clock.advance(timedelta(minutes=9))
        assert (await followed(it, report)).state is OperationState.SUBMITTED
        it.clock.advance(timedelta(minutes=2))
        report = await followed(it, report)
        assert report.state is OperationState.PARTIAL
        assert "not waited for after 10 minutes" in report.rows[0].detail
        assert (await it.plan("AAPL")).verdict.findings == ()


@pytest.mark.requirement("G-14", "G-18")
async def test_a_process_that_starts_in_between_holds_the_instrument_as_well(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.close("AAPL")
        trade(it, OrderStatus.FILLED, 100)
        exchange, clock = it.exchange, it.clock
    async with desk(tmp_path, exchange=exchange, clock=clock, ids=CountingIds(500)) as it:
        assert [each.rule for each in (await it.plan("AAPL")).verdict.needs_desk] == [Rule.IN_FLIGHT]


class Unlisted:
    """Orders of which none is listed; `known` are found by their ids."""

    def __init__(self, exchange: Any) -> None:
        self.exchange = exchange
        self.knows = True

    async def read_orders(self, *_: Any, **__: Any) -> tuple[()]:
        return ()

    read_orders_of_unknown_status = read_orders

    async def find_order(self, account_id: Any, order_id: Any) -> Any:
        return await self.exchange.find_order(account_id, order_id) if self.knows else None


@pytest.mark.requirement("G-14", "G-18")
async def test_a_filled_order_that_left_the_listing_is_asked_for_by_its_id(tmp_path: Path) -> None:
    async with desk(tmp_path) as first:
        exchange, clock = first.exchange, first.clock
    async with desk(tmp_path, exchange=exchange, clock=clock, orders=Unlisted(exchange)) as it:
        report = await it.close("AAPL")
        it.exchange.fill(AAPL)
        report = await followed(it, report)
        assert report.state is OperationState.CLOSED
        assert report.rows[0].orders[0].status == OrderStatus.FILLED


@pytest.mark.requirement("G-14", "G-18")
async def test_an_order_that_cannot_be_seen_at_all_keeps_its_instrument_in_flight(tmp_path: Path) -> None:
    async with desk(tmp_path) as first:
        exchange, clock = first.exchange, first.clock
    orders = Unlisted(exchange)
    async with desk(tmp_path, exchange=exchange, clock=clock, orders=orders) as it:
        report = await it.close("AAPL")
        orders.knows = False
        report = await followed(it, report)
        assert report.state is OperationState.SUBMITTED
        assert "the API does not know its order now" in report.rows[0].detail
        planned = await it.plan("AAPL")
        assert [each.rule for each in planned.verdict.needs_desk] == [Rule.IN_FLIGHT]
        again = await it.guard.ask(planned.operation)
        refused = await it.guard.send_elicited(again, caller=CALLER, client="Claude")
        assert (refused.state, refused.anything_sent) == (OperationState.REFUSED, False)
        assert len(exchange.requests) == 1


@pytest.mark.requirement("G-18")
async def test_a_person_may_settle_that_one_in_flight_is_over(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        report = await it.close("AAPL")
        trade(it, OrderStatus.FILLED, 100)
        await followed(it, report)
        settle = partial(it.supervisor.settle, report.operation_id, "AAPL", evidence="the broker's page")
        with pytest.raises(Refused):
            await settle(Conclusion.DID_NOT, PASSPHRASE)
        with pytest.raises(Refused):
            await settle(Conclusion.TOOK_EFFECT, "not the passphrase")
        await settle(Conclusion.TOOK_EFFECT, PASSPHRASE)
        assert not [each for each in (await it.plan("AAPL")).verdict.findings if each.rule is Rule.IN_FLIGHT]
        assert "Settled by approver" in (await followed(it, report)).rows[0].detail


@pytest.mark.requirement("G-17", "G-18")
async def test_flatten_names_a_close_that_the_book_has_not_followed(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        report = await it.close("AAPL")
        trade(it, OrderStatus.FILLED, 100)
        await followed(it, report)
        flattening = await it.supervisor.plan_flatten(ACCOUNT, ["AAPL"], by="Ana")
        assert any("the book has not followed yet" in each.message for each in flattening.overrides)


@pytest.mark.requirement("G-18")
async def test_an_order_of_a_status_that_nobody_knows_is_seen_before_sending(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        first = await it.close("AAPL")
        for key, order in it.exchange.orders.items():
            it.exchange.orders[key] = order.model_copy(update={"status": OrderStatus("NEWLY_INVENTED")})
        assert (await followed(it, first)).state is OperationState.SUBMITTED
        account = await AccountReader(it.parts).to_decide(ACCOUNT, Kind.CLOSE_POSITIONS, recent=True)
        assert account.open_order_ids == frozenset(it.exchange.orders)


@pytest.mark.requirement("G-14", "G-18")
@pytest.mark.parametrize(
    ("filled", "books", "ended", "state"),
    [
        (100, (100, 60, 1), False, OperationState.SUBMITTED),  # the book follows in parts
        (100, (100, 60, 0), True, OperationState.CLOSED),
        (100, (150,), False, OperationState.SUBMITTED),  # somebody bought meanwhile
        (100, (-30,), True, OperationState.PARTIAL),  # past zero: somebody sold too
        (120, (0,), False, OperationState.SUBMITTED),  # 120 were sold, and the book has lost 100 of them
        (120, (-20,), True, OperationState.PARTIAL),
    ],
)
async def test_a_row_ends_once_the_book_has_moved_by_all_that_was_filled(
    tmp_path: Path, *, filled: int, books: tuple[int, ...], ended: bool, state: OperationState
) -> None:
    async with desk(tmp_path) as it:
        report = await it.close("AAPL")
        trade(it, OrderStatus.FILLED, filled)
        for quantity in books:
            it.exchange.change(AAPL, quantity=Decimal(quantity), available_quantity=Decimal(abs(quantity)))
            report = await followed(it, report)
        assert report.state is state
        (row,) = it.store.operation(report.operation_id).rows
        assert row.ended is ended
        assert ("the book has not followed yet" in row.detail) is not ended
        if books[-1] and not ended:
            assert Rule.IN_FLIGHT in {each.rule for each in (await it.plan("AAPL")).verdict.needs_desk}


@pytest.mark.requirement("G-18")
async def test_a_fill_is_held_while_positions_cannot_be_read(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.change_answer = lambda made: [
            order.model_copy(update={"status": OrderStatus.FILLED, "filled_quantity": order.quantity}) for order in made
        ]
        it.exchange.after.append(failing_reads(it))
        report = await it.close("AAPL")
        assert report.state is OperationState.SUBMITTED
        assert (await followed(it, report)).state is OperationState.SUBMITTED
        with pytest.raises(ReadFailed):
            await it.plan("AAPL")
        it.exchange.reads_fail = False
        trade(it, OrderStatus.FILLED, 100)
        assert Rule.IN_FLIGHT in {each.rule for each in (await it.plan("AAPL")).verdict.needs_desk}
        assert len(it.exchange.requests) == 1


def failing_reads(it: Desk) -> Any:
    async def fail() -> None:
        it.exchange.reads_fail = True

    return fail


@pytest.mark.requirement("G-14", "G-18")
@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"status": OrderStatus.REPLACED}, "its order was replaced by another one, which may still fill"),
        ({"status": OrderStatus.FILLED, "filled_quantity": None, "quantity": None}, "does not say how much its order"),
        ({"status": OrderStatus.FILLED, "filled_quantity": Decimal(0), "quantity": None}, "does not say how much its"),
        ({"status": OrderStatus.FILLED, "filled_quantity": None}, "filled 100, the book has not followed yet"),
        ({"status": OrderStatus.CANCELED, "filled_quantity": None}, "the API does not say how much its order filled"),
        ({"status": OrderStatus.EXPIRED, "filled_quantity": None}, "the API does not say how much its order filled"),
    ],
)
async def test_an_order_that_ended_without_saying_what_it_filled_keeps_its_instrument_in_flight(
    tmp_path: Path, seen: dict[str, Any], said: str
) -> None:
    async with desk(tmp_path) as it:
        report = await it.close("AAPL")
        for key, order in it.exchange.orders.items():
            it.exchange.orders[key] = order.model_copy(update=seen)
        report = await followed(it, report)
        assert report.state is OperationState.SUBMITTED
        assert said in report.rows[0].detail
        (finding,) = (await it.plan("AAPL")).verdict.needs_desk
        assert (finding.rule, said in finding.message) == (Rule.IN_FLIGHT, True)
        it.clock.advance(timedelta(minutes=11))
        assert "not waited for after 10 minutes" in (await followed(it, report)).rows[0].detail


@pytest.mark.requirement("G-14", "G-18")
async def test_what_an_order_has_filled_is_not_taken_back_by_a_late_listing(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        report = await it.close("AAPL")
        trade(it, OrderStatus.PARTIALLY_FILLED, 60)
        await followed(it, report)
        trade(it, OrderStatus.CANCELED, 0)
        report = await followed(it, report)
        assert report.rows[0].orders[0].filled == 60
        assert "filled 60, the book has not followed yet" in report.rows[0].detail
        assert Rule.IN_FLIGHT in {each.rule for each in (await it.plan("AAPL")).verdict.needs_desk}


@pytest.mark.requirement("G-14", "G-18")
async def test_the_book_has_to_move_from_what_it_showed_at_sending_not_from_what_was_planned(tmp_path: Path) -> None:
    positions = [held("AAPL", 200, price="150", number=AAPL, available_quantity=Decimal(50))]
    async with desk(tmp_path, positions=positions) as it:
        operation = await it.asked("AAPL")
        half = {"quantity": Decimal(100), "available_quantity": Decimal(50), "market_value": Decimal(15_000)}
        it.exchange.change(AAPL, **half)  # another order took half of it in between
        fifty = {"quantity": Decimal(50), "leaves_quantity": Decimal(50)}
        it.exchange.change_answer = lambda made: [order.model_copy(update=fifty) for order in made]
        report = await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        for key, order in it.exchange.orders.items():
            it.exchange.orders[key] = order.model_copy(update=fifty)
        trade(it, OrderStatus.FILLED, 50)
        report = await followed(it, report)
        assert "filled 50, the book has not followed yet" in report.rows[0].detail
        it.exchange.change(AAPL, quantity=Decimal(50), available_quantity=Decimal(0))
        report = await followed(it, report)
        assert (report.state, report.rows[0].residual) == (OperationState.PARTIAL, 50)


@pytest.mark.requirement("G-14", "G-18")
@pytest.mark.parametrize(
    ("status", "filled", "severity"), [(OrderStatus.NEW, 0, Severity.REFUSE), (OrderStatus.FILLED, 100, Severity.DESK)]
)
async def test_what_is_listed_under_another_id_is_not_closed_a_second_time(
    tmp_path: Path, status: OrderStatus, filled: int, severity: Severity
) -> None:
    async with desk(tmp_path) as it:
        report = await it.close("AAPL")
        trade(it, status, filled)
        listed = it.exchange.positions
        del listed[instrument(AAPL)]
        listed[instrument(77)] = held("AAPL", 100, number=77)
        assert (await followed(it, report)).state is OperationState.SUBMITTED
        found = {each.rule: each.severity for each in (await it.plan("AAPL")).verdict.findings}
        assert found[Rule.IN_FLIGHT] is severity
        del listed[instrument(77)]
        trade(it, OrderStatus.FILLED, 100)
        assert (await followed(it, report)).state is OperationState.CLOSED
