"""Every route of the desk that changes something: refused without all that it takes, and written down (D-01, D-02)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import httpx
import pytest

from desk.pages import ORIGIN, Page, on_a_desk, page_over
from guard.desk import CALLER, PASSPHRASE, Desk
from positions_mcp.desk.sessions import IDLE, LONGEST, MOST_WRONG
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.states import OperationState, Stage

DECIDING: dict[str, dict[str, Any]] = {
    "approve": {"passphrase": PASSPHRASE},
    "reject": {"reason": "not today"},
}


async def sent(page: Page, what: str, operation: Operation, **changed: Any) -> httpx.Response:
    return await page.decide(what, operation, **{**DECIDING[what], **changed})


def stage(desk: Desk, operation: Operation) -> Stage:
    stored = desk.store.operation(operation.operation_id)
    assert stored is not None
    return stored.stage


def events(desk: Desk, operation: Operation) -> list[str]:
    return [entry.event for entry in desk.store.journal(operation.operation_id)]


@on_a_desk
async def test_an_approval_takes_the_passphrase_and_says_where_it_came_from(desk: Desk) -> None:
    operation = await desk.asked("AAPL")
    async with page_over(desk) as page:
        await page.sign_in()
        answer = await page.decide("approve", operation, passphrase=PASSPHRASE, note="go ahead")
        assert answer.status_code == 200
    stored = desk.store.operation(operation.operation_id)
    assert stored is not None
    assert stored.decision is not None
    assert (stored.stage, stored.decision.note, stored.decision.origin) == (Stage.APPROVED, "go ahead", ORIGIN)


@on_a_desk
async def test_a_rejection_carries_its_reason(desk: Desk) -> None:
    operation = await desk.asked("AAPL")
    async with page_over(desk) as page:
        await page.sign_in()
        assert (await page.decide("reject", operation, reason="too large")).status_code == 200
    stored = desk.store.operation(operation.operation_id)
    assert stored is not None
    assert stored.decision is not None
    assert (stored.stage, stored.decision.note) == (Stage.DECLINED, "too large")


@pytest.mark.requirement("D-02")
@pytest.mark.parametrize("what", DECIDING)
@pytest.mark.parametrize(
    "headers",
    [
        {"x-desk-token": ""},
        {"x-desk-token": "guessed"},
        {"cookie": "positions_desk_8421=guessed"},
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:9999"},
        {"origin": "null"},
        {"origin": ""},
        {"host": "evil.example:8421"},
        {"host": "localhost:9999"},
        {"content-type": "text/plain"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
@on_a_desk
async def test_nothing_is_decided_without_session_token_and_the_desks_own_page(
    desk: Desk, what: str, headers: dict[str, str]
) -> None:
    operation = await desk.asked("AAPL")
    async with page_over(desk) as page:
        await page.sign_in()
        body = {"digest": operation.plan.digest, **DECIDING[what]}
        sent = {"origin": ORIGIN, "x-desk-token": page.token, **headers}
        if "cookie" in headers:
            page.http.cookies.clear()
        answer = await page.http.post(f"/api/operations/{operation.operation_id}/{what}", json=body, headers=sent)
        assert answer.status_code in (401, 403)
    assert stage(desk, operation) is Stage.AWAITING_APPROVAL


@pytest.mark.requirement("D-02")
@pytest.mark.parametrize("what", DECIDING)
@on_a_desk
async def test_a_decision_without_a_session_is_written_down(desk: Desk, what: str) -> None:
    operation = await desk.asked("AAPL")
    async with page_over(desk) as page:
        assert (await sent(page, what, operation)).status_code == 401
    assert events(desk, operation)[-1] == "decision refused"
    assert desk.store.verify().intact


@pytest.mark.requirement("D-02")
@pytest.mark.parametrize("what", DECIDING)
@on_a_desk
async def test_another_plan_than_the_one_shown_is_not_decided(desk: Desk, what: str) -> None:
    operation = await desk.asked("AAPL")
    async with page_over(desk) as page:
        await page.sign_in()
        answer = await sent(page, what, operation, digest="0" * 64)
        assert answer.status_code == 403
        assert (await sent(page, what, operation, digest="")).status_code == 400
    assert stage(desk, operation) is Stage.AWAITING_APPROVAL
    assert "decision refused" in events(desk, operation)


@pytest.mark.requirement("D-02")
@on_a_desk
async def test_an_expired_plan_is_not_approved(desk: Desk) -> None:
    operation = await desk.asked("AAPL")
    async with page_over(desk) as page:
        await page.sign_in()
        desk.clock.advance(operation.plan.expires_at - desk.clock.now())
        assert (await sent(page, "approve", operation)).status_code == 403
    assert stage(desk, operation) is Stage.EXPIRED


@pytest.mark.requirement("D-02")
@pytest.mark.parametrize("first", DECIDING)
@on_a_desk
async def test_a_plan_is_decided_once(desk: Desk, first: str) -> None:
    operation = await desk.asked("AAPL")
    async with page_over(desk) as page:
        await page.sign_in()
        assert (await sent(page, first, operation)).status_code == 200
        assert (await sent(page, "approve", operation)).status_code in (403, 409)


@pytest.mark.requirement("D-01")
@on_a_desk
async def test_what_is_no_json_is_refused_at_the_door_too(desk: Desk) -> None:
    async with page_over(desk) as page:
        for body in (b"{", b"[]", b'{"passphrase": 7}'):
            headers = {"origin": ORIGIN, "content-type": "application/json"}
            answer = await page.http.post("/api/session", content=body, headers=headers)
            assert answer.status_code == 400


@on_a_desk
async def test_a_session_alone_approves_nothing(desk: Desk) -> None:
    operation = await desk.asked("AAPL")
    async with page_over(desk) as page:
        await page.sign_in()
        assert (await sent(page, "approve", operation, passphrase="")).status_code == 400
        assert (await sent(page, "approve", operation, passphrase="not the passphrase")).status_code == 403
        assert (await page.post("/api/resume", {"passphrase": ""})).status_code == 400
    assert stage(desk, operation) is Stage.AWAITING_APPROVAL


@pytest.mark.requirement("D-01")
@on_a_desk
async def test_eight_guesses_at_once_end_the_session_after_five_and_lock_nobody_out(desk: Desk) -> None:
    operation = await desk.asked("AAPL")
    statuses: list[int] = []
    async with page_over(desk) as page:
        await page.sign_in()

        async def guess(number: int) -> None:
            answer = await sent(page, "approve", operation, passphrase=f"guess number {number}")
            statuses.append(answer.status_code)

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(guess, number)
        assert sorted(statuses) == [401] * (8 - MOST_WRONG) + [403] * MOST_WRONG
        assert (await sent(page, "approve", operation)).status_code == 401
        assert events(desk, operation).count("decision refused") >= 8
        assert (await page.sign_in()).status_code == 200
        assert (await sent(page, "approve", operation)).status_code == 200


@on_a_desk
async def test_a_session_ends_after_half_an_hour_without_a_person_and_after_twelve_hours(desk: Desk) -> None:
    async with page_over(desk) as page:
        await page.sign_in()
        for pause in (timedelta(minutes=29), timedelta(minutes=29)):
            desk.clock.advance(pause)
            answer = await page.http.get("/api/queue", headers={"x-desk-token": page.token, "x-desk-person": "1"})
            assert answer.status_code == 200
        desk.clock.advance(IDLE)
        assert (await page.http.get("/api/queue", headers={"x-desk-token": page.token})).status_code == 401
        await page.sign_in()
        for _ in range(int(LONGEST / timedelta(minutes=20))):
            desk.clock.advance(timedelta(minutes=20))
            answer = await page.http.get("/api/queue", headers={"x-desk-token": page.token, "x-desk-person": "1"})
        assert answer.status_code == 401


@on_a_desk
async def test_what_a_page_reads_by_itself_keeps_nobody_signed_in(desk: Desk) -> None:
    async with page_over(desk) as page:
        await page.sign_in()
        for _ in range(2):
            desk.clock.advance(timedelta(minutes=16))
            answer = await page.http.get("/api/queue", headers={"x-desk-token": page.token})
        assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/api/queue", "/api/state", "/api/operations", "/api/events"])
@on_a_desk
async def test_nothing_is_read_by_who_is_not_signed_in(desk: Desk, path: str) -> None:
    async with page_over(desk) as page:
        assert (await page.http.get(path)).status_code == 401
        await page.sign_in()
        assert (await page.http.get(path, headers={"x-desk-token": ""})).status_code == 401


@on_a_desk
async def test_a_halt_takes_no_passphrase_and_its_end_does(desk: Desk) -> None:
    async with page_over(desk) as page:
        await page.sign_in()
        assert (await page.post("/api/halt", {"reason": "a storm"})).status_code == 200
        assert desk.store.halt() is not None
        assert (await page.post("/api/resume", {"passphrase": "not the passphrase"})).status_code == 403
        assert desk.store.halt() is not None
        assert (await page.post("/api/resume", {"passphrase": PASSPHRASE})).status_code == 200
        assert desk.store.halt() is None


@pytest.mark.requirement("D-02")
@pytest.mark.parametrize("path", ["/", "/op/op-1", "/history", "/static/desk.js", "/api/door", "/api/queue"])
@on_a_desk
async def test_every_answer_forbids_what_is_inline_from_elsewhere_or_framed(desk: Desk, path: str) -> None:
    async with page_over(desk) as page:
        headers = (await page.http.get(path)).headers
    policy = headers["content-security-policy"]
    for word in ("default-src 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"):
        assert word in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


@on_a_desk
async def test_a_preview_is_approved_for_the_call_that_asks_for_it(desk: Desk) -> None:
    planned = await desk.plan("AAPL")
    async with page_over(desk) as page:
        await page.sign_in()
        assert (await sent(page, "approve", planned.operation)).status_code == 200
    stored = desk.store.operation(planned.operation.operation_id)
    assert stored is not None
    assert stored.decision is not None
    assert stored.decision.of_preview
    assert stored.decision.expires_at == stored.plan.expires_at
    report = await desk.guard.send_approved(stored.operation_id, caller=CALLER)
    assert report.state is OperationState.SUBMITTED


@on_a_desk
async def test_the_queue_shows_what_waits_nearest_expiry_first(desk: Desk) -> None:
    first = await desk.asked("AAPL")
    desk.clock.advance(timedelta(seconds=10))
    second = await desk.plan("MSFT")
    async with page_over(desk) as page:
        await page.sign_in()
        waiting = (await page.read("/api/queue"))["waiting"]
    assert [each["id"] for each in waiting] == [first.operation_id, second.operation.operation_id]
    assert [each["asked"] for each in waiting] == [True, False]


@on_a_desk
async def test_a_story_has_the_question_the_rows_and_the_journal(desk: Desk) -> None:
    operation = await desk.asked("AAPL")
    async with page_over(desk) as page:
        await page.sign_in()
        story = await page.read(f"/api/operations/{operation.operation_id}")
        picture = await page.http.get(
            f"/api/operations/{operation.operation_id}/share.svg", headers={"x-desk-token": page.token}
        )
    assert story["digest"] == operation.plan.digest
    assert [entry["event"] for entry in story["journal"]] == ["plan made", "awaiting approval"]
    assert story["question"] == desk.supervisor.words(operation).split("\n")
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert "<svg" in picture.text
