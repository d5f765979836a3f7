"""A server that keeps no sessions: any server answers any request of either era, and nobody is asked between them."""

from __future__ import annotations

from pathlib import Path

import anyio
import httpx2
import pytest
from mcp import MCPError

from over_http.serving import INITIALIZE, http_server
from positions_mcp.tools._uris import OPERATION
from tools.serving import ERAS, data_of
from trading import yes

LEGACY, MODERN = ERAS

pytestmark = pytest.mark.filterwarnings("ignore:resources/subscribe is removed")


@pytest.mark.requirement("G-01")
async def test_without_sessions_a_client_of_the_older_era_reads_and_plans_and_asks_nobody(tmp_path: Path) -> None:
    person = yes()
    async with (
        http_server(tmp_path, max_sessions_per_caller=0) as served,
        served.caller("alice", LEGACY, person) as client,
    ):
        held = data_of(await client.call_tool("list_positions", {"limit": 1}))
        plan = data_of(await client.call_tool("preview_close", {"instruments": ["AMZN"]}))
        refused = await client.call_tool("close_positions", {"plan_id": plan["plan_id"]})
        with pytest.raises(MCPError, match="No sessions are kept here"):
            await client.subscribe_resource(f"{OPERATION}{plan['plan_id']}")
    assert held["rows"]
    assert refused.is_error
    said = str(refused.content)
    assert "The question cannot be shown to a person in this client." in said
    assert "Nothing was sent by this call." in said
    assert person.questions == []


@pytest.mark.requirement("G-01")
async def test_without_sessions_a_form_of_the_newer_era_is_answered_as_ever(tmp_path: Path) -> None:
    person = yes()
    async with (
        http_server(tmp_path, max_sessions_per_caller=0) as served,
        served.caller("alice", MODERN, person) as client,
    ):
        closed = await client.call_tool("close_positions", {"instruments": ["AMZN"]})
    assert data_of(closed)["sent"] == "yes"
    assert len(person.questions) == 1


async def test_without_sessions_nothing_but_a_request_is_taken(tmp_path: Path) -> None:
    async with http_server(tmp_path, max_sessions_per_caller=0) as served, httpx2.AsyncClient() as http:
        headers = {"Authorization": f"Bearer {served.token('alice')}", "Accept": "application/json, text/event-stream"}
        opened = await http.post(served.url, json=INITIALIZE, headers=headers)
        later = {"MCP-Protocol-Version": "2025-06-18", "Mcp-Session-Id": "of-another-time"}
        listed = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        answered = await http.post(served.url, json=listed, headers=headers | later)
        others = [await http.request(method, served.url, headers=headers | later) for method in ("GET", "DELETE")]
    assert "mcp-session-id" not in opened.headers
    assert answered.status_code == 200
    assert [(each.status_code, each.headers["allow"]) for each in others] == [(405, "POST")] * 2
    assert "keeps no sessions" in others[0].text


async def test_without_sessions_many_calls_at_once_leave_nothing_behind(tmp_path: Path) -> None:
    async with http_server(tmp_path, max_sessions_per_caller=0) as served, anyio.create_task_group() as tasks:

        async def list_one() -> None:
            async with served.client(token, LEGACY) as client:
                assert data_of(await client.call_tool("list_positions", {"limit": 1}))["rows"]

        token = served.token("alice")
        for _ in range(25):
            tasks.start_soon(list_one)
