"""A closing call that waits: for the person in the client or the desk; and what a call leaves that goes away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio import wait_all_tasks_blocked
from mcp import Client

from positions_mcp.cli.assembly.paper_transport import PaperTransport
from tools.serving import data_of, error_of, text_of
from trading import HOLDINGS, Floor, Person, trading_floor, yes

KO = {"instruments": ["KO"]}
ALL_THREE = {"instruments": list(HOLDINGS)}


class Progress:
    """Keeps what a call says while it waits; `told` of a plan for the third time."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.at: list[float] = []
        self.told = anyio.Event()

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self.said.append(message or "")
        self.at.append(progress)
        if len(self.of_plan) >= 3:
            self.told.set()

    @property
    def of_plan(self) -> list[str]:
        return [said for said in self.said if "op-" in said]


async def state_of(floor: Floor) -> tuple[str, list[str]]:
    """The newest operation as the store has it: its state and the states of its rows."""
    async with floor.desk() as desk:
        operation = desk.store.operations()[0]
    return operation.state(floor.clock.now()), [row.state for row in operation.rows]


async def ended(client: Client) -> list[str]:
    """The newest operation as it is listed once nothing of it is being sent any more.

    Its yes is stored with its first request or its end: what was read just before still awaits one.
    """
    while True:
        # Whoever waits until all others wait would never be let go by one who only asks.
        await wait_all_tasks_blocked()
        row: list[str] = data_of(await client.call_tool("list_operations", {}))["rows"][0]
        if row[4] not in ("AWAITING_APPROVAL", "APPROVED", "SENDING"):
            return row


async def test_while_a_person_thinks_a_legacy_call_is_kept_alive_by_progress(tmp_path: Path) -> None:
    progress = Progress()
    person = Person(meanwhile=progress.told.wait)
    async with trading_floor(tmp_path) as floor, floor.client("legacy", person) as client:
        answer = await client.call_tool("close_positions", KO, progress_callback=progress)
        assert data_of(answer)["state"] == "SUBMITTED"
    assert progress.of_plan[0].startswith("Waiting for a person's answer about plan op-")
    assert progress.at == sorted(set(progress.at))


EXPIRING = {"instructions": [{"instrument": "AAPL261120C00225000", "instruction_type": "EXERCISE", "quantity": "1"}]}


@pytest.mark.one_process("holds an answer of the exchange back inside of the server")
@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("close_positions", KO),
        ("preview_close", KO),
        ("preview_instructions", EXPIRING),
        ("project_expiration", {}),
        ("list_positions", {}),
        ("summarize_positions", {}),
        ("list_instructions", {}),
    ],
)
async def test_while_a_broker_is_silent_a_call_says_what_it_waits_for(
    era: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str, given: dict[str, Any]
) -> None:
    waiting, answers = anyio.Event(), PaperTransport.handle_async_request

    async def later(transport: PaperTransport, request: httpx.Request) -> httpx.Response:
        await waiting.wait()
        return await answers(transport, request)

    async def hear(_: float, __: float | None, message: str | None) -> None:
        assert message == "Waiting for the broker or the operation store" or waiting.is_set()
        waiting.set()

    monkeypatch.setattr(PaperTransport, "handle_async_request", later)
    async with trading_floor(tmp_path) as floor, floor.client(era, yes()) as client:
        data_of(await client.call_tool(tool, given, progress_callback=hear))
    assert waiting.is_set()


@pytest.mark.requirement("G-01", "G-02")
async def test_a_waiting_call_sends_as_soon_as_the_desk_says_yes(era: str, tmp_path: Path) -> None:
    progress = Progress()
    answers = []
    async with trading_floor(tmp_path, approval={"wait_s": 45, "channel": "desk"}) as floor, floor.desk() as desk:
        await desk.set_up()
        async with floor.client(era, yes()) as client, anyio.create_task_group() as tasks:

            async def close() -> None:
                answers.append(await client.call_tool("close_positions", KO, progress_callback=progress))

            tasks.start_soon(close)
            await progress.told.wait()
            assert floor.effects == {}
            await desk.approve(desk.store.operations()[0].operation_id)
        assert floor.effects == {"close_position": 1}
    assert data_of(answers[0])["state"] == "SUBMITTED"
    assert "desk" in data_of(answers[0])["decision"]
    assert "Only a supervisor decides" in progress.of_plan[0]
    assert "positions-mcp approve op-" in progress.of_plan[0]


