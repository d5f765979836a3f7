"""A later release migrates the store while an older server sends, and an older one comes back: one request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest

from positions_mcp.domain.operation.states import RowState
from positions_mcp.store.fitness import NEWEST
from positions_mcp.store.migrations import MIGRATIONS
from positions_mcp.store.operations import SqlOperationStore
from replicas.firm import Firm, Replica, calling, firm_in
from replicas.later.sitecustomize import SCHEMAS, schemas
from tools.serving import ERAS, data_of
from trading import yes

# ruff: noqa: ASYNC110 — what is waited for happens in other processes

LATER = {"PYTHONPATH": str(Path(__file__).parent / "later"), SCHEMAS: "1"}


@pytest.fixture
def firm(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Firm]:
    with firm_in(tmp_path_factory.mktemp("firm"), postgres_url) as opened:
        opened.token("alice")
        yield opened


def text_of(answer: Any) -> str:
    return "\n".join(getattr(each, "text", "") for each in answer.content)


async def refuses(client: Any, plan_id: str, symbol: str, why: str) -> None:
    """Whatever would be written: it is not, and the answer says why, and what to do."""
    for tool, said in (
        ("preview_close", {"instruments": [symbol]}),
        ("close_positions", {"instruments": [symbol]}),
        ("close_positions", {"plan_id": plan_id}),
        ("halt_trading", {"reason": "news"}),
    ):
        answer = await client.call_tool(tool, said)
        assert answer.is_error
        assert why in text_of(answer)
        assert "othing was sent" in text_of(answer)
    assert "It is NOT halted" in text_of(answer)
    assert data_of(await client.call_tool("list_positions", {"limit": 1}))["rows"]
    assert plan_id in text_of(await client.call_tool("list_operations", {}))


async def is_not_ready(replica: Replica) -> None:
    """As /readyz says, within a second; `fail_after` allows for a busy machine."""
    async with httpx2.AsyncClient(timeout=30) as http:
        with anyio.fail_after(15):
            while (answer := await http.get(replica.url.replace("/mcp", "/readyz"))).status_code == httpx2.codes.OK:
                await anyio.sleep(0.05)
    assert answer.json()["checks"]["store"] == f"its schema is version {NEWEST + 1}, and this program knows {NEWEST}"


@pytest.mark.requirement("G-04", "G-05", "G-06", "R-01")
async def test_what_an_older_server_sends_while_the_store_is_migrated_is_sent_once_and_told_by_it_and_by_the_newer(
    firm: Firm,
) -> None:
    alice, symbols, told = firm.tokens["alice"], [firm.symbol() for _ in range(4)], []
    firm.exchange.arm("delay", "close_position", seconds=3)
    with firm.replica("older", {"POSITIONS_MCP_API__WRITE_TIMEOUT_S": "8"}) as older, anyio.fail_after(300):
        async with calling(older, alice, ERAS[1], yes()) as client:
            plan_id = data_of(await client.call_tool("preview_close", {"instruments": symbols[:1]}))["plan_id"]

            async def close() -> None:
                told.append(await client.call_tool("close_positions", {"instruments": symbols[1:2]}))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(close)
                with firm.store() as store:
                    while not any(row.state is RowState.SENDING for each in store.operations() for row in each.rows):
                        await anyio.sleep(0.05)
                SqlOperationStore(firm.store_url, migrations=(*MIGRATIONS, *schemas(1))).close()
            await is_not_ready(older)
            sent = data_of(told[0])
            for answer in (told[0], await client.call_tool("get_operation", {"operation_id": sent["operation_id"]})):
                assert (data_of(answer)["sent"], data_of(answer)["rows"][0][1]) == ("yes", RowState.SUBMITTED)
                assert f"could not be journalled: The store's schema is now version {NEWEST + 1}" in text_of(answer)
            await refuses(client, plan_id, symbols[2], "A newer positions-mcp migrated it: start that one")
        older.process.terminate()
        assert await anyio.to_thread.run_sync(older.process.wait) == 0
        assert older.process.stderr is not None
        log = older.process.stderr.read()
        assert f"{sent['operation_id']} never came into the store: row 1 SUBMITTED as " in log
        assert "Traceback" not in log
    with firm.replica("newer", LATER) as newer, anyio.fail_after(300):
        async with calling(newer, alice, ERAS[1], yes()) as client:
            wanted = {"operation_id": sent["operation_id"], "wait_s": 20}
            while data_of(await client.call_tool("get_operation", wanted))["state"] != "RECONCILED":
                await anyio.sleep(0.1)
            assert (await client.call_tool("close_positions", {"instruments": symbols[1:2]})).is_error
            assert data_of(await client.call_tool("close_positions", {"plan_id": plan_id}))["sent"] == "yes"
            plan_id = data_of(await client.call_tool("preview_close", {"instruments": symbols[3:]}))["plan_id"]
    with firm.replica("back") as back, anyio.fail_after(300):
        await is_not_ready(back)
        async with calling(back, alice, ERAS[1], yes()) as client:
            await refuses(client, plan_id, symbols[2], f"this program knows {NEWEST}: use a newer positions-mcp")
    assert firm.sent == {"close_position": 2}
    with firm.store() as store:
        halted = store.halts()
    assert halted == ()
