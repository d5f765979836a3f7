"""Three replicas, PostgreSQL and the exchange as processes: requests alternate, things break, people race.

The checker decides over what the exchange, the wire, the journal and the clients say.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from replicas import checker
from replicas.campaign import Campaign, Case, campaigning, history
from replicas.cluster import SKEWS, cluster
from replicas.races import Race, Racing
from trading import ERAS

pytestmark = pytest.mark.xdist_group("three replicas")

CASES = (
    Case("kill", "request asked", 1, ERAS[0], "form"),
    Case("kill", "commit done", 2, ERAS[1], "desk", first=1),
    Case("kill", "request answered", 1, ERAS[1], "form", first=2),
    Case("cut", "commit asked", 3, ERAS[1], "form", first=1),
    Case("database", "request answered", 1, ERAS[0], "desk", first=2),
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because PostgreSQL's socket is in it, and open to the user that PostgreSQL runs as."""
    with tempfile.TemporaryDirectory(prefix="three-", dir="/tmp", ignore_cleanup_errors=True) as made:
        Path(made).chmod(0o711)
        yield Path(made)


@pytest.mark.requirement("G-04", "G-05", "G-06", "G-19")
async def test_whatever_dies_in_the_middle_at_most_one_request_leaves_for_an_approval_and_no_intent_is_lost(
    folder: Path,
) -> None:
    with anyio.fail_after(600):
        async with cluster(folder, skews=SKEWS) as running, campaigning(running, Campaign) as campaign:
            for case in CASES:
                await campaign.run(case)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(campaign.ask_next, Case("none", era=ERAS[1], way="desk"))
                await campaign.rolling_restart()
            await campaign.settle()
            record = await history(running, campaign.story)
    assert checker.broken(record) == []
    assert [fault["sprung"] for fault in record["faults"] if "sprung" in fault] == [True] * len(CASES)
    assert [fault["code"] for fault in record["faults"] if "code" in fault] == [0, 0, 0]
    # A server that is killed may take its request along, and what is in doubt is not asked for again.
    killed_with_request = sum(case.fault == "kill" and "request" in case.step for case in CASES)
    assert checker.counts(record)["effects"] >= len(CASES) - killed_with_request


RACES = (
    Race(("yes", "no", "halt"), "all", ERAS[1]),
    Race(("halt", "yes", "no"), "all", ERAS[0]),
    Race(("form", "yes", "no"), "account", ERAS[1]),
    Race(("no", "form", "yes"), "account", ERAS[0]),
    Race(("yes", "resume", "halt"), "all", ERAS[1], halted=True),
    Race(("yes", "server", "halt"), "none", ERAS[0]),
    Race(("form", "server", "lease ends"), "none", ERAS[1]),
    Race(("Ben goes", "yes of Ben"), "all", ERAS[0]),
)


@pytest.mark.requirement("G-06", "G-11", "G-19", "D-04")
async def test_whoever_decides_at_the_same_moment_is_told_what_became_of_it(folder: Path) -> None:
    with anyio.fail_after(600):
        async with (
            cluster(folder, skews=SKEWS, said={"APPROVAL__WAIT_S": "2"}) as running,
            campaigning(running, Racing) as campaign,
        ):
            for number, race in enumerate(RACES):
                await campaign.race(number, race)
            await campaign.settle()
            record = await history(running, campaign.story)
    assert checker.broken(record) == []
    assert len(record["acts"]) == sum(len(set(race.actors) - {"form", "server"}) for race in RACES)
