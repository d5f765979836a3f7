"""Several processes on one book, and processes that die."""

from __future__ import annotations

import random
import resource
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from databases import left_open
from paper.serving import Served, command, serving_twice
from paper.support import ORDERS, POSITIONS, Opening, by_symbol, delete, http
from positions_mcp.cli import main
from positions_mcp.paper import BookError, PaperExchange
from positions_mcp.paper.database import connect

IN_SESSION = "2030-11-25T11:00:00-05:00"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Served]]:
    with serving_twice(tmp_path_factory.mktemp("shared")) as both:
        yield both


@pytest.fixture
def two(servers: list[Served]) -> list[Served]:
    """Two processes on one book, which begins again in session."""
    servers[0].begin_again("demo")
    servers[0].set_clock(set=IN_SESSION)
    return servers


@pytest.mark.requirement("P-03")
def test_two_processes_on_one_book_agree(two: list[Served]):
    one, other = two
    with one.client() as first, other.client() as second:
        assert first.get(POSITIONS).json()["data"] == second.get(POSITIONS).json()["data"]
        (order,) = first.request("DELETE", f"{POSITIONS}/KO").json()["data"]
        assert second.get(f"{ORDERS}/{order['id']}").json()["data"] == order
        other.set_clock(advance_seconds=2)
        assert first.get(f"{ORDERS}/{order['id']}").json()["data"]["status"] == "FILLED"
        assert first.get(POSITIONS).json()["data"] == second.get(POSITIONS).json()["data"]
        assert "KO" not in by_symbol(second.get(POSITIONS))


@pytest.mark.requirement("P-03")
def test_many_that_open_a_new_book_at_the_same_instant_all_open_it(tmp_path: Path):
    for attempt in range(40):
        data_dir, together = tmp_path / str(attempt), threading.Barrier(8)

        def open_it(data_dir: Path = data_dir, together: threading.Barrier = together) -> str:
            together.wait()
            connection = connect(data_dir)
            try:
                return str(connection.execute("PRAGMA journal_mode").fetchone()[0])
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as pool:
            assert {each.result() for each in [pool.submit(open_it) for _ in range(8)]} == {"wal"}


@pytest.mark.requirement("P-03", "P-05")
def test_of_many_closes_at_once_from_two_processes_exactly_one_has_an_effect(two: list[Served]):
    barrier = threading.Barrier(8)

    def close(served: Served) -> int:
        with served.client() as client:
            barrier.wait()
            return client.request("DELETE", f"{POSITIONS}/KO", json={"cancel_orders": False}).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(close, two * 4))
    assert statuses == [200] + [400] * 7
    assert httpx.get(f"{two[1].url}/paper/effects").json()["counts"] == {"close_position": 1}


def orders_until_killed(served: Served, client: httpx.Client, seconds: float) -> set[str]:
    """Closes and closes again until the server has been killed; the ids of the orders it answered."""

    def close() -> set[str]:
        answer = client.request("DELETE", f"{POSITIONS}/KO", json={"cancel_orders": True})
        return {order["id"] for order in answer.json()["data"]}

    answered = close()
    killer = threading.Timer(seconds, served.process.kill)
    killer.start()
    try:
        while True:
            answered |= close()
    except httpx.TransportError:
        killer.join()
    return answered


@pytest.mark.requirement("P-03")
def test_eight_kills_at_any_moment_lose_nothing_that_was_answered(tmp_path: Path):
    dice = random.Random(7)
    answered: set[str] = set()
    command("reset", "--scenario", "demo", data_dir=tmp_path)
    command("clock", "set", "2030-11-25T11:00", data_dir=tmp_path)
    for _ in range(4):
        with serving_twice(tmp_path) as servers:
            for served in servers:
                with served.client() as client:
                    answered |= orders_until_killed(served, client, dice.uniform(0.02, 0.25))
    exchange = PaperExchange.open(tmp_path)
    with exchange.reading() as moment:
        kept, made = set(moment.ledger.orders), {key for effect in moment.ledger.effects for key in effect.made}
        (holding,) = (held for key, held in moment.ledger.holdings.items() if key[1] == "KO")
        assert moment.ledger.available(19816, "KO") == 0
        assert holding.quantity == 400
    exchange.close()
    assert len(answered) >= 8
    assert answered <= made <= kept


