"""What an answer says twice, of somebody else, or against itself is seen for what it is."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from api.loopback import AAPL, ACCOUNT, CALL, INSTRUCTION, ORDER, data, instruction, order, position, serving
from positions_mcp.domain.account.positions import Holding, Whole
from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.errors import OutcomeUnknown, ReadFailed
from positions_mcp.domain.exercise.instructions import InstructionRequest

OTHER = 777
IDS = [str(uuid.UUID(int=0xABCDEF + number)) for number in range(9)]
OURS, THEIRS = position(instrument_id=IDS[0]), position(instrument_id=IDS[1], account_id=OTHER)
# The same pages are read quickly where they are ordinary and tolerantly where they are not.
ODD = {"": {}, "read tolerantly": {"quantity": 100}}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
async def test_positions_of_another_account_are_left_out_and_the_book_is_not_complete(odd: dict[str, object]):
    ours, theirs = OURS | odd, THEIRS | odd
    async with serving(data([ours, theirs], total_items=2)) as server, server.client() as client:
        book = await client.read_book(ACCOUNT)
        brief, reading = await client.gather_positions(ACCOUNT, Whole[Holding])
        page = await client.get_positions(ACCOUNT)
        with pytest.raises(ReadFailed, match="1 rows of the listing are of another account"):
            _ = [each async for each in client.iter_positions(ACCOUNT)]
    assert [each.instrument_id for each in book.positions] == [each.instrument_id for each in page.data] == IDS[:1]
    assert (book.of_others, book.unreadable, book.consistent, book.is_complete) == (1, 0, True, False)
    assert [each.instrument_id for each in brief] == IDS[:1]
    assert (reading.of_others, reading.is_complete) == (1, False)
    (left_out,) = page.unreadable
    assert (left_out.position, left_out.of_account, left_out.raw) == (1, OTHER, theirs)
    assert left_out.reason == "a row of account 777, not of 19816"


async def test_rows_of_others_and_rows_that_cannot_be_read_are_told_apart():
    async with serving(data([OURS, THEIRS, {"symbol": "?"}], total_items=3)) as server, server.client() as client:
        book = await client.read_book(ACCOUNT)
        with pytest.raises(ReadFailed, match=r"1 rows of the listing cannot be read and 1 .* of another account"):
            _ = [each async for each in client.iter_positions(ACCOUNT)]
    assert (book.of_others, book.unreadable) == (1, 1)


async def test_orders_of_another_account_are_left_out_and_the_listing_is_not_whole():
    rows = [order(), order(id=IDS[0], account_id=OTHER)]
    async with serving(data(rows, total_items=2)) as server, server.client() as client:
        page = await client.get_orders(ACCOUNT)
        with pytest.raises(ReadFailed, match="another account"):
            await client.read_orders(ACCOUNT)
    assert [each.id for each in page.data] == [ORDER]
    assert [each.of_account for each in page.unreadable] == [OTHER]


async def test_instructions_of_another_account_are_left_out():
    rows = [instruction(account_id=OTHER), instruction()]
    async with serving(data(rows)) as server, server.client() as client:
        listed = await client.get_position_instructions(ACCOUNT)
    assert [each.account_id for each in listed.data] == [ACCOUNT]
    assert [(each.position, each.of_account) for each in listed.unreadable] == [(0, OTHER)]


async def test_a_close_answered_for_another_account_keeps_the_order_to_be_seen():
    async with serving(data([order(account_id=OTHER)])) as server, server.client() as client:
        one = await client.close_position(ACCOUNT, AAPL, cancel_orders=False)
        every = await client.close_positions(ACCOUNT, cancel_orders=False)
    assert [each.account_id for each in (*one.data, *every.data)] == [OTHER, OTHER]


async def test_a_submission_keeps_rows_of_another_account_in_their_places():

    row = InstructionRequest(instrument_id=CALL, instruction_type=InstructionType.EXERCISE, quantity=1)
    async with serving(data([instruction(account_id=OTHER)])) as server, server.client() as client:
        answered = await client.submit_position_instructions(ACCOUNT, [row])
    assert [each.account_id for each in answered.data] == [OTHER]


async def test_a_cancel_answered_for_another_account_is_an_unknown_outcome():
    async with serving(data(instruction(account_id=OTHER))) as server, server.client() as client:
        with pytest.raises(OutcomeUnknown, match="account 777"):
            await client.cancel_position_instruction(ACCOUNT, INSTRUCTION)
    assert len(server.writes) == 1


SAME = {
    "twice the same": [order(), order()],
    "three times": [order(), order(), order()],
    "in another spelling": [order(), order(id=ORDER.upper())],
    "with its numbers written otherwise": [order(), order(quantity="100.0")],
}


@pytest.mark.parametrize("rows", SAME.values(), ids=SAME.keys())
async def test_the_same_order_several_times_in_one_answer_is_one_order(rows: list[Any]):
    async with serving(data(rows, total_items=len(rows))) as server, server.client() as client:
        closed = await client.close_position(ACCOUNT, AAPL, cancel_orders=False)
        every = await client.close_positions(ACCOUNT, cancel_orders=False)
        page = await client.get_orders(ACCOUNT)
        listed = await client.read_orders(ACCOUNT)
    for orders in (closed.data, every.data, page.data, listed):
        assert [each.id for each in orders] == [ORDER]


async def test_of_the_same_order_the_latest_state_counts():
    early = order(updated_at="2026-11-20T15:00:00Z")
    late = order(status="FILLED", filled_quantity="100", updated_at="2026-11-20T15:00:02Z")
    for rows in ([early, late], [late, early]):
        async with serving(data(rows)) as server, server.client() as client:
            (one,) = (await client.close_position(ACCOUNT, AAPL, cancel_orders=False)).data
        assert one.status == "FILLED"


DIFFERENT = {
    "another quantity": {"quantity": "50"},
    "the other side": {"side": "BUY"},
    "another instrument": {"instrument_id": CALL},
    "another account": {"account_id": OTHER},
}


@pytest.mark.parametrize("fields", DIFFERENT.values(), ids=DIFFERENT.keys())
async def test_different_orders_under_one_id_stay_to_be_seen(fields: dict[str, object]):
    async with serving(data([order(), order(**fields)])) as server, server.client() as client:
        assert len((await client.close_position(ACCOUNT, AAPL, cancel_orders=False)).data) == 2


@pytest.mark.parametrize("nobody", ["00000000-0000-0000-0000-000000000000", ""])
async def test_orders_without_an_id_are_not_the_same(nobody: str):
    rows = [order(id=nobody, status="REJECTED"), order(id=nobody, status="REJECTED")]
    async with serving(data(rows)) as server, server.client() as client:
        assert len((await client.close_position(ACCOUNT, AAPL, cancel_orders=False)).data) == 2


PAGES = {
    "on two pages": [
        data([OURS, position(instrument_id=IDS[2])], next_page_token="b", total_items=3),
        data([OURS | {"quantity": "40"}, position(instrument_id=IDS[3])], total_items=3),
    ],
    "with another quantity available": [
        data([OURS], next_page_token="b", total_items=2),
        data([OURS | {"available_quantity": "0"}, position(instrument_id=IDS[3])], total_items=2),
    ],
    "with the other type": [
        data([OURS], next_page_token="b", total_items=2),
        data([OURS | {"position_type": "SHORT"}, position(instrument_id=IDS[3])], total_items=2),
    ],
    "on one page": [data([OURS, OURS | {"quantity": "40"}], total_items=1)],
    "without a total": [data([OURS], next_page_token="b"), data([OURS | {"quantity": "40"}])],
}


@pytest.mark.requirement("A-06")
@pytest.mark.parametrize("pages", PAGES.values(), ids=PAGES.keys())
async def test_an_instrument_that_comes_with_two_contents_is_read_again_and_then_inconsistent(pages: list[Any]):
    good = data([OURS], total_items=1)
    async with serving(*pages, good) as server, server.client() as client:
        assert (await client.read_book(ACCOUNT)).is_complete
    async with serving(*pages, *pages, *pages, good) as server, server.client() as client:
        assert not (await client.read_book(ACCOUNT)).consistent
        _, reading = await client.gather_positions(ACCOUNT, Whole[Holding])
        assert reading.consistent
    assert len(server.requests) == 3 * len(pages) + 1


async def test_a_price_that_moved_between_two_pages_is_no_contradiction():
    pages = [
        data([OURS, position(instrument_id=IDS[2])], next_page_token="b", total_items=3),
        data([OURS | {"market_value": "15051.00"}, position(instrument_id=IDS[3])], total_items=3),
    ]
    async with serving(*pages) as server, server.client() as client:
        assert (await client.read_book(ACCOUNT)).is_complete


async def test_one_order_on_two_pages_is_one_order():
    pages = [data([order()], next_page_token="b", total_items=1), data([order(id=ORDER.upper())], total_items=1)]
    async with serving(*pages) as server, server.client() as client:
        assert [each.id for each in await client.read_orders(ACCOUNT)] == [ORDER]


@pytest.mark.requirement("A-06")
@pytest.mark.parametrize("quantity", ["100", "40"])
async def test_an_instrument_on_two_pages_is_the_same_in_another_spelling_of_its_id(quantity: str):
    again = OURS | {"instrument_id": IDS[0].upper(), "quantity": OURS["quantity"] if quantity == "100" else quantity}
    pages = [data([OURS], next_page_token="b", total_items=1), data([again], total_items=1)]
    async with serving(*pages * 4) as server, server.client() as client:
        book = await client.read_book(ACCOUNT)
        brief, reading = await client.gather_positions(ACCOUNT, Whole[Holding])
    assert (len(book.positions) == 1) or not book.is_complete
    assert book.is_complete is reading.is_complete is (quantity == "100")
    assert {each.instrument_id for each in (*book.positions, *brief)} == {IDS[0]}
