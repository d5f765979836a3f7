"""Which accounts a token's claims give, and that its caller learns of no other one anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference, ResourceTemplateReference

from door.serving import Behind, behind_the_door
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.door.rights import Right, granted
from positions_mcp.store import DEFAULT_FILE, open_store
from positions_mcp.tools._caller import signed_in_as
from positions_mcp.tools._scopes import Scope
from tools.serving import ERAS, FRIDAY, data_of, error_of, text_of, words_of

MINE, OTHERS = 19816, 19817
BOTH = (
    Right("groups", "desk", frozenset({AccountId(MINE)})),
    Right("sub", "bob", frozenset({AccountId(OTHERS)})),
    Right("sub", "carol", frozenset({AccountId(MINE), AccountId(OTHERS)})),
    Right("groups", "all", frozenset({AccountId(OTHERS)})),
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
        Right("groups", "desk", frozenset({AccountId(1)}), frozenset({Scope.READ, Scope.PLAN})),
        Right("sub", "alice", frozenset({AccountId(2), AccountId(3)}), frozenset({Scope.READ, Scope.ASK})),
    )
    given = granted(rights, claims, {*Scope, "openid"})
    assert (set(given.accounts), set(given.scopes)) == (accounts, scopes)
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
