"""Short options keep their cover: what counts as cover, what a plan may not take away, and what sending holds back."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.desk import CALLER, POLICY, Desk, desk
from guard.exchange import ACCOUNT, FRIDAY, held, instrument, raising
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.enums import InstructionStatus, InstructionType, OrderSide, OrderStatus
from positions_mcp.domain.errors import OutcomeUnknown, RequestRejected
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.domain.portfolio.exposure import exposed
from positions_mcp.guard.policy.findings import Rule

CALL_195 = "AAPL280121C00195000"
SHARES, SHORT, LONG = 1, 2, 3


def book(*positions: Position) -> Book:
    return Book(account_id=ACCOUNT, positions=positions, as_of=FRIDAY)


def lacking(*positions: Position) -> tuple[Decimal, Decimal]:
    """Contracts (uncovered, unprotected) over all groups."""
    groups = exposed(book(*positions), [{p.instrument_id: p.quantity for p in positions}])[0].values()
    return sum((g.uncovered for g in groups), Decimal(0)), sum((g.unprotected for g in groups), Decimal(0))


@pytest.mark.requirement("G-12")
@pytest.mark.parametrize(
    ("short", "cover", "expected"),
    [
        ((CALL_195, -2), None, (2, 2)),
        ((CALL_195, -2), ("AAPL", 200), (0, 0)),
        ((CALL_195, -2), ("AAPL", 199), (1, 1)),
        ((CALL_195, -2), ("AAPL", -200), (2, 2)),
        ((CALL_195, -2), ("AAPL280121C00195000", 0), (2, 2)),
        ((CALL_195, -2), ("AAPL280121C00190000", 2), (0, 0)),
        ((CALL_195, -2), ("AAPL280218C00195000", 2), (0, 0)),
        ((CALL_195, -2), ("AAPL271217C00190000", 2), (2, 2)),
        ((CALL_195, -2), ("AAPL280121C00200000", 2), (2, 0)),
        ((CALL_195, -2), ("AAPL280121P00190000", 2), (2, 2)),
        ((CALL_195, -2), ("MSFT280121C00190000", 2), (2, 2)),
        (("AAPL280121P00195000", -2), ("AAPL", -200), (0, 0)),
        (("AAPL280121P00195000", -2), ("AAPL", 200), (2, 2)),
        (("AAPL280121P00195000", -2), ("AAPL280121P00200000", 2), (0, 0)),
        (("AAPL280121P00195000", -2), ("AAPL280121P00190000", 2), (2, 0)),
        (("AAPL1280121C00195000", -2), ("AAPL", 200), (2, 2)),
        (("AAPL1280121C00195000", -2), ("AAPL1280121C00195000", 0), (2, 2)),
    ],
)
def test_what_covers_a_short_option_and_what_only_protects_it(
    short: tuple[str, int], cover: tuple[str, int] | None, expected: tuple[int, int]
) -> None:
    positions = [held(short[0], short[1], number=SHORT)]
    if cover:
        positions.append(held(cover[0], cover[1], number=LONG))
    assert lacking(*positions) == expected


def test_shares_are_counted_once_for_all_short_calls_on_them() -> None:
    shares = held("AAPL", 100, number=SHARES)
    near, far = held(CALL_195, -1, number=SHORT), held("AAPL280218C00200000", -1, number=LONG)
    assert lacking(shares, near, far) == (1, 1)


_contracts = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 1))


@given(shorts=st.lists(_contracts, max_size=4), longs=st.lists(_contracts, max_size=4))
@settings(max_examples=200, deadline=None)
def test_cover_is_matched_as_well_as_it_can_be(
    shorts: list[tuple[int, int, int]], longs: list[tuple[int, int, int]]
) -> None:
    """Against every way of matching longs to shorts, one by one."""

    def symbol(month: int, strike: int) -> str:
        return f"AAPL2801{10 + month}C{190 + 5 * strike:05d}000"

    positions = [held(symbol(m, k), -1, number=10 + i) for i, (m, k, _) in enumerate(shorts)]
    positions += [held(symbol(m, k), 1, number=50 + i) for i, (m, k, _) in enumerate(longs)]
    best = 0
    for order in permutations(range(len(longs))):
        covered = sum(
            longs[taken][0] >= short[0] and longs[taken][1] <= short[1]
            for short, taken in zip(shorts, order, strict=False)
        )
        best = max(best, covered)
    if len(longs) < len(shorts):
        best = max(
            (
                sum(
                    longs[i][0] >= shorts[taken][0] and longs[i][1] <= shorts[taken][1]
                    for i, taken in enumerate(order[: len(longs)])
                )
                for order in permutations(range(len(shorts)))
            ),
            default=0,
        )
    assert lacking(*positions)[0] == len(shorts) - best


def covered_call(shares: int = 100) -> list[Position]:
    return [held("AAPL", shares, price="190", number=SHARES), held(CALL_195, -1, price="3", number=SHORT)]


def rules(verdict: Any) -> list[Rule]:
    return [finding.rule for finding in verdict.refusals]


@pytest.mark.requirement("G-12")
async def test_selling_the_shares_under_a_short_call_is_refused_unless_policy_allows_it(tmp_path: Path) -> None:
    async with desk(tmp_path / "one", positions=covered_call()) as it:
        (finding,) = (await it.plan("AAPL")).verdict.refusals
        assert finding.rule is Rule.UNCOVERED
        assert finding.message == "It would leave 1 more short AAPL calls uncovered (1 in all)."
    allowing = Policy(**{**POLICY.model_dump(), "allow_uncovered": True})
    async with desk(tmp_path / "two", positions=covered_call(), policy=allowing) as it:
        planned = await it.plan("AAPL")
        assert not planned.verdict.is_refused
        assert "uncovered" in planned.operation.plan.warnings[0]


@pytest.mark.requirement("G-12")
async def test_shares_that_cover_nothing_may_be_sold(tmp_path: Path) -> None:
    uncovered_before = [held("AAPL", 50, price="190", number=SHARES), held(CALL_195, -1, price="3", number=SHORT)]
    async with desk(tmp_path, positions=uncovered_before) as it:
        assert (await it.plan("AAPL")).verdict.findings == ()


@pytest.mark.requirement("G-12")
async def test_close_all_may_not_sell_the_cover_of_a_short_whose_buy_back_an_open_order_locks(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=covered_call()) as it:
        it.exchange.change(SHORT, available_quantity=Decimal(0))
        assert rules((await it.plan()).verdict) == [Rule.UNCOVERED]
        assert rules((await it.plan(cancel_orders=True)).verdict) == []


@pytest.mark.requirement("G-12")
async def test_the_far_leg_of_a_credit_spread_is_not_sold_away(tmp_path: Path) -> None:
    spread = [held(CALL_195, -1, price="3", number=SHORT), held("AAPL280121C00200000", 1, price="2", number=LONG)]
    async with desk(tmp_path, positions=spread) as it:
        (finding,) = (await it.plan("AAPL280121C00200000")).verdict.refusals
        assert "without the long option that limits them" in finding.message


@pytest.mark.requirement("G-12")
async def test_a_cover_and_its_short_are_closed_together_the_short_first(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=covered_call()) as it:
        report = await it.close("AAPL", CALL_195)
        assert report.state is OperationState.SUBMITTED
        assert it.exchange.effects == [instrument(SHORT), instrument(SHARES)]


@pytest.mark.requirement("G-12")
async def test_a_cover_is_held_back_when_the_buy_back_of_its_short_was_rejected(tmp_path: Path) -> None:
    positions = [*covered_call(), held("MSFT", 5, number=9)]
    async with desk(tmp_path, positions=positions) as it:
        it.exchange.before.append(raising(RequestRejected("no")))
        report = await it.close("AAPL", CALL_195, "MSFT")
        by_symbol = {row.symbol: row for row in report.rows}
        assert by_symbol[CALL_195].state is RowState.REJECTED
        assert by_symbol["AAPL"].state is RowState.NOT_SENT
        assert by_symbol["AAPL"].detail.startswith("Held back: It would leave 1 more short AAPL calls uncovered")
        assert by_symbol["MSFT"].state is RowState.SUBMITTED


@pytest.mark.requirement("G-12")
async def test_a_cover_is_held_back_when_less_of_its_short_is_bought_back_than_planned(tmp_path: Path) -> None:
    positions = [held("AAPL", 200, price="190", number=SHARES), held(CALL_195, -2, price="3", number=SHORT)]
    async with desk(tmp_path, positions=positions) as it:
        it.exchange.change_answer = lambda made: [o.model_copy(update={"quantity": Decimal(1)}) for o in made]
        report = await it.close("AAPL", CALL_195)
        assert {row.symbol: row.state for row in report.rows} == {
            CALL_195: RowState.DEVIATED,
            "AAPL": RowState.NOT_SENT,
        }


@pytest.mark.requirement("G-12")
async def test_a_cover_that_an_open_order_is_selling_covers_nothing(tmp_path: Path) -> None:
    positions = covered_call(300)
    async with desk(tmp_path, positions=positions) as it:
        selling = Order(
            id="00000000-0000-4000-8000-000000000001",
            account_id=ACCOUNT,
            status=OrderStatus.NEW,
            side=OrderSide.SELL,
            quantity=Decimal(250),
            instrument_id=instrument(SHARES),
        )
        it.exchange.orders[selling.id] = selling
        it.exchange.change(SHARES, available_quantity=Decimal(50))
        assert (await it.plan("AAPL")).verdict.refusals == ()
        it.exchange.orders[selling.id] = selling.model_copy(update={"quantity": Decimal(150)})
        it.exchange.change(SHARES, available_quantity=Decimal(150))
        assert rules((await it.plan("AAPL")).verdict) == [Rule.UNCOVERED]


@pytest.mark.requirement("G-12")
async def test_a_cover_is_not_sold_by_cancelling_the_order_that_was_to_sell_it(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=covered_call(100)) as it:
        it.exchange.change(SHARES, available_quantity=Decimal(0))
        assert rules((await it.plan("AAPL", cancel_orders=True)).verdict) == [Rule.UNCOVERED]


@pytest.mark.requirement("G-12")
async def test_a_long_call_under_instruction_covers_nothing(tmp_path: Path) -> None:
    long_call = "AAPL280121C00190000"
    positions = [
        held("AAPL", 100, price="190", number=SHARES),
        held(CALL_195, -1, price="3", number=SHORT),
        held(long_call, 1, price="6", number=LONG),
    ]
    async with desk(tmp_path, positions=positions) as it:
        assert (await it.plan("AAPL")).verdict.refusals == ()
        it.exchange.instructions.append(
            Instruction(
                id="00000000-0000-4000-8000-000000000001",
                account_id=ACCOUNT,
                instruction_type=InstructionType.EXERCISE,
                status=InstructionStatus.SENT,
                instrument_id=instrument(LONG),
                quantity=Decimal(1),
                created_at=FRIDAY - timedelta(minutes=1),
            )
        )
        assert rules((await it.plan("AAPL")).verdict) == [Rule.UNCOVERED]


@pytest.mark.requirement("G-12")
async def test_a_cover_in_flight_is_not_counted_when_orders_cannot_be_read(tmp_path: Path) -> None:
    other = "AAPL280121C00190000"
    positions = [*covered_call(), held(other, 1, price="6", number=LONG)]
    async with desk(tmp_path, positions=positions) as it:
        await it.close(other)
        it.exchange.orders_fail = True
        assert Rule.UNCOVERED in rules((await it.plan("AAPL")).verdict)


@pytest.mark.requirement("G-12")
async def test_cover_is_judged_again_by_what_will_really_be_bought_back(tmp_path: Path) -> None:
    positions = [held("AAPL", 200, price="190", number=SHARES), held(CALL_195, -2, price="3", number=SHORT)]
    async with desk(tmp_path, positions=positions) as it:
        operation = await it.approved_at_desk("AAPL", CALL_195)
        it.exchange.change(SHORT, available_quantity=Decimal(1))
        report = await it.guard.send_approved(operation.operation_id, caller=CALLER)
        assert report.state is OperationState.REFUSED
        assert "It would leave 1 more short AAPL calls uncovered" in report.reason
        assert it.exchange.requests == []


SPREAD = ("AAPL280121C00195000", "AAPL280121C00190000")


def spread() -> list[Position]:
    priced = held("AAPL", 10, price="190", number=SHARES)
    return [priced, held(SPREAD[0], -5, price="3", number=SHORT), held(SPREAD[1], 5, price="4", number=LONG)]


@pytest.mark.requirement("G-12")
@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"side": OrderSide.SELL}, RowState.DEVIATED),
        ({"quantity": Decimal(6)}, RowState.DEVIATED),
        ({"status": OrderStatus.CANCELED}, RowState.SUBMITTED),
        ({"status": OrderStatus.EXPIRED, "filled_quantity": Decimal(4)}, RowState.SUBMITTED),
    ],
)
async def test_a_long_leg_is_not_sold_on_a_buy_back_that_is_not_as_planned_or_has_ended(
    tmp_path: Path, change: dict[str, Any], state: RowState
) -> None:
    async with desk(tmp_path, positions=spread()) as it:
        it.exchange.change_answer = lambda made: [order.model_copy(update=change) for order in made]
        report = await it.close(*SPREAD)
        assert {row.symbol: row.state for row in report.rows} == {SPREAD[0]: state, SPREAD[1]: RowState.NOT_SENT}
        assert it.exchange.effects == [instrument(SHORT)]


@pytest.mark.requirement("G-12")
async def test_a_buy_back_that_has_filled_frees_the_long_leg(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=spread()) as it:
        filled = {"status": OrderStatus.FILLED, "filled_quantity": Decimal(5)}
        it.exchange.change_answer = lambda made: [order.model_copy(update=filled) for order in made]
        await it.close(*SPREAD)
        assert it.exchange.effects == [instrument(SHORT), instrument(LONG)]


def one_short_two_covers() -> list[Position]:
    return [
        held(CALL_195, -1, price="3", number=SHORT),
        held("AAPL280121C00190000", 1, price="4", number=LONG),
        held("AAPL280121C00185000", 1, price="5", number=4),
    ]


@pytest.mark.requirement("G-06", "G-12")
async def test_two_plans_at_once_do_not_each_sell_what_the_other_counts_as_cover(tmp_path: Path) -> None:
    first, second = "AAPL280121C00190000", "AAPL280121C00185000"
    between: list[tuple[Desk, Operation]] = []

    async def send_the_other(name: str, _operation_id: str) -> None:
        if name == "read again" and between:
            it, other = between.pop()
            await it.guard.send_elicited(other, caller=CALLER, client="Claude")

    async with desk(tmp_path, positions=one_short_two_covers(), checkpoint=send_the_other) as it:
        one, other = await it.asked(first), await it.asked(second)
        between.append((it, other))
        report = await it.guard.send_elicited(one, caller=CALLER, client="Claude")
        assert report.state is OperationState.REFUSED
        assert f"Operation {other.operation_id} was sent after the account was read" in report.reason
        assert it.exchange.effects == [instrument(4)]


@pytest.mark.requirement("G-12")
async def test_a_cover_under_a_request_of_unknown_outcome_is_not_counted(tmp_path: Path) -> None:
    async with desk(tmp_path, positions=one_short_two_covers()) as it:
        it.exchange.before.append(raising(OutcomeUnknown("dropped")))
        await it.close("AAPL280121C00190000")
        assert rules((await it.plan("AAPL280121C00185000")).verdict) == [Rule.UNCOVERED]


@pytest.mark.requirement("G-12")
async def test_a_cover_sold_while_the_account_is_read_is_not_counted(tmp_path: Path) -> None:
    positions = [
        held("AAPL280121C00195000", -1, price="3", number=1),
        held("AAPL280121C00190000", 1, price="4", number=2),
        held("AAPL280121C00185000", 1, price="5", number=3),
        held("AAPL", 10, price="190", number=4),
    ]
    async with desk(tmp_path, positions=positions) as it:
        await it.exchange.close_position(ACCOUNT, instrument(2))
        it.exchange.between_reads.append(lambda: it.exchange.fill(2))
        assert Rule.UNCOVERED in rules((await it.plan("AAPL280121C00185000")).verdict)


@pytest.mark.requirement("G-12", "G-13")
async def test_a_cover_that_an_order_of_several_legs_locks_is_not_counted(tmp_path: Path) -> None:
    positions = [
        held("AAPL280121C00195000", -1, price="3", number=1),
        held("AAPL280121C00190000", 1, price="4", number=2, available_quantity=Decimal(0)),
        held("AAPL280121C00185000", 1, price="5", number=3),
        held("AAPL", 10, price="190", number=4),
    ]
    async with desk(tmp_path, positions=positions) as it:
        assert Rule.UNCOVERED in rules((await it.plan("AAPL280121C00185000")).verdict)
        it.exchange.change(2, available_quantity=Decimal(1))
        assert Rule.UNCOVERED not in rules((await it.plan("AAPL280121C00185000")).verdict)
