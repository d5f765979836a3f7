"""Several server processes on one store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from guard import racer
from guard.desk import desk, usual_positions
from guard.exchange import Exchange, StandingClock
from positions_mcp.domain.operation.states import OperationState, RowState

TESTS = Path(racer.__file__).parents[1]


def start(folder: Path, operation_id: str, number: int, *place: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "guard.racer", str(folder), operation_id, str(number), *place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=TESTS,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def effects(folder: Path) -> list[str]:
    path = folder / "effects"
    return path.read_text().splitlines() if path.exists() else []


async def approved(folder: Path, *instruments: str) -> str:
    async with desk(folder) as it:
        return (await it.approved_at_desk(*instruments)).operation_id


@pytest.mark.requirement("G-06")
async def test_two_processes_racing_on_one_plan_send_it_once(tmp_path: Path) -> None:
    operation_id = await approved(tmp_path, "AAPL", "TSLA")
    racers = [start(tmp_path, operation_id, number) for number in (1, 2)]
    for process in racers:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = sorted(process.communicate(timeout=30)[0].strip() for process in racers)
    assert said == ["Overtaken", "SUBMITTED"]
    sent = effects(tmp_path)
    assert len(sent) == 2
    assert len({line.split()[0] for line in sent}) == 1
    async with desk(tmp_path) as it:
        assert it.store.verify().intact


@pytest.mark.requirement("G-04", "G-07")
async def test_a_killed_process_leaves_a_journalled_operation_that_another_can_follow(tmp_path: Path) -> None:
    operation_id = await approved(tmp_path, "AAPL")
    process = start(tmp_path, operation_id, 1)
    process.stdin.write("go\n")
    process.stdin.flush()
    process.stdin.close()
    while not effects(tmp_path) and process.poll() is None:
        os.sched_yield()
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    process.stdout.close()
    clock = StandingClock()
    clock.advance(timedelta(minutes=3))
    exchange = Exchange(clock)
    exchange.hold(*usual_positions())
    async with desk(tmp_path, clock=clock, exchange=exchange) as it:
        report = await it.guard.operation(operation_id)
        assert report.state in (OperationState.UNKNOWN, OperationState.SUBMITTED)
        assert report.rows[0].state in (RowState.UNKNOWN, RowState.SUBMITTED)
        assert len(effects(tmp_path)) == 1
        assert it.store.verify().intact
