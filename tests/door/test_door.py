"""Who comes in through the door of a server that really listens, for what, and what others are told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from door.serving import MODERN, Behind, behind_the_door, calls
from door.signing import key_of
from over_http.serving import INITIALIZE
from positions_mcp.store import DEFAULT_FILE, open_store
from positions_mcp.tools._caller import signed_in_as
from positions_mcp.tools.catalogue import NAMES
from tools.serving import ERAS, data_of, error_of, text_of
from trading import yes

KO = {"instruments": ["KO"]}
ASKING = {"close_positions", "close_all_positions", "submit_instructions", "cancel_instruction"}
PLANNING = {"preview_close", "preview_instructions"}


def challenge_of(answer: httpx2.Response) -> dict[str, str]:
    kind, _, rest = answer.headers["www-authenticate"].partition(" ")
    assert kind == "Bearer"
    return {name: value.strip('"') for name, _, value in (each.partition("=") for each in rest.split(", "))}


@pytest.mark.requirement("O-01")
async def test_without_a_token_a_client_learns_where_to_sign_in_and_for_what(tmp_path: Path) -> None:
    async with behind_the_door(tmp_path, path="/desk/mcp") as server:
        answer = await server.send()
        assert answer.status_code == 401
        asked = challenge_of(answer)
        assert asked["scope"] == "positions:read positions:plan positions:ask"
        assert "error" not in asked
        for path in ("/.well-known/oauth-protected-resource/desk/mcp", "/.well-known/oauth-protected-resource"):
            about = await server.send(method="GET", path=path)
            assert about.json() == {
                "resource": server.url,
                "authorization_servers": ["https://login.example.com"],
                "scopes_supported": ["positions:read", "positions:plan", "positions:ask"],
                "bearer_methods_supported": ["header"],
                "resource_name": "positions-mcp",
            }
        assert asked["resource_metadata"].endswith("/.well-known/oauth-protected-resource/desk/mcp")
        assert (await server.send(method="POST", path=path)).status_code == 405


async def test_the_page_of_a_client_may_read_where_to_sign_in_and_nothing_else(tmp_path: Path) -> None:
    path, elsewhere = "/.well-known/oauth-protected-resource/mcp", {"origin": "http://localhost:6274"}
    async with behind_the_door(tmp_path) as server:
        for method in ("OPTIONS", "GET"):
            about = await server.send(method=method, path=path, **elsewhere)
            assert about.status_code == 200
            assert about.headers["access-control-allow-origin"] == "*"
            assert about.headers["access-control-allow-headers"] == "mcp-protocol-version"
        for method in ("OPTIONS", "POST"):
            refused = await server.send(method=method, **elsewhere)
            assert "access-control-allow-origin" not in refused.headers


async def test_the_first_challenge_may_be_narrow(tmp_path: Path) -> None:
    async with behind_the_door(tmp_path, first_is_all=False) as server:
        for tool in ("list_positions", "preview_close", "close_positions"):
            assert challenge_of(await server.send(calls(tool)))["scope"] == needed(tool)
        for body in (INITIALIZE, b"{", b" " * 200_000):
            assert challenge_of(await server.send(body))["scope"] == "positions:read"


@pytest.mark.requirement("O-01")
async def test_a_bad_token_is_told_from_none_and_a_static_one_opens_nothing(tmp_path: Path) -> None:
    async with behind_the_door(tmp_path) as server:
        for token in (server.token(exp=1), server.token(key=key_of("RSA", 1)), "pmcp_" + "a" * 43):
            answer = await server.send(token=token)
            assert (answer.status_code, challenge_of(answer)["error"]) == (401, "invalid_token")
        assert (await server.send(token=server.token())).status_code == 200
        basic = await server.send(Authorization="Basic YWxpY2U6eA==")
        assert (basic.status_code, "error" in challenge_of(basic)) == (401, False)
        async with httpx2.AsyncClient() as http:
            good = f"Bearer {server.token()}"
            both = await http.post(server.url, json=INITIALIZE, headers=[("Authorization", good)] * 2)
            queried = await http.post(f"{server.url}?access_token={server.token()}", json=INITIALIZE)
        assert (both.status_code, queried.status_code) == (400, 401)


@pytest.mark.requirement("O-01")
async def test_no_other_spelling_of_the_address_leads_around_the_door(tmp_path: Path) -> None:
    paths = ("/mcp/", "/mcp%0A", "/MCP", "//mcp", "/mcp%2F", "/%6Dcp/x", "/", "/.well-known/openid-configuration")
    async with behind_the_door(tmp_path) as server:
        for path in paths:
            for token in (None, server.token()):
                answer = await server.send(token=token, path=path)
                assert answer.status_code == 404, path
                assert answer.json()["error_description"] == f"The server is at {server.url}."


@pytest.mark.requirement("O-03")
async def test_while_no_key_can_be_read_a_token_is_not_called_bad(tmp_path: Path) -> None:
    async with behind_the_door(tmp_path) as server:
        server.issuer.down = True
        answer = await server.send(token=server.token())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "www-authenticate" not in answer.headers


def needed(tool: str) -> str:
    if tool in ASKING:
        return "positions:read positions:plan positions:ask"
    return "positions:read positions:plan" if tool in PLANNING else "positions:read"


@pytest.mark.requirement("O-02")
async def test_each_tool_asks_for_all_the_scopes_it_needs_and_for_no_more(tmp_path: Path) -> None:
    async with behind_the_door(tmp_path) as server:
        for tool in NAMES:
            short = {"read": ("plan", "ask"), "plan": ("read",), "ask": ("read", "plan")}
            last = needed(tool).rpartition(":")[2]
            answer = await server.send(calls(tool), server.token(*short[last]))
            asked = challenge_of(answer)
            assert (answer.status_code, asked["error"], asked["scope"]) == (
                403,
                "insufficient_scope",
                needed(tool),
            ), tool
            assert asked["resource_metadata"].endswith("/.well-known/oauth-protected-resource/mcp")


BODIES: dict[str, Any] = {
    "a tool": calls("close_positions", KO),
    "a batch": [calls("list_positions"), calls("close_positions", KO)],
    "a batch with nothing in it but batches": [[calls("close_positions", KO)]],
    "the tool said twice, the harmless one first": b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":'
    b'"tools/call","params":{"name":"list_positions","name":"close_positions","arguments":{"instruments":["KO"]}}}',
    "in another encoding": json.dumps(calls("close_positions", KO)).encode("utf-16"),
    "with a mark before it": b"\xef\xbb\xbf" + json.dumps(calls("close_positions", KO)).encode(),
    "written by its escapes": json.dumps(calls("close_positions", KO)).replace("close", "\\u0063lose").encode(),
    "a method that nobody knows": {"jsonrpc": "2.0", "id": 1, "method": "tools/call2", "params": {}},
    "a tool that nobody knows": calls("open_positions"),
    "a tool without a name": calls(None),
    "a tool named by a list": calls(["close_positions"]),
    "parameters that are none": {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ["close_positions"]},
    "an answer to a question": {
        "jsonrpc": "2.0",
        "id": 1,
        "result": {"action": "accept", "content": {"approve": True}},
    },
    "no JSON": b"{",
    "deeper than anything": b"[" * 100_000,
}


@pytest.mark.requirement("O-02")
async def test_however_a_request_is_written_a_token_for_reading_sends_nothing(tmp_path: Path) -> None:
    async with behind_the_door(tmp_path) as server:
        token = server.token("read")
        opened = await server.send(token=token)
        for kind, body in BODIES.items():
            for said in (MODERN, {"Mcp-Session-Id": opened.headers["mcp-session-id"]}):
                answer = await server.send(body, token, **said)
                assert answer.status_code in (400, 403), (kind, answer.text)
    store = open_store(tmp_path / DEFAULT_FILE)
    assert list(store.operations()) == []
    store.close()


@pytest.mark.requirement("O-02")
async def test_the_server_asks_for_scopes_itself_too_whatever_the_door_has_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("positions_mcp.door.app.needed_by", lambda _: frozenset())
    async with behind_the_door(tmp_path) as server:
        for era in ERAS:
            async with server.client(era, "read", person=yes()) as client:
                assert data_of(await client.call_tool("list_positions", {}))["held"] == 25
                for tool in ("preview_close", "close_positions"):
                    said = error_of(await client.call_tool(tool, KO))
                    assert "This needs positions:read positions:plan" in said


@pytest.mark.requirement("O-01", "O-02")
@pytest.mark.parametrize("era", ERAS[1:])
async def test_a_caller_is_issuer_and_subject_whole_whatever_client_and_token(era: str, tmp_path: Path) -> None:
    long = "auth0|" + "a" * 80
    async with behind_the_door(tmp_path) as server:
        async with server.client(era, sub=long + "1") as first:
            plan = data_of(await first.call_tool("preview_close", KO))["plan_id"]
        async with server.client(era, sub=long + "1", client_id="another", exp=2_000_000_000) as again:
            assert data_of(await again.call_tool("get_operation", {"operation_id": plan}))["state"] == "PLANNED"
        async with server.client(era, sub=long + "2") as other:
            assert "another caller" in error_of(await other.call_tool("get_operation", {"operation_id": plan}))
            assert "another caller" in error_of(await other.call_tool("close_positions", {"plan_id": plan}))
    store = open_store(tmp_path / DEFAULT_FILE)
    [operation] = store.operations()
    store.close()
    assert operation.plan.caller == f"token of {signed_in_as('https://login.example.com', long + '1')}"


def test_neither_another_issuer_nor_what_is_not_shown_makes_the_same_caller() -> None:
    names = [("a", "bc"), ("ab", "c"), ("a", "bc "), ("a", "bc\u200b"), ("a", "BC"), ("", "abc"), ("a", "b" * 80)]
    assert len({signed_in_as(*each) for each in names}) == len(names)
    assert all(len(signed_in_as(*each)) <= 120 and signed_in_as(*each).isprintable() for each in names)


@pytest.mark.requirement("O-02", "G-01")
@pytest.mark.parametrize("era", ERAS)
async def test_a_person_approves_what_a_signed_in_caller_asks_for(era: str, tmp_path: Path) -> None:
    person = yes()
    async with behind_the_door(tmp_path) as server, server.client(era, person=person) as client:
        assert "1 submitted" in text_of(await client.call_tool("close_positions", KO))
    assert len(person.questions) == 1


async def test_a_session_takes_the_scopes_of_each_request_and_belongs_to_its_caller(tmp_path: Path) -> None:
    async with behind_the_door(tmp_path) as server:
        opened = await server.send(token=server.token("read"))
        session = {"Mcp-Session-Id": opened.headers["mcp-session-id"]}
        assert (await server.send(calls("preview_close", KO), server.token("read"), **session)).status_code == 403
        planned = await server.send(calls("preview_close", KO), server.token("read", "plan"), **session)
        assert (planned.status_code, "op-" in planned.text) == (200, True)
        assert (await server.send(calls("list_positions"), server.token("read"), **session)).status_code == 200
        stolen = await server.send(calls("list_positions"), server.token(sub="bob"), **session)
        assert stolen.status_code == 404


async def _ends(stream: httpx2.Response, over: anyio.Event) -> None:
    async for _ in stream.aiter_raw():
        pass
    over.set()


LISTEN = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "subscriptions/listen",
    "params": {
        "notifications": {"resourceSubscriptions": ["positions://19816"]},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    },
}


@pytest.mark.requirement("O-01")
@pytest.mark.parametrize("era", ERAS)
async def test_a_stream_ends_with_its_token_and_that_of_a_longer_one_goes_on(era: str, tmp_path: Path) -> None:
    async with behind_the_door(tmp_path) as server, anyio.create_task_group() as tasks:
        now = int(server.issuer.clock.now().timestamp())
        over = [anyio.Event(), anyio.Event()]
        async with (
            httpx2.AsyncClient(timeout=None) as http,
            _stream(server, http, era, exp=now + 60, sub="alice") as short,
            _stream(server, http, era, exp=now + 6_000, sub="bob") as longer,
        ):
            tasks.start_soon(_ends, short, over[0])
            tasks.start_soon(_ends, longer, over[1])
            server.issuer.clock.advance(timedelta(seconds=91))
            with anyio.fail_after(60):
                await over[0].wait()
            assert not over[1].is_set()
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def _stream(server: Behind, http: httpx2.AsyncClient, era: str, **said: Any) -> AsyncIterator[httpx2.Response]:
    """What a client of that era listens to."""
    token = server.token(**said)
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    if era == "legacy":
        headers["Mcp-Session-Id"] = (await server.send(token=token)).headers["mcp-session-id"]
        request = http.stream("GET", server.url, headers=headers)
    else:
        headers |= {**MODERN, "Mcp-Method": "subscriptions/listen"}
        request = http.stream("POST", server.url, headers=headers, json=LISTEN)
    async with request as stream:
        assert stream.status_code == 200, await stream.aread()
        yield stream
