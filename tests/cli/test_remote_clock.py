"""A program with `paper.url` goes by the clock of the exchange that it uses, as it was set there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from mcp.server.mcpserver import MCPServer

from paper.serving import Served, serving, started
from positions_mcp.cli import main
from positions_mcp.cli.assembly.composition import open_deps, open_venue
from positions_mcp.cli.assembly.remote_clock import RemoteClock
from positions_mcp.clock import SystemClock
from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.paper import PaperExchange
from positions_mcp.server import build_server
from positions_mcp.settings import load
from positions_mcp.tools.context import ToolContext
from tools.serving import call, text_of

MORNING = datetime(2030, 12, 2, 15, 0, tzinfo=UTC)
"""A Monday, 10:00 in New York."""
NOBODY = "http://127.0.0.1:9"
NEAR = timedelta(minutes=2)


@contextmanager
def server_at(url: str, data_dir: Path, key: str = "paper.key") -> Iterator[MCPServer[ToolContext]]:
    """The server as `serve` composes it, over the exchange at `url`."""
    settings = load({"mode": "paper", "data_dir": data_dir, "paper": {"url": url, "key": key}})
    with open_venue(settings) as venue:
        yield build_server(lambda: open_deps(settings, venue), mode=settings.mode, accounts=settings.allowed_accounts)


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """Something that answers every request with this."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Location", "/paper/clock")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Served]:
    """An exchange in a process of its own."""
    with serving(tmp_path / "there") as served:
        yield served


async def shown_by(server: MCPServer[ToolContext]) -> str:
    return text_of(await call(server, "get_trading_status"))


async def test_every_call_goes_by_the_clock_as_it_is_there_at_that_moment(elsewhere: Served, tmp_path: Path) -> None:
    with server_at(elsewhere.url, tmp_path / "here") as server:
        assert "paper clock" not in await shown_by(server)
        elsewhere.set_clock(set=MORNING.isoformat())
        shown = await shown_by(server)
        assert "Now 2030-12-02 10:00" in shown
        assert "(the paper clock, which is set); market open" in shown
        elsewhere.set_clock(advance_seconds=7 * 3600)
        assert "Now 2030-12-02 17:00" in await shown_by(server)
        assert "2030-12-02 17:00" in text_of(await call(server, "list_positions"))
        elsewhere.set_clock(set=(MORNING + timedelta(days=1)).isoformat(), running=True)
        assert "Now 2030-12-03 10:0" in await shown_by(server)


async def test_expiry_is_told_by_the_day_that_it_is_there(tmp_path: Path) -> None:
    with serving(tmp_path / "there", "expiry") as there, server_at(there.url, tmp_path / "here") as server:
        before = text_of(await call(server, "project_expiration"))
        there.set_clock(set=MORNING.isoformat())
        after = text_of(await call(server, "project_expiration"))
        assert "2030-12-02" in after
        assert "2030-12-02" not in before


async def test_where_the_clock_cannot_be_read_the_status_says_by_what_the_time_goes(tmp_path: Path) -> None:
    with server_at(NOBODY, tmp_path) as server:
        assert "its clock cannot be read (" in (shown := await shown_by(server))
        assert "): real time is used." in shown
        assert "paper clock" not in shown


async def test_a_clock_that_was_read_goes_on_as_it_went_when_the_exchange_is_gone(tmp_path: Path) -> None:
    with serving(tmp_path / "there") as there, server_at(there.url, tmp_path / "here") as server:
        there.set_clock(set=MORNING.isoformat())
        await shown_by(server)
        there.kill()
        shown = await shown_by(server)
        assert "): it goes on as last read." in shown
        assert "Now 2030-12-02 10:00" in shown


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, "{}"),
        (200, "{}"),
        (200, "[]"),
        (200, "no json"),
        (200, '{"now": 5, "mode": "set"}'),
        (200, '{"now": "yesterday", "mode": "set"}'),
        (200, '{"now": "0001-01-01T00:00:00+14:00", "mode": "set"}'),
        (200, '{"now": "2030-12-02T15:00:00", "mode": "set"}'),
        (302, "{}"),
    ],
)
async def test_what_is_no_clock_is_not_gone_by(status: int, body: str) -> None:
    with answering(status, body) as url:
        clock = RemoteClock(url, "paper.key", SystemClock())
        assert (await clock.follow()).endswith("real time is used")
        assert abs(clock.now() - SystemClock().now()) < NEAR
        clock.close()


async def test_the_wrong_key_is_said(tmp_path: Path) -> None:
    with started("--host", "0.0.0.0", "--key", "desk.secret", "--data-dir", str(tmp_path)) as process:
        url = Served.of(process, tmp_path).url.replace("0.0.0.0", "127.0.0.1")
        for key, said in (
            ("wrong.key", "its clock cannot be read (it answers 401): real time is used"),
            ("desk.secret", ""),
        ):
            clock = RemoteClock(url, key, SystemClock())
            assert await clock.follow() == said
            clock.close()


def test_doctor_asks_the_exchange_that_is_configured(
    elsewhere: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere.set_clock(set=MORNING.isoformat())
    monkeypatch.setenv("POSITIONS_MCP_PAPER__URL", elsewhere.url)
    assert main(["doctor", "--data-dir", str(tmp_path / "here")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"{elsewhere.url}, its clock says 2030-12-02" in shown
    assert "the market is open by the paper clock" in shown
    monkeypatch.setenv("POSITIONS_MCP_PAPER__URL", NOBODY)
    assert main(["doctor", "--data-dir", str(tmp_path / "here")]) == 0
    assert "its clock cannot be read" in " ".join(capsys.readouterr().out.split())


@pytest.mark.requirement("G-15")
def test_which_exchange_it_is_is_asked_and_where_nobody_answers_its_store_is_not_used(elsewhere: Served) -> None:
    with answering(404, "") as older:
        clocks = {url: RemoteClock(url, "paper.key", SystemClock()) for url in (elsewhere.url, older, NOBODY)}
        with closing(PaperExchange.open(elsewhere.data_dir)) as exchange:
            assert clocks[elsewhere.url].exchange() == exchange.identity
        assert clocks[older].exchange() == "", "one of 0.1.0, or a replay, does not say"
        with pytest.raises(StoreUnavailable, match="cannot be asked which one it is"):
            clocks[NOBODY].exchange()
        for clock in clocks.values():
            clock.close()
