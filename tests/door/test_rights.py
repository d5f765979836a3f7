"""Which accounts a token's claims give, and that its caller learns of no other one anywhere."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference, ResourceTemplateReference

from door.serving import MODERN, Behind, behind_the_door, calls
from over_http.serving import INITIALIZE
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.states import Stage
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.door.rights import Right, granted
from positions_mcp.store import DEFAULT_FILE, open_store
from positions_mcp.tools._caller import Scope, signed_in_as
from tools.serving import ERAS, FRIDAY, data_of, error_of, text_of, words_of
from trading import yes

MINE, OTHERS = 19816, 19817
BOTH = (
    Right("desk", "groups", "desk", frozenset({AccountId(MINE)})),
    Right("bob", "sub", "bob", frozenset({AccountId(OTHERS)})),
    Right("carol", "sub", "carol", frozenset({AccountId(MINE), AccountId(OTHERS)})),
    Right("all", "groups", "all", frozenset({AccountId(OTHERS)})),
)


@pytest.mark.requirement("O-02")
@pytest.mark.parametrize(
    ("claims", "accounts", "scopes"),
    [
        ({"groups": ["desk", "x"]}, {1}, {"positions:read", "positions:plan"}),
        ({"groups": "desk"}, {1}, {"positions:read", "positions:plan"}),
        ({"groups": "desks"}, set(), set()),
        ({"groups": ["DESK"]}, set(), set()),
        ({"groups": {"desk": True}}, set(), set()),
        ({"groups": 7}, set(), set()),
        ({}, set(), set()),
        ({"sub": "alice"}, {2, 3}, {"positions:read", "positions:ask"}),
        ({"sub": "alice", "groups": ["desk"]}, {1, 2, 3}, {"positions:read", "positions:plan", "positions:ask"}),
    ],
)
def test_the_accounts_of_all_rights_add_up_and_a_right_may_take_scopes_away(
    claims: dict[str, Any], accounts: set[int], scopes: set[str]
) -> None:
    rights = (
        Right("desk", "groups", "desk", frozenset({AccountId(1)}), frozenset({Scope.READ, Scope.PLAN})),
        Right("alice", "sub", "alice", frozenset({AccountId(2), AccountId(3)}), frozenset({Scope.READ, Scope.ASK})),
    )
    given = granted(rights, claims, {*Scope, "openid"})
    assert (set(given.accounts), set(given.scopes)) == (accounts, scopes)
    assert given.rights == tuple(sorted(each.name for each in rights if each.accounts & accounts))
    assert granted(rights, claims, {"positions:read"}).scopes == scopes & {"positions:read"}


@pytest.mark.requirement("O-02")
async def test_whoever_has_no_right_here_is_not_sent_to_sign_in_again(tmp_path: Path) -> None:
    async with behind_the_door(tmp_path) as server:
        answer = await server.send(token=server.token(groups=["others"]))
        assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")
        assert "www-authenticate" not in answer.headers


async def _everything_that(client: Client) -> str:
    """All that a caller can read, in one text."""
    told = [client.instructions or ""]
    told += [tool.model_dump_json() for tool in (await client.list_tools()).tools]
    told += [each.model_dump_json() for each in (await client.list_resources()).resources]
    told += [each.model_dump_json() for each in (await client.list_prompts()).prompts]
    for tool in ("list_positions", "summarize_positions", "list_instructions", "list_operations", "get_trading_status"):
        told.append(words_of(await client.call_tool(tool, {})))
        told.append(json.dumps((await client.call_tool(tool, {})).structured_content))
    return "\n".join(told)


async def _refused(client: Client) -> str:
    """What is said of an account of others, wherever one can be named."""
    told = []
    for tool, more in (
        ("list_positions", {}),
        ("list_instructions", {}),
        ("list_operations", {}),
        ("summarize_positions", {}),
        ("project_expiration", {}),
        ("preview_close", {"instruments": ["KO"]}),
        ("close_positions", {"instruments": ["KO"]}),
        ("close_all_positions", {}),
    ):
        told.append(error_of(await client.call_tool(tool, {"account_id": OTHERS, **more})))
    with pytest.raises(MCPError) as unknown:
        await client.read_resource(f"positions://{OTHERS}")
    with pytest.raises(MCPError) as prompt:
        await client.get_prompt("portfolio-review", {"account_id": str(OTHERS)})
    for ref, name in (
        (ResourceTemplateReference(uri="positions://{account_id}"), "account_id"),
        (PromptReference(name="portfolio-review"), "account_id"),
    ):
        assert (await client.complete(ref, {"name": name, "value": ""})).completion.values == [str(MINE)]
    return "\n".join([*told, str(unknown.value), str(prompt.value)])


@pytest.mark.requirement("O-02")
@pytest.mark.parametrize("era", ERAS)
async def test_a_caller_learns_of_no_account_and_no_operation_but_its_own(era: str, tmp_path: Path) -> None:
    async with behind_the_door(tmp_path, rights=BOTH, accounts=(MINE, OTHERS)) as server:
        async with server.client(era, sub="bob", groups=None) as bob:
            theirs = data_of(await bob.call_tool("preview_close", {"instruments": ["KO"]}))["plan_id"]
        _halt(tmp_path, account_id=AccountId(OTHERS))
        _halt(tmp_path, caller=f"token of {signed_in_as('https://login.example.com', 'bob')}")
        async with server.client(era, sub="alice") as alice:
            told = await _everything_that(alice)
            assert str(MINE) in told
            assert str(OTHERS) not in told
            assert theirs not in told
            assert "bob" not in told
            assert "HALT" not in told
            refusals = await _refused(alice)
            assert refusals.count(f"Allowed: {MINE}.") >= 8
            assert f"Allowed: {MINE}, " not in refusals
        async with server.client(era, sub="carol") as carol:
            assert str(OTHERS) in await _everything_that(carol)
            status = words_of(await carol.call_tool("get_trading_status", {}))
            assert f"everything destructive in account {OTHERS}" in status


def _halt(data_dir: Path, **of: Any) -> None:
    store = open_store(data_dir / DEFAULT_FILE)
    store.set_halt(Halt(reason="a reason", by="a person", at=FRIDAY, **of))
    store.close()


@pytest.mark.requirement("O-02")
@pytest.mark.parametrize("era", ERAS)
async def test_what_a_caller_began_in_an_account_is_out_of_its_sight_when_it_has_lost_the_account(
    era: str, tmp_path: Path
) -> None:
    async with behind_the_door(tmp_path, rights=BOTH, accounts=(MINE, OTHERS)) as server:
        plan, cursor = await _began(server, era)
        async with server.client(era, sub="dave", groups=["desk"]) as dave:
            assert plan not in words_of(await dave.call_tool("list_operations", {}))
            assert "another caller" in error_of(await dave.call_tool("get_operation", {"operation_id": plan}))
            assert error_of(await dave.call_tool("close_positions", {"plan_id": plan}))
            assert error_of(await dave.call_tool("list_positions", {"cursor": cursor}))
        async with server.client(era, sub="dave", groups=["desk", "all"]) as dave:
            assert plan in text_of(await dave.call_tool("list_operations", {}))


async def _began(server: Behind, era: str) -> tuple[str, str]:
    async with server.client(era, sub="dave", groups=["all"]) as dave:
        plan = data_of(await dave.call_tool("preview_close", {"instruments": ["KO"], "account_id": OTHERS}))["plan_id"]
        page = data_of(await dave.call_tool("list_positions", {"limit": 1, "account_id": OTHERS}))
        return plan, page["next_cursor"]


SEVERAL = (
    Right("traders", "groups", "desk", frozenset({AccountId(MINE), AccountId(OTHERS)})),
    Right("juniors", "groups", "juniors", frozenset({AccountId(MINE)})),
    Right("auditors", "groups", "auditors", frozenset({AccountId(MINE)})),
)
NARROWER = {"juniors": {"max_notional": 100, "max_operations_per_day": 7}, "auditors": {"max_notional": 50}}
KO = {"instruments": ["KO"]}
APPROVED = {"approve": True}


@pytest.mark.requirement("O-02", "G-10")
@pytest.mark.parametrize("era", ERAS)
async def test_the_limits_of_every_right_of_a_token_are_in_force_told_and_refused_by(era: str, tmp_path: Path) -> None:
    person = yes()
    async with behind_the_door(tmp_path, rights=SEVERAL, limits=NARROWER, accounts=(MINE, OTHERS)) as server:
        async with server.client(era, groups=["desk", "juniors", "unheard of"], person=person) as both:
            limits = data_of(await both.call_tool("get_trading_status", {}))["limits"]
            assert (limits["per_operation"], limits["operations"]) == ("100", "20 a minute, 7 a day")
            for account in (MINE, OTHERS):  # in the other account too, which is not given by that right
                planned = await both.call_tool("preview_close", {**KO, "account_id": account})
                assert "exceeds the limit of $100 per operation" in text_of(planned)
                closed = await both.call_tool("close_positions", {**KO, "account_id": account})
                assert "exceeds the limit of $100 per operation" in error_of(closed)
            assert person.questions == []
        async with server.client(era, groups=["desk"], person=person) as one:
            assert data_of(await one.call_tool("get_trading_status", {}))["limits"]["per_operation"] == "none"
            assert "1 submitted" in text_of(await one.call_tool("close_positions", {**KO, "account_id": MINE}))
    store = open_store(tmp_path / DEFAULT_FILE)
    assert {each.plan.rights for each in store.operations()} == {("juniors", "traders"), ("traders",)}
    store.close()


@pytest.mark.requirement("O-02", "G-10")
@pytest.mark.parametrize("groups", [["juniors"], ["desk", "juniors"], ["desk", "auditors"]])
async def test_within_a_session_another_token_of_the_same_caller_brings_its_own_rights(
    groups: list[str], tmp_path: Path
) -> None:
    async with behind_the_door(tmp_path, rights=SEVERAL, limits=NARROWER) as server:
        opened = await server.send(token=server.token())
        session = {"Mcp-Session-Id": opened.headers["mcp-session-id"]}
        planned = await server.send(calls("preview_close", KO), server.token(), **session)
        plan_id = _answer_of(planned)["structuredContent"]["plan_id"]
        other = server.token(groups=groups)
        again = await server.send(calls("close_positions", {"plan_id": plan_id}), other, **session)
        assert f"Plan {plan_id} was made with the rights traders; this caller has" in again.text
        assert "exceeds the limit of $" in (await server.send(calls("preview_close", KO), other, **session)).text


@pytest.mark.requirement("O-02", "G-10")
async def test_a_yes_that_comes_with_a_token_of_other_rights_sends_nothing_and_says_why(tmp_path: Path) -> None:
    async with behind_the_door(tmp_path, rights=SEVERAL, limits=NARROWER) as server:
        headers = {**MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "close_positions"}
        asked = _answer_of(await server.send(_modern(KO), server.token(), **headers))
        yes_to_all = {key: {"action": "accept", "content": {"approve": True}} for key in asked["inputRequests"]}
        answered = _modern(KO, inputResponses=yes_to_all, requestState=asked["requestState"])
        other = server.token(groups=["desk", "auditors"])
        refused = await server.send(answered, other, **headers)
        assert "made with the rights traders; this caller has auditors, traders now" in refused.text
    store = open_store(tmp_path / DEFAULT_FILE)
    [operation] = store.operations()
    assert operation.stage is Stage.AWAITING_APPROVAL
    assert [each.event for each in store.journal(operation.operation_id)][-1] == "yes not taken"
    store.close()


EVERYWHERE = (*SEVERAL, Right("both", "groups", "both", frozenset({AccountId(MINE), AccountId(OTHERS)})))


@pytest.mark.requirement("O-02", "G-10")
@pytest.mark.parametrize(
    ("groups", "spelling", "taken"),
    [
        (["both"], {}, True),
        (["juniors"], {}, False),
        (["desk"], {}, False),
        (["both", "juniors"], {}, False),
        (["nobody"], {}, False),
        (["juniors"], {"method": "ping"}, False),
        (["juniors"], {"error": {"code": 1, "message": "no"}}, False),
    ],
)
async def test_within_a_session_a_yes_counts_by_the_rights_of_the_call_that_asks_alone(
    groups: list[str], spelling: dict[str, Any], taken: bool, tmp_path: Path
) -> None:
    async with behind_the_door(tmp_path, rights=EVERYWHERE, accounts=(MINE, OTHERS), wait_s=45) as server:
        token = server.token(groups=["both"])
        async with _asking(server, token) as (session, said):
            answer = _yes(await anext(said))
            answered = await server.send(answer | spelling, server.token(groups=groups), **session)
            assert answered.status_code == (202 if taken else 403)
            if not taken:
                answer["result"] = {"action": "decline"}
                assert (await server.send(answer, token, **session)).status_code == 202, "by the same rights"
            assert ("1 submitted" if taken else "declined") in json.dumps(await anext(said))
    store = open_store(tmp_path / DEFAULT_FILE)
    [operation] = store.operations()
    assert any(row.has_effect for row in operation.rows) is taken
    store.close()


@pytest.mark.requirement("O-02", "G-10")
async def test_the_rights_of_a_question_are_known_when_the_connection_is_gone_over_which_it_was_asked(
    tmp_path: Path,
) -> None:
    async with behind_the_door(tmp_path, rights=EVERYWHERE, accounts=(MINE, OTHERS), wait_s=45) as server:
        token, less = server.token(groups=["both"]), server.token(groups=["juniors"])
        async with _asking(server, token) as (session, said):
            answer = _yes(await anext(said))
        await _until(tmp_path, "form not answered")
        for spelled in (answer, [answer], answer | {"id": str(answer["id"])}, answer | {"id": 77}):
            assert (await server.send(spelled, less, **session)).status_code == 403
        assert (await server.send(answer | {"id": 77}, token, **session)).status_code == 403, "nobody asked"
        assert (await server.send(answer, token, **session)).status_code == 202
        await _until(tmp_path, "ended")
        with closing(open_store(tmp_path / DEFAULT_FILE)) as store:
            assert [each.event for each in store.journal()].count("sending") == 1


@asynccontextmanager
async def _asking(server: Behind, token: str) -> AsyncIterator[tuple[dict[str, str], AsyncIterator[dict[str, Any]]]]:
    """A call in a session of its own: the session's header, and what is said over the connection of the call."""
    shows_forms = {"params": {**INITIALIZE["params"], "capabilities": {"elicitation": {}}}}
    opened = await server.send(INITIALIZE | shows_forms, token)
    session = {"Mcp-Session-Id": opened.headers["mcp-session-id"]}
    await server.send({"jsonrpc": "2.0", "method": "notifications/initialized"}, token, **session)
    headers = {**session, "Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    call = calls("close_positions", {**KO, "account_id": OTHERS})
    async with (
        httpx2.AsyncClient(timeout=60) as http,
        http.stream("POST", server.url, json=call, headers=headers) as stream,
    ):
        yield session, (json.loads(each[6:]) async for each in stream.aiter_lines() if "{" in each)


def _yes(question: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": APPROVED}}


async def _until(folder: Path, event: str) -> None:
    """Wait until the journal has an event."""
    with anyio.fail_after(60):
        while True:
            with closing(open_store(folder / DEFAULT_FILE)) as store:
                if event in [entry.event for entry in store.journal()]:
                    return
            await anyio.sleep(0.01)


def _modern(arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = calls("close_positions", arguments)
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
    }
    return body | {"params": body["params"] | more | {"_meta": meta}}


def _answer_of(answer: httpx2.Response) -> dict[str, Any]:
    """The result of a request, however it came."""
    text = answer.text.partition("data: ")[2] if "event-stream" in answer.headers["content-type"] else answer.text
    result: dict[str, Any] = json.loads(text)["result"]
    return result
