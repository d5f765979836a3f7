"""A right that ends while another process sends by it: nothing leaves after the entry that ends it (D-05)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from guard import sender
from guard.delegate import EACH, positions
from guard.desk import PASSPHRASE, POLICY, Desk
from guard.exchange import Exchange
from guard.persons import BEN, Place, change, two_people
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.roster import Rights
from positions_mcp.guard.enrolling import changing_member, removing_member

TESTS = Path(sender.__file__).parents[1]
pytestmark = pytest.mark.requirement("D-05")
ENDS: dict[str, tuple[dict[str, Any], Any]] = {
    "removed": ({}, removing_member("Ben")),
    "may approve less": ({}, changing_member("Ben", rights=(Rights(approves=Decimal(1)),))),
    "one of two removed": ({"two_persons_above": Decimal(0)}, removing_member("Ben")),
}


async def approved(it: Desk, symbol: str, *, by_two: bool) -> Operation:
    operation = await it.asked(symbol)
    await it.supervisor.approve(operation.operation_id, BEN, name="Ben")
    if by_two:
        await it.supervisor.approve(operation.operation_id, PASSPHRASE, name="Ana")
    return operation


def started(folder: Path, place: Place, names: Sequence[str]) -> subprocess.Popen[str]:
    """Another process that sends them from now on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "guard.sender", str(folder), str(place), *names],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=TESTS,
    )
    assert process.stdout
    assert process.stdin
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()
    return process


@pytest.mark.parametrize(("limits", "made"), ENDS.values(), ids=ENDS)
async def test_nothing_leaves_on_somebodys_word_after_the_entry_that_ends_it(
    place: Place, tmp_path: Path, limits: dict[str, Any], made: Callable[..., Any]
) -> None:
    policy = POLICY.model_copy(update=limits)
    async with two_people(tmp_path, policy, place=place) as it:
        assert isinstance(it.exchange, Exchange)
        it.exchange.hold(*positions())
        operations = [await approved(it, f"S{number}", by_two=bool(limits)) for number in range(1, 2 * EACH + 1)]
        names = [each.operation_id for each in operations]
        process = started(tmp_path, place, names)
        assert process.stdout
        process.stdout.readline()
        await change(it, made)
        process.communicate(timeout=120)
        journal = it.store.journal(limit=10_000)
        ended = [entry.sequence for entry in journal if entry.event == "roster set"][-1]
        sent = [entry.sequence for entry in journal if entry.event == "sending"]
        effects = (tmp_path / "effects").read_text().splitlines()
        assert 1 <= len(effects) == len(sent)
        assert all(number < ended for number in sent)
        assert it.store.verify().intact
