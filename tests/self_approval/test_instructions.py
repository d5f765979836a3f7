"""Submitting and cancelling instructions takes a person too, whatever a model or a client tries."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp_types import ElicitResult, InputRequiredResult

from positions_mcp.domain.operation.plan import Mode
from self_approval.test_client import CHOSEN
from tools.expiry_day import AAPL, AFTERNOON, AMD, MSFT, afternoon, batch, ids_by_key, row
from tools.serving import data_of, error_of, words_of
from trading import Person, no, trading_floor, yes

MODERN = "2026-07-28"
SAYS_YES = ElicitResult(action="accept", content={"approve": True})
ROWS = batch(row(AAPL, quantity="2"), row(AMD, "DO_NOT_EXERCISE"))


async def both(client: Client) -> list[tuple[str, dict[str, Any]]]:
    """A submit and a cancel."""
    return [("submit_instructions", ROWS), ("cancel_instruction", {"id": (await ids_by_key(client))["morning-2"]})]


@pytest.mark.requirement("G-01")
async def test_no_order_of_calls_submits_or_cancels_where_nobody_can_be_asked(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era) as (floor, client):
        plan = data_of(await client.call_tool("preview_instructions", ROWS))["plan_id"]
        calls = [
            *(await both(client)),
            ("preview_instructions", ROWS),
            ("submit_instructions", {"plan_id": plan}),
            ("cancel_instruction", {"plan_id": plan}),
            ("close_positions", {"plan_id": plan}),
            ("get_operation", {"operation_id": plan}),
        ]
        for pair in itertools.permutations(calls, 2):
            for tool, arguments in pair:
                await client.call_tool(tool, arguments)
        assert floor.effects == {}


@pytest.mark.requirement("G-01")
@pytest.mark.parametrize(
    "content",
    [{}, {"approve": False}, {"approve": "true"}, {"approve": 1}, {"approve": "yes"}, {"approved": True}, None],
)
async def test_anything_but_a_clear_yes_is_a_no(era: str, tmp_path: Path, content: dict[str, Any] | None) -> None:
    async with afternoon(tmp_path, era, Person(content=content)) as (floor, client):
        for call in await both(client):
            try:
                assert "sent, awaiting" not in words_of(await client.call_tool(*call))
            except MCPError:
                continue
        assert floor.effects == {}


@pytest.mark.requirement("G-01", "G-09")
@pytest.mark.parametrize("argument", ["approve", "approved", "confirm", "decision", "passphrase", "force"])
async def test_no_argument_approves(era: str, tmp_path: Path, argument: str) -> None:
    async with afternoon(tmp_path, era) as (floor, client):
        for tool, arguments in await both(client):
            message = error_of(await client.call_tool(tool, {**arguments, argument: True}))
            assert f"{argument} is not an argument" in message
        assert floor.effects == {}


@pytest.mark.requirement("G-01", "G-06")
async def test_a_replayed_state_with_its_answer_sends_nothing_again(tmp_path: Path) -> None:
    async with afternoon(tmp_path, MODERN, yes()) as (floor, client):
        for tool, arguments in await both(client):
            before = sum(floor.effects.values())
            question = await client.session.call_tool(tool, arguments, allow_input_required=True)
            assert isinstance(question, InputRequiredResult)
            (key,) = question.input_requests or {}
            again: dict[str, Any] = {"input_responses": {key: SAYS_YES}, "request_state": question.request_state}
            for _ in range(3):
                await client.session.call_tool(tool, arguments, **again, allow_input_required=True)
            assert sum(floor.effects.values()) == before + 1


@pytest.mark.requirement("G-01", "G-02")
async def test_an_answer_to_one_batch_does_not_approve_another(tmp_path: Path) -> None:
    async with afternoon(tmp_path, MODERN, yes()) as (floor, client):
        question = await client.session.call_tool("submit_instructions", ROWS, allow_input_required=True)
        assert isinstance(question, InputRequiredResult)
        (key,) = question.input_requests or {}
        given: dict[str, Any] = {"input_responses": {key: SAYS_YES}, "request_state": question.request_state}
        wanted = (await ids_by_key(client))["morning-2"]
        for tool, arguments in (
            ("submit_instructions", batch(row(AAPL, quantity="3"), row(AMD, "DO_NOT_EXERCISE"))),
            ("submit_instructions", batch(row(AAPL, "CONTRARY_EXERCISE", "2"))),
            ("cancel_instruction", {"id": wanted}),
        ):
            try:
                result = await client.session.call_tool(tool, arguments, **given, allow_input_required=True)
            except MCPError:
                continue  # the state does not belong to this request
            assert isinstance(result, InputRequiredResult) or result.is_error
        assert floor.effects == {}


@pytest.mark.requirement("G-06")
async def test_five_identical_calls_at_once_make_one_plan_one_question_and_one_request(
    era: str, tmp_path: Path
) -> None:
    person = yes()
    async with afternoon(tmp_path, era, person) as (floor, client):
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(client.call_tool, "submit_instructions", ROWS)
        assert floor.effects == {"submit_position_instructions": 1}
        assert len(await ids_by_key(client)) == 5
    assert len(set(person.questions)) == 1


@pytest.mark.requirement("G-06")
async def test_racing_cancels_of_one_instruction_send_once(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era, yes()) as (floor, client):
        wanted = (await ids_by_key(client))["morning-2"]
        async with anyio.create_task_group() as tasks:
            for given in (wanted, wanted.upper(), f" {wanted} ") * 2:
                tasks.start_soon(client.call_tool, "cancel_instruction", {"id": given})
        assert floor.effects == {"cancel_position_instruction": 1}


@pytest.mark.requirement("G-01")
async def test_a_declined_batch_is_not_asked_about_again_under_other_keys(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era, no()) as (floor, client):
        await client.call_tool("submit_instructions", ROWS)
    person = yes()
    async with trading_floor(tmp_path, scenario="expiry", at=AFTERNOON) as floor:
        renamed = batch(row(AMD, "DO_NOT_EXERCISE", instruction_id="k"), row("AAPL 261120C00220000", quantity="2"))
        message = error_of(await floor.call("submit_instructions", renamed, era=era, person=person, name="another"))
        assert "A person declined these targets" in message
        assert floor.effects == {}
    assert person.questions == []


@pytest.mark.requirement("G-01", "G-02")
async def test_the_desk_decides_a_batch_and_a_cancel_where_the_client_cannot_ask(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era) as (floor, client), floor.desk() as desk:
        await desk.set_up()
        for tool, arguments in await both(client):
            before = sum(floor.effects.values())
            waiting = data_of(await client.call_tool(tool, arguments))
            assert waiting["state"] == "AWAITING_APPROVAL"
            assert sum(floor.effects.values()) == before
            await desk.approve(waiting["operation_id"])
            await floor.sends(waiting["operation_id"])
            sent = data_of(await client.call_tool("get_operation", {"operation_id": waiting["operation_id"]}))
            assert sent["state"] == "SUBMITTED"
            assert "desk" in sent["decision"]
        assert floor.effects == {"submit_position_instructions": 1, "cancel_position_instruction": 1}


@pytest.mark.requirement("G-10")
async def test_a_batch_counts_strike_times_multiplier_and_cannot_be_split_under_the_threshold(
    era: str, tmp_path: Path
) -> None:
    limits = {"desk_above": "50000", "wait_s": 0}
    async with afternoon(tmp_path, era, yes(), approval=limits) as (floor, client):
        for quantity in ("2", "1", "1"):  # 44,000, then twice 22,000
            await client.call_tool("submit_instructions", batch(row(AAPL, quantity=quantity)))
            floor.later(seconds=10)
        status = data_of(await client.call_tool("get_trading_status", {}))
        assert status["used_today"]["19816"] == "44000"
        assert floor.effects == {"submit_position_instructions": 1}


@pytest.mark.requirement("G-10")
async def test_what_cannot_be_priced_needs_the_desk(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era, yes()) as (floor, client):
        floor.exchange.arm("status_403", "get_snapshots", times=9)
        message = error_of(await client.call_tool("submit_instructions", batch(row(MSFT, "DO_NOT_EXERCISE"))))
        assert "A price is missing" in message
        assert "positions-mcp approver init" in message
        assert floor.effects == {}


@pytest.mark.requirement("G-11")
async def test_a_halt_stops_submits_and_cancels(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era, yes()) as (floor, client), floor.desk() as desk:
        await desk.supervisor.halt("something is wrong", by="supervisor")
        for call in await both(client):
            assert "halted" in error_of(await client.call_tool(*call))
        assert floor.effects == {}


@pytest.mark.requirement("G-15")
async def test_a_live_batch_takes_the_account_typed(era: str, tmp_path: Path) -> None:
    live: dict[str, Any] = {"mode": Mode.LIVE, "trading": CHOSEN}
    live["approval"] = {"wait_s": 0, "desk_above": 100_000}
    rows = batch(row(AAPL))
    async with trading_floor(tmp_path, scenario="expiry", at=AFTERNOON, **live) as floor:
        bare = data_of(await floor.call("submit_instructions", rows, era=era, person=yes()))
        assert bare["state"] == "AWAITING_APPROVAL"
        typed = Person(content={"approve": True, "account_number": "19816"})
        assert data_of(await floor.call("submit_instructions", rows, era=era, person=typed))["state"] == "SUBMITTED"
        assert typed.questions[0].startswith("LIVE account 19816 (real money): submit 1 exercise instruction")
