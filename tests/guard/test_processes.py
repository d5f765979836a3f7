"""Several server processes on one store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from guard import racer
from guard.desk import desk

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


@pytest.mark.requirement("G-06")
async def test_two_processes_racing_on_one_plan_send_it_once(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation_id = (await it.approved_at_desk("AAPL", "TSLA")).operation_id
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
