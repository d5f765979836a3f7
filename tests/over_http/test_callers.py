"""Several callers over HTTP at once: each is who its token says, and none sees another's plans."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx2
import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from over_http.serving import INITIALIZE, Served, calling, http_server
from positions_mcp.store import DEFAULT_FILE, open_store
from tools.serving import ERAS, data_of, error_of, text_of, words_of
from trading import yes

KO = {"instruments": ["KO"]}


@pytest.mark.requirement("G-02")
@pytest.mark.parametrize("era", ERAS)
async def test_two_callers_do_not_see_each_others_plans(era: str, tmp_path: Path) -> None:
    async with (
        http_server(tmp_path) as served,
        served.caller("alice", era) as alice,
        served.caller("bob", era, yes()) as bob,
    ):
        plan = data_of(await alice.call_tool("preview_close", KO))["plan_id"]
        assert plan in text_of(await alice.call_tool("list_operations", {}))

        assert plan not in text_of(await bob.call_tool("list_operations", {}))
        another = "was planned by another caller"
        assert another in error_of(await bob.call_tool("get_operation", {"operation_id": plan}))
        assert another in error_of(await bob.call_tool("close_positions", {"plan_id": plan}))
        assert data_of(await bob.call_tool("preview_close", KO))["plan_id"] != plan


@pytest.mark.requirement("T-03")
@pytest.mark.parametrize("era", ERAS)
async def test_a_caller_cannot_go_on_with_the_listing_of_another(era: str, tmp_path: Path) -> None:
    async with http_server(tmp_path) as served, served.caller("alice", era) as alice, served.caller("bob", era) as bob:
        cursor = data_of(await alice.call_tool("list_positions", {"limit": 1}))["next_cursor"]
        assert "no longer kept" in error_of(await bob.call_tool("list_positions", {"cursor": cursor}))
        assert data_of(await alice.call_tool("list_positions", {"cursor": cursor}))["first"] == 2


@pytest.mark.requirement("G-01", "G-02")
@pytest.mark.parametrize("era", ERAS)
async def test_a_caller_with_a_token_sends_what_its_person_approves(era: str, tmp_path: Path) -> None:
    person = yes()
    async with http_server(tmp_path) as served, served.caller("alice", era, person) as alice:
        assert "1 submitted" in text_of(await alice.call_tool("close_positions", KO))
    store = open_store(tmp_path / DEFAULT_FILE)
    assert [operation.plan.caller for operation in store.operations()] == ["token of alice"]
    store.close()
    assert len(person.questions) == 1


@pytest.mark.parametrize("era", ERAS)
async def test_a_caller_is_the_same_in_a_new_conversation(era: str, tmp_path: Path) -> None:
    async with http_server(tmp_path) as served:
        token = served.token("alice")
        async with calling(served.url, token, era) as client:
            plan = data_of(await client.call_tool("preview_close", KO))["plan_id"]
        async with calling(served.url, token, era) as client:
            assert data_of(await client.call_tool("get_operation", {"operation_id": plan}))["state"] == "PLANNED"


@pytest.mark.requirement("G-01")
async def test_nobody_is_let_in_without_a_token_that_is_known(tmp_path: Path) -> None:
    async with http_server(tmp_path) as served:
        token = served.token("alice")
        for authorization in ("", "Bearer", f"Bearer {token}x", f"Bearer {token[:-1]}", f"Basic {token}"):
            answer = await served.post(Authorization=authorization)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token"), authorization
        assert (await served.post(Authorization=f"Bearer {token}")).status_code == 200


async def test_what_is_revoked_opens_nothing_from_that_moment_on(tmp_path: Path) -> None:
    async with http_server(tmp_path) as served:
        token = served.token("alice")
        opened = await served.post(Authorization=f"Bearer {token}")
        session = opened.headers["mcp-session-id"]
        served.tokens.revoke("alice")
        assert (await served.post(Authorization=f"Bearer {token}")).status_code == 401
        assert (await served.post(Authorization=f"Bearer {token}", Mcp_Session_Id=session)).status_code == 401


@asynccontextmanager
async def listening(served: Served, token: str) -> AsyncIterator[httpx2.Response]:
    """A stream of what the server may have to say, in a session of its own."""
    opened = await served.post(Authorization=f"Bearer {token}")
    session = opened.headers["mcp-session-id"]
    said = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream", "Mcp-Session-Id": session}
    async with httpx2.AsyncClient(timeout=None) as http, http.stream("GET", served.url, headers=said) as stream:
        assert stream.status_code == 200
        yield stream


async def ends(stream: httpx2.Response, within_s: float) -> bool:
    with anyio.move_on_after(within_s) as limit, suppress(httpx2.TransportError):
        async for _ in stream.aiter_raw():
            pass
    return not limit.cancelled_caught


async def test_a_stream_ends_with_its_token_and_another_callers_goes_on(tmp_path: Path) -> None:
    async with (
        http_server(tmp_path) as served,
        listening(served, served.token("alice")) as alice,
        listening(served, served.token("bob")) as bob,
    ):
        served.tokens.revoke("alice")
        assert await ends(alice, within_s=60)
        assert not await ends(bob, within_s=0)


async def test_no_stream_goes_on_while_it_is_not_known_whose_tokens_are_good(tmp_path: Path) -> None:
    async with http_server(tmp_path) as served, listening(served, served.token("alice")) as alice:
        served.tokens.path.write_text("{")
        assert await ends(alice, within_s=60)


async def test_a_damaged_token_file_lets_nobody_in_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with http_server(tmp_path) as served:
        token = served.token("alice")
        served.tokens.path.write_text("{")
        for _ in range(3):
            assert (await served.post(Authorization=f"Bearer {token}")).status_code == 401
    assert [record.getMessage() for record in caplog.records] == [f"{served.tokens.path} is damaged."]


async def test_a_session_belongs_to_the_caller_who_opened_it(tmp_path: Path) -> None:
    async with http_server(tmp_path) as served:
        opened = await served.post(Authorization=f"Bearer {served.token('alice')}")
        session = opened.headers["mcp-session-id"]
        stolen = await served.post(Authorization=f"Bearer {served.token('bob')}", Mcp_Session_Id=session)
    assert stolen.status_code == 404


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("Host", "positions.example", 421),
        ("Host", "127.0.0.1:1", 421),
        ("Origin", "https://positions.example", 403),
        ("Origin", "http://localhost:1", 403),
        ("Origin", "null", 403),
    ],
)
async def test_a_page_from_elsewhere_is_refused_even_with_a_token(
    header: str, value: str, status: int, tmp_path: Path
) -> None:
    async with http_server(tmp_path) as served:
        token = served.token("alice")
        answer = await served.post(Authorization=f"Bearer {token}", **{header: value})
        modern = {"MCP_Protocol_Version": "2026-07-28", "Authorization": f"Bearer {token}"}
        later = await served.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, **modern, **{header: value})
    assert (answer.status_code, later.status_code) == (status, status)


@pytest.mark.parametrize("header", ["Authorization", "Origin", "MCP-Protocol-Version", "Mcp-Session-Id", "Mcp-Name"])
async def test_a_request_that_says_twice_who_asks_or_from_where_is_refused_whichever_comes_first(
    header: str, tmp_path: Path
) -> None:
    async with http_server(tmp_path) as served, httpx2.AsyncClient() as http:
        good = {"Authorization": f"Bearer {served.token('alice')}", "Accept": "application/json, text/event-stream"}
        right = good.get(header, served.url.removesuffix("/mcp") if header == "Origin" else "2025-06-18")
        for values in ((right, "other"), ("other", right), (right, right)):
            said = [*(each for each in good.items() if each[0] != header), *((header, value) for value in values)]
            answer = await http.post(served.url, json=INITIALIZE, headers=said)
            told = f"This request has more than one {header.lower()} header. Nothing was done. Send one."
            assert (answer.status_code, answer.json()["error"]["message"]) == (400, told)


async def test_a_host_and_an_origin_are_known_in_every_spelling(tmp_path: Path) -> None:
    async with http_server(tmp_path) as served:
        bearer, port = f"Bearer {served.token('alice')}", urlsplit(served.url).port
        for host in ("LOCALHOST", "localhost.", "[0:0:0:0:0:0:0:1]"):
            said = {"Host": f"{host}:{port}", "Origin": f"HTTP://{host}:{port}"}
            assert (await served.post(Authorization=bearer, **said)).status_code == 200, said


@pytest.mark.parametrize("era", ERAS)
async def test_prompts_are_checked_over_http_too(era: str, tmp_path: Path) -> None:
    async with http_server(tmp_path) as served, served.caller("alice", era) as alice:
        with pytest.raises(MCPError, match="operation_id is required"):
            await alice.get_prompt("explain-batch-result", {})


@pytest.mark.requirement("G-02")
@pytest.mark.parametrize("era", ERAS)
async def test_nothing_that_a_caller_can_read_names_the_operation_of_another(era: str, tmp_path: Path) -> None:
    async with (
        http_server(tmp_path) as served,
        served.caller("alice", era, yes()) as alice,
        served.caller("bob", era, yes()) as bob,
    ):
        operation = data_of(await alice.call_tool("close_positions", KO))["operation_id"]
        for client, reads in ((alice, True), (bob, False)):
            status = data_of(await client.call_tool("get_trading_status", {}))
            listed = data_of(await client.call_tool("list_operations", {}))
            assert (operation in json.dumps(status)) is reads
            assert (operation in json.dumps(listed)) is reads
        for tool in ("preview_close", "close_positions"):
            assert operation not in words_of(await bob.call_tool(tool, KO))
            assert "KO cannot be closed now: a close of it is under way" in words_of(await bob.call_tool(tool, KO))


@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_that_is_not_there_is_an_error_of_the_protocol(era: str, tmp_path: Path) -> None:
    async with http_server(tmp_path) as served, served.caller("alice", era) as alice:
        with pytest.raises(MCPError, match="no_such_tool is not a tool of this server") as error:
            await alice.call_tool("no_such_tool", {"x": 1})
        assert error.value.code == INVALID_PARAMS
        assert data_of(await alice.call_tool("list_positions", {}))["held"] == 25