@pytest.mark.one_process("expects that nobody else sends what was approved before its call is there")
@pytest.mark.requirement("G-02")
async def test_a_call_that_waited_in_vain_can_be_continued_with_its_plan(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path, approval={"wait_s": 0, "channel": "desk"}) as floor, floor.desk() as desk:
        await desk.set_up()
        waited = data_of(await floor.call("close_positions", KO, era=era))
        assert waited["state"] == "AWAITING_APPROVAL"
        assert f"plan_id={waited['operation_id']}" in waited["next"]
        floor.sends_nothing_by_itself()
        await desk.approve(waited["operation_id"])
        shown = await floor.call("get_operation", {"operation_id": waited["operation_id"]}, era=era)
        assert text_of(shown).startswith("PAPER account 19816: APPROVED, NOT SENT.")
        sent = data_of(await floor.call("close_positions", {"plan_id": waited["operation_id"]}, era=era))
        assert sent["state"] == "SUBMITTED"


@pytest.mark.one_process("expects a cancellation to be there at once, which has a network before it")
@pytest.mark.requirement("G-07")
async def test_a_call_cancelled_between_yes_and_sending_lapses(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(era, yes()) as client:
        with anyio.CancelScope() as call:

            async def go_away() -> None:
                call.cancel()
                await wait_all_tasks_blocked()

            floor.at["read again"] = go_away
            await client.call_tool("close_positions", KO)
        assert call.cancelled_caught
        assert (await ended(client))[4] == "LAPSED"
        assert floor.effects == {}
        assert await state_of(floor) == ("LAPSED", ["NOT_SENT"])


@pytest.mark.requirement("G-07")
async def test_a_call_that_goes_away_while_sending_stops_nothing_and_can_be_followed(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(era, yes()) as client:
        with anyio.CancelScope() as call:

            async def go_away() -> None:
                call.cancel()
                await wait_all_tasks_blocked()

            floor.at["answered"] = go_away
            await client.call_tool("close_positions", ALL_THREE)
        assert call.cancelled_caught
        found = await ended(client)
        assert found[4] == "SUBMITTED"
        followed = data_of(await client.call_tool("get_operation", {"operation_id": found[0]}))
        assert [row[1] for row in followed["rows"]] == ["SUBMITTED"] * 3
        assert floor.effects == {"close_position": 3}


@pytest.mark.requirement("G-07")
async def test_a_call_cancelled_while_a_person_thinks_sends_nothing(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        with anyio.CancelScope() as call:

            async def go_away() -> None:
                call.cancel()
                await anyio.lowlevel.checkpoint()

            async with floor.client(era, Person(meanwhile=go_away)) as client:
                await client.call_tool("close_positions", KO)
        assert floor.effects == {}
        assert await state_of(floor) == ("AWAITING_APPROVAL", ["NOT_SENT"])


@pytest.mark.requirement("G-11")
async def test_a_halt_stops_what_was_approved_before_its_next_request(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.desk() as desk, floor.client(era, yes()) as client:

        async def halt() -> None:
            await desk.supervisor.halt("something is wrong", by="supervisor")

        floor.at["answered"] = halt
        answer = await client.call_tool("close_positions", ALL_THREE)
        assert floor.effects == {"close_position": 1}
        assert sorted(row[1] for row in data_of(answer)["rows"]) == ["NOT_SENT", "NOT_SENT", "SUBMITTED"]
        assert 'halted: "something is wrong"' in text_of(answer)
        assert "halted" in error_of(await client.call_tool("close_positions", {"instruments": ["GOOG"]}))
        status = data_of(await client.call_tool("get_trading_status", {}))
        assert status["halt"].startswith('"something is wrong" since 2026-11-20 10:30:00 New York by supervisor')
        assert status["trading"].startswith("halted")
