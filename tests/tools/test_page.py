"""A client that opens links is sent to the plan's page; what is decided there, and nothing else, is what counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from mcp_types import ElicitRequestURLParams, ElicitResult

from tools.serving import data_of, text_of
from trading import Floor, Person, trading_floor

PAGE = {"desk": {"enabled": True, "port": 0}}
KO = {"instruments": ["KO"]}


@dataclass
class Visitor:
    """Somebody whose client opens links, and who decides on the page or not."""

    floor: Floor
    decides: Literal["approve", "reject", "nothing"] = "approve"
    action: Literal["accept", "decline", "cancel"] = "accept"
    opened: list[ElicitRequestURLParams] = field(default_factory=list)

    async def __call__(self, _: object, asked: Any) -> ElicitResult:
        assert isinstance(asked, ElicitRequestURLParams), "no form is shown to who can open the page"
        self.opened.append(asked)
        operation_id = asked.url.rpartition("/")[2]
        async with self.floor.desk() as desk:
            if self.decides == "approve":
                await desk.approve(operation_id)
            elif self.decides == "reject":
                await desk.supervisor.reject(operation_id, by="Ana", note="too large")
        return ElicitResult(action=self.action)


async def with_an_approver(floor: Floor) -> None:
    async with floor.desk() as desk:
        await desk.set_up()


@pytest.mark.requirement("G-01", "G-19")
async def test_a_client_that_opens_links_sends_its_person_to_the_plans_page(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path, **PAGE) as floor:
        await with_an_approver(floor)
        visitor = Visitor(floor)
        answer = data_of(await floor.call("close_positions", KO, era=era, person=visitor))
        (asked,) = visitor.opened
        assert asked.url.endswith(f"/op/{answer['operation_id']}")
        assert answer["operation_id"] in asked.message
        assert (answer["sent"], floor.effects) == ("yes", {"close_position": 1})
        assert "desk" in answer["decision"]
        async with httpx.AsyncClient() as http:
            page = await http.get(asked.url)
            assert page.status_code == 200
            assert answer["operation_id"] not in page.text


@pytest.mark.requirement("G-01")
@pytest.mark.parametrize("action", ["accept", "decline", "cancel"])
async def test_that_the_link_was_opened_decides_nothing(era: str, tmp_path: Path, action: Any) -> None:
    async with trading_floor(tmp_path, **PAGE) as floor:
        await with_an_approver(floor)
        visitor = Visitor(floor, decides="nothing", action=action)
        result = await floor.call("close_positions", KO, era=era, person=visitor)
        assert data_of(result)["state"] == "AWAITING_APPROVAL"
        assert floor.effects == {}
        assert visitor.opened[0].url in text_of(result)


@pytest.mark.requirement("G-20")
async def test_a_rejection_on_the_page_ends_the_call(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path, **PAGE) as floor:
        await with_an_approver(floor)
        answer = data_of(await floor.call("close_positions", KO, era=era, person=Visitor(floor, decides="reject")))
        assert (answer["state"], answer["sent"], floor.effects) == ("DECLINED", "no", {})
        assert 'who wrote "too large"' in answer["decision"]


async def test_without_an_approver_there_is_nobody_on_the_page_and_a_form_is_shown(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path, **PAGE) as floor:
        person = Person()
        answer = data_of(await floor.call("close_positions", KO, era=era, person=person))
        assert len(person.questions) == 1
        assert answer["sent"] == "yes"


async def test_a_client_that_can_do_neither_is_told_the_address(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path, **PAGE) as floor:
        await with_an_approver(floor)
        result = await floor.call("close_positions", KO, era=era)
        operation_id = data_of(result)["operation_id"]
        assert f"/op/{operation_id}" in text_of(result)
        assert "positions-mcp" not in text_of(result).partition(f"/op/{operation_id}")[0]
        async with floor.desk() as desk:
            await desk.approve(operation_id)
        await floor.sends(operation_id)
        assert floor.effects == {"close_position": 1}


@pytest.mark.one_process("asks the server's own host of the page")
async def test_a_second_server_on_the_store_finds_the_page_that_is_there(tmp_path: Path) -> None:
    async with trading_floor(tmp_path, **PAGE) as floor:
        await with_an_approver(floor)
        urls = []
        for _ in range(2):
            host = floor.deps.guard._deps.desk
            assert host is not None
            urls.append(await host.open())
        assert urls[0] == urls[1]
