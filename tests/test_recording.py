"""A session that was recorded answers again as it did, and the key is in no line of it."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client, StdioServerParameters

from api.paper_book import paper_desk
from data_dirs import PROGRAM
from positions_mcp.api import PositionsClient
from positions_mcp.api.recording import Recording
from positions_mcp.clock import SystemClock
from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.domain.ids import AccountId
from positions_mcp.paper.errors import BookError
from positions_mcp.paper.replaying import Replay
from test_command_line import environment, run
from tools.serving import data_of

ACCOUNT = AccountId(19816)


@contextmanager
def recording(file: Path, *, reads_only: bool = False) -> Iterator[Recording]:
    kept = Recording(file, SystemClock(), reads_only=reads_only)
    try:
        yield kept
    finally:
        kept.close()


def replayed(file: Path) -> PositionsClient:
    transport = httpx.ASGITransport(app=Replay.read(file), raise_app_exceptions=True)
    return PositionsClient("http://localhost", "any.key", transport=transport)


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def test_a_replayed_session_gives_each_request_what_it_got_in_its_order(tmp_path: Path) -> None:
    file = tmp_path / "session.jsonl"
    with recording(file) as kept:
        async with paper_desk(tmp_path / "book", recording=kept) as desk:
            before = (await desk.client.get_positions(ACCOUNT)).data
            closed = (await desk.client.close_position(ACCOUNT, before[0].instrument_id, cancel_orders=True)).data
            after, again = [(await desk.client.get_orders(ACCOUNT)).data for _ in range(2)]
    async with replayed(file) as client:
        assert (await client.get_positions(ACCOUNT)).data == before
        assert (await client.close_position(ACCOUNT, before[0].instrument_id, cancel_orders=True)).data == closed
        assert [(await client.get_orders(ACCOUNT)).data for _ in range(3)] == [after, again, again]


@pytest.mark.requirement("A-05")
async def test_the_key_is_in_no_line_and_the_file_is_its_owners(tmp_path: Path) -> None:
    file = tmp_path / "session.jsonl"
    with recording(file) as kept:
        async with paper_desk(tmp_path / "book", recording=kept) as desk:
            await desk.client.get_positions(ACCOUNT)
    assert "paper.key" not in file.read_text()
    assert "authorization" not in file.read_text().lower()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {line["method"] for line in lines_of(file)} == {"GET"}


async def test_of_a_live_session_only_what_is_read_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "session.jsonl"
    with recording(file, reads_only=True) as kept:
        async with paper_desk(tmp_path / "book", recording=kept) as desk:
            held = (await desk.client.get_positions(ACCOUNT)).data
            await desk.client.close_position(ACCOUNT, held[0].instrument_id, cancel_orders=True)
    assert {line["method"] for line in lines_of(file)} == {"GET"}
    async with replayed(file) as client:
        with pytest.raises(Exception, match="not in the recording"):
            await client.close_position(ACCOUNT, held[0].instrument_id, cancel_orders=True)


async def test_a_failure_is_recorded_and_fails_again(tmp_path: Path) -> None:
    file = tmp_path / "session.jsonl"
    with recording(file) as kept:
        async with paper_desk(tmp_path / "book", recording=kept, read_budget_s=0.5) as desk:
            desk.exchange.arm("drop_before_effect", "get_positions", times=None)
            with pytest.raises(Exception, match="before the answer was complete"):
                await desk.client.get_positions(ACCOUNT)
    assert all("failure" in line for line in lines_of(file))


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(ConfigurationError, match="File exists"):
        Recording(tmp_path / "mine", SystemClock(), reads_only=True)
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no request"),
        ("{}", "line 1 of"),
        ('{"method": "GET", "path": "/v1", "status": 200}\nnonsense', "line 2 of"),
        ('{"method": "GET", "path": "/v1"}', "line 1 of"),
        ('{"method": "GET", "path": "/v1", "status": 200, "query": []}', "line 1 of"),
        ("[" * 100_000, "line 1 of"),
    ],
)
def test_what_is_no_recording_is_refused_by_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "session").write_text(text)
    with pytest.raises(BookError, match=said):
        Replay.read(tmp_path / "session")
    assert run("paper", "replay", str(tmp_path / "session")).returncode == 2


async def test_a_server_recorded_once_is_asked_again_without_its_exchange(tmp_path: Path) -> None:
    file = tmp_path / "session.jsonl"

    def server(*more: str, **variables: str) -> StdioServerParameters:
        return StdioServerParameters(
            command=PROGRAM[0],
            args=[*PROGRAM[1:], "serve", *more],
            env=environment(POSITIONS_MCP_DATA_DIR=str(tmp_path / "data"), **variables),
        )

    async with Client(server("--scenario", "demo", "--record", str(file))) as client:
        first = data_of(await client.call_tool("list_positions", {"limit": 100}))
    async with await anyio.open_process([*PROGRAM, "paper", "replay", str(file)], env=environment()) as process:
        assert process.stdout
        url = (await process.stdout.receive()).decode().splitlines()[0].split()[-1]
        async with Client(server(POSITIONS_MCP_PAPER__URL=url)) as client:
            again = data_of(await client.call_tool("list_positions", {"limit": 100}))
        process.terminate()
    assert first["held"] == 25
    assert again["rows"] == first["rows"]
