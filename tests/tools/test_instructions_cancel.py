"""Cancelling instructions: requested until the end is read, and an end that failed is said to have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.expiry_day import afternoon, cell, ids_by_key
from tools.serving import data_of, error_of, text_of
from trading import yes


@pytest.mark.requirement("I-05", "I-04")
async def test_a_cancel_is_requested_until_its_end_is_read(era: str, tmp_path: Path) -> None:
    person = yes()
    async with afternoon(tmp_path, era, person) as (floor, client):
        wanted = (await ids_by_key(client))["morning-2"]
        answer = await client.call_tool("cancel_instruction", {"id": wanted})
        data = data_of(answer)
        assert data["summary"] == "PAPER account 19816: 1 cancel requested, not yet cancelled."
        assert data["state"] == "SUBMITTED"
        assert cell(data, 0, "state") == "CANCEL_REQUESTED"
        assert "Requested is not cancelled" in data["next"]
        floor.later(seconds=6)
        told: list[str] = []

        async def progress(_: float, __: float | None, message: str | None) -> None:
            told.append(message or "")

        followed = await client.call_tool(
            "get_operation", {"operation_id": data["operation_id"], "wait_s": 5}, progress_callback=progress
        )
        assert text_of(followed).startswith("PAPER account 19816: 1 cancelled.")
        assert data_of(followed)["state"] == "CLOSED"
        assert "exercise by exception applies as if it had never been sent" in text_of(followed)
        assert floor.effects == {"cancel_position_instruction": 1}
    (question,) = person.questions
    assert f"cancel DO_NOT_EXERCISE 2 MSFT261120C00450000, SENT (id {wanted})." in question
    assert "exercise by exception is re-armed and applies to them again." in question


@pytest.mark.requirement("I-05")
async def test_get_operation_waits_for_the_end_of_a_cancel_with_progress(era: str, tmp_path: Path) -> None:
    told: list[str] = []
    async with afternoon(tmp_path, era, yes()) as (floor, client):
        wanted = (await ids_by_key(client))["morning-2"]
        operation = data_of(await client.call_tool("cancel_instruction", {"id": wanted}))["operation_id"]

        async def progress(_: float, __: float | None, message: str | None) -> None:
            told.append(message or "")
            floor.later(seconds=6)

        followed = await client.call_tool(
            "get_operation", {"operation_id": operation, "wait_s": 45}, progress_callback=progress
        )
        assert data_of(followed)["state"] == "CLOSED"
    assert "Following the operation" in told


@pytest.mark.requirement("I-05")
async def test_a_failed_cancel_says_that_an_operator_must_look_and_the_instruction_may_stand(
    era: str, tmp_path: Path
) -> None:
    async with afternoon(tmp_path, era, yes()) as (floor, client):
        wanted = (await ids_by_key(client))["morning-3"]
        operation = data_of(await client.call_tool("cancel_instruction", {"id": wanted}))["operation_id"]
        floor.later(seconds=6)
        answer = await client.call_tool("get_operation", {"operation_id": operation})
        assert text_of(answer).startswith(
            "PAPER account 19816: 1 cancel FAILED: an operator must look, the instruction may stand."
        )
        assert "the instruction is already in its evening file" in text_of(answer)
        assert data_of(answer)["state"] == "PARTIAL"
        again = error_of(await client.call_tool("cancel_instruction", {"id": wanted}))
        assert "its cancel failed: the broker's operators must look" in again


async def test_what_is_final_unknown_or_no_id_cannot_be_cancelled(era: str, tmp_path: Path) -> None:
    person = yes()
    async with afternoon(tmp_path, era, person) as (floor, client):
        ids = await ids_by_key(client)
        for given, reason in {
            ids["morning-1"]: "it is ACCEPTED, which is final",
            "a1a2a3a4-b1b2-c1c2-d1d2-d3d4d5d6d7d8": "No instruction with the id",
            "00000000-0000-0000-0000-000000000000": "nil UUID",
            "morning-1": "is not an instruction id",
            "..": "is not an instruction id",
        }.items():
            message = error_of(await client.call_tool("cancel_instruction", {"id": given}))
            assert reason in message
            assert "othing was sent" in message
        assert "Neither id nor plan_id" in error_of(await client.call_tool("cancel_instruction", {}))
        assert floor.effects == {}
    assert person.questions == []


@pytest.mark.requirement("G-05")
async def test_an_unknown_cancel_is_found_by_its_id(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era, yes()) as (floor, client):
        wanted = (await ids_by_key(client))["morning-2"]
        floor.exchange.arm("drop_after_effect", "cancel_position_instruction")
        data = data_of(await client.call_tool("cancel_instruction", {"id": wanted}))
        assert data["state"] == "RECONCILED"
        assert "took effect (positions-mcp)" in cell(data, 0, "note")
        floor.later(seconds=6)
        later = data_of(await client.call_tool("get_operation", {"operation_id": data["operation_id"]}))
        assert "Cancelled: exercise by exception applies" in cell(later, 0, "note")
        assert floor.effects == {"cancel_position_instruction": 1}


@pytest.mark.requirement("G-05")
async def test_a_cancel_that_may_not_have_arrived_stays_unknown_and_is_not_repeated(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era, yes()) as (floor, client):
        wanted = (await ids_by_key(client))["morning-2"]
        floor.exchange.arm("drop_before_effect", "cancel_position_instruction")
        data = data_of(await client.call_tool("cancel_instruction", {"id": wanted}))
        assert data["state"] == "UNKNOWN"
        assert "listed as SENT, which is not proof" in cell(data, 0, "note")
        assert "has an unknown outcome" in error_of(await client.call_tool("cancel_instruction", {"id": wanted}))
        assert floor.effects == {}
