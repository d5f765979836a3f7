"""The book's clock: real time, or set and moved, the same for every process, and never back behind what happened."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from paper.serving import command
from paper.support import MONDAY_MORNING, POSITIONS, Opening, SettableClock, delete, http
from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.paper import BookError

FRIDAY = datetime(2026, 11, 27, 12, 0, tzinfo=NEW_YORK)


def test_it_shows_real_time_until_it_is_set_and_then_stands_still(opened: Opening, clock: SettableClock):
    paper = opened("demo").clock
    clock.advance(timedelta(minutes=1))
    assert paper.now() == MONDAY_MORNING + timedelta(minutes=1)
    paper.set(FRIDAY)
    clock.advance(timedelta(hours=1))
    assert paper.now() == FRIDAY
    paper.advance(timedelta(minutes=5))
    assert paper.now() == FRIDAY + timedelta(minutes=5)


def test_it_can_run_on_from_where_it_was_set(opened: Opening, clock: SettableClock):
    paper = opened("demo").clock
    paper.set(FRIDAY, running=True)
    clock.advance(timedelta(minutes=7))
    assert paper.now() == FRIDAY + timedelta(minutes=7)
    paper.advance(timedelta(hours=1))
    clock.advance(timedelta(minutes=1))
    assert paper.now() == FRIDAY + timedelta(hours=1, minutes=8)


def test_every_exchange_on_the_book_has_the_same_time(opened: Opening):
    one, other = opened("demo"), opened("demo", contract="seed")
    one.clock.set(FRIDAY)
    assert other.clock.now() == FRIDAY
    other.clock.advance(timedelta(minutes=1))
    assert one.clock.now() == FRIDAY + timedelta(minutes=1)
    assert one.clock.setting().mode == "set"


async def test_it_does_not_go_back_behind_what_has_happened(opened: Opening):
    exchange = opened("demo")
    exchange.clock.set(FRIDAY)
    exchange.clock.set(FRIDAY - timedelta(days=1))
    async with http(exchange) as client:
        await delete(client, f"{POSITIONS}/AAPL")
        for move in (lambda: exchange.clock.set(MONDAY_MORNING), exchange.clock.real):
            with pytest.raises(
                BookError, match=r"until .{10} .{8} New York and .* to .{10} .{8} New York: .*paper reset"
            ):
                move()
    with pytest.raises(BookError):
        exchange.clock.advance(timedelta(seconds=-1))
    with pytest.raises(ValueError, match="zone"):
        exchange.clock.set(datetime(2026, 11, 30))  # noqa: DTZ001  # without a zone is the point


def test_the_expiry_scenario_begins_at_half_past_two_on_the_next_trading_day(opened: Opening, clock: SettableClock):
    clock.at = datetime(2026, 11, 21, 3, 0, tzinfo=NEW_YORK)
    exchange = opened("expiry")
    assert exchange.clock.now() == datetime(2026, 11, 23, 14, 30, tzinfo=NEW_YORK)
    clock.advance(timedelta(minutes=10))
    assert exchange.clock.now() == datetime(2026, 11, 23, 14, 40, tzinfo=NEW_YORK)


async def test_the_control_endpoint_shows_and_moves_it(opened: Opening):
    exchange = opened("demo")
    async with http(exchange, key=None) as client:
        shown = {"now": "2026-11-23T16:00:00+00:00", "mode": "real", "exchange": exchange.identity}
        assert (await client.get("/paper/clock")).json() == shown
        await client.put("/paper/clock", json={"set": "2026-11-27T12:00:00-05:00"})
        answer = await client.put("/paper/clock", json={"advance_seconds": "90.5"})
        assert answer.json() == {"now": "2026-11-27T17:01:30.500000+00:00", "mode": "set"}
        assert (await client.put("/paper/clock", json={"real": True})).json()["mode"] == "real"
        for wrong in (
            *({}, {"set": "soon"}, {"set": "2026-11-27T12:00:00"}, {"advance_seconds": -1}, {"real": 1}),
            *({"advance_seconds": beyond} for beyond in ("Infinity", "NaN", "1e300", 1e11, None, [])),
            *({"set": f"{day}T23:59:59-14:00"} for day in ("2200-01-01", "9999-12-31")),
            {"set": "0001-01-01T00:00:00+14:00"},
        ):
            answer = await client.put("/paper/clock", json=wrong)
            assert answer.status_code == 400, wrong
            assert "isoformat" not in answer.text
        assert (await client.put("/paper/clock", content=b"[" * 60_000)).status_code == 400
        assert (await client.get(POSITIONS, headers={"Authorization": "Bearer paper.key"})).status_code == 200


def test_the_command_line_sets_advances_and_shows_it(tmp_path: Path):
    assert command("reset", "--scenario", "demo", data_dir=tmp_path).returncode == 0
    assert "Friday 2030-11-29 12:00:00" in command("clock", "set", "2030-11-29T12:00", data_dir=tmp_path).stdout
    advanced = command("clock", "advance", "90m", data_dir=tmp_path).stdout
    assert advanced.startswith("Friday 2030-11-29 13:30:00 New York (set, standing still); the market is closed.\n")
    assert command("clock", data_dir=tmp_path).stdout == advanced
    for wrong_day in ("soon", "2026-13-01", "2026-11-23T25:00"):
        said = command("clock", "set", wrong_day, data_dir=tmp_path).stderr
        assert said == f"positions-mcp paper: {wrong_day!r} is no instant; write 2026-11-23T14:30\n"
    for wrong in (("set", "soon"), ("set", "9999-12-31T23:59"), ("advance", "70000d")):
        assert command("clock", *wrong, data_dir=tmp_path).returncode == 2
    for wrong_length in ("900000000d", "99999999999999d", "soon"):
        with pytest.raises(SystemExit, match="2"):
            command("clock", "advance", wrong_length, data_dir=tmp_path)
