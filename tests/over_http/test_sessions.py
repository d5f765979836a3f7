"""What one caller opens without end leaves room for the others, and what is left alone is released (G-23)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from over_http.serving import Served, http_server
from over_http.wire import Place, Wire, limited, until
from positions_mcp import http_sessions
from positions_mcp.cli.serving.connections import Phase
from tools.serving import ERAS, text_of

pytestmark = pytest.mark.requirement("G-23")

PING = {"jsonrpc": "2.0", "id": 2, "method": "ping"}


async def opened(served: Served, token: str) -> str:
    """The id of a new session."""
    answer = await served.post(Authorization=f"Bearer {token}")
    assert answer.status_code == 200, answer.text
    return answer.headers["mcp-session-id"]


async def status(served: Served, token: str, session: str, body: dict[str, Any] = PING) -> int:
    """What a request in a session is answered with."""
    return (await served.post(body, Authorization=f"Bearer {token}", Mcp_Session_Id=session)).status_code


async def listening(place: Place, token: str, session: str) -> Wire:
    """A stream of updates in a session."""
    wire = await place.saying(place.request("GET", token, Mcp_Session_Id=session))
    assert (await wire.answer()).startswith(b"HTTP/1.1 200")
    return wire


async def test_a_caller_with_too_many_sessions_loses_those_it_has_left_alone_and_no_other_caller_notices(
    tmp_path: Path,
) -> None:
    async with http_server(tmp_path) as served:
        alice, bob = served.token("alice"), served.token("bob")
        bobs = await opened(served, bob)
        alices = [await opened(served, alice) for _ in range(20)]
        assert await status(served, alice, alices[0]) == 200  # the second is now the one used least recently
        alices += [await opened(served, alice) for _ in range(5)]
        assert [await status(served, alice, each) for each in alices] == [200] + [404] * 5 + [200] * 19
        assert await status(served, bob, bobs) == 200
        assert await status(served, bob, await opened(served, bob)) == 200


async def test_where_all_sessions_of_a_caller_are_in_use_one_more_is_refused_with_what_to_do(tmp_path: Path) -> None:
    async with limited(tmp_path) as place:
        served = place.callers
        alice, bob = served.token("alice"), served.token("bob")
        sessions = [await opened(served, alice) for _ in range(20)]
        streams = [await listening(place, alice, each) for each in sessions]
        refused = await served.post(Authorization=f"Bearer {alice}")
        assert refused.status_code == 429
        assert "20 sessions" in refused.json()["error"]["message"]
        assert "DELETE with its Mcp-Session-Id" in refused.json()["error"]["message"]
        assert [await status(served, alice, each) for each in sessions] == [200] * 20
        assert await status(served, bob, await opened(served, bob)) == 200
        modern = {"MCP_Protocol_Version": "2026-07-28", "Authorization": f"Bearer {alice}"}
        assert (await served.post(PING, **modern)).status_code != 429

        await streams[3].stream.aclose()
        await until(lambda: place.phases().count(Phase.ANSWER) == 19)
        assert await opened(served, alice)
        assert await status(served, alice, sessions[3]) == 404


async def test_a_session_that_its_caller_ends_makes_room(tmp_path: Path) -> None:
    async with limited(tmp_path) as place:
        served = place.callers
        alice = served.token("alice")
        sessions = [await opened(served, alice) for _ in range(20)]
        ended = await place.saying(place.request("DELETE", alice, Mcp_Session_Id=sessions[7]))
        assert (await ended.answer()).startswith(b"HTTP/1.1 200")
        await opened(served, alice)
        assert [await status(served, alice, each) for each in sessions] == [200] * 7 + [404] + [200] * 12


async def test_a_request_that_opens_no_session_costs_its_caller_none(tmp_path: Path) -> None:
    async with http_server(tmp_path) as served:
        alice = served.token("alice")
        sessions = [await opened(served, alice) for _ in range(20)]
        for body in (PING, {"jsonrpc": "2.0", "method": "x"}, {"no": "message"}):
            assert (await served.post(body, Authorization=f"Bearer {alice}")).status_code == 400
        assert [await status(served, alice, each) for each in sessions] == [200] * 20


async def test_sessions_opened_at_the_same_time_are_as_few_as_others(tmp_path: Path) -> None:
    async with http_server(tmp_path) as served:
        alice, sessions = served.token("alice"), []

        async def open_one() -> None:
            answer = await served.post(Authorization=f"Bearer {alice}")
            assert answer.status_code in (200, 429)
            if answer.status_code == 200:
                sessions.append(answer.headers["mcp-session-id"])

        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(open_one)
        assert len(sessions) >= 20
        assert [await status(served, alice, each) for each in sessions].count(200) == 20


async def test_where_the_server_is_full_the_caller_with_most_sessions_gives_one_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_sessions, "MOST_SESSIONS", 4)
    async with http_server(tmp_path) as served:
        alice, bob, carl = (served.token(name) for name in ("alice", "bob", "carl"))
        bobs = await opened(served, bob)
        alices = [await opened(served, alice) for _ in range(3)]
        carls = await opened(served, carl)
        assert [await status(served, alice, each) for each in alices] == [404, 200, 200]
        assert (await status(served, bob, bobs), await status(served, carl, carls)) == (200, 200)


async def test_nobody_uses_up_the_session_of_another_by_naming_it(tmp_path: Path) -> None:
    async with http_server(tmp_path) as served:
        alice, bob = served.token("alice"), served.token("bob")
        session = await opened(served, alice)
        assert await status(served, bob, session) == 404
        assert await status(served, alice, session) == 200


@pytest.mark.parametrize(("idle_s", "left"), [(599, 200), (600, 404)])
async def test_a_session_that_is_left_alone_for_ten_minutes_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, idle_s: int, left: int
) -> None:
    async with http_server(tmp_path) as served:
        alice, now = served.token("alice"), anyio.current_time
        session = await opened(served, alice)
        with monkeypatch.context() as earlier:
            earlier.setattr(anyio, "current_time", lambda: now() - idle_s)
            await status(served, alice, session)
        assert await status(served, alice, session) == left


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_that_was_idle_for_hours_goes_on(era: str, tmp_path: Path) -> None:
    async with limited(tmp_path) as place, place.callers.caller("alice", era) as alice:
        for _ in range(3):
            assert "PAPER" in text_of(await alice.call_tool("get_trading_status", {}))
            place.passes(3_600)
