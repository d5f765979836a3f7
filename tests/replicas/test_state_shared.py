"""What one replica knows, every other one knows: plans, questions and what was sent."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import httpx2
import pytest

from over_http.serving import INITIALIZE
from positions_mcp.tools._forms import TOO_QUICK_S
from positions_mcp.tools._uris import OPERATION
from replicas.firm import Firm, Replica, balanced, calling, firm_in
from test_resources import listening
from tools.serving import ERAS, data_of
from trading import no, yes

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.filterwarnings("ignore:resources/subscribe is removed")


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Firm]:
    with firm_in(tmp_path_factory.mktemp("firm"), postgres_url) as opened:
        for name in ("alice", "bob", "carol", "dave", "erin"):
            opened.token(name)
        yield opened


@pytest.fixture(scope="module")
def replicas(firm: Firm) -> Iterator[list[Replica]]:
    """Two that stay, for all that ends none."""
    with firm.replica("one") as one, firm.replica("two") as two:
        yield [one, two]


@pytest.mark.requirement("G-02", "G-06")
@pytest.mark.parametrize("era", ERAS)
async def test_a_plan_of_one_replica_is_closed_at_another(firm: Firm, replicas: list[Replica], era: str) -> None:
    one, two = replicas
    before = firm.sent.get("close_position", 0)
    with anyio.fail_after(60):
        async with calling(one, firm.tokens["alice"], era) as first:
            plan = data_of(await first.call_tool("preview_close", {"instruments": [firm.symbol()]}))
        async with calling(two, firm.tokens["alice"], era, yes()) as second:
            done = data_of(await second.call_tool("close_positions", {"plan_id": plan["plan_id"]}))
    assert done["sent"] == "yes"
    assert firm.sent["close_position"] == before + 1


@pytest.mark.requirement("G-02", "G-06")
async def test_what_is_asked_at_one_replica_is_answered_at_another_and_sent_once(
    firm: Firm, replicas: list[Replica]
) -> None:
    before, person = firm.sent.get("close_position", 0), yes()
    with anyio.fail_after(60):
        async with balanced(replicas, firm.tokens["bob"], person) as client:
            done = data_of(await client.call_tool("close_positions", {"instruments": [firm.symbol()]}))
            again = data_of(await client.call_tool("get_operation", {"operation_id": done["operation_id"]}))
    assert done["sent"] == again["sent"] == "yes"
    assert len(person.questions) == 1
    assert firm.sent["close_position"] == before + 1


@pytest.mark.requirement("G-02", "G-06")
@pytest.mark.parametrize("answer", ["yes", "no"])
async def test_a_question_outlives_the_replica_that_asked_it(firm: Firm, replicas: list[Replica], answer: str) -> None:
    before, person = firm.sent.get("close_position", 0), yes() if answer == "yes" else no()
    with firm.replica("short-lived") as asking, anyio.fail_after(60):

        async def meanwhile() -> None:
            asking.process.kill()
            await anyio.to_thread.run_sync(asking.process.wait)
            turns.remove(asking)
            await anyio.sleep(2 * TOO_QUICK_S)  # a no within a blink is not a person's

        person.meanwhile = meanwhile
        turns = [asking, replicas[1]]
        async with balanced(turns, firm.tokens["carol"], person) as client:
            done = data_of(await client.call_tool("close_positions", {"instruments": [firm.symbol()]}))
    assert (done["sent"], done["state"] == "DECLINED") == (("yes", False) if answer == "yes" else ("no", True))
    assert firm.sent.get("close_position", 0) == before + (answer == "yes")


@pytest.mark.requirement("G-22")
@pytest.mark.parametrize("era", ERAS)
async def test_while_a_question_of_one_replica_is_open_no_other_one_asks(
    firm: Firm, replicas: list[Replica], era: str
) -> None:
    one, two = replicas
    before, person, other = firm.sent.get("close_position", 0), no(), yes()
    refused: list[str] = []

    async def meanwhile() -> None:
        async with calling(two, firm.tokens["dave"], era, other) as second:
            answer = await second.call_tool("close_positions", {"instruments": [firm.symbol()]})
            refused.append(str(answer.content))

    person.meanwhile = meanwhile
    with anyio.fail_after(120):
        async with calling(one, firm.tokens["dave"], era, person) as first:
            await first.call_tool("close_positions", {"instruments": [firm.symbol()]})
        assert "is still open with a person" in refused[0]
        assert other.questions == []
        assert firm.sent.get("close_position", 0) == before
        async with calling(two, firm.tokens["dave"], era, other) as second:
            done = data_of(await second.call_tool("close_positions", {"instruments": [firm.symbol()]}))
    assert done["sent"] == "yes"


@pytest.mark.requirement("T-03")
async def test_further_pages_are_at_every_replica_and_for_nobody_else(firm: Firm, replicas: list[Replica]) -> None:
    with anyio.fail_after(60):
        async with balanced(replicas, firm.tokens["bob"]) as client:
            page = data_of(await client.call_tool("list_positions", {"limit": 7, "sort_by": "SYMBOL"}))
            symbols = [row[0] for row in page["rows"]]
            while "next_cursor" in page:
                cursor = page["next_cursor"]
                page = data_of(await client.call_tool("list_positions", {"cursor": cursor}))
                symbols += [row[0] for row in page["rows"]]
        async with balanced(replicas, firm.tokens["carol"]) as client:
            refused = [await client.call_tool("list_positions", {"cursor": cursor}) for _ in replicas]
    assert len(symbols) == page["matching"]
    assert symbols == sorted(set(symbols))
    assert all(each.is_error and "no longer kept" in str(each.content) for each in refused)


@pytest.mark.requirement("G-11")
async def test_a_halt_at_one_replica_stops_the_other(firm: Firm, replicas: list[Replica]) -> None:
    one, two = replicas
    before = firm.sent.get("close_position", 0)
    with anyio.fail_after(60):
        async with calling(one, firm.tokens["dave"], ERAS[1]) as first:
            await first.call_tool("halt_trading", {"reason": "news"})
        async with calling(two, firm.tokens["dave"], ERAS[1], yes()) as second:
            refused = await second.call_tool("close_positions", {"instruments": [firm.symbol()]})
    assert refused.is_error
    assert "halted" in str(refused.content).lower()
    assert firm.sent.get("close_position", 0) == before


@pytest.mark.parametrize("era", ERAS)
async def test_who_listens_at_one_replica_hears_what_is_sent_at_another(
    firm: Firm, replicas: list[Replica], era: str
) -> None:
    one, two = replicas
    with anyio.fail_after(60):
        async with calling(two, firm.tokens["erin"], era, yes()) as asking:
            plan = data_of(await asking.call_tool("preview_close", {"instruments": [firm.symbol()]}))
            uri = f"{OPERATION}{plan['plan_id']}"
            async with listening(era, partial(calling, one, firm.tokens["erin"], era), uri) as ear:
                await asking.call_tool("close_positions", {"plan_id": plan["plan_id"]})
                await ear.hears(uri)


async def test_a_session_of_one_replica_is_refused_by_another_so_that_its_client_opens_a_new_one(
    firm: Firm, replicas: list[Replica]
) -> None:
    one, two = replicas
    headers = {
        "Authorization": f"Bearer {firm.tokens['erin']}",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
    }
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        opened = await http.post(one.url, json=INITIALIZE)
        session = {"Mcp-Session-Id": opened.headers["mcp-session-id"], "MCP-Protocol-Version": "2025-06-18"}
        here = await http.post(one.url, json=listing, headers=session)
        elsewhere = await http.post(two.url, json=listing, headers=session)
    assert (here.status_code, elsewhere.status_code) == (200, 404)
    assert "Session not found" in elsewhere.text


async def test_replicas_without_sessions_answer_both_eras_wherever_a_request_goes(firm: Firm) -> None:
    none = {"POSITIONS_MCP_HTTP__MAX_SESSIONS_PER_CALLER": "0"}
    with firm.replica("single-one", none) as one, firm.replica("single-two", none) as two, anyio.fail_after(60):
        for era in ERAS:
            async with balanced([one, two], firm.tokens["dave"], mode=era) as client:
                plan = data_of(await client.call_tool("preview_close", {"instruments": [firm.symbol()]}))
                for _ in range(3):
                    found = data_of(await client.call_tool("get_operation", {"operation_id": plan["plan_id"]}))
                    assert found["state"] == "PLANNED"


@contextmanager
def balancer_of(haproxy: str, replicas: list[Replica], folder: Path) -> Iterator[str]:
    """HAProxy before these replicas, with what the trial's configuration says of how it chooses one."""
    config = (ROOT / "packaging" / "compose" / "haproxy.cfg").read_text(encoding="utf-8")
    ours = config.partition("backend replicas\n")[2].partition("backend desk")[0].splitlines()
    chosen = [line for line in ours if line.split()[:1] in (["balance"], ["stick-table"], ["stick"])]
    assert len(chosen) == 4
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    hosts = [urlsplit(replica.url).netloc for replica in replicas]
    lines = [
        *("defaults", "mode http", "timeout connect 5s", "timeout client 60s", "timeout server 60s"),
        *("frontend outside", f"bind 127.0.0.1:{port}", "default_backend replicas"),
        *("backend replicas", *chosen, "http-send-name-header Host"),
        *(f"server {host} {host}" for host in hosts),
    ]
    (folder / "haproxy.cfg").write_text("\n".join(lines) + "\n", encoding="utf-8")
    subprocess.run([haproxy, "-D", "-p", folder / "pid", "-f", folder / "haproxy.cfg"], check=True)
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        for pid in (folder / "pid").read_text(encoding="utf-8").split():
            os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize("haproxy", [found for found in [shutil.which("haproxy")] if found])
