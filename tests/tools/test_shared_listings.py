"""Pages of a listing at any server of a PostgreSQL store; at the one that listed while the store cannot keep them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from databases import new_database
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.server import build_server
from positions_mcp.store.operations import SqlOperationStore
from positions_mcp.tools.context import ToolContext
from tools.serving import ACCOUNT, ERAS, StubBroker, context_over, data_of, error_of, held

ROWS = 601
LONG = [held(f"S{number:03}", "100", number, instrument_price="1.50") for number in range(ROWS)]


@pytest.fixture
def store(postgres_url: str) -> Iterator[SqlOperationStore]:
    opened = SqlOperationStore(new_database(postgres_url))
    yield opened
    opened.close()


@asynccontextmanager
async def server_of(store: SqlOperationStore, broker: StubBroker, era: str) -> AsyncIterator[Client]:
    """One server of a store; its identifiers are its own."""

    @asynccontextmanager
    async def parts() -> AsyncIterator[ToolContext]:
        yield replace(context_over(broker), listing_store=store)

    async with Client(build_server(parts, mode=Mode.PAPER, accounts=[ACCOUNT]), mode=era) as client:
        yield client


async def rest(clients: list[Client], page: dict[str, Any], **arguments: int) -> list[list[str]]:
    """The rows of a page and of all that come after it, each asked for at the next server."""
    rows: list[list[str]] = page["rows"]
    turn = 1
    while "next_cursor" in page:
        client = clients[turn % len(clients)]
        page = data_of(await client.call_tool("list_positions", {"cursor": page["next_cursor"], **arguments}))
        rows, turn = [*rows, *page["rows"]], turn + 1
    return rows


@pytest.mark.requirement("T-03")
@pytest.mark.parametrize("era", ERAS)
async def test_one_snapshot_is_walked_over_two_servers(store: SqlOperationStore, era: str) -> None:
    broker, elsewhere = StubBroker(positions=LONG), StubBroker(positions=LONG[:3])
    async with server_of(store, broker, era) as one, server_of(store, elsewhere, era) as two:
        first = data_of(await one.call_tool("list_positions", {"limit": 90, "sort_by": "SYMBOL"}))
        rows = await rest([one, two], first)
        wide = await rest([two], first, limit=200)
    assert [row[0] for row in rows] == [position.symbol for position in LONG]
    assert wide == rows
    assert (broker.requests, elsewhere.requests) == (1, 0)


@pytest.mark.requirement("T-03")
async def test_another_server_says_of_a_page_what_the_first_one_would(store: SqlOperationStore) -> None:
    broker = StubBroker(positions=[*LONG, held("ODD", "50", 900, position_type="SHORT", instrument_price="1")])
    async with server_of(store, broker, ERAS[1]) as one, server_of(store, StubBroker(), ERAS[1]) as two:
        questions: list[dict[str, Any]] = [{"limit": 200}, {"limit": 100, "detail": "full"}]
        for arguments in [*questions, {"limit": 1, "side": "long", "ids": True}]:
            first = data_of(await one.call_tool("list_positions", arguments))
            pages = [
                await each.call_tool("list_positions", {"cursor": first["next_cursor"], "limit": 200})
                for each in (one, two)
            ]
            assert pages[0].content == pages[1].content
            assert data_of(pages[0]) == data_of(pages[1])
        refused = await two.call_tool("list_positions", {"cursor": first["next_cursor"], "side": "short"})
        assert "another side" in error_of(refused)
        assert "no longer kept" in error_of(await two.call_tool("list_instructions", {"cursor": first["next_cursor"]}))
        past = first["next_cursor"].rsplit("-", 1)[0] + "-9999"
        assert "past the end" in error_of(await two.call_tool("list_positions", {"cursor": past}))


@pytest.mark.requirement("T-03")
async def test_what_the_store_cannot_keep_is_kept_by_the_server_that_listed(tmp_path: Path) -> None:
    file = SqlOperationStore(tmp_path / "operations.sqlite")  # which keeps no listings
    async with server_of(file, StubBroker(positions=LONG), ERAS[1]) as one:
        first = data_of(await one.call_tool("list_positions", {"limit": 200}))
        assert len(await rest([one], first)) == ROWS
    file.close()
