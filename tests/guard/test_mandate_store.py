"""Mandates that are written into, used twice, or used by several processes at once (D-04, D-05, G-16)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from guard import delegate
from guard.delegated import sent_without_question, signed
from guard.desk import CALLER, PASSPHRASE, Desk, desk
from positions_mcp.domain.errors import PositionsError, Refused, StoreUnavailable
from positions_mcp.domain.operation.mandate import Mandate
from positions_mcp.domain.operation.operation import Decision
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.guard.delegating import Delegation

TESTS = Path(delegate.__file__).parents[1]

EDITS = {
    "more operations": "UPDATE mandates SET content = replace(content, '\"operations\":1,', '\"operations\":9,')",
    "another account": "UPDATE mandates SET content = replace(content, '\"account_id\":19816', '\"account_id\":2')",
    "no caller": "UPDATE mandates SET content = replace(content, '[\"Claude\"]', '[]')",
    "a later end": "UPDATE mandates SET content = replace(content, 'T04:59:00', 'T04:59:59')",
    "another signature": 'UPDATE mandates SET content = replace(content, \'"signature":"\', \'"signature":"0\')',
    "another signer": 'UPDATE mandates SET content = replace(content, \'"name":"approver"\', \'"name":"mallory"\')',
    "not revoked": 'UPDATE mandates SET content = replace(content, \'"drafted_by":"ana"\', \'"drafted_by":"bob"\')',
}


def edit(place: Path, *statements: str) -> None:
    """What somebody does who can write into the file."""
    engine = create_engine(f"sqlite+pysqlite:///{place}")
    with engine.begin() as connection:
        for statement in statements:
            assert connection.exec_driver_sql(statement).rowcount
    engine.dispose()


async def tried(it: Desk, mandate: Mandate, *instruments: str) -> list[str]:
    """A plan that is sent under a mandate however that looks: what was sent, and nothing where it was noticed."""
    planned = await it.plan(*instruments)
    try:
        await it.guard.send_under(planned.operation, mandate.mandate_id, caller=CALLER)
    except PositionsError:
        assert await _goes_by_nothing_else(it, *instruments)
    return it.exchange.effects


async def _goes_by_nothing_else(it: Desk, *instruments: str) -> bool:
    try:
        return await sent_without_question(it, *instruments) is None
    except (Refused, StoreUnavailable):
        return True


@pytest.mark.requirement("D-04", "D-05")
@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
async def test_an_edited_mandate_is_noticed_and_sends_nothing(name: str, restarted: bool, tmp_path: Path) -> None:
    place = tmp_path / "operations.sqlite"
    async with desk(tmp_path) as it:
        mandate = await signed(it, operations=1, callers=("Claude",), until="23:59")
        if not restarted:
            edit(place, EDITS[name])
            assert await tried(it, mandate, "AAPL") == []
    if restarted:
        edit(place, EDITS[name])
    async with desk(tmp_path) as it:
        assert await tried(it, mandate, "MSFT") == []
        assert not it.store.verify().intact


FORGOTTEN = {
    "the use": ("DELETE FROM mandate_uses",),
    "its dollars": ("UPDATE mandate_uses SET content = replace(content, '15050.00', '1.00')",),
    "its number": ("UPDATE mandate_uses SET number = 2",),
    "its operation": ("UPDATE mandate_uses SET operation_id = 'op-2'",),
    "the use and its entry": ("DELETE FROM mandate_uses", "DELETE FROM journal WHERE event = 'mandate used'"),
    "the entry": ("DELETE FROM journal WHERE event = 'mandate used'",),
    "what was reserved": ("UPDATE operation_rows SET reserved = '0'",),
}


@pytest.mark.requirement("D-05")
@pytest.mark.parametrize("name", FORGOTTEN)
@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
async def test_a_use_that_is_made_to_be_forgotten_still_counts_or_nothing_is_sent(
    name: str, restarted: bool, tmp_path: Path
) -> None:
    place = tmp_path / "operations.sqlite"
    async with desk(tmp_path) as it:
        mandate = await signed(it, operations=2, in_all=16_000)  # 950 are left after the first
        assert await sent_without_question(it, "AAPL") is not None
        if not restarted:
            edit(place, *FORGOTTEN[name])
            assert len(await tried(it, mandate, "MSFT")) == 1
    if restarted:
        edit(place, *FORGOTTEN[name])
        async with desk(tmp_path) as it:
            assert await _sends_nothing(it, mandate)


async def _sends_nothing(it: Desk, mandate: Mandate) -> bool:
    """A store that is broken may not even take a plan."""
    try:
        return await tried(it, mandate, "MSFT") == []
    except StoreUnavailable:
        return not it.exchange.effects


@pytest.mark.requirement("D-05")
async def test_a_life_of_a_mandate_that_is_added_to_the_journal_makes_it_useless(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        mandate = await signed(it, operations=1)
        assert await sent_without_question(it, "AAPL") is not None
        with it.store._writing() as transaction:  # as somebody does who can continue the chain
            record = mandate.model_dump(mode="json")
            again = {"mandate": mandate.mandate_id, "record": record}
            transaction.append_alone("mandate signed", again, it.clock.now())
        edit(tmp_path / "operations.sqlite", "DELETE FROM mandate_uses")
        assert len(await tried(it, mandate, "MSFT")) == 1
    async with desk(tmp_path) as it:
        assert await tried(it, mandate, "MSFT") == []


@pytest.mark.requirement("D-04", "D-05")
async def test_a_mandate_that_a_forged_roster_or_nobody_signed_sends_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path / "other") as other:
        foreign = await signed(other)
    async with desk(tmp_path) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        it.store.draft_mandate(foreign.changed(window=None, signed=None), it.clock.now())
        it.store.sign_mandate(foreign, it.clock.now())  # by another store's approver
        assert await tried(it, foreign, "AAPL") == []


@pytest.mark.requirement("G-01", "D-05")
async def test_a_decision_by_a_mandate_that_is_written_into_the_store_sends_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        mandate = await signed(it)
        operation = await it.asked("AAPL")
        now = it.clock.now()
        forged = Decision(
            operation_id=operation.operation_id,
            digest=operation.plan.digest,
            channel=Channel.MANDATE,
            approved=True,
            by="approver",
            decided_at=now,
            expires_at=now + timedelta(minutes=1),
            mandate=mandate.mandate_id,
        )
        with pytest.raises(Refused):
            it.store.decide(forged, now)
        with it.store._writing() as transaction:
            stage = {"stage": "APPROVED", "decision": forged}
            transaction.save(transaction.operation(operation.operation_id), "approved", now, **stage)
        with pytest.raises(Refused):
            await it.guard.send_approved(operation.operation_id, caller=CALLER)
        with pytest.raises(Refused):
            await it.guard.send_under(operation, mandate.mandate_id, caller=CALLER)
        assert it.exchange.effects == []


class Racer:
    """Another process: started once, and told of one store after another."""

    def __init__(self, number: int) -> None:
        command = [sys.executable, "-m", "guard.delegate", str(number)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, **pipes, text=True, cwd=TESTS)

    def say(self, words: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{words}\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def hear_all(self) -> list[str]:
        """Until it has closed its positions and let go of the store."""
        return list(iter(self.hear, delegate.DONE))

    def end(self) -> None:
        self.process.communicate(timeout=60)


@pytest.fixture(scope="module")
def racers() -> Iterator[Sequence[Racer]]:
    started = [Racer(number) for number in (1, 2)]
    yield started
    for racer in started:
        racer.end()


def go(racers: Sequence[Racer], folder: Path, place: Path | str) -> None:
    """Both at once, as soon as both have the store open."""
    for racer in racers:
        racer.say(json.dumps([str(folder), str(place)]))
    assert [racer.hear() for racer in racers] == ["ready", "ready"]
    for racer in racers:
        racer.say("go")


def effects(folder: Path) -> list[str]:
    path = folder / "effects"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.requirement("D-05")
async def test_two_processes_send_under_a_mandate_as_often_as_it_says_and_not_once_more(
    place: Path | str, tmp_path: Path, racers: Sequence[Racer]
) -> None:
    async with desk(tmp_path, place=place, positions=delegate.positions()) as it:
        mandate = await signed(it, instruments=tuple(f"S{number}" for number in range(1, 9)), operations=3)
    go(racers, tmp_path, place)
    said = [line for racer in racers for line in racer.hear_all()]
    assert said.count("SUBMITTED") == 3
    assert len(effects(tmp_path)) == 3
    async with desk(tmp_path, place=place) as it:
        standing = it.store.standing(mandate.mandate_id)
        assert [use.number for use in standing.uses] == [1, 2, 3]
        assert it.store.verify().intact


@pytest.mark.requirement("D-05", "G-16")
async def test_nothing_is_sent_under_a_mandate_after_it_was_revoked_by_another_process(
    place: Path | str, tmp_path: Path, racers: Sequence[Racer]
) -> None:
    async with desk(tmp_path, place=place, positions=delegate.positions()) as it:
        mandate = await signed(it, instruments=tuple(f"S{number}" for number in range(1, 9)))
        go(racers, tmp_path, place)
        racers[0].hear()
        await Delegation(it.parts).revoke(mandate.mandate_id, by="ana")
        for racer in racers:
            racer.hear_all()
        journal = it.store.journal(limit=10_000)
        (revoked,) = [entry.sequence for entry in journal if entry.event == "mandate revoked"]
        sent = [entry.sequence for entry in journal if entry.event == "sending"]
        assert len(effects(tmp_path)) == len(sent)
        assert all(sequence < revoked for sequence in sent)
        assert it.store.verify().intact
