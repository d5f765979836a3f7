"""A plan found again by the same arguments with too little time left: it is replaced, which is said, unless in use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tools.expiry_day import AAPL, AMD, afternoon, batch, ids_by_key, row
from tools.serving import data_of, text_of
from trading import Floor, Person, trading_floor, yes

KO = {"instruments": ["KO"]}
ROWS = batch(row(AAPL, quantity="2"), row(AMD, "DO_NOT_EXERCISE"))
SAID = "An earlier plan of the same arguments, {}, had less than a minute left and was replaced."


async def previewed(floor: Floor, era: str, arguments: dict[str, Any] = KO) -> str:
    return str(data_of(await floor.call("preview_close", arguments, era=era))["plan_id"])


@pytest.mark.requirement("G-06")
@pytest.mark.parametrize(
    ("preview", "tool"),
    [
        (KO, "close_positions"),
        ({"all": True}, "close_all_positions"),
    ],
)
async def test_it_is_replaced_and_preview_question_and_answer_say_so(
    era: str, tmp_path: Path, preview: dict[str, Any], tool: str
) -> None:
    person = yes()
    async with trading_floor(tmp_path) as floor:
        first = await previewed(floor, era, preview)
        floor.later(minutes=4, seconds=1)
        again = await floor.call("preview_close", preview, era=era)
        second = data_of(again)["plan_id"]
        assert second != first
        assert SAID.format(first) in text_of(again)
        sent = await floor.call(tool, {} if tool == "close_all_positions" else KO, era=era, person=person)
        assert data_of(sent)["operation_id"] == second
        assert SAID.format(first) in person.questions[0]
        assert data_of(sent)["replaces"] == SAID.format(first)
        ended = data_of(await floor.call("get_operation", {"operation_id": first}, era=era))
        assert (ended["state"], ended["why"]) == (
            "EXPIRED",
            f"it had less than a minute left; a new plan was made, {second}",
        )
        assert sum(floor.effects.values()) == 1


@pytest.mark.requirement("G-06")
async def test_so_it_is_for_a_batch_and_for_a_cancel(era: str, tmp_path: Path) -> None:
    person = Person(action="cancel", content=None)
    async with afternoon(tmp_path, era, person) as (floor, client):
        cancel = {"id": (await ids_by_key(client))["morning-2"]}
        for tool, arguments in (("submit_instructions", ROWS), ("cancel_instruction", cancel)):
            first = data_of(await client.call_tool(tool, arguments))["operation_id"]
            floor.later(minutes=4, seconds=1)
            again = data_of(await client.call_tool(tool, arguments))
            assert again["operation_id"] != first
            assert again["replaces"] == SAID.format(first)
            assert SAID.format(first) in person.questions[-1]
        assert floor.effects == {}


async def test_so_it_is_where_the_same_was_named_otherwise_before(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        first = await previewed(floor, era)
        positions = data_of(await floor.call("list_positions", {"ids": True}, era=era))
        where = positions["columns"].index("instrument_id")
        by_id = next(row[where] for row in positions["rows"] if "KO" in row)
        assert await previewed(floor, era, {"instruments": [by_id]}) == first
        floor.later(minutes=4, seconds=1)
        again = await floor.call("preview_close", {"instruments": [by_id]}, era=era)
        assert SAID.format(first) in text_of(again)
        assert data_of(await floor.call("get_operation", {"operation_id": first}, era=era))["state"] == "EXPIRED"


async def test_with_a_minute_left_and_by_its_id_it_stays(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        first = await previewed(floor, era)
        floor.later(minutes=4)
        assert await previewed(floor, era) == first
        floor.later(seconds=30)
        sent = data_of(await floor.call("close_positions", {"plan_id": first}, era=era, person=yes()))
        assert (sent["operation_id"], sent["sent"]) == (first, "yes")
        assert "replaces" not in sent


@pytest.mark.requirement("G-01", "G-06")
async def test_a_form_that_is_open_while_its_plan_runs_out_decides_that_plan(era: str, tmp_path: Path) -> None:
    found: list[str] = []

    async def meanwhile() -> None:
        floor.later(minutes=4, seconds=30)
        found.append(await previewed(floor, era))

    person = Person(meanwhile=meanwhile)
    async with trading_floor(tmp_path) as floor:
        first = await previewed(floor, era)
        sent = data_of(await floor.call("close_positions", KO, era=era, person=person))
        assert (sent["operation_id"], sent["sent"]) == (first, "yes")
        assert found == [first]
        assert len(person.questions) == 1
        assert floor.effects == {"close_position": 1}


@pytest.mark.one_process("expects that nobody else sends what was approved before its call is there")
@pytest.mark.requirement("G-06")
async def test_what_somebody_approved_is_not_replaced(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path, approval={"wait_s": 0}) as floor, floor.desk() as desk:
        await desk.set_up()
        first = data_of(await floor.call("close_positions", KO, era=era))["operation_id"]
        floor.later(minutes=4, seconds=30)
        floor.sends_nothing_by_itself()
        await desk.approve(first)
        sent = data_of(await floor.call("close_positions", KO, era=era))
        assert sent["operation_id"] == first
        assert floor.effects == {"close_position": 1}
