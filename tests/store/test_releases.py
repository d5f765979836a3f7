"""A store of every earlier release opens, verifies and goes on: waiting plans are approved, doubtful ones followed."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from databases import new_database
from positions_mcp.api import PositionsClient
from positions_mcp.cli.assembly.composition import guard_dependencies, open_venue
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.operation import Conclusion
from positions_mcp.domain.operation.states import OperationState, RowState, Stage
from positions_mcp.domain.operation.supervision import JournalEntry
from positions_mcp.guard.guard import Guard
from positions_mcp.guard.supervisor import Supervisor
from positions_mcp.paper.exchange import PaperExchange
from positions_mcp.settings import Settings, load
from positions_mcp.store import open_store
from positions_mcp.store.operations import SqlOperationStore
from store.releases.make import ACCOUNT, CALLER, FIRST_PASSPHRASE, FRIDAY, PASSPHRASE, RELEASES, Clock, main

VERSIONS = sorted(path.name for path in RELEASES.iterdir() if (path / "operations.json").exists())


@dataclass
class Kept:
    """A copy of a release's store, and the ids of its operations by what became of them."""

    place: Path | str
    ids: dict[str, str]
    folder: Path

    @property
    def settings(self) -> Settings:
        return load({"mode": "paper", "data_dir": self.folder})


@pytest.fixture(params=VERSIONS)
def release(request: pytest.FixtureRequest) -> Path:
    return RELEASES / request.param


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, release: Path, tmp_path: Path) -> Kept:
    ids = json.loads((release / "operations.json").read_text(encoding="utf-8"))[request.param]
    return Kept(copy_of(release, request, tmp_path), ids, tmp_path / "paper")


