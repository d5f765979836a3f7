"""Who is signed in sees the accounts they have rights in, on every route, and is signed out once they are removed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from desk.pages import ORIGIN, Page, page_over
from guard.delegated import terms
from guard.desk import PASSPHRASE, POLICY, Desk
from guard.desk import desk as guarded
from guard.exchange import ACCOUNT, raising
from guard.persons import BEN, change, two_people
from positions_mcp.desk.app import desk_app
from positions_mcp.desk.service import Desk as Served
from positions_mcp.domain.errors import OutcomeUnknown
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.mandate import Mandate
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.roster import ANYTHING, Rights
from positions_mcp.guard.delegating import Delegation
from positions_mcp.guard.enrolling import changing_member, removing_member

pytestmark = pytest.mark.requirement("D-01", "D-05")
CALLER = "stdio root Claude"
ELSEWHERE = AccountId(777)


@asynccontextmanager
async def signed_in(desk: Desk, name: str, passphrase: str) -> AsyncIterator[Page]:
    async with page_over(desk) as page:
        answer = await page.post("/api/session", {"name": name, "passphrase": passphrase})
        page.token = answer.json()["token"]
        yield page


async def filled(desk: Desk) -> tuple[Operation, Mandate]:
    """Something of everything: a plan that waits, one in doubt, a halt of the account, a draft and a signed mandate."""
    delegation = Delegation(desk.parts)
    drafts = [await delegation.draft(terms(), by="ana", shadow=timedelta(days=1)) for _ in range(2)]
    await delegation.sign(drafts[1].mandate_id, PASSPHRASE, digest=drafts[1].digest, name="Ana")
    desk.exchange.before.append(raising(OutcomeUnknown("dropped")))
    lost = await desk.asked("TSLA")
    await desk.guard.send_elicited(lost, caller=CALLER, client="Claude")
    waiting = await desk.asked("AAPL")
    await desk.supervisor.halt("a storm over there", by="root", account_id=ACCOUNT)
    return waiting, drafts[0]


def routes_of(desk: Desk, method: str) -> list[str]:
    """The paths under /api of one method, but for signing in and out and the stream of numbers."""
    app = desk_app(Served(desk.parts), origins=[ORIGIN])
    found = [route for route in app.routes if isinstance(route, Route) and method in (route.methods or ())]
    left_out = ("/api/session", "/api/door", "/api/events")
    return [route.path for route in found if route.path.startswith("/api/") and route.path not in left_out]


async def test_no_route_says_anything_of_an_account_that_somebody_does_not_see(tmp_path: Path) -> None:
    async with two_people(tmp_path, POLICY) as desk:
        await change(desk, changing_member("Ben", rights=(Rights(account_id=ELSEWHERE, approves=ANYTHING),)))
        waiting, draft = await filled(desk)
        named = {"operation_id": waiting.operation_id, "account": ACCOUNT, "mandate_id": draft.mandate_id}
        telling = [str(ACCOUNT), "AAPL", "TSLA", CALLER, "a storm over there", waiting.operation_id, draft.mandate_id]
        async with signed_in(desk, "Ana", PASSPHRASE) as ana, signed_in(desk, "Ben", BEN) as ben:
            told = set()
            for path in (each.format(**named) for each in routes_of(desk, "GET")):
                headers = {"x-desk-token": ben.token}
                shown = (await ben.http.get(path, headers=headers)).text.replace(path, "")
                said = [word for word in telling if word in shown and word not in path]
                assert said == [], path
                seen = (await ana.http.get(path, headers={"x-desk-token": ana.token})).text
                told |= {word for word in telling if word in seen}
            assert told == set(telling)


async def test_nobody_decides_anything_in_an_account_that_they_do_not_see(tmp_path: Path) -> None:
    async with two_people(tmp_path, POLICY) as desk:
        await change(desk, changing_member("Ben", rights=(Rights(account_id=ELSEWHERE, approves=ANYTHING),)))
        waiting, draft = await filled(desk)
        named = {"operation_id": waiting.operation_id, "mandate_id": draft.mandate_id}
        body: dict[str, Any] = {"digest": waiting.plan.digest, "passphrase": BEN, "reason": "no", "evidence": "a call"}
        async with signed_in(desk, "Ben", BEN) as ben:
            for path in (each for each in routes_of(desk, "POST") if "{" in each):
                answer = await ben.post(path.format(**named), {**body, "row": 0, "took_effect": True})
                assert answer.status_code == 400, path
                assert "There is no " in answer.json()["error"]
            assert (await ben.post("/api/resume", {"passphrase": BEN})).status_code == 403
        assert desk.store.operation(waiting.operation_id) == waiting
        assert desk.store.halts()
        assert desk.store.mandate(draft.mandate_id).mandate == draft


@pytest.mark.parametrize("how", ["removed", "another passphrase"])
async def test_a_session_ends_with_the_person_and_with_what_they_signed_in_with(tmp_path: Path, how: str) -> None:
    async with two_people(tmp_path, POLICY) as desk, signed_in(desk, "Ben", BEN) as ben:
        operation = await desk.asked("AAPL")
        if how == "removed":
            await change(desk, removing_member("Ben"))
        else:
            await desk.supervisor.replace_approver(BEN, "another passphrase of Ben", name="Ben")
        for answer in (await ben.decide("reject", operation), await ben.decide("approve", operation, passphrase=BEN)):
            assert answer.status_code == 401
        assert desk.store.operation(operation.operation_id).decision is None


async def test_rights_that_change_count_from_the_next_request_on(tmp_path: Path) -> None:
    async with two_people(tmp_path, POLICY) as desk, signed_in(desk, "Ben", BEN) as ben:
        await desk.asked("AAPL")
        assert len((await ben.read("/api/queue"))["waiting"]) == 1
        await change(desk, changing_member("Ben", rights=(Rights(account_id=ELSEWHERE),)))
        assert json.dumps((await ben.read("/api/queue"))["waiting"]) == "[]"


async def test_before_anybody_can_sign_in_the_door_says_the_command_as_it_is_pasted(tmp_path: Path) -> None:
    async with guarded(tmp_path) as desk, page_over(desk, command="mine {} --data-dir /d".format) as page:
        assert (await page.read("/api/door"))["command"] == "mine approver init --data-dir /d"
        await desk.supervisor.set_up_approver(PASSPHRASE)
        assert "command" not in await page.read("/api/door")
