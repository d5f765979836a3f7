"""Every fault of the paper exchange, met by the production client with the outcome that the facts call for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.paper_book import ACCOUNT, Dialect, PaperDesk, paper_desk
from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.errors import (
    Forbidden,
    InconsistentListing,
    NotFound,
    NothingSent,
    OutcomeUnknown,
    RateLimited,
    ReadFailed,
    RequestRejected,
    Sent,
    Unauthenticated,
)
from positions_mcp.domain.exercise.instructions import InstructionRequest
from positions_mcp.domain.operation.records import Response
from positions_mcp.paper import CONDITIONS, KINDS, OPERATIONS

DIALECTS: tuple[Dialect, ...] = ("seed", "current")
# The account is closed last: it leaves nothing to do for the others.
WRITES = ("submit_position_instructions", "cancel_position_instruction", "close_position", "close_positions")
READS = (
    "get_positions",
    "get_position_instructions",
    "get_orders",
    "get_order",
    "get_option_contracts",
    "get_snapshots",
    "get_balances",
    "get_instrument_events",
)


@dataclass(frozen=True)
class Outcome:
    """What the client must make of a fault, and how many effects the exchange may have had."""

    error: type[Exception] | None
    effects: int


UNKNOWN_WITHOUT_EFFECT = Outcome(OutcomeUnknown, 0)
UNKNOWN_WITH_EFFECT = Outcome(OutcomeUnknown, 1)
ANSWERED = Outcome(None, 1)
CLEARING_REFUSES = Outcome(RequestRejected, 0)
CLOSES = ("close_positions", "close_position")
ON_ORDERS = ("repeated_row", "foreign_row", "contradicting_side", "reject_order", "reject_order_later", "partial_fills")
EVERY_ROW_REJECTED = Outcome(None, 0)
OF_A_WRITE: dict[str, Outcome] = {
    "refuse": Outcome(NothingSent, 0),
    "delay": UNKNOWN_WITH_EFFECT,
    "delay_before_effect": UNKNOWN_WITHOUT_EFFECT,
    "drop_before_effect": UNKNOWN_WITHOUT_EFFECT,
    "drop_after_effect": UNKNOWN_WITH_EFFECT,
    "truncated_body": UNKNOWN_WITH_EFFECT,
    "non_json_body": UNKNOWN_WITH_EFFECT,
    "empty_204": UNKNOWN_WITH_EFFECT,
    "missing_order": ANSWERED,
    "changed_quantity": ANSWERED,
    "ignored_key": ANSWERED,
    "unknown_fields": ANSWERED,
    **dict.fromkeys(ON_ORDERS, ANSWERED),
    "status_400": Outcome(RequestRejected, 0),
    "status_401": Outcome(Unauthenticated, 0),
    "status_403": Outcome(Forbidden, 0),
    "status_404": Outcome(NotFound, 0),
    "status_409": Outcome(RequestRejected, 0),
    "status_422": Outcome(RequestRejected, 0),
    "status_429": Outcome(RateLimited, 0),
    **{f"status_{status}": UNKNOWN_WITHOUT_EFFECT for status in (302, 307, 408, 500, 502, 503, 504)},
}
ONLY_FOR = {
    "missing_order": CLOSES,
    "changed_quantity": CLOSES,
    **dict.fromkeys(ON_ORDERS, CLOSES),
    "ignored_key": ("submit_position_instructions",),
}
OWN_TESTS = {"changed_total", "clearing_down", *CONDITIONS}


@pytest.fixture(params=DIALECTS)
async def desk(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[PaperDesk]:
    async with paper_desk(tmp_path, request.param, write_timeout_s=1.0) as desk:
        yield desk


async def prepared(desk: PaperDesk, write: str, key: str = "mine-1") -> Callable[[], Awaitable[Response[Any]]]:
    """The write, ready to be sent against what the book holds."""
    match write:
        case "close_position":
            target = await desk.held("AAPL")
            return lambda: desk.client.close_position(ACCOUNT, target.instrument_id, cancel_orders=True)
        case "close_positions":
            return lambda: desk.client.close_positions(ACCOUNT, cancel_orders=True)
    option = await desk.option()
    row = InstructionRequest(
        instrument_id=option.instrument_id,
        instruction_type=InstructionType.EXERCISE,
        quantity=1,
        instruction_id=key,
    )
    if write == "submit_position_instructions":
        return lambda: desk.client.submit_position_instructions(ACCOUNT, [row])
    submitted = (await desk.client.submit_position_instructions(ACCOUNT, [row])).data[0]
    return lambda: desk.client.cancel_position_instruction(ACCOUNT, submitted.id)


def test_no_fault_is_left_out():
    assert set(OPERATIONS) >= {*READS, *WRITES}
    assert set(KINDS) <= {*OF_A_WRITE, *OWN_TESTS}


@pytest.mark.requirement("A-03", "A-04")
@pytest.mark.parametrize("fault", OF_A_WRITE)
async def test_the_production_client_meets_every_fault_of_a_write_with_its_outcome(desk: PaperDesk, fault: str):
    for write in ONLY_FOR.get(fault, WRITES):
        outcome = OF_A_WRITE[fault]
        if (write, fault) == ("submit_position_instructions", "status_503"):
            outcome = CLEARING_REFUSES
        if (write, fault) == ("submit_position_instructions", "status_500") and desk.exchange.dialect.name != "seed":
            outcome = EVERY_ROW_REJECTED
        send = await prepared(desk, write, key=write)
        desk.transport.requests.clear()
        before = desk.exchange.effect_counts().get(write, 0)
        desk.exchange.arm(fault, write, seconds=1)
        if outcome.error is None:
            assert not (await send()).unreadable
        else:
            with pytest.raises(outcome.error) as caught:
                await send()
            assert type(caught.value) is outcome.error, write
            assert (caught.value.sent is Sent.NO) == (outcome.error is NothingSent), write
        assert len(desk.writes) == 1, write
        assert desk.exchange.effect_counts().get(write, 0) - before == outcome.effects, write
        assert not desk.exchange.faults(), f"the fault did not strike {write}"


@pytest.mark.requirement("A-04")
@pytest.mark.parametrize("status", [302, 408, 500, 502, 504])
async def test_a_status_after_the_effect_is_unknown_and_the_effect_happens_once(desk: PaperDesk, status: int):
    for write in WRITES:
        send = await prepared(desk, write, key=write)
        desk.transport.requests.clear()
        before = desk.exchange.effect_counts().get(write, 0)
        desk.exchange.arm(f"status_{status}", write, after_effect=True)
        with pytest.raises(OutcomeUnknown) as caught:
            await send()
        assert (caught.value.status, len(desk.writes)) == (status, 1), write
        assert desk.exchange.effect_counts()[write] - before == 1, write


async def test_a_submission_that_clearing_cannot_take_is_refused_and_a_cancel_is_unknown(desk: PaperDesk):
    desk.exchange.arm("clearing_down", "cancel_position_instruction")
    with pytest.raises(OutcomeUnknown) as caught:
        await (await prepared(desk, "cancel_position_instruction", key="one"))()
    assert caught.value.status == 503
    send = await prepared(desk, "submit_position_instructions", key="two")
    desk.exchange.arm("clearing_down", "submit_position_instructions")
    if desk.exchange.dialect.name == "seed":
        with pytest.raises(RequestRejected):
            await send()
    else:
        answered = await send()
        assert (answered.status, [row.status.is_rejected for row in answered.data]) == (503, [True])


async def test_what_is_missing_or_different_in_an_answer_can_be_seen(desk: PaperDesk):
    held = await desk.held("AAPL")
    desk.exchange.arm("changed_quantity", "close_position")
    changed = await desk.client.close_position(ACCOUNT, held.instrument_id, cancel_orders=True)
    assert changed.data[0].quantity == held.quantity + 1
    other = await desk.held("MSFT")
    desk.exchange.arm("missing_order", "close_position")
    assert (await desk.client.close_position(ACCOUNT, other.instrument_id, cancel_orders=True)).data == []
    send = await prepared(desk, "submit_position_instructions")
    desk.exchange.arm("ignored_key", "submit_position_instructions")
    assert (await send()).data[0].instruction_id != "mine-1"


async def test_values_nobody_knows_come_through(desk: PaperDesk):
    desk.exchange.arm("unknown_fields", "get_positions")
    book = await desk.client.read_book(ACCOUNT)
    assert book.is_complete
    assert all(not position.position_type.is_known for position in book.positions if position.position_type)
    assert all(dict(position.extra)["settlement_cycle"] == "T0" for position in book.positions)


async def read(desk: PaperDesk, operation: str) -> object:
    match operation:
        case "get_positions":
            return await desk.client.read_book(ACCOUNT)
        case "get_position_instructions":
            return await desk.client.get_position_instructions(ACCOUNT)
        case "get_orders":
            return await desk.client.read_orders(ACCOUNT)
        case "get_option_contracts":
            return await desk.client.get_option_contracts(root="AAPL")
        case "get_snapshots":
            return await desk.client.get_snapshots(instrument_ids=["AAPL"])
        case "get_balances":
            return await desk.client.get_account_balances(ACCOUNT)
        case "get_instrument_events":
            return await desk.client.get_instrument_events((await desk.held("AAPL")).instrument_id)
    (order, *_) = await desk.client.read_orders(ACCOUNT)
    return await desk.client.get_order(ACCOUNT, order.id)


PASSING = (
    "refuse",
    "drop_before_effect",
    "drop_after_effect",
    "truncated_body",
    "status_429",
    "status_502",
    "status_503",
    "status_504",
)
LASTING = (
    "non_json_body",
    "empty_204",
    "status_302",
    "status_400",
    "status_403",
    "status_404",
    "status_408",
    "status_500",
)


@pytest.mark.requirement("A-04")
@pytest.mark.parametrize("fault", PASSING)
async def test_a_read_outlives_a_fault_that_passes(desk: PaperDesk, fault: str):
    for operation in READS:
        desk.pauses.clear()
        desk.exchange.arm(fault, operation, times=2, **({"seconds": 3} if fault == "status_429" else {}))
        assert await read(desk, operation)
        assert desk.pauses == ([3, 3] if fault == "status_429" else [0.25, 0.5]), operation
    assert desk.exchange.effect_counts() == {}


@pytest.mark.requirement("A-03", "A-04")
@pytest.mark.parametrize("fault", LASTING)
async def test_a_read_does_not_insist_where_asking_again_cannot_help(desk: PaperDesk, fault: str):
    for operation in READS:
        desk.exchange.arm(fault, operation)
        with pytest.raises((ReadFailed, RequestRejected)):
            await read(desk, operation)
    assert desk.pauses == []


@pytest.mark.requirement("A-06")
async def test_a_total_that_changes_between_pages_is_noticed(desk: PaperDesk):
    desk.exchange.arm("changed_total", "get_positions")
    with pytest.raises(InconsistentListing, match="the total changes from 25 to 26"):
        [position async for position in desk.client.iter_positions(ACCOUNT, page_size=10)]
