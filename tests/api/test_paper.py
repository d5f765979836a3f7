"""The client against the paper exchange, in both dialects of the API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from api.paper_book import ACCOUNT, Dialect, PaperDesk, paper_desk
from positions_mcp.domain.enums import InstructionStatus, InstructionType, OrderSide, PositionSortKey, SortDirection
from positions_mcp.domain.errors import Forbidden, NotFound, RequestRejected, Unauthenticated
from positions_mcp.domain.exercise.instructions import InstructionRequest
from positions_mcp.domain.instruments import parse_option_symbol

pytestmark = pytest.mark.parametrize("dialect", ["seed", "current"])
NOBODY = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
async def desk(tmp_path: Path, dialect: Dialect) -> AsyncIterator[PaperDesk]:
    async with paper_desk(tmp_path, dialect) as desk:
        yield desk


@pytest.mark.requirement("A-01", "A-06")
async def test_a_book_is_the_same_over_one_page_and_over_many(desk: PaperDesk):
    book = await desk.client.read_book(ACCOUNT)
    assert book.is_complete
    assert len(book.positions) == 25
    async with desk.client.iter_positions(ACCOUNT, page_size=7) as listing:
        assert {position.instrument_id async for position in listing} == book.by_id.keys()
    assert listing.pages.total == 25


@pytest.mark.requirement("A-01")
async def test_every_figure_is_the_one_on_the_wire(desk: PaperDesk):
    async with desk.client.iter_positions(ACCOUNT) as listing:
        page = await anext(listing.pages)
    raw = await (await desk.transport.handle_async_request(desk.transport.requests[-1])).aread()
    for position, row in zip(page.data, json.loads(raw)["data"], strict=True):
        for name, sent in row.items():
            read = getattr(position, name)
            assert (str(read) if isinstance(read, Decimal) else read) == sent or str(read) == str(sent)


async def test_every_sort_key_works_in_both_directions(desk: PaperDesk, dialect: Dialect):
    for key in PositionSortKey:
        if key is PositionSortKey.DAILY_REALIZED_PNL and dialect == "seed":
            continue
        up, down = [
            [
                getattr(position, key.lower())
                async for position in desk.client.iter_positions(ACCOUNT, sort_by=key, sort_direction=way)
            ]
            for way in SortDirection
        ]
        known = [value for value in up if value is not None]
        assert known == sorted(known)
        assert [value for value in down if value is not None] == sorted(known, reverse=True)


async def test_a_book_can_be_read_for_some_instruments_only(desk: PaperDesk):
    wanted = [position.instrument_id for position in (await desk.client.read_book(ACCOUNT)).positions[3:6]]
    book = await desk.client.read_book(ACCOUNT, instrument_ids=wanted)
    assert sorted(book.by_id) == sorted(wanted)
    assert book.is_complete


async def test_a_close_answers_its_order_and_the_order_can_be_followed(desk: PaperDesk):
    target = await desk.held("AAPL")
    answered = await desk.client.close_position(ACCOUNT, target.instrument_id, cancel_orders=True)
    (order,) = answered.data
    assert (order.side, order.quantity, order.instrument_id) == (OrderSide.SELL, target.quantity, target.instrument_id)
    assert answered.metadata.request_id
    assert (await desk.client.get_order(ACCOUNT, order.id)).data.id == order.id
    assert order.id in {
        each.id for each in await desk.client.read_orders(ACCOUNT, instrument_ids=[target.instrument_id])
    }
    assert desk.exchange.effect_counts() == {"close_position": 1}


async def test_closing_everything_answers_an_order_for_every_position(desk: PaperDesk):
    book = await desk.client.read_book(ACCOUNT)
    answered = await desk.client.close_positions(ACCOUNT, cancel_orders=True)
    assert {order.instrument_id for order in answered.data} == book.by_id.keys()
    assert desk.exchange.effect_counts() == {"close_positions": 1}


async def test_instructions_are_listed_for_all_contracts_or_one(desk: PaperDesk):
    every = (await desk.client.get_position_instructions(ACCOUNT)).data
    assert every
    first = every[0]
    for name in (first.instrument_id, first.symbol):
        some = (await desk.client.get_position_instructions(ACCOUNT, name)).data
        assert [each.id for each in some] == [each.id for each in every if each.instrument_id == first.instrument_id]


async def test_an_instruction_is_submitted_echoed_listed_and_cancelled(desk: PaperDesk):
    target = await desk.option()
    request = InstructionRequest(
        instrument_id=target.instrument_id,
        instruction_type=InstructionType.EXERCISE,
        quantity=1,
        instruction_id="mine-1",
    )
    answered = await desk.client.submit_position_instructions(ACCOUNT, [request])
    (row,) = answered.data
    assert (answered.status, row.status, row.instruction_id) == (200, InstructionStatus.SENT, "mine-1")
    listed = (await desk.client.get_position_instructions(ACCOUNT, target.instrument_id)).data
    assert row.id in {each.id for each in listed}
    cancelled = await desk.client.cancel_position_instruction(ACCOUNT, row.id)
    assert cancelled.data.status is InstructionStatus.CANCEL_REQUESTED


async def test_a_batch_that_is_refused_in_part_answers_every_row(desk: PaperDesk):
    target = await desk.option()
    good = InstructionRequest(
        instrument_id=target.instrument_id,
        instruction_type=InstructionType.EXERCISE,
        quantity=1,
        instruction_id="mine-1",
    )
    too_many = good.model_copy(update={"quantity": 10_000, "instruction_id": "mine-2"})
    answered = await desk.client.submit_position_instructions(ACCOUNT, [good, too_many])
    assert answered.status == 207
    assert answered.error is not None
    first, second = answered.data
    assert (first.status, second.status.is_rejected) == (InstructionStatus.SENT, True)
    assert second.was_refused_before_acceptance


async def test_a_batch_that_is_refused_as_a_whole_says_why_with_or_without_rows(desk: PaperDesk, dialect: Dialect):
    target = await desk.option()
    request = InstructionRequest(
        instrument_id=target.instrument_id,
        instruction_type=InstructionType.EXERCISE,
        quantity=1,
        instruction_id="mine-1",
    )
    original = (await desk.client.submit_position_instructions(ACCOUNT, [request])).data[0]
    if dialect == "seed":
        with pytest.raises(RequestRejected) as caught:
            await desk.client.submit_position_instructions(ACCOUNT, [request])
        assert caught.value.status == 409
        return
    answered = await desk.client.submit_position_instructions(ACCOUNT, [request])
    assert answered.status == 409
    assert [(row.status.is_rejected, row.duplicate_of) for row in answered.data] == [(True, original.id)]


@pytest.mark.requirement("A-03")
async def test_what_the_exchange_refuses_is_one_clear_error(desk: PaperDesk):
    refusals: list[tuple[Any, type[RequestRejected]]] = [
        (lambda: desk.client.get_positions(4711), Forbidden),
        (lambda: desk.client.close_positions(4711, cancel_orders=False), Forbidden),
        (lambda: desk.client.close_position(ACCOUNT, NOBODY, cancel_orders=False), NotFound),
        (lambda: desk.client.cancel_position_instruction(ACCOUNT, NOBODY), NotFound),
        (lambda: desk.client.get_order(ACCOUNT, NOBODY), NotFound),
        (lambda: desk.client.get_positions(ACCOUNT, page_token="not-theirs"), RequestRejected),
    ]
    for send, kind in refusals:
        with pytest.raises(kind) as caught:
            await send()
        assert caught.value.request_id
        assert caught.value.message.endswith(".")
    assert desk.exchange.effect_counts() == {}


@pytest.mark.requirement("A-03", "A-05")
async def test_another_key_is_refused(tmp_path: Path, dialect: Dialect):
    async with paper_desk(tmp_path, dialect, key="wrong.key") as desk:
        with pytest.raises(Unauthenticated, match="401"):
            await desk.client.read_book(ACCOUNT)


async def test_the_neighbours_answer_from_the_same_book(desk: PaperDesk):
    option, share = await desk.option(), await desk.held("AAPL")
    facts = await desk.client.read_option_contracts([option.instrument_id])
    assert parse_option_symbol(facts[option.instrument_id].symbol) == option.contract is not None
    assert facts[option.instrument_id].underlying_instrument_id == option.underlying_instrument_id
    snapshots = await desk.client.read_snapshots([share.instrument_id, option.instrument_id])
    assert snapshots[share.instrument_id].price is not None
    balances = await desk.client.read_balances(ACCOUNT)
    assert balances.buying_power is not None
    assert all(each.amount for each in await desk.client.read_dividends(share.instrument_id))
