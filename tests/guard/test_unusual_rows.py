"""Rows that are no plain securities of this account: another account's, cash, an index, and those that contradict."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from guard.clearing import CALL_220, PUT_220, SHARES, clearing_desk, row, usual_book
from guard.desk import AAPL, MSFT, PASSPHRASE, TSLA, desk, usual_positions
from guard.exchange import held, instrument
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Position, Side
from positions_mcp.domain.enums import PositionType, SecurityType
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.ids import AccountId, OrderId
from positions_mcp.domain.operation.operation import Conclusion
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.guard.approval.questions import question
from positions_mcp.guard.policy.findings import Rule

CASH, INDEX = 8, 9
USD = held("USD", 10000, price="1", number=CASH, instrument_type=SecurityType.CASH)
SPX = held("SPX", 1, price="6000", number=INDEX, instrument_type=SecurityType.INDEX)
CALL = "AAPL280121C00195000"


def of_another_account(orders: list[Order]) -> list[Order]:
    return [order.model_copy(update={"account_id": AccountId(777)}) for order in orders]


def with_one_of_another_account(orders: list[Order]) -> list[Order]:
    return [*orders, *(o.model_copy(update={"id": OrderId(f"{o.id[:-1]}f")}) for o in of_another_account(orders))]


@pytest.mark.requirement("G-02")
@pytest.mark.parametrize("answer", [of_another_account, with_one_of_another_account])
async def test_an_order_of_another_account_deviates_and_stops_the_batch(
    tmp_path: Path, answer: Callable[[list[Order]], list[Order]]
) -> None:
    async with desk(tmp_path) as it:
        it.exchange.change_answer = answer
        report = await it.close("AAPL", "MSFT", "TSLA")
        assert len(it.exchange.requests) == 1
        assert report.rows[0].state is RowState.DEVIATED
        assert "is of account 777, not of 19816" in report.rows[0].detail
        assert {row.state for row in report.rows[1:]} == {RowState.NOT_SENT}


def updated(order: Order) -> Order:
    return order.model_copy(update={"filled_quantity": Decimal(40)})


@pytest.mark.requirement("G-02")
@pytest.mark.parametrize(
    "again",
    [lambda o: [o, o], lambda o: [o, o, o], lambda o: [o, updated(o)], lambda o: [updated(o), o]],
)
@pytest.mark.parametrize("everything", [False, True])
async def test_one_order_that_an_answer_lists_again_is_one_order(
    tmp_path: Path, again: Callable[[Order], list[Order]], everything: bool
) -> None:
    async with desk(tmp_path, positions=usual_positions()[:1]) as it:
        it.exchange.change_answer = lambda orders: [each for order in orders for each in again(order)]
        report = await it.close(*([] if everything else ["AAPL"]))
        assert report.state is OperationState.SUBMITTED
        assert len(report.rows[0].orders) == 1


@pytest.mark.requirement("G-02")
async def test_one_id_for_two_different_orders_still_deviates(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.change_answer = lambda orders: [
            *orders,
            *(order.model_copy(update={"quantity": Decimal(7)}) for order in orders),
        ]
        assert (await it.close("AAPL")).rows[0].state is RowState.DEVIATED


@pytest.mark.requirement("A-06")
@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ({"of_others": 3}, "3 rows of another account are left out"),
        ({"of_others": 1}, "1 row of another account is left out"),
        ({"unreadable": 2}, "2 rows of the API could not be read and are not included"),
        ({"consistent": False}, "pages contradicted each other"),
    ],
)
async def test_closing_everything_in_an_incomplete_book_is_refused_with_what_is_wrong(
    tmp_path: Path, left_out: dict[str, Any], said: str
) -> None:
    async with desk(tmp_path) as it:
        it.exchange.reading = left_out
        (refusal,) = (await it.plan()).verdict.refusals
        assert refusal.rule is Rule.INCOMPLETE_BOOK
        assert said in refusal.message
        assert ("contradict" in refusal.message) is ("consistent" in left_out)
        (finding,) = (await it.plan("AAPL")).verdict.needs_desk
        assert said in finding.message


async def test_closing_everything_leaves_cash_and_an_index_out_and_ends_closed(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=[USD, held("KO", 5, number=AAPL), SPX]) as it:
        it.exchange.closes_only_securities = True
        plan = (await it.plan()).operation.plan
        assert [target.symbol for target in plan.targets] == ["KO"]
        assert plan.measure == Decimal(50)
        assert "Warning: USD (10000) is left out: it is cash, which no order closes." in question(plan)
        assert "Warning: SPX (1) is left out: it is an index, which nobody can trade." in question(plan)
        report = await it.close()
        assert report.state is OperationState.SUBMITTED
        it.exchange.fill(AAPL)
        followed = await it.guard.operation(report.operation_id)
        assert followed.state is OperationState.CLOSED
        with pytest.raises(InvalidInput, match=r"holds nothing to close.*USD \(10000\) is left out"):
            await it.plan()


async def test_a_person_who_flattens_leaves_cash_out_too(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=[USD, held("KO", 5, number=AAPL)]) as it:
        flattening = await it.supervisor.plan_flatten(AccountId(19816), None, by="me")
        assert [target.symbol for target in flattening.operation.plan.targets] == ["KO"]
        assert "USD (10000) is left out" in flattening.question


@pytest.mark.parametrize("name", ["USD", "usd", USD.instrument_id, "SPX"])
async def test_naming_cash_or_an_index_in_a_close_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    async with desk(tmp_path, positions=[USD, SPX, held("KO", 5, number=AAPL)]) as it:
        with pytest.raises(InvalidInput, match=r"no order closes|nobody can trade"):
            await it.plan("KO", name)
        assert it.exchange.requests == []


async def test_a_share_named_like_the_currency_is_closed_by_that_name(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=[USD, held("USD", 5, number=AAPL)]) as it:
        assert (await it.plan("USD")).operation.plan.targets[0].instrument_id == instrument(AAPL)


@pytest.mark.requirement("G-12")
@pytest.mark.parametrize("row", [USD, SPX])
async def test_cash_and_an_index_cover_nothing(tmp_path: Path, row: Position) -> None:
    lots = row._replace(quantity=Decimal(100_000))
    short = held(f"{row.symbol}280121C00100000", -1, number=MSFT, underlying_instrument_id=row.instrument_id)
    long = held(f"{row.symbol}280121C00100000"[:-1] + "1", 1, number=TSLA)
    async with desk(tmp_path, positions=[lots, short, long]) as it:
        assert Rule.UNCOVERED in [f.rule for f in (await it.plan(long.symbol)).verdict.findings]


@pytest.mark.requirement("G-12")
@pytest.mark.parametrize(
    ("quantity", "kind"),
    [(50, "SHORT"), (-50, "LONG"), (50, "SHORT_PUT"), (-50, "LONG_CALL"), (50, "SHORT_EXEMPT")],
)
async def test_a_quantity_against_its_type_is_said_and_planned_only_at_the_desk(
    tmp_path: Path, quantity: int, kind: str
) -> None:
    row = held("TSLA", quantity, number=TSLA, position_type=PositionType(kind))
    assert row.side is Side.SHORT
    async with desk(tmp_path, positions=[row]) as it:
        planned = await it.plan("TSLA")
        (finding,) = planned.verdict.needs_desk
        assert finding.rule is Rule.SIDE
        assert f"quantity {quantity}, type {kind}" in finding.message
        first, other = ("SELL", "BUY") if quantity > 0 else ("BUY", "SELL")
        asked = f"1. {first} 50 TSLA or {other}: the API says quantity {quantity} and type {kind}, about $500.00"
        assert asked in question(planned.operation.plan)


async def test_a_contradiction_that_appears_after_the_plan_makes_it_stale(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.approved_at_desk("AAPL")
        it.exchange.change(AAPL, position_type=PositionType.SHORT)
        report = await it.guard.send_approved(operation.operation_id, caller=operation.plan.caller)
        assert report.state is OperationState.STALE
        assert it.exchange.requests == []


@pytest.mark.requirement("G-12")
async def test_an_option_that_contradicts_itself_needs_cover(tmp_path: Path) -> None:
    option = held(CALL, 1, number=MSFT, position_type=PositionType("SHORT_CALL"))
    async with desk(tmp_path, positions=[held("AAPL", 100, number=AAPL), option]) as it:
        assert [f.rule for f in (await it.plan("AAPL")).verdict.refusals] == [Rule.UNCOVERED]
        plan = (await it.plan(CALL)).operation.plan
        assert plan.measure == Decimal(1_000)  # of a call on a share at $10: what it obliges to


@pytest.mark.requirement("G-12")
@pytest.mark.parametrize("right", ["C", "P"])
@pytest.mark.parametrize(("quantity", "kind"), [(100, "SHORT"), (-100, "LONG")])
async def test_shares_that_contradict_themselves_cover_nothing(
    tmp_path: Path, right: str, quantity: int, kind: str
) -> None:
    shares = held("AAPL", quantity, number=AAPL, position_type=PositionType(kind))
    short, long = held(f"AAPL280121{right}00195000", -1, number=MSFT), held(f"AAPL280121{right}00195000", 0, number=5)
    protecting = long._replace(symbol=f"AAPL280218{right}00195000", quantity=Decimal(1), available_quantity=Decimal(1))
    async with desk(tmp_path, positions=[shares, short, protecting]) as it:
        assert Rule.UNCOVERED in [f.rule for f in (await it.plan(protecting.symbol)).verdict.refusals]


@pytest.mark.parametrize(
    "kind", ["CASH", "cash", " Cash", "CURRENCY", "currency", "FX", "Forex", "CASH_BALANCE", "index", "INDEX"]
)
async def test_money_and_an_index_are_never_closed_whatever_the_letters_of_their_type(
    tmp_path: Path, kind: str
) -> None:
    row = held("EUR", 900, number=CASH, instrument_type=kind)
    short = held("EUR280121C00100000", -1, number=MSFT, underlying_instrument_id=row.instrument_id)
    async with desk(tmp_path, positions=[row, held("KO", 5, number=AAPL), short]) as it:
        assert "EUR" not in [target.symbol for target in (await it.plan()).operation.plan.targets]
        with pytest.raises(InvalidInput, match=r"no order closes|nobody can trade"):
            await it.plan("EUR")


@pytest.mark.requirement("A-02")
@pytest.mark.parametrize("kind", ["option", "Option"])
async def test_an_option_is_one_in_any_letters(tmp_path: Path, kind: str) -> None:
    short = held("", -1, number=MSFT, instrument_type=kind, position_type="short")
    async with desk(tmp_path, positions=[held("KO", 100, number=AAPL), short]) as it:
        assert [each.rule for each in (await it.plan("KO")).verdict.needs_desk] == [Rule.UNCOVERED]


@pytest.mark.requirement("G-02")
async def test_of_two_of_one_name_a_question_a_report_and_who_settles_say_the_id(tmp_path: Path) -> None:
    twice = [held("KO", number, number=number) for number in (8, 9)]
    async with desk(tmp_path, positions=[*usual_positions(), *twice]) as it:
        one = await it.asked(instrument(8))
        assert f"SELL 8 KO [{instrument(8)}]" in question(one.plan)
        both = await it.close(instrument(9), "MSFT")
        assert {row.symbol for row in both.rows} == {f"KO [{instrument(9)}]", "MSFT"}
        everything = await it.asked()
        assert all(f"SELL {number} KO [{instrument(number)}]" in question(everything.plan) for number in (8, 9))
        assert "MSFT [" not in question(everything.plan)
        await it.supervisor.set_up_approver(PASSPHRASE)
        with pytest.raises(InvalidInput, match='Several of its instruments are called "ko"'):
            await it.supervisor.settle(
                everything.operation_id, "ko", Conclusion.DID_NOT, PASSPHRASE, evidence="called the broker"
            )


async def test_a_row_of_instructions_says_the_id_where_its_contract_is_held_twice(tmp_path: Path) -> None:
    twice = held(CALL_220, 5, price="11.10", number=7, underlying_instrument_id=instrument(SHARES))
    async with clearing_desk(tmp_path, positions=[*usual_book(), twice]) as it:
        planned = await it.plan(row(instrument(7)))
        assert f"It is {CALL_220} [{instrument(7)}]. Key" in question(planned.operation.plan)
        planned = await it.plan(row(PUT_220))
        assert "It is" not in question(planned.operation.plan)