async def test_behind_the_balancer_a_session_of_the_older_protocol_stays_where_it_was_opened(
    firm: Firm, replicas: list[Replica], haproxy: str, tmp_path: Path
) -> None:
    before, person = firm.sent.get("close_position", 0), yes()
    with balancer_of(haproxy, replicas, tmp_path) as url, anyio.fail_after(120):
        behind = replace(replicas[0], url=url)
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(calling(behind, firm.tokens["bob"], ERAS[0], person)) for _ in range(3)
            ]
            for _ in range(3):
                for client in clients:
                    assert data_of(await client.call_tool("list_positions", {"limit": 1}))["rows"]
            done = data_of(await clients[1].call_tool("close_positions", {"instruments": [firm.symbol()]}))
    assert done["sent"] == "yes"
    assert firm.sent["close_position"] == before + 1


@pytest.mark.requirement("G-06", "G-15")
async def test_a_replica_with_a_book_of_its_own_is_refused_by_the_store(firm: Firm, replicas: list[Replica]) -> None:
    before = firm.sent.get("close_position", 0)
    embedded = {"POSITIONS_MCP_PAPER__URL": "", "POSITIONS_MCP_PAPER__SCENARIO": str(firm.folder / "shares.toml")}
    with firm.replica("stray", embedded) as stray, anyio.fail_after(60):
        async with calling(stray, firm.tokens["erin"], ERAS[1], yes()) as client:
            held = data_of(await client.call_tool("list_positions", {}))
            refused = await client.call_tool("close_positions", {"instruments": [firm.symbol()]})
    assert held["rows"], "what only reads goes on"
    assert refused.is_error
    assert "belongs to another paper exchange" in str(refused.content)
    assert firm.sent.get("close_position", 0) == before
