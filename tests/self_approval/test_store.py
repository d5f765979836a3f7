"""What somebody can do who writes into the store, or uses a decision where it does not belong."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from positions_mcp.cli.assembly.composition import open_deps
from positions_mcp.domain.operation.operation import Decision
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.server import build_server
from positions_mcp.tools.context import ToolContext
from tools.serving import data_of, error_of, words_of
from trading import Desk, Floor, trading_floor, yes

KO = {"instruments": ["KO"]}


async def awaiting(floor: Floor, era: str) -> str:
    """A plan that waits for the desk, asked for by a client that cannot ask."""
    async with floor.desk() as desk:
        if desk.store.rosters().roster is None:
            await desk.set_up()
    return str(data_of(await floor.call("close_positions", KO, era=era))["operation_id"])


def decision(floor: Floor, desk: Desk, operation_id: str, **fields: object) -> Decision:
    operation = desk.store.operation(operation_id)
    assert operation is not None
    now = floor.clock.now()
    told = {
        "operation_id": operation_id,
        "digest": operation.plan.digest,
        "channel": Channel.DESK,
        "approved": True,
        "by": "approver",
        "decided_at": now,
        "expires_at": now + timedelta(seconds=60),
        "signature": "00" * 64,
        **fields,
    }
    return Decision(**told)  # type: ignore[arg-type]


@pytest.mark.requirement("G-02")
async def test_a_forged_decision_of_the_desk_sends_nothing(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        operation = await awaiting(floor, era)
        async with floor.desk() as desk:
            desk.store.decide(decision(floor, desk, operation), floor.clock.now())
        message = error_of(await floor.call("close_positions", {"plan_id": operation}, era=era, person=yes()))
        assert "othing was sent" in message
        assert floor.effects == {}


@pytest.mark.requirement("G-02")
async def test_a_signature_copied_from_another_decision_sends_nothing(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        first = await awaiting(floor, era)
        floor.later(minutes=2)  # so that it has lapsed before any server sees it
        async with floor.desk(behind=timedelta(minutes=2)) as desk:
            await desk.approve(first)
            genuine = desk.store.operation(first)
            assert genuine is not None
            assert genuine.decision is not None
            signed = genuine.decision.signed
            second = await awaiting(floor, era)
            assert second != first
            copied = decision(floor, desk, second, signature=None, signed=signed, by=genuine.decision.by)
            desk.store.decide(copied, floor.clock.now())
        error_of(await floor.call("close_positions", {"plan_id": second}, era=era, person=yes()))
        assert floor.effects == {}


@pytest.mark.requirement("G-01", "G-02")
async def test_an_elicited_yes_written_into_the_store_approves_no_call(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        operation = await awaiting(floor, era)
        async with floor.desk() as desk:
            forged = decision(floor, desk, operation, channel=Channel.ELICITATION, signature=None, by="client Claude")
            desk.store.decide(forged, floor.clock.now())
        for arguments in ({"plan_id": operation}, KO):
            words_of(await floor.call("close_positions", arguments, era=era))
        assert floor.effects == {}


@pytest.mark.requirement("G-02")
async def test_a_desk_approval_is_used_by_its_own_caller_only_and_once(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        operation = await awaiting(floor, era)
        async with floor.desk() as desk:
            await desk.approve(operation)
        plan = {"plan_id": operation}
        assert "another caller" in error_of(await floor.call("close_positions", plan, era=era, name="Mallory"))
        # Any server of the store may take it, the other caller's too: this call answers for it or hears that it was.
        await floor.call("close_positions", plan, era=era)
        asked = "get_operation", {"operation_id": operation}
        while (sent := data_of(await floor.call(*asked, era=era)))["state"] == "SENDING":
            pass
        assert sent["state"] == "SUBMITTED"
        assert "desk" in sent["decision"]
        error_of(await floor.call("close_positions", plan, era=era))
        assert floor.effects == {"close_position": 1}


@pytest.mark.requirement("G-06")
async def test_two_servers_on_one_store_send_one_request_for_one_plan(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        operation = await awaiting(floor, era)
        async with floor.desk() as desk, anyio.create_task_group() as tasks:
            await desk.approve(operation)
            for _ in range(2):
                tasks.start_soon(_call_another_server, floor, era, operation)
            tasks.start_soon(_call_another_server, floor, era, operation)
        await floor.sends(operation)  # or another one does, of which all of them heard
        assert floor.effects == {"close_position": 1}


async def _call_another_server(floor: Floor, era: str, plan_id: str) -> None:
    """As a second chat application has it: its own server process on the same data directory."""
    from mcp import Client
    from mcp_types import Implementation

    def parts() -> AbstractAsyncContextManager[ToolContext]:
        return open_deps(floor.settings, floor.venue)

    server = build_server(parts, mode=floor.settings.mode, accounts=floor.settings.allowed_accounts)
    async with Client(server, mode=era, client_info=Implementation(name="a client", version="1")) as client:
        await client.call_tool("close_positions", {"plan_id": plan_id})
