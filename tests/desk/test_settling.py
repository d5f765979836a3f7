"""An unknown outcome is settled as the person saw it: by its row, and not where more is known by now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from desk.pages import Page, on_a_desk, page_over
from guard.clearing import CALL_220, GIVING_UP, clearing_desk, row
from guard.desk import AAPL, CALLER, PASSPHRASE, Desk
from guard.exchange import raising
from positions_mcp.domain.errors import OutcomeUnknown
from positions_mcp.domain.operation.operation import Conclusion
from positions_mcp.domain.operation.states import OperationState


async def settle(page: Page, operation_id: str, doubtful: Any, *, took_effect: bool) -> int:
    body = {"row": doubtful["row"], "digest": doubtful["digest"], "took_effect": took_effect, "evidence": "a call"}
    answer = await page.post(f"/api/operations/{operation_id}/settle", {**body, "passphrase": PASSPHRASE})
    return answer.status_code


async def test_two_rows_of_one_contract_are_settled_each_by_itself(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path, policy=GIVING_UP) as it:
        it.clearing.after.append(raising(OutcomeUnknown("dropped")))
        twice = (row(CALL_220, "EXERCISE", 2, key="k-1"), row(CALL_220, "DO_NOT_EXERCISE", 1, key="k-2"))
        report = await it.submit(*twice)
        it.desk.exchange.instructions.clear()
        await it.desk.supervisor.set_up_approver(PASSPHRASE)
        async with page_over(it.desk) as page:
            await page.sign_in()
            story = await page.read(f"/api/operations/{report.operation_id}")
            first, second = story["doubtful"]
            assert first["symbol"] == second["symbol"]
            assert first["digest"] != second["digest"]
            assert await settle(page, report.operation_id, second, took_effect=False) == 200
            (left,) = (await page.read(f"/api/operations/{report.operation_id}"))["doubtful"]
            assert left["row"] == first["row"]
            assert await settle(page, report.operation_id, first, took_effect=True) == 200
        stored = it.desk.store.operation(report.operation_id)
        assert stored is not None
        concluded = [each.resolution.conclusion for each in stored.rows if each.resolution]
        assert concluded == [Conclusion.TOOK_EFFECT, Conclusion.DID_NOT]


@on_a_desk
async def test_a_row_of_which_more_is_known_by_now_is_not_settled(desk: Desk) -> None:
    desk.exchange.before.append(raising(OutcomeUnknown("dropped")))
    operation = await desk.asked("AAPL")
    await desk.guard.send_elicited(operation, caller=CALLER, client="Claude")
    async with page_over(desk) as page:
        await page.sign_in()
        (shown,) = (await page.read(f"/api/operations/{operation.operation_id}"))["doubtful"]
        desk.exchange.change(AAPL, quantity=60)
        assert (await desk.guard.operation(operation.operation_id)).state is OperationState.UNKNOWN
        assert await settle(page, operation.operation_id, shown, took_effect=False) == 403
        (now,) = (await page.read(f"/api/operations/{operation.operation_id}"))["doubtful"]
        assert await settle(page, operation.operation_id, now, took_effect=False) == 200


@on_a_desk
async def test_a_look_that_shows_nothing_new_leaves_the_form_as_it_was_shown(desk: Desk) -> None:
    desk.exchange.before.append(raising(OutcomeUnknown("dropped")))
    operation = await desk.asked("AAPL")
    await desk.guard.send_elicited(operation, caller=CALLER, client="Claude")
    await desk.guard.operation(operation.operation_id)
    async with page_over(desk) as page:
        await page.sign_in()
        (shown,) = (await page.read(f"/api/operations/{operation.operation_id}"))["doubtful"]
        await desk.guard.operation(operation.operation_id)
        (again,) = (await page.read(f"/api/operations/{operation.operation_id}/follow"))["doubtful"]
        assert again == shown


@on_a_desk
async def test_a_halt_that_replaced_the_one_that_was_shown_is_not_ended(desk: Desk) -> None:
    async with page_over(desk) as page:
        await page.sign_in()
        await desk.supervisor.halt("a storm", by="root")
        shown = (await page.read("/api/state"))["halts"][0]["digest"]
        await desk.supervisor.halt("the numbers are wrong", by="Ana")
        assert (await page.post("/api/resume", {"passphrase": PASSPHRASE, "digest": shown})).status_code == 403
        assert desk.store.halts()
