"""What the desk's routes do for who is signed in, and how long that is. What they refuse: `test_refusals`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from desk.pages import ORIGIN, on_a_desk, page_over
from guard.desk import AAPL, CALLER, PASSPHRASE, Desk
from positions_mcp.desk.sessions import IDLE, LONGEST
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.states import OperationState, Stage
from positions_mcp.guard.approval.questions import question


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


@pytest.mark.requirement("D-01")
@on_a_desk
async def test_what_is_no_json_is_refused_at_the_door_too(desk: Desk) -> None:
    async with page_over(desk) as page:
        for body in (b"{", b"[]", b'{"passphrase": 7}'):
            headers = {"origin": ORIGIN, "content-type": "application/json"}
            answer = await page.http.post("/api/session", content=body, headers=headers)
            assert answer.status_code == 400


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
        assert (await page.decide("approve", planned.operation, passphrase=PASSPHRASE)).status_code == 200
    stored = desk.store.operation(planned.operation.operation_id)
    assert stored is not None
    assert stored.decision is not None
    assert stored.decision.of_preview
    assert stored.decision.expires_at == stored.plan.expires_at
    report = await desk.guard.send_approved(stored.operation_id, caller=CALLER)
    assert report.state is OperationState.SUBMITTED


@on_a_desk
async def test_signing_in_anew_ends_the_session_that_the_browser_had(desk: Desk) -> None:
    async with page_over(desk) as page:
        await page.sign_in()
        old = page.token, dict(page.http.cookies)
        await page.sign_in()
        page.http.cookies.clear()
        page.http.cookies.update(old[1])
        assert (await page.http.get("/api/queue", headers={"x-desk-token": old[0]})).status_code == 401


@on_a_desk
async def test_an_account_that_is_not_allowed_is_not_read(desk: Desk) -> None:
    async with page_over(desk, mode=Mode.LIVE) as page:
        await page.sign_in()
        assert not (await page.read("/api/accounts/7/book"))["readable"]
        operation = await desk.asked("AAPL")
        path = f"/api/operations/{operation.operation_id}/share.svg"
        # It is of the other mode: the account of that number here is not its own.
        assert (await page.http.get(path, headers={"x-desk-token": page.token})).status_code == 503


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
    assert story["question"] == question(operation.plan).split("\n")
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert "<svg" in picture.text


@on_a_desk
async def test_a_story_says_who_asks_for_what_reason_what_of_the_limits_it_takes_and_what_is_not_known(
    desk: Desk,
) -> None:
    desk.exchange.change(AAPL, market_value=None, instrument_price=None)
    request = replace(desk.request("AAPL"), purpose="cash by Monday")
    operation = (await desk.guard.plan(request, caller=CALLER)).operation
    policy = desk.parts.policy.model_copy(update={"max_daily_notional": Decimal(50_000)})
    async with page_over(desk, policy=policy) as page:
        await page.sign_in()
        story = await page.read(f"/api/operations/{operation.operation_id}")
    assert (story["account"], story["caller"], story["purpose"]) == ("19816", CALLER, "cash by Monday")
    unpriced, limits = story["not_known"]
    assert unpriced == "No price of AAPL: the notional may be larger."
    assert limits.endswith(f"policy {policy.fingerprint}, it was planned under policy {desk.parts.policy.fingerprint}.")
    (today,) = [row for row in story["limits"] if row["name"] == "notional of the account today"]
    assert (today["used"], today["limit"]) == ("0", "50,000")


@on_a_desk
async def test_limits_of_the_other_mode_are_not_made_up(desk: Desk) -> None:
    operation = await desk.asked("AAPL")
    async with page_over(desk, mode=Mode.LIVE) as page:
        await page.sign_in()
        assert (await page.read(f"/api/operations/{operation.operation_id}"))["limits"] is None


@pytest.mark.requirement("G-10")
@on_a_desk
async def test_the_state_sums_what_each_caller_asked_for_today(desk: Desk) -> None:
    operation = await desk.asked("AAPL")
    async with page_over(desk) as page:
        await page.sign_in()
        (line,) = (await page.read("/api/state"))["callers"]
    assert (line["caller"], line["operations"], line["rows_sent"]) == (operation.plan.caller, 1, 0)
