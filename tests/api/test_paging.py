"""Listings: to the end, without duplicates, honest about contradictions, and one page ahead of the caller."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from api.loopback import AAPL, ACCOUNT, CALL, Loopback, Received, Reply, Script, answer, data, order, position, serving
from positions_mcp.domain.errors import InconsistentListing, ReadFailed, RequestRejected

IDS = [str(uuid.UUID(int=number + 1)) for number in range(20)]


class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 11, 20, 15, tzinfo=UTC)


def page(held: range, following: str | None = None, total: int | None = None) -> Reply:
    metadata = {"next_page_token": following} | ({} if total is None else {"total_items": total})
    return data([position(instrument_id=IDS[number]) for number in held], **metadata)


def tokens(server: Loopback) -> list[str | None]:
    return [request.query.get("page_token") if "?" in request.target else None for request in server.requests]


@pytest.mark.requirement("A-06")
async def test_a_book_follows_the_tokens_to_the_end_and_tells_its_progress():
    progress: list[tuple[int, int | None]] = []

    async def on_page(received: int, total: int | None) -> None:
        progress.append((received, total))

    pages = [page(range(3), "b", 7), page(range(3, 6), "c", 7), page(range(6, 7), "", 7)]
    async with serving(*pages) as server, server.client(clock=FixedClock()) as client:
        book = await client.read_book(ACCOUNT, on_page=on_page)
    assert [held.instrument_id for held in book.positions] == IDS[:7]
    assert (book.consistent, book.unreadable, book.as_of) == (True, 0, FixedClock().now())
    assert tokens(server) == [None, "b", "c"]
    assert progress == [(3, 7), (6, 7), (7, 7)]


@pytest.mark.requirement("A-06")
async def test_filters_and_sort_are_sent_with_every_page_token():
    async with serving(page(range(2), "b", 3), page(range(2, 3), None, 3)) as server, server.client() as client:
        positions = client.iter_positions(
            ACCOUNT, instrument_ids=[AAPL, CALL], sort_by="QUANTITY", sort_direction="ASC", page_size=2
        )
        assert [held.instrument_id async for held in positions] == IDS[:3]
    first, second = (request.query for request in server.requests)
    assert first == {
        "instrument_ids": f"{AAPL},{CALL}",
        "sort_by": "QUANTITY",
        "sort_direction": "ASC",
        "page_size": "2",
    }
    assert second == {**first, "page_token": "b"}


@pytest.mark.requirement("A-06")
async def test_orders_are_read_over_every_page_with_their_filters():
    pages = [data([order(id=IDS[0])], next_page_token="b"), data([order(id=IDS[1])])]
    async with serving(*pages) as server, server.client() as client:
        orders = await client.read_orders(ACCOUNT, instrument_ids=[AAPL], since=datetime(2026, 11, 20, tzinfo=UTC))
    assert [each.id for each in orders] == IDS[:2]
    assert [request.query["instrument_ids"] for request in server.requests] == [AAPL, AAPL]
    assert [request.query["from"] for request in server.requests] == ["2026-11-20T00:00:00+00:00"] * 2


def orders_made(*statuses: str, total: int | None, more: bool = False) -> Reply:
    rows = [order(id=f"{number:08d}{IDS[0][8:]}", status=status) for number, status in enumerate(statuses)]
    return data(rows, total_items=total, next_page_token="b" if more else None)


SINCE = datetime(2026, 11, 20, tzinfo=UTC)
REFUSED = answer(400, {"error": {"code": 400, "message": "unknown status"}, "metadata": {}})


FEW, BOTH = orders_made("FILLED", total=2, more=True), orders_made("FILLED", "HELD", total=2)
THREE = orders_made("FILLED", total=3, more=True)


@pytest.mark.parametrize(
    ("replies", "found", "asked"),
    [
        pytest.param([BOTH], 1, 1, id="of few those without a name are read"),
        pytest.param([orders_made("FILLED", "HELD", total=None)], 1, 1, id="of few without a total"),
        pytest.param(
            [data([{"account_id": ACCOUNT, "status": "FILLED"}])], 0, 1, id="one that has ended may be unreadable"
        ),
        pytest.param([FEW, FEW, FEW], 0, 3, id="of many none has another status"),
        pytest.param([orders_made("FILLED", total=2), FEW, FEW], 0, 3, id="fewer came than there are"),
        pytest.param(
            [FEW, FEW, orders_made("FILLED", total=3), BOTH], 2, 4, id="one made meanwhile stood in for one without"
        ),
        pytest.param([FEW, orders_made("FILLED", total=1), BOTH], 2, 3, id="of many one has another status"),
        pytest.param([orders_made("HELD", total=2, more=True), BOTH], 2, 2, id="one is on the first page"),
        pytest.param([orders_made("FILLED", total=None, more=True), BOTH], 2, 2, id="many without a total"),
        pytest.param([FEW, orders_made("FILLED", total=None), BOTH], 2, 3, id="no count by status"),
        pytest.param([FEW, REFUSED, BOTH], 2, 3, id="a status the API does not know"),
    ],
)
async def test_orders_of_unknown_status_are_counted_before_many_are_read(replies: list[Reply], found: int, asked: int):
    async with serving(*replies) as server, server.client() as client:
        orders = await client.read_orders_of_unknown_status(ACCOUNT, since=SINCE)
    assert (len(orders), len(server.requests)) == (found, asked)
    assert {request.query["from"] for request in server.requests} == {"2026-11-20T00:00:00+00:00"}


@pytest.mark.parametrize(
    ("again", "found", "asked"),
    [
        pytest.param([FEW, FEW], 0, 2, id="none has another status"),
        pytest.param([FEW, orders_made("FILLED", total=3, more=True), THREE, THREE], 0, 4, id="one was made meanwhile"),
        pytest.param([orders_made("FILLED", total=1), FEW, orders_made("FILLED", total=1), BOTH], 2, 4, id="one has"),
        pytest.param([FEW, orders_made("HELD", total=2, more=True), BOTH], 2, 3, id="one is on the first page"),
        pytest.param([orders_made("FILLED", total=1), BOTH], 1, 2, id="few are left, and read"),
        pytest.param([REFUSED, FEW, FEW, FEW], 0, 4, id="a status the API does not know for once"),
    ],
)
async def test_where_many_orders_were_counted_once_they_are_counted_first(again: list[Reply], found: int, asked: int):
    async with serving(FEW, FEW, FEW, *again) as server, server.client() as client:
        await client.read_orders_of_unknown_status(ACCOUNT, since=SINCE)
        orders = await client.read_orders_of_unknown_status(ACCOUNT, since=SINCE)
    assert (len(orders), len(server.requests) - 3) == (found, asked)
    assert "status" in server.requests[3].query
    assert "status" not in server.requests[4].query


@pytest.mark.requirement("A-02")
async def test_orders_that_cannot_be_read_are_not_taken_for_counted():
    bad = data([{"status": "FILLED"}], total_items=9, next_page_token="b")
    async with serving(bad, data([{"status": "FILLED"}], total_items=1)) as server, server.client() as client:
        with pytest.raises(ReadFailed):
            await client.read_orders_of_unknown_status(ACCOUNT, since=SINCE)
    assert "status" not in server.requests[1].query


CONTRADICTIONS: dict[str, list[Reply]] = {
    "a token leads back": [page(range(2), "b", 4), page(range(2, 4), "b", 4)],
    "the total changes": [page(range(2), "b", 4), page(range(2, 5), None, 5)],
    "rows are missing": [page(range(2), "b", 5), page(range(2, 4), None, 5)],
    "there are more rows than the total": [page(range(2), "b", 3), page(range(2, 4), None, 3)],
    "a row comes twice for another": [page(range(2), "b", 4), page(range(1, 3), None, 4)],
    "a row comes twice and there is no total": [page(range(2), "b"), page(range(1, 3))],
    "a page brings nothing new": [page(range(2), "b", 2), page(range(2), "c", 2)],
    "an empty page names another": [page(range(2), "b", 2), page(range(0), "c", 2)],
    "a token that cannot be sent": [page(range(2), "b\n", 2)],
}


@pytest.mark.requirement("A-06")
@pytest.mark.parametrize("pages", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
async def test_a_listing_that_contradicts_itself_is_read_once_more(pages: list[Reply]):
    good = page(range(5), None, 5)
    async with serving(*pages, good) as server, server.client() as client:
        book = await client.read_book(ACCOUNT)
    assert (len(book.positions), book.consistent) == (5, True)
    assert tokens(server).count(None) == 2


@pytest.mark.requirement("A-06")
@pytest.mark.parametrize("pages", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
async def test_a_listing_that_contradicts_itself_twice_is_not_consistent(pages: list[Reply]):
    async with serving(*pages, *pages) as server, server.client() as client:
        book = await client.read_book(ACCOUNT)
    assert not book.consistent
    assert not book.is_complete
    assert len(book.by_id) == len(book.positions)
    assert tokens(server).count(None) == 2


@pytest.mark.requirement("A-06")
async def test_a_listing_that_never_ends_is_stopped():
    @Script
    def endless(received: Received) -> Reply:
        return page(range(2), str(uuid.uuid4()), 2)

    async with serving(endless) as server, server.client() as client:
        assert not (await client.read_book(ACCOUNT)).consistent
    assert len(server.requests) <= 6


@pytest.mark.requirement("A-06")
async def test_iterating_drops_duplicates_and_ends_with_the_contradiction():
    read: list[str] = []

    async def iterate() -> None:
        async for held in client.iter_positions(ACCOUNT):
            read.append(held.instrument_id)  # noqa: PERF401 - what came before the error matters

    async with serving(page(range(2), "b", 4), page(range(1, 3), None, 4)) as server, server.client() as client:
        with pytest.raises(InconsistentListing, match="3 distinct rows"):
            await iterate()
    assert read == IDS[:3]


@pytest.mark.requirement("A-02", "A-06")
async def test_unreadable_rows_are_counted_over_all_pages():
    rows: list[Any] = [position(instrument_id=IDS[0]), {"symbol": "?"}, position(instrument_id=IDS[1])]
    pages = [data(rows, next_page_token="b", total_items=4), data([5], total_items=4)]
    async with serving(*pages) as server, server.client() as client:
        book = await client.read_book(ACCOUNT)
    assert (len(book.positions), book.unreadable, book.consistent, book.is_complete) == (2, 2, True, False)
    async with serving(*pages) as server, server.client() as client:
        with pytest.raises(ReadFailed, match="2 rows"):
            async for _ in client.iter_positions(ACCOUNT):
                pass
    async with serving(*pages) as server, server.client() as client, client.iter_positions(ACCOUNT) as positions:
        reported = [(row.position, row.raw) async for each in positions.pages for row in each.unreadable]
    assert reported == [(1, {"symbol": "?"}), (3, 5)]


@pytest.mark.requirement("A-06")
async def test_a_failing_page_fails_the_listing_with_its_own_error():
    pages = [page(range(2), "b", 4), answer(400, {"code": 400, "message": "bad token"})]
    async with serving(*pages) as server, server.client() as client:
        with pytest.raises(RequestRejected, match="bad token"):
            await client.read_book(ACCOUNT)
    assert len(server.requests) == 2


async def test_the_next_page_is_on_its_way_while_the_caller_works():
    asked_for_second = anyio.Event()

    @Script
    def pages(received: Received) -> Reply:
        if "page_token" in received.target:
            asked_for_second.set()
            return page(range(2, 4), None, 4)
        return page(range(2), "b", 4)

    async with serving(pages) as server, server.client() as client, client.iter_positions(ACCOUNT) as positions:
        await anext(positions)
        with anyio.fail_after(2):
            await asked_for_second.wait()  # without asking for another position
        assert len([held async for held in positions]) == 3


async def test_without_entering_it_a_listing_asks_for_a_page_when_it_is_needed():
    async with serving(page(range(2), "b", 4), page(range(2, 4), None, 4)) as server, server.client() as client:
        positions = client.iter_positions(ACCOUNT)
        await anext(positions)
        await anyio.wait_all_tasks_blocked()
        assert len(server.requests) == 1
        assert len([held async for held in positions]) == 3


async def test_leaving_early_gives_up_the_page_on_its_way():
    gate = anyio.Event()

    @Script
    def pages(received: Received) -> Reply:
        async def held_back(writer: Any) -> None:
            await gate.wait()

        return held_back if "page_token" in received.target else page(range(2), "b", 4)

    async with serving(pages) as server, server.client() as client:
        with anyio.fail_after(2):
            async with client.iter_positions(ACCOUNT) as positions:
                await anext(positions)
        gate.set()


async def test_the_callers_own_error_comes_out_as_it_is():
    async def work() -> None:
        async with client.iter_positions(ACCOUNT) as positions:
            async for _ in positions:
                raise ZeroDivisionError

    async with serving(page(range(2), "b", 4), page(range(2, 4), None, 4)) as server, server.client() as client:
        with pytest.raises(ZeroDivisionError):
            await work()