def turn_around_and_fail(exchange: PaperExchange) -> None:
    with exchange.changing() as moment:
        for holding in list(moment.ledger.holdings.values()):
            moment.ledger.put_holding(replace(holding, quantity=-holding.quantity))
        raise ZeroDivisionError


@pytest.mark.requirement("P-03")
def test_a_transaction_that_fails_leaves_the_book_as_it_was(opened: Opening):
    exchange = opened("demo")
    with exchange.reading() as moment:
        before = dict(moment.ledger.holdings)
    with pytest.raises(ZeroDivisionError):
        turn_around_and_fail(exchange)
    with exchange.reading() as moment:
        assert moment.ledger.holdings == before


@pytest.mark.requirement("P-03")
async def test_what_a_full_disk_kept_from_being_stored_never_happened(opened: Opening, tmp_path: Path):
    exchange = opened("demo")
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with http(exchange) as client:
        before = (await client.get(POSITIONS)).json()["data"]
        full = (tmp_path / "data" / "paper.sqlite-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (full, most))
        try:
            failed = await delete(client, f"{POSITIONS}/KO")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        assert failed.status_code == 500
        assert (await client.get(POSITIONS)).json()["data"] == before
        assert exchange.effect_counts() == {}
        assert (await delete(client, f"{POSITIONS}/KO")).status_code == 200
    with opened("demo").reading() as moment:
        assert len(moment.ledger.effects) == 1


def test_a_book_continues_with_its_scenario_and_refuses_another(opened: Opening, tmp_path: Path):
    opened("expiry").clock.advance(timedelta(hours=5))
    assert len(list(opened(None).faults())) == 0
    with opened("expiry").reading() as moment:
        assert "AMD261123C00185000" not in {symbol for _, symbol in moment.ledger.holdings}
    with pytest.raises(BookError, match="paper reset --scenario demo"):
        opened("demo")
    with pytest.raises(BookError, match="19816"):
        opened(None, accounts=[1])
    with pytest.raises(BookError, match="above zero"):
        opened("demo", data_dir=tmp_path / "other", accounts=[19816, 0])


def test_two_accounts_have_books_of_their_own(opened: Opening):
    exchange = opened("demo", accounts=[19816, 19817])
    with exchange.reading() as moment:
        assert len(moment.ledger.holdings_of(19816)) == len(moment.ledger.holdings_of(19817)) == 25


def test_a_reset_is_seen_by_a_server_that_is_running(two: list[Served]):
    with two[0].client() as client:
        assert client.get(POSITIONS).json()["metadata"]["total_items"] > 0
        two[0].begin_again("empty")
        assert client.get(POSITIONS).json()["metadata"]["total_items"] == 0


def test_the_book_is_for_its_owner_only(tmp_path: Path):
    exchange = PaperExchange.open(tmp_path / "data")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    exchange.close()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}
    assert "paper.sqlite" in modes


def test_a_book_of_a_later_program_or_of_no_program_is_refused(tmp_path: Path):
    PaperExchange.open(tmp_path).close()
    with sqlite3.connect(tmp_path / "paper.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(BookError, match="99"):
        PaperExchange.open(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "paper.sqlite").write_text("this is no database, but long enough to be looked at " * 20)
    with pytest.raises(BookError, match=r"paper\.sqlite") as refusal:
        PaperExchange.open(other)
    assert refusal.traceback  # which keeps what was opened until here
    assert left_open(other / "paper.sqlite") == 0


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_cannot_be_is_named(tmp_path: Path, port: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        main(["paper", "serve", f"--port={port}", "--data-dir", str(tmp_path)])
    assert f"'{port}' is no port; it is from 0 to 65535" in capsys.readouterr().err


def test_importing_the_exchange_imports_neither_the_server_nor_the_http_stack():
    heavy = ("uvicorn", "starlette", "holidays", "httpx", "mcp")
    code = f"import sys, positions_mcp.paper; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