def copy_of(release: Path, request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    if request.param == "sqlite":
        return Path(shutil.copy(release / "operations.sqlite", tmp_path / "operations.sqlite"))
    url = new_database(request.getfixturevalue("postgres_url"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((release / "postgresql.sql").read_bytes())
    return url


@contextmanager
def opened(kept: Kept) -> Iterator[SqlOperationStore]:
    store = open_store(kept.place)
    try:
        yield store
    finally:
        store.close()


def whole_journal(store: SqlOperationStore) -> list[JournalEntry]:
    return list(store.journal(limit=10_000))


@dataclass
class World:
    """The program of today on a store of then, an hour of its clock, and an exchange that knows nothing of it."""

    guard: Guard
    supervisor: Supervisor
    client: PositionsClient
    store: SqlOperationStore
    clock: Clock


@asynccontextmanager
async def today(kept: Kept) -> AsyncIterator[World]:
    clock = Clock(FRIDAY)
    PaperExchange.open(kept.folder, scenario="demo", clock=clock).close()
    with opened(kept) as store, open_venue(kept.settings, real_time=clock) as venue:
        clock.at = max(entry.at for entry in whole_journal(store))
        async with venue.connect() as client:
            parts = guard_dependencies(kept.settings, client, venue.clock, store, real_time=clock)
            parts = replace(parts, policy=parts.policy.model_copy(update={"tolerance": Decimal(100)}))
            async with Guard(parts) as guard:
                yield World(guard, Supervisor(parts), client, store, clock)


@pytest.mark.requirement("R-01")
def test_it_opens_verifies_and_shows_what_became_of_everything(kept: Kept) -> None:
    with opened(kept) as store:
        verification = store.verify()
        assert verification.problem == ""
        assert verification.entries == len(whole_journal(store)) > 40
        assert store.status().writable
        became = {name: store.operation(operation_id) for name, operation_id in kept.ids.items()}
        later = FRIDAY + timedelta(days=1)
        assert {name: operation.state(later) for name, operation in became.items() if operation} == {
            "closed": OperationState.CLOSED,
            "declined": OperationState.DECLINED,
            "instructed": OperationState.SUBMITTED,
            "flattened": OperationState.CLOSED,
            "in doubt": OperationState.UNKNOWN,
            "waiting": OperationState.EXPIRED,
            "waiting exercise": OperationState.EXPIRED,
            "left behind": OperationState.UNKNOWN,
        }
        chain, halts = store.rosters(), store.halts()
        assert chain.roster is not None
        assert chain.roster.only is not None
        assert len(chain.approvers) == 2
        assert [halt.by for halt in halts] == ["Ana"]


@pytest.mark.requirement("R-01", "G-11")
async def test_its_halt_stands_until_its_passphrase_ends_it(kept: Kept) -> None:
    async with today(kept) as world:
        await world.supervisor.approve(kept.ids["waiting"], PASSPHRASE)
        refused = await world.guard.send_approved(kept.ids["waiting"], caller=CALLER)
        assert refused.state is OperationState.REFUSED
        with pytest.raises(Refused):
            await world.supervisor.resume(FIRST_PASSPHRASE, by="Ana")
        await world.supervisor.resume(PASSPHRASE, by="Ana")
        assert not world.store.halts()
        assert world.store.verify().intact


@pytest.mark.requirement("R-01")
@pytest.mark.parametrize("what", ["waiting", "waiting exercise"])
async def test_what_waits_is_approved_and_sent(kept: Kept, what: str) -> None:
    async with today(kept) as world:
        await world.supervisor.resume(PASSPHRASE, by="Ana")
        with pytest.raises(Refused):
            await world.supervisor.approve(kept.ids[what], FIRST_PASSPHRASE)
        await world.supervisor.approve(kept.ids[what], PASSPHRASE)
        done = await world.guard.send_approved(kept.ids[what], caller=CALLER)
        assert done.anything_sent, done
        assert done.state is OperationState.SUBMITTED
        assert world.store.verify().intact


@pytest.mark.requirement("R-01", "G-05")
async def test_what_is_in_doubt_is_followed_to_its_order(kept: Kept) -> None:
    async with today(kept) as world:
        lost = world.store.operation(kept.ids["in doubt"])
        assert lost is not None
        # The exchange of today has the order that the one of then had made.
        now, world.clock.at = world.clock.at, lost.rows[0].sent_at
        await world.client.close_position(ACCOUNT, lost.plan.targets[0].instrument_id, True)
        world.clock.at = now
        followed = await world.guard.operation(lost.operation_id)
        assert followed.state is OperationState.RECONCILED
        row = world.store.operation(lost.operation_id).rows[0]
        assert row.resolution.conclusion is Conclusion.TOOK_EFFECT
        assert world.store.verify().intact


@pytest.mark.requirement("R-01", "G-04")
async def test_what_a_process_left_behind_becomes_unknown_and_a_person_settles_it(kept: Kept) -> None:
    async with today(kept) as world:
        left = kept.ids["left behind"]
        assert world.store.operation(left).stage is Stage.CLAIMED
        world.clock.pass_by(2)
        assert (await world.guard.operation(left)).state is OperationState.UNKNOWN
        settle = world.supervisor.settle
        done = await settle(left, "MSFT", Conclusion.DID_NOT, PASSPHRASE, evidence="no order at the broker")
        assert done.state is OperationState.RECONCILED
        assert world.store.operation(left).rows[0].state is RowState.UNKNOWN
        assert world.store.verify().intact


@pytest.mark.requirement("R-01")
def test_the_story_can_still_be_told_for_the_next_release(tmp_path: Path) -> None:
    main(tmp_path / "9.9.9")
    assert {path.name for path in (tmp_path / "9.9.9").iterdir()} == {
        "operations.json", "operations.sqlite", "postgresql.sql", "shape.json"
    }  # fmt: skip
    told = json.loads((tmp_path / "9.9.9" / "operations.json").read_text(encoding="utf-8"))
    for version in VERSIONS:
        earlier = json.loads((RELEASES / version / "operations.json").read_text(encoding="utf-8"))
        assert set(earlier["sqlite"]) <= set(told["sqlite"]) == set(told["postgresql"])
