"""Three replicas, PostgreSQL and the exchange as processes; requests alternate, things break, clocks differ.

The checker decides over what the exchange, the wire, the journal and the clients say.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from replicas import checker
from replicas.campaign import Campaign, Case, campaigning, history
from replicas.cluster import SKEWS, Cluster, cluster
from tools.serving import data_of, text_of
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


async def judged(running: Cluster, campaign: Campaign) -> dict[str, Any]:
    """The history, once nothing is in flight any more."""
    await campaign.settle()
    record = await history(running, campaign.story)
    assert checker.broken(record) == []
    return record


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
            record = await judged(running, campaign)
    assert [fault["sprung"] for fault in record["faults"] if "sprung" in fault] == [True] * len(CASES)
    assert [fault["code"] for fault in record["faults"] if "code" in fault] == [0, 0, 0]
    assert checker.counts(record)["effects"] >= len(CASES)


@pytest.mark.requirement("G-01", "G-02", "G-06")
async def test_a_client_whose_every_request_goes_to_another_replica_is_served_and_cannot_approve_for_itself(
    folder: Path,
) -> None:
    with anyio.fail_after(600):
        async with cluster(folder, skews=SKEWS) as running, campaigning(running, Campaign) as campaign:
            for era in ERAS:
                await uses_every_main_path(campaign, era)
                await tries_to_approve_for_itself(campaign, running, era)
            await judged(running, campaign)


async def uses_every_main_path(campaign: Campaign, era: str) -> None:
    """List, preview, close by the plan, follow, list operations."""
    account, symbol, instrument = campaign.untouched()
    async with campaign.client(Case("none", era=era), token=0) as client:
        listed = data_of(await client.call_tool("list_positions", {"account_id": account, "limit": 30}))
        assert len(listed["rows"]) == 30
        plan = data_of(await client.call_tool("preview_close", {"account_id": account, "instruments": [symbol]}))
        closed = data_of(await campaign.noted(client, account, instrument, {"plan_id": plan["plan_id"]}))
        assert closed["sent"] == "yes"
        followed = await client.call_tool("get_operation", {"operation_id": closed["operation_id"], "wait_s": 5})
        assert data_of(followed)["state"] in ("SUBMITTED", "CLOSED")
        recent = await client.call_tool("list_operations", {"account_id": account})
        assert closed["operation_id"] in text_of(recent)


async def tries_to_approve_for_itself(campaign: Campaign, running: Cluster, era: str) -> None:
    """A plan of another caller, an argument that is none, a no, and a second use: nothing of it leaves."""
    account, symbol, _ = campaign.untouched()
    before = len(running.wire)
    asked = {"account_id": account, "instruments": [symbol]}
    async with campaign.client(Case("none", era=era), token=1) as client:
        plan = data_of(await client.call_tool("preview_close", asked))["plan_id"]
    async with campaign.client(Case("none", era=era, first=1), token=2) as client:
        assert (await client.call_tool("close_positions", {"plan_id": plan})).is_error
        for made_up in ("approve", "approved", "decision", "confirm"):
            assert (await client.call_tool("close_positions", {**asked, made_up: True})).is_error
    async with campaign.client(Case("none", era=era, first=2), token=1, says=False) as client:
        said = await client.call_tool("close_positions", {"plan_id": plan})
        # So quick a no is not yet taken for a person's.
        assert data_of(said)["state"] in ("DECLINED", "AWAITING_APPROVAL")
        assert data_of(said)["sent"] == "no"
    assert len(running.wire) == before
