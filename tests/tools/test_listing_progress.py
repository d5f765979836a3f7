"""A listing of several pages says how far it has come, and stops when nobody waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from positions_mcp.domain.account.positions import Book
from positions_mcp.domain.ids import AccountId, InstrumentId
from positions_mcp.ports import OnPage
from tools.serving import StubBroker, data_of, held, paper_server, server_over

LISTINGS = ("list_positions", "summarize_positions")


@dataclass
class Told:
    """The progress that a client hears of."""

    heard: list[tuple[float, float | None, str | None]] = field(default_factory=list)
    first: anyio.Event = field(default_factory=anyio.Event)

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self.heard.append((progress, total, message))
        self.first.set()


@dataclass(slots=True)
class Paged(StubBroker):
    """Says that it has read so many rows of so many, page after page; then it may never end."""

    pages: Sequence[tuple[int, int | None]] = ()
    ends: bool = True
    stopped: anyio.Event = field(default_factory=anyio.Event)

    async def read_book(
        self,
        account_id: AccountId,
        *,
        instrument_ids: Sequence[InstrumentId] = (),
        on_page: OnPage | None = None,
    ) -> Book:
        assert on_page is not None
        for read, total in self.pages:
            await on_page(read, total)
        try:
            if not self.ends:
                await anyio.sleep_forever()
        finally:
            self.stopped.set()
        return Book(account_id=account_id, positions=tuple(self.positions), as_of=self.clock.now())


async def progress_of(broker: Paged, era: str, tool: str = LISTINGS[0]) -> list[tuple[float, float | None, str | None]]:
    told = Told()
    async with Client(server_over(broker), mode=era) as client:
        data_of(await client.call_tool(tool, {}, progress_callback=told))
    return told.heard


@pytest.mark.parametrize("tool", LISTINGS)
async def test_ten_pages_of_the_exchange_are_counted_up_to_their_total(era: str, tool: str, large: Any) -> None:
    told = Told()
    async with Client(large, mode=era) as client:
        data_of(await client.call_tool(tool, {}, progress_callback=told))
    assert [(progress, total) for progress, total, _ in told.heard] == [(1000 * page, 10_000) for page in range(1, 11)]
    assert told.heard[2][2] == "3000 of 10000 rows read"


async def test_one_page_is_not_worth_a_word(era: str) -> None:
    assert await progress_of(Paged(pages=[(40, 40)]), era) == []


async def test_a_listing_that_is_read_again_does_not_count_backwards(era: str) -> None:
    heard = await progress_of(Paged(pages=[(1000, 2500), (2000, 2500), (1000, 2600), (2000, 2600), (2600, 2600)]), era)
    assert [progress for progress, _, _ in heard] == [1000, 2000, 2600]


async def test_without_a_total_the_rows_read_are_said(era: str) -> None:
    assert await progress_of(Paged(pages=[(1000, None), (1500, None)]), era) == [
        (1000, None, "1000 rows read"),
        (1500, None, "1500 rows read"),
    ]


@pytest.mark.one_process("reads from a broker of its own process, which hears no cancellation from another one")
@pytest.mark.parametrize("tool", LISTINGS)
async def test_a_client_that_cancels_stops_the_reading_and_can_go_on(era: str, tool: str) -> None:
    broker = Paged(positions=[held("AAPL")], pages=[(1000, 3000)], ends=False)
    told = Told()
    async with Client(server_over(broker), mode=era) as client:
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                await client.call_tool(tool, {}, progress_callback=told)

            tasks.start_soon(ask)
            await told.first.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(5):
            await broker.stopped.wait()
        broker.ends = True
        assert "AAPL" in str(data_of(await client.call_tool(tool, {})))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server over ten thousand positions."""
    place: Path = tmp_path_factory.mktemp("large")
    with paper_server(place, "large") as server:
        yield server
