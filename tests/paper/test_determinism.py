"""The same day and seed give the same book, to the last byte; snapshots put a book back; a scenario is what it says."""

from __future__ import annotations

import shutil
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from paper.serving import command, serving
from paper.support import INSTRUCTIONS, ORDERS, POSITIONS, Opening, SettableClock, by_symbol, delete, http
from positions_mcp.cli.commands import program
from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.paper import BookError, PaperExchange

DAY = date(2026, 3, 2)


async def session(exchange: PaperExchange) -> list[bytes]:
    """Everything that a session of reads, closes, instructions, errors and fills answers."""
    answers = []
    async with http(exchange) as client:
        first = await client.get(POSITIONS, params={"page_size": 3})
        answers.append(first.content)
        token = first.json()["metadata"]["next_page_token"]
        answers.append((await client.get(POSITIONS, params={"page_token": token})).content)
        answers.append((await delete(client, f"{POSITIONS}/KO", cancel_orders=True)).content)
        answers.append((await client.post(INSTRUCTIONS, json=[])).content)
        exchange.clock.advance(timedelta(seconds=2))
        answers.extend(
            [
                (await client.get(path)).content
                for path in (ORDERS, INSTRUCTIONS, "/v1/accounts/19816/executions", "/v1/accounts/19816/balances")
            ]
        )
        exchange.clock.advance(timedelta(days=3))
        answers.append((await client.get(POSITIONS)).content)
    return answers


@pytest.mark.parametrize("scenario", ["demo", "expiry"])
async def test_a_day_and_a_seed_give_the_same_answers_whenever_they_are_asked_for(
    opened: Opening, clock: SettableClock, tmp_path: Path, scenario: str
):
    seen = []
    for days, where in ((0, "one"), (200, "other")):
        clock.advance(timedelta(days=days))
        PaperExchange.reset(tmp_path / where, scenario, day=DAY, seed=7, clock=clock)
        seen.append(await session(opened(None, data_dir=tmp_path / where)))
    assert seen[0] == seen[1]
    PaperExchange.reset(tmp_path / "one", scenario, day=DAY, seed=7, clock=clock)
    assert await session(opened(None, data_dir=tmp_path / "one")) == seen[0]


async def test_another_seed_gives_other_ids_and_prices_and_no_seed_gives_others_each_time(
    opened: Opening, clock: SettableClock, tmp_path: Path
):
    seen = set()
    for where, seed in (("a", 7), ("b", 8), ("c", None), ("d", None)):
        PaperExchange.reset(tmp_path / where, "demo", day=DAY, seed=seed, clock=clock)
        async with http(opened(None, data_dir=tmp_path / where)) as client:
            (order,) = (await delete(client, f"{POSITIONS}/KO", cancel_orders=True)).json()["data"]
            seen.add((order["id"], by_symbol(await client.get(POSITIONS))["AAPL"]["instrument_price"]))
    assert len({identity for identity, _ in seen}) == 4
    assert len({price for _, price in seen}) == 3


async def test_two_processes_on_one_seeded_book_make_no_id_twice(opened: Opening, clock: SettableClock, tmp_path: Path):
    PaperExchange.reset(tmp_path / "data", "demo", day=DAY, seed=7, clock=clock)
    one, other = opened(None), opened(None)
    ids = []
    for exchange in (one, other, one, other):
        async with http(exchange) as client:
            answer = await delete(client, POSITIONS, cancel_orders=True)
            ids += [answer.json()["metadata"]["request_id"], *(order["id"] for order in answer.json()["data"])]
    assert len(ids) == len(set(ids)) > 100


def test_a_day_stands_still_in_session_and_must_be_one(tmp_path: Path):
    said = command("reset", "--scenario", "demo", "--day", "2026-03-02", "--seed", "7", data_dir=tmp_path)
    assert said.returncode == 0
    assert "clock advance" in said.stdout
    assert command("clock", data_dir=tmp_path).stdout == (
        "Monday 2026-03-02 10:00:00 New York (set, standing still); the market is open.\n"
    )
    refused = command("reset", "--day", "2026-03-01", data_dir=tmp_path)
    assert refused.returncode == 2
    assert "2026-03-01 is no trading day in New York; the next one is 2026-03-02" in refused.stderr
    assert "2026-03-02" in command("clock", data_dir=tmp_path).stdout


async def state(exchange: PaperExchange) -> list[Any]:
    async with http(exchange) as client:
        return [(await client.get(path)).json()["data"] for path in (POSITIONS, ORDERS, INSTRUCTIONS)]


