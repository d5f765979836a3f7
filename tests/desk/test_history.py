"""What the page lists: the queue however long it is, and the history filtered, page by page, doubts on top."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from desk.pages import Page, on_a_desk, page_over
from guard.desk import CALLER, Desk
from guard.exchange import raising
from positions_mcp.domain.errors import OutcomeUnknown
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Kind
from store.steps import plan_of


def plans(desk: Desk, count: int, *, first: int = 0, caller: str = CALLER, kind: Kind = Kind.CLOSE_POSITIONS) -> None:
    """So many plans, one a second, put into the store as a guard puts them."""
    for number in range(first, first + count):
        now = desk.clock.now()
        plan = plan_of(f"op-{number:04}", at=now).changed(caller=caller, kind=kind)
        desk.store.add_plan(plan, f"key {number}", now)
        desk.clock.advance(timedelta(seconds=1))


async def in_doubt(desk: Desk) -> Operation:
    desk.exchange.before.append(raising(OutcomeUnknown("dropped")))
    operation = await desk.asked("AAPL")
    await desk.guard.send_elicited(operation, caller=CALLER, client="Claude")
    return operation


def ids(plans: Any) -> list[str]:
    return [each["id"] for each in plans]


async def history(page: Page, **wanted: str) -> Any:
    return await page.read("/api/operations?" + "&".join(f"{name}={value}" for name, value in wanted.items()))


@on_a_desk
async def test_two_hundred_plans_wait_nearest_expiry_first(desk: Desk) -> None:
    plans(desk, 200)
    async with page_over(desk) as page:
        await page.sign_in()
        waiting = ids((await page.read("/api/queue"))["waiting"])
    assert waiting == [f"op-{number:04}" for number in range(200)]


@on_a_desk
async def test_what_has_expired_takes_no_place_and_what_expires_soonest_keeps_its_own(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("positions_mcp.desk.service._MOST_SHOWN", 10)
    plans(desk, 20)
    desk.clock.advance(timedelta(seconds=285))
    plans(desk, 20, first=20)
    async with page_over(desk) as page:
        await page.sign_in()
        waiting = ids((await page.read("/api/queue"))["waiting"])
    # They live for 300 seconds, and 325 have passed since the first.
    assert waiting == [f"op-{number:04}" for number in range(20, 30)]


@on_a_desk
async def test_a_lapsed_approval_is_not_said_to_be_on_its_way(desk: Desk) -> None:
    await desk.approved_at_desk("AAPL")
    async with page_over(desk) as page:
        await page.sign_in()
        assert len((await page.read("/api/queue"))["moving"]) == 1
        desk.clock.advance(timedelta(seconds=61))
        assert not (await page.read("/api/queue"))["moving"]


@on_a_desk
async def test_what_is_in_doubt_stands_on_top_however_old_it_is(desk: Desk) -> None:
    doubtful = await in_doubt(desk)
    plans(desk, 60)
    async with page_over(desk) as page:
        await page.sign_in()
        listed = await history(page)
        assert ids(listed["in_doubt"]) == [doubtful.operation_id]
        assert doubtful.operation_id not in ids(listed["operations"])
        assert ids((await history(page, in_doubt="1"))["operations"]) == [doubtful.operation_id]


@on_a_desk
async def test_the_history_goes_on_page_by_page_to_its_beginning(desk: Desk) -> None:
    plans(desk, 120)
    seen: list[str] = []
    async with page_over(desk) as page:
        await page.sign_in()
        listed = await history(page)
        seen += ids(listed["operations"])
        while listed["after"]:
            listed = await history(page, after=listed["after"])
            assert listed["operations"]
            seen += ids(listed["operations"])
    assert seen == [f"op-{number:04}" for number in reversed(range(120))]


@pytest.mark.parametrize(
    "wanted",
    [
        {"caller": "cursor"},
        {"kind": "close_all_positions"},
        {"state": "DECLINED"},
        {"caller": "CURSOR", "state": "DECLINED", "account": "19816"},
    ],
    ids=str,
)
@on_a_desk
async def test_a_filter_finds_what_is_older_than_any_page(desk: Desk, wanted: dict[str, str]) -> None:
    plans(desk, 1, caller="stdio ana Cursor", kind=Kind.CLOSE_ALL_POSITIONS)
    await desk.supervisor.reject("op-0000", by="root")
    plans(desk, 60, first=1)
    async with page_over(desk) as page:
        await page.sign_in()
        listed = await history(page, **wanted)
        assert (ids(listed["operations"]), listed["after"]) == (["op-0000"], None)
        assert not (await history(page, account="7"))["operations"]


@pytest.mark.parametrize(
    "wanted", [{"state": "GONE"}, {"kind": "buy"}, {"account": "abc"}, {"account": "9" * 40}], ids=str
)
@on_a_desk
async def test_a_filter_that_means_nothing_is_refused(desk: Desk, wanted: dict[str, str]) -> None:
    async with page_over(desk) as page:
        await page.sign_in()
        ((name, value),) = wanted.items()
        token = {"x-desk-token": page.token}
        assert (await page.http.get(f"/api/operations?{name}={value}", headers=token)).status_code == 400
