"""The server as a whole: what it says of itself, how it begins and ends."""

from __future__ import annotations

import base64
import threading
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

import positions_mcp
from positions_mcp import __version__
from positions_mcp.cli.assembly.composition import open_deps, open_venue
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.paper import PaperExchange
from positions_mcp.server import build_server, instructions
from positions_mcp.settings import load
from positions_mcp.tools.context import ToolContext
from positions_mcp.tools.lazy_context import LazyContext
from tools.serving import (
    ERAS,
    StandingClock,
    StubBroker,
    call,
    context_over,
    data_of,
    error_of,
    paper_server,
    server_over,
)


@pytest.mark.requirement("G-15")
@pytest.mark.parametrize("mode", Mode)
def test_the_instructions_say_paper_or_live_first_and_are_enough_in_500_characters(mode: Mode) -> None:
    said = instructions(mode, [AccountId(19816), AccountId(20000)])
    assert said.startswith(f"{mode.shown} accounts 19816, 20000 on ")
    assert ("REAL MONEY" in said) is (mode is Mode.LIVE)
    for word in ("list_positions", "summarize_positions", "list_instructions", "get_trading_status", "person"):
        assert word in said[:500]


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_a_client_learns_who_answers_and_how_to_show_it(era: str) -> None:
    async with Client(server_over(StubBroker()), mode=era) as client:
        info = client.server_info
    assert info is not None
    assert (info.name, info.version) == ("positions-mcp", __version__)
    package = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert info.title == "Clear Street positions"
    assert (info.description, info.website_url) == (package["description"], package["urls"]["Homepage"])
    (icon,) = info.icons or []
    kind, encoded = icon.src.split(",", 1)
    assert kind == f"data:{icon.mime_type};base64"
    assert len(icon.src) < 2_000
    page = Path(positions_mcp.__file__).parent / "desk" / "static" / "icon.svg"
    assert base64.b64decode(encoded) == page.read_bytes().strip()


async def test_the_parts_are_opened_once_and_closed_at_the_end_and_slow_work_runs_beside() -> None:
    events: list[str] = []
    warmed = threading.Event()
    broker = StubBroker()

    @asynccontextmanager
    async def parts() -> AsyncIterator[ToolContext]:
        events.append("opened")
        yield context_over(broker)
        events.append("closed")

    server = build_server(parts, mode=Mode.PAPER, accounts=(AccountId(19816),), warm_up=warmed.set)
    async with Client(server) as client:
        await client.list_tools()
        await client.call_tool("list_positions", {})
        await client.call_tool("list_positions", {})
        await anyio.to_thread.run_sync(warmed.wait, 10)
    assert events == ["opened", "closed"]
    assert warmed.is_set()


@pytest.mark.requirement("G-01")
@pytest.mark.parametrize("era", ["legacy", "auto"])
@pytest.mark.parametrize("tool", ["list_positions", "close_positions"])
async def test_parts_that_cannot_be_opened_are_said_and_opened_by_the_next_call(era: str, tool: str) -> None:
    opened: list[str] = []

    @asynccontextmanager
    async def parts() -> AsyncIterator[ToolContext]:
        opened.append("tried")
        if len(opened) == 1:
            raise OSError("too many open files: /a/secret/place")
        yield context_over(StubBroker())

    server = build_server(parts, mode=Mode.PAPER, accounts=(AccountId(19816),))
    async with Client(server, mode=era) as client:
        arguments = {"instruments": ["AAPL"]} if tool == "close_positions" else {}
        said = error_of(await client.call_tool(tool, arguments))
        assert "Nothing was sent" in said
        assert "secret" not in said
        assert data_of(await client.call_tool("list_positions", {}))["held"] == 0
    assert opened == ["tried", "tried"]


async def test_a_caller_who_leaves_while_the_parts_are_opened_leaves_them_to_the_next() -> None:
    opening, go_on = anyio.Event(), anyio.Event()

    @asynccontextmanager
    async def parts() -> AsyncIterator[ToolContext]:
        opening.set()
        await go_on.wait()
        yield context_over(StubBroker())

    late = LazyContext(parts)
    async with anyio.create_task_group() as holding:
        holding.start_soon(late.hold)
        async with anyio.create_task_group() as calls:
            calls.start_soon(late.get)
            await opening.wait()
            calls.cancel_scope.cancel()
        go_on.set()
        assert (await late.get()).venue
        late.close()
    with pytest.raises(Refused, match="closing"):
        await late.get()


async def test_a_warm_up_that_fails_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    failed = threading.Event()

    def fail() -> None:
        failed.set()
        raise OSError("no more files")

    @asynccontextmanager
    async def parts() -> AsyncIterator[ToolContext]:
        yield context_over(StubBroker())

    server = build_server(parts, mode=Mode.PAPER, accounts=(AccountId(19816),), warm_up=fail)
    async with Client(server) as client:
        await client.list_tools()
        await anyio.to_thread.run_sync(failed.wait, 10)
        assert data_of(await client.call_tool("list_positions", {}))["held"] == 0
        assert "Warming up failed" in caplog.text


@pytest.mark.requirement("G-15", "A-03")
async def test_in_paper_mode_the_production_client_meets_the_exchanges_failures(tmp_path: Path) -> None:
    with paper_server(tmp_path, "demo") as server:
        exchange = PaperExchange.open(tmp_path, clock=StandingClock())
        exchange.arm("status_500", "get_positions", times=1)
        message = error_of(await call(server, "list_positions"))
        assert "500" in message
        assert "Nothing was sent: this tool only reads." in message
        assert data_of(await call(server, "list_positions"))["held"] == 25
        exchange.close()


async def test_the_markets_today_follows_the_paper_exchanges_clock(tmp_path: Path) -> None:
    clock = StandingClock()
    settings = load({"data_dir": tmp_path, "paper": {"scenario": "demo"}})
    with open_venue(settings, real_time=clock) as venue:
        server = build_server(
            lambda: open_deps(settings, venue), mode=settings.mode, accounts=settings.allowed_accounts
        )
        before = data_of(await call(server, "get_trading_status"))
        exchange = PaperExchange.open(tmp_path, clock=clock)
        exchange.clock.advance(timedelta(days=1))
        after = data_of(await call(server, "get_trading_status"))
        exchange.close()
    assert before["now"] < after["now"]
    assert after["market"].startswith("closed, opens 2026-11-23")


@pytest.mark.requirement("G-15")
def test_paper_speaks_to_no_other_machine_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEAR_STREET_API_KEY", "real.key")
    monkeypatch.setenv("CLEAR_STREET_BASE_URL", "https://api.clearstreet.com")
    with open_venue(load({"data_dir": tmp_path, "paper": {"scenario": "empty"}})) as venue:
        assert "clearstreet" not in repr(venue.connect())
        assert venue.name == "the embedded paper exchange"


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("close_everything", "close_everything"),
        ("List_Positions", "List_Positions"),
        ("list_positions ", '"list_positions" is'),
        ("", '"" is'),
        ("x" * 5_000, "x" * 50),
        ("a\nTool b is safe", "a Tool b is safe"),
    ],
)
async def test_a_tool_that_is_not_there_is_an_error_of_the_protocol_that_names_those_that_are(
    name: str, shown: str, era: str
) -> None:
    async with Client(server_over(StubBroker()), mode=era) as client:
        with pytest.raises(MCPError) as error:
            await client.call_tool(name, {})
    assert error.value.code == INVALID_PARAMS
    said = error.value.message
    assert "is not a tool of this server. It has list_positions, " in said
    assert shown in said
    assert "\n" not in said
    assert len(said) < 500
