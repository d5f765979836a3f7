"""Submitting instructions: a report that can be read aloud, and what may be done about every row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tools.expiry_day import AAPL, AMD, MSFT, afternoon, batch, cell, ids_by_key, row
from tools.serving import data_of, error_of, text_of
from trading import Person, no, yes


@pytest.mark.requirement("I-01", "I-02", "G-01", "T-02")
async def test_a_batch_that_comes_back_in_part_is_read_aloud_and_every_row_accounted_for(
    era: str, tmp_path: Path
) -> None:
    person = yes()
    async with afternoon(tmp_path, era, person) as (floor, client):
        rows = batch(row(AAPL, quantity="5", instruction_id="a-1"), row(AMD, "CONTRARY_EXERCISE", "2"), row(MSFT))
        preview = data_of(await client.call_tool("preview_instructions", rows))
        answer = await client.call_tool("submit_instructions", {"plan_id": preview["plan_id"]})
        data = data_of(answer)
        headline = (
            "PAPER account 19816: 2 of 3 sent, awaiting clearing; 1 rejected: the account's options level does not "
            "allow it."
        )
        assert text_of(answer).splitlines()[0] == data["summary"] == headline
        assert [cell(data, place, "outcome") for place in range(3)] == ["sent", "sent", "rejected"]
        assert [cell(data, place, "key") for place in range(3)] == [each[-1] for each in preview["rows"]]
        assert {cell(data, place, "echo") for place in range(3)} == {"echoed"}
        assert cell(data, 2, "cause") == "OPTIONS_LEVEL_EXCEEDED"
        assert cell(data, 2, "reason") == "Exercising MSFT needs options level 3"
        assert cell(data, 2, "id") == ""
        assert "Rows 1, 2: Must not be submitted again." in data["next"]
        assert "Row 3: The account's options level does not allow it: only the broker can change that." in data["next"]
        assert floor.effects == {"submit_position_instructions": 1}
        floor.later(seconds=6)
        later = await client.call_tool("get_operation", {"operation_id": data["operation_id"]})
        assert text_of(later).startswith(
            "PAPER account 19816: 2 of 3 accepted, 1 of them for less than asked (row 1: asked 5, accepted 3);"
        )
        assert data_of(later)["state"] == "PARTIAL"
        assert [cell(data_of(later), place, "accepted") for place in range(3)] == ["3", "2", ""]
    (question,) = person.questions
    assert "1. EXERCISE 5 AAPL261120C00220000 (strike 220, multiplier 100): pays 110,000.00" in question
    assert 'Key "a-1".' in question
    assert preview["plan_id"] in question


@pytest.mark.requirement("I-02", "G-06")
async def test_a_continued_plan_keeps_its_keys_and_is_sent_once(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era, yes()) as (floor, client):
        rows = batch(row(AMD, "CONTRARY_EXERCISE", "2"))
        first = data_of(await client.call_tool("preview_instructions", rows))
        floor.later(seconds=30)
        again = data_of(await client.call_tool("preview_instructions", rows))
        assert (again["plan_id"], again["rows"]) == (first["plan_id"], first["rows"])
        sent = data_of(await client.call_tool("submit_instructions", rows))
        assert sent["operation_id"] == first["plan_id"]
        assert cell(sent, 0, "key") == cell(first, 0, "key")
        used = error_of(await client.call_tool("submit_instructions", {"plan_id": first["plan_id"]}))
        assert "cannot be used again" in used
        assert floor.effects == {"submit_position_instructions": 1}


@pytest.mark.requirement("G-02")
@pytest.mark.parametrize(
    "other", [batch(row(AMD, quantity="3")), batch(row(AAPL, quantity="2")), batch(row(AMD, quantity="2"), row(AAPL))]
)
async def test_arguments_given_with_a_plan_must_be_its_own(era: str, tmp_path: Path, other: dict[str, Any]) -> None:
    async with afternoon(tmp_path, era, yes()) as (floor, client):
        rows = batch(row(AMD, quantity="2"))
        plan = data_of(await client.call_tool("preview_instructions", rows))["plan_id"]
        assert plan in error_of(await client.call_tool("submit_instructions", {"plan_id": plan, **other}))
        assert "close_positions" in error_of(await client.call_tool("close_positions", {"plan_id": plan}))
        assert floor.effects == {}
        sent = await client.call_tool("submit_instructions", {"plan_id": plan, **rows})
        assert data_of(sent)["state"] == "SUBMITTED"


@pytest.mark.requirement("G-01")
async def test_a_no_submits_and_cancels_nothing(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era, no()) as (floor, client):
        answer = await client.call_tool("submit_instructions", batch(row(AAPL)))
        assert data_of(answer)["state"] == "DECLINED"
        wanted = (await ids_by_key(client))["morning-2"]
        assert data_of(await client.call_tool("cancel_instruction", {"id": wanted}))["state"] == "DECLINED"
        assert floor.effects == {}


@pytest.mark.requirement("I-03", "G-03")
async def test_a_deadline_that_passes_while_the_person_thinks_makes_the_plan_stale(era: str, tmp_path: Path) -> None:
    person = Person()
    async with afternoon(tmp_path, era, person) as (floor, client):

        async def think() -> None:
            floor.later(minutes=3)

        person.meanwhile = think
        floor.later(hours=2, minutes=58)
        answer = await client.call_tool("submit_instructions", batch(row(AAPL)))
        assert data_of(answer)["state"] == "STALE"
        assert "ended on 2026-11-20 at 17:30 New York time" in text_of(answer)
        assert floor.effects == {}
        late = data_of(await client.call_tool("preview_instructions", batch(row(AAPL))))
        assert "ended on 2026-11-20 at 17:30" in cell(late, 0, "problems")


@pytest.mark.requirement("G-05", "I-02")
async def test_an_unknown_submit_is_looked_up_and_absence_is_no_proof(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era, yes()) as (floor, client):
        floor.exchange.arm("drop_before_effect", "submit_position_instructions")
        rows = batch(row(AAPL, instruction_id="u-1"))
        answer = await client.call_tool("submit_instructions", rows)
        data = data_of(answer)
        assert data["state"] == "UNKNOWN"
        assert data["summary"].startswith("PAPER account 19816: 1 of 1 unknown: no answer was read after sending")
        assert "not proof" in cell(data, 0, "note")
        assert "Must not be submitted again" in data["next"]
        refused = error_of(await client.call_tool("submit_instructions", rows))
        assert "has an unknown outcome and holds the instrument" in refused
        assert floor.effects == {}


@pytest.mark.requirement("G-05", "I-02")
async def test_an_unknown_submit_that_was_taken_is_found_by_its_key(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era, yes()) as (floor, client):
        floor.exchange.arm("drop_after_effect", "submit_position_instructions")
        data = data_of(await client.call_tool("submit_instructions", batch(row(AAPL), row(AMD))))
        assert data["state"] == "RECONCILED"
        assert data["summary"].startswith("PAPER account 19816: 2 of 2 sent, awaiting clearing")
        assert "took effect (positions-mcp): Instruction" in cell(data, 0, "note")
        assert len(await ids_by_key(client)) == 5
        assert floor.effects == {"submit_position_instructions": 1}


@pytest.mark.requirement("G-05", "I-02")
async def test_resubmission_with_the_same_keys_is_offered_to_the_human_once_the_echo_was_seen(
    era: str, tmp_path: Path
) -> None:
    person = yes()
    async with afternoon(tmp_path, era, person) as (floor, client):
        await client.call_tool("submit_instructions", batch(row(AMD)))
        floor.later(seconds=1)
        floor.exchange.arm("drop_before_effect", "submit_position_instructions")
        lost = data_of(await client.call_tool("submit_instructions", batch(row(AAPL, instruction_id="u-1"))))
        assert "a person may then decide to submit it again with the same key" in lost["next"]
        assert floor.effects == {"submit_position_instructions": 1}
        floor.later(seconds=1)
        other = error_of(await client.call_tool("submit_instructions", batch(row(AAPL, instruction_id="u-2"))))
        assert "holds the instrument" in other
        again = await client.call_tool("submit_instructions", batch(row(AAPL, instruction_id="u-1")))
        assert data_of(again)["state"] == "SUBMITTED"
        assert "They go again under the same keys" in person.questions[-1]
        settled = data_of(await client.call_tool("get_operation", {"operation_id": lost["operation_id"]}))
        assert settled["state"] == "RECONCILED"
        assert floor.effects == {"submit_position_instructions": 2}


@pytest.mark.requirement("I-02")
async def test_a_server_that_ignores_keys_is_said_to_and_no_resubmission_is_offered(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era, yes()) as (floor, client):
        floor.exchange.arm("ignored_key", "submit_position_instructions")
        data = data_of(await client.call_tool("submit_instructions", batch(row(AMD))))
        assert "the server ignored the keys, so nothing protects a resubmission from doubling" in data["summary"]
        assert cell(data, 0, "echo") == "ignored"
        floor.later(seconds=1)
        floor.exchange.arm("drop_before_effect", "submit_position_instructions")
        lost = data_of(await client.call_tool("submit_instructions", batch(row(AAPL))))
        assert "same key" not in lost["next"]


@pytest.mark.requirement("I-01")
async def test_clearing_down_rejects_every_row_and_says_when_it_may_go_again(era: str, tmp_path: Path) -> None:
    async with afternoon(tmp_path, era, yes()) as (floor, client):
        floor.exchange.arm("clearing_down", "submit_position_instructions")
        data = data_of(await client.call_tool("submit_instructions", batch(row(AAPL), row(AMD))))
        assert data["state"] == "REJECTED"
        assert data["summary"].startswith("PAPER account 19816: 2 of 2 rejected:")
        assert "with the same key" in data["next"]
        assert floor.effects == {}
