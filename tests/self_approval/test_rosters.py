"""An agent that writes into the store so that it, or a person who may not, has approved: nothing is sent (D-04, D-05).

It writes as the program itself does, so that the journal's chain holds: a chain without a secret stops nobody who can
write. What stops them is that every roster and every yes is signed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, insert, select, update

from guard.desk import CALLER, PASSPHRASE, POLICY, Desk, desk
from guard.persons import BEN, TWO, Place, change, two_people
from positions_mcp.domain.errors import PositionsError, Refused
from positions_mcp.domain.operation.operation import Decision, Operation
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.roster import Member, RosterLink, whole_member
from positions_mcp.domain.operation.statements import PassphraseKey, SignedStatement
from positions_mcp.domain.operation.states import Stage
from positions_mcp.guard.enrolling import removing_member
from positions_mcp.signing.keys import Unlocked, unlock
from positions_mcp.signing.rosters import RosterChain
from positions_mcp.signing.statements import sign
from positions_mcp.store.schema import TABLES
from signing.people import ACCOUNT, EVE, approver_of, link, yes

pytestmark = pytest.mark.requirement("G-02", "D-04", "D-05")


def members_of(it: Desk) -> tuple[Member, ...]:
    roster = it.store.rosters().roster
    assert roster is not None
    return roster.members


def writes(it: Desk, forged: RosterLink) -> None:
    """What the program writes when the roster changes, journal and all, without asking who signed it."""
    content = {"link": forged.model_dump(mode="json"), "by": forged.signed.by}
    with it.store._writing() as transaction:
        transaction.note("roster set", "roster", forged.model_dump_json(), it.clock.now(), content)


def _eve_beside(it: Desk) -> RosterLink:
    return link(it.store.rosters(), EVE, "Eve", *members_of(it), whole_member("Eve", EVE.key))


def _in_anas_name(it: Desk) -> RosterLink:
    ana = members_of(it)[0].credentials[0].fingerprint
    return link(it.store.rosters(), EVE, "Ana", *members_of(it), whole_member("Eve", EVE.key), credential=ana)


def _with_anas_signature_of_another(it: Desk) -> RosterLink:
    return _eve_beside(it).changed(signed=it.store.rosters().links[-1].signed)


def _eves_key_as_anas(it: Desk) -> RosterLink:
    ana, *others = members_of(it)
    return link(it.store.rosters(), EVE, "Ana", ana.changed(credentials=(EVE.key,)), *others)


def _eve_alone_from_the_beginning(it: Desk) -> RosterLink:
    del it
    return link(RosterChain(), EVE, "Eve", whole_member("Eve", EVE.key))


def _the_last_one_edited(it: Desk) -> RosterLink:
    last = it.store.rosters().links[-1]
    more = (*last.roster.members, whole_member("Eve", EVE.key))
    return last.changed(roster=last.roster.changed(members=more))


def _signed_by_ben_who_may_not(it: Desk) -> RosterLink:
    ben = unlock(members_of(it)[1].credentials[0], BEN)  # type: ignore[arg-type]
    return link(it.store.rosters(), ben, "Ben", *members_of(it), whole_member("Eve", EVE.key))


FORGERIES: dict[str, Callable[[Desk], RosterLink]] = {
    "the agent's own key beside the others": _eve_beside,
    "the same in an approver's name": _in_anas_name,
    "the same with an approver's signature of another roster": _with_anas_signature_of_another,
    "the agent's key as an approver's": _eves_key_as_anas,
    "the agent alone, from the beginning": _eve_alone_from_the_beginning,
    "the last roster edited": _the_last_one_edited,
    "signed by somebody who may not change it": _signed_by_ben_who_may_not,
}


def approves(it: Desk, operation: Operation, key: Unlocked, name: str) -> None:
    """A yes as the program stores it, with a genuine signature of whoever has this key."""
    now, plan = it.clock.now(), operation.plan
    until = now + timedelta(seconds=50)
    said = yes(name, key, operation=plan.plan_id, digest=plan.digest, account=ACCOUNT, decided_at=now, expires_at=until)
    stores(it, operation, sign(said, key))


def stores(it: Desk, operation: Operation, signed: SignedStatement, first: SignedStatement | None = None) -> None:
    said = signed.statement
    assert said.expires_at is not None
    decision = Decision(
        operation_id=operation.operation_id,
        digest=operation.plan.digest,
        channel=Channel.DESK,
        approved=True,
        by=signed.by,
        decided_at=said.decided_at,
        expires_at=said.expires_at,
        note=said.note,
        origin=said.origin,
        signed=signed,
        first=first,
    )
    with it.store._writing() as transaction:
        stored = transaction.operation(operation.operation_id)
        transaction.save(stored, "approved", it.clock.now(), stage=Stage.APPROVED, decision=decision)


async def nothing_is_sent(it: Desk, operation: Operation, place: Place) -> bool:
    """Whether a server that runs, and one that is started now, both send nothing of it."""
    with pytest.raises(PositionsError):
        await it.guard.send_approved(operation.operation_id, caller=CALLER)
    async with desk(Path(), place=place, policy=it.parts.policy, exchange=it.exchange, clock=it.clock) as restarted:
        with pytest.raises(PositionsError):
            await restarted.guard.send_approved(operation.operation_id, caller=CALLER)
    return it.exchange.effects == []


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
async def test_a_roster_that_nobody_signed_who_may_makes_no_approver(
    place: Place, tmp_path: Path, forge: Callable[[Desk], RosterLink]
) -> None:
    async with two_people(tmp_path, POLICY, place=place) as it:
        operation = await it.asked("AAPL")
        await it.guard.way_to_decide(operation.operation_id)
        forged = forge(it)
        approves(it, operation, EVE, "Ana" if forge is _eves_key_as_anas else "Eve")
        writes(it, forged)
        assert await nothing_is_sent(it, operation, place)
        assert not it.store.verify().intact


@pytest.mark.parametrize("key", ["roster", "approver"])
async def test_a_value_that_no_entry_of_the_journal_says_makes_no_approver(
    place: Place, tmp_path: Path, key: str
) -> None:
    async with two_people(tmp_path, POLICY, place=place) as it:
        operation = await it.asked("AAPL")
        approves(it, operation, EVE, "Eve")
        value = _eve_beside(it) if key == "roster" else approver_of(EVE)
        meta = TABLES.tables["meta"]
        with it.store._writing() as transaction:
            transaction.connection.execute(meta.delete().where(meta.c.key == key))
            transaction.connection.execute(insert(meta).values(key=key, value=value.model_dump_json()))
        assert await nothing_is_sent(it, operation, place)


async def test_an_approver_of_0_1_0_is_not_added_behind_a_signed_roster(place: Place, tmp_path: Path) -> None:
    async with two_people(tmp_path, POLICY, place=place) as it:
        operation = await it.asked("AAPL")
        approves(it, operation, EVE, "Eve")
        eve = approver_of(EVE)
        with pytest.raises(PositionsError):
            it.store.set_approver(eve, replacing=None, now=it.clock.now())
        content = {"approver": eve.model_dump(mode="json"), "fingerprint": eve.fingerprint}
        with it.store._writing() as transaction:
            transaction.note("approver set", "approver", eve.model_dump_json(), it.clock.now(), content)
        assert await nothing_is_sent(it, operation, place)


async def test_a_removal_that_is_cut_off_is_noticed_by_every_server_that_has_seen_it(
    place: Place, tmp_path: Path
) -> None:
    async with two_people(tmp_path, POLICY, place=place) as it:
        operation = await it.asked("AAPL")
        key = unlock(members_of(it)[1].credentials[0], BEN)  # type: ignore[arg-type]
        before = it.store.rosters().links[-1]
        await change(it, removing_member("Ben"))
        with pytest.raises(Refused):
            await it.guard.send_approved(operation.operation_id, caller=CALLER)
        journal, meta = TABLES.tables["journal"], TABLES.tables["meta"]
        approves(it, operation, key, "Ben")
        with pytest.raises(Refused, match="not signed by an approver"):
            await it.guard.send_approved(operation.operation_id, caller=CALLER)
        with it.store._writing() as transaction:
            last = select(journal.c.sequence).where(journal.c.event == "roster set").order_by(journal.c.sequence.desc())
            number = transaction.connection.execute(last.limit(1)).scalar_one()
            transaction.connection.execute(update(journal).where(journal.c.sequence == number).values(event="note"))
            value = before.model_dump_json()
            transaction.connection.execute(update(meta).where(meta.c.key == "roster").values(value=value))
        with pytest.raises(PositionsError, match="journal is broken"):
            await it.guard.send_approved(operation.operation_id, caller=CALLER)
        assert it.exchange.effects == []


def copied(connection: Connection, table: Table, one: Operation, other: Operation) -> None:
    """What a table has of one operation, under the id and the digest of the other."""
    names = [column.name for column in table.columns]
    key = next((name for name in ("operation_id", "id") if name in names), None)
    if key is None or (table.name == "journal"):
        return
    found = connection.execute(select(table).where(table.c[key] == one.operation_id)).mappings().all()
    if not found:
        return
    connection.execute(table.delete().where(table.c[key] == other.operation_id))
    for row in found:
        told = {name: _renamed(value, one, other) for name, value in row.items()}
        connection.execute(insert(table).values(**told))


def _renamed(value: Any, one: Operation, other: Operation) -> Any:
    if not isinstance(value, str):
        return value
    return value.replace(one.operation_id, other.operation_id).replace(one.plan.digest, other.plan.digest)


WHOLE = sorted(TABLES.tables)


@pytest.mark.parametrize("tables", [*([name] for name in WHOLE), WHOLE], ids=[*WHOLE, "all of them"])
async def test_the_yes_to_one_plan_copied_into_any_table_is_none_to_another(tmp_path: Path, tables: list[str]) -> None:
    place = tmp_path / "operations.sqlite"
    async with two_people(tmp_path, POLICY, place=place) as it:
        approved, other = await it.asked("AAPL"), await it.asked("MSFT")
        await it.supervisor.approve(approved.operation_id, PASSPHRASE, name="Ana")
        one = it.store.operation(approved.operation_id)
        assert one is not None
        with it.store._writing() as transaction:
            for name in tables:
                copied(transaction.connection, TABLES.tables[name], one, other)
        assert await nothing_is_sent(it, other, place)


@contextmanager
def as_one_person(it: Desk) -> Iterator[tuple[Unlocked, Unlocked]]:
    """The keys of Ana and Ben, as somebody has them who knows both passphrases."""
    ana, ben = (member.credentials[0] for member in members_of(it))
    assert isinstance(ana, PassphraseKey)
    assert isinstance(ben, PassphraseKey)
    yield unlock(ana, PASSPHRASE), unlock(ben, BEN)


@pytest.mark.parametrize("how", ["one key under two names", "one name twice", "the second one alone", "in a circle"])
async def test_two_yeses_of_one_person_are_one(place: Place, tmp_path: Path, how: str) -> None:
    async with two_people(tmp_path, TWO, place=place) as it:
        operation = await it.asked("AAPL")
        plan, now = operation.plan, it.clock.now()
        until = now + timedelta(seconds=50)
        about = {"operation": plan.plan_id, "digest": plan.digest, "decided_at": now, "expires_at": until}
        with as_one_person(it) as (ana, ben):
            first = sign(yes("Ana", ana, **about), ana)
            beside = first.digest
            second = {
                "one key under two names": sign(yes("Ben", ana, **about, beside=beside), ana),
                "one name twice": sign(yes("Ana", ana, **about, beside=beside, note="again"), ana),
                "the second one alone": sign(yes("Ben", ben, **about, beside=beside), ben),
                "in a circle": sign(yes("Ben", ben, **about, beside=beside), ben),
            }[how]
        if how == "in a circle":
            first = first.changed(statement=first.statement.changed(beside=second.digest))
        stores(it, operation, second, None if how == "the second one alone" else first)
        assert await nothing_is_sent(it, operation, place)


async def test_a_yes_that_was_taken_back_is_not_brought_back(place: Place, tmp_path: Path) -> None:
    async with two_people(tmp_path, POLICY, place=place, approves=Decimal(100_000)) as it:
        operation = await it.asked("AAPL")
        await it.supervisor.approve(operation.operation_id, BEN, name="Ben")
        genuine = it.store.operation(operation.operation_id)
        assert genuine is not None
        assert genuine.decision is not None
        await it.supervisor.reject(operation.operation_id, by="Ben")
        it.clock.advance(timedelta(seconds=61))
        with it.store._writing() as transaction:
            declined = transaction.operation(operation.operation_id)
            later = genuine.decision.changed(expires_at=it.clock.now() + timedelta(seconds=50))
            transaction.save(declined, "approved", it.clock.now(), stage=Stage.APPROVED, decision=later)
        assert await nothing_is_sent(it, operation, place)