async def test_a_snapshot_puts_back_positions_orders_clock_and_faults(opened: Opening, tmp_path: Path):
    exchange = opened("expiry", clock=None)
    exchange.clock.set(exchange.clock.now())
    exchange.arm("status_503", "get_accounts", times=3)
    before, now = await state(exchange), exchange.clock.now()
    where = tmp_path / "data"
    assert command("snapshot", "noon", data_dir=where).returncode == 0
    async with http(exchange) as client:
        await delete(client, POSITIONS, cancel_orders=True)
    exchange.clock.advance(timedelta(days=1))
    exchange.disarm()
    assert await state(exchange) != before
    assert command("restore", "noon", data_dir=where).returncode == 0
    assert (await state(exchange), exchange.clock.now()) == (before, now)
    assert [(fault.kind, fault.times) for fault in exchange.faults()] == [("status_503", 3)]
    assert exchange.effect_counts() == {}
    assert command("snapshot", data_dir=where).stdout == "noon\n"


def test_a_clock_that_ran_goes_on_from_what_it_showed(opened: Opening, clock: SettableClock, tmp_path: Path):
    from positions_mcp.paper import snapshots

    exchange = opened("demo")
    exchange.clock.set(datetime(2026, 11, 27, 12, tzinfo=NEW_YORK), running=True)
    snapshots.take(tmp_path / "data", "noon", clock)
    clock.advance(timedelta(hours=5))
    snapshots.restore(tmp_path / "data", "noon", clock)
    assert exchange.clock.now() == datetime(2026, 11, 27, 12, tzinfo=NEW_YORK)
    clock.advance(timedelta(minutes=1))
    assert exchange.clock.now() == datetime(2026, 11, 27, 12, 1, tzinfo=NEW_YORK)


def test_a_running_server_sees_a_restored_book_at_once(tmp_path: Path):
    with serving(tmp_path, "demo") as served, served.client() as client:
        before = client.get(POSITIONS).json()["metadata"]["total_items"]
        assert command("snapshot", "full", data_dir=tmp_path).returncode == 0
        served.begin_again("empty")
        assert client.get(POSITIONS).json()["metadata"]["total_items"] == 0
        assert command("restore", "full", data_dir=tmp_path).returncode == 0
        assert client.get(POSITIONS).json()["metadata"]["total_items"] == before


@pytest.mark.parametrize("name", ["", "..", "a/b", "../x", ".hidden", "x" * 65])
def test_a_snapshot_stays_in_its_folder(tmp_path: Path, name: str):
    command("reset", "--scenario", "empty", data_dir=tmp_path)
    for act in ("snapshot", "restore"):
        refused = command(act, name, data_dir=tmp_path)
        assert refused.returncode == 2
        assert "is no name for a snapshot" in refused.stderr


def test_a_snapshot_that_is_not_there_lists_those_that_are(tmp_path: Path):
    command("reset", "--scenario", "empty", data_dir=tmp_path)
    command("snapshot", "one", data_dir=tmp_path)
    refused = command("restore", "two", data_dir=tmp_path).stderr
    assert (
        f"no snapshot 'two'; there are: one. `{program()} paper snapshot NAME --data-dir {tmp_path}` takes" in refused
    )
    (tmp_path / "snapshots" / "three.sqlite").write_text("this is no database, but long enough to be one" * 20)
    assert "'three' cannot be restored" in command("restore", "three", data_dir=tmp_path).stderr
    assert command("status", data_dir=tmp_path).returncode == 0


OWN = 'title = "Mine"\n[[underlyings]]\nsymbol = "F"\nprice = 11.25\n'


def test_a_scenario_is_known_by_what_it_says_wherever_it_lies(tmp_path: Path, clock: SettableClock):
    first, data = tmp_path / "first.toml", tmp_path / "data"
    first.write_text(OWN)

    def reopened(path: Path) -> None:
        PaperExchange.open(data, scenario=str(path), clock=clock).close()

    reopened(first)
    elsewhere = tmp_path / "b" / "second.toml"
    elsewhere.parent.mkdir()
    elsewhere.write_text("# a remark\n" + OWN.replace('"Mine"', '"Renamed"'))
    reopened(elsewhere)
    shutil.move(first, tmp_path / "moved.toml")
    reopened(tmp_path / "moved.toml")
    first.write_text(OWN.replace("11.25", "12"))
    with pytest.raises(BookError, match=r"as it was loaded, not what .*first\.toml"):
        reopened(first)
    with pytest.raises(BookError, match="not what 'demo' says"):
        PaperExchange.open(data, scenario="demo", clock=clock)
