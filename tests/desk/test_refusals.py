"""Every route that changes something, by the table of routes: refused without all that it takes, and written down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import anyio
import httpx
import pytest
from starlette.routing import Route

from authenticator import Authenticator, b64
from desk.pages import ORIGIN, Page, on_a_desk, page_over
from guard.delegated import terms
from guard.desk import CALLER, PASSPHRASE, Desk
from guard.exchange import raising
from positions_mcp.desk.app import desk_app
from positions_mcp.desk.service import Desk as DeskService
from positions_mcp.desk.sessions import MOST_WRONG
from positions_mcp.domain.errors import OutcomeUnknown
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.roster import FIRST_NAME
from positions_mcp.domain.operation.supervision import Trade
from positions_mcp.guard.deciding import digest_of_halt, digest_of_row
from positions_mcp.guard.delegating import Delegation
from positions_mcp.guard.enrolling import adding
from positions_mcp.guard.withdrawing import shown_of
from positions_mcp.signing.passkeys import enrolled


@dataclass(frozen=True)
class Prepared:
    """A request that would be accepted."""

    path: str
    body: dict[str, Any]
    operation: Operation | None = None


async def to_approve(desk: Desk) -> Prepared:
    operation = await desk.asked("AAPL")
    body = {"digest": operation.plan.digest, "passphrase": PASSPHRASE}
    return Prepared(f"/api/operations/{operation.operation_id}/approve", body, operation)


async def to_reject(desk: Desk) -> Prepared:
    operation = await desk.asked("AAPL")
    return Prepared(f"/api/operations/{operation.operation_id}/reject", {"digest": operation.plan.digest}, operation)


async def to_settle(desk: Desk) -> Prepared:
    desk.exchange.before.append(raising(OutcomeUnknown("dropped")))
    asked = await desk.asked("AAPL")
    await desk.guard.send_elicited(asked, caller=CALLER, client="Claude")
    operation = desk.store.operation(asked.operation_id)
    assert operation is not None
    body = {"row": 0, "digest": digest_of_row(operation, operation.rows[0]), "took_effect": False, "evidence": "a call"}
    return Prepared(f"/api/operations/{operation.operation_id}/settle", {**body, "passphrase": PASSPHRASE}, operation)


async def to_halt(_: Desk) -> Prepared:
    return Prepared("/api/halt", {"reason": "a storm"})


async def to_resume(desk: Desk) -> Prepared:
    halt = await desk.supervisor.halt("a storm", by="root")
    return Prepared("/api/resume", {"passphrase": PASSPHRASE, "digest": digest_of_halt(halt)})


async def to_sign_a_mandate(desk: Desk) -> Prepared:
    draft = await Delegation(desk.parts).draft(terms(), by="ana", shadow=timedelta(days=1))
    return Prepared(f"/api/mandates/{draft.mandate_id}/sign", {"digest": draft.digest, "passphrase": PASSPHRASE})


async def to_revoke_a_mandate(desk: Desk) -> Prepared:
    draft = await Delegation(desk.parts).draft(terms(), by="ana", shadow=timedelta(days=1))
    return Prepared(f"/api/mandates/{draft.mandate_id}/revoke", {})


async def to_draft_a_mandate(_: Desk) -> Prepared:
    said = {"account": "19816", "instruments": ["KO"], "per_operation": "100", "in_all": "200", "operations": "2"}
    return Prepared("/api/mandates", said)


async def to_withdraw(desk: Desk) -> Prepared:
    """The orders as the page shows them; closes are halted."""
    await desk.close("MSFT")
    halts = [await desk.supervisor.halt("a storm", by="root", kind=Trade.CLOSE)]
    offer = await DeskService(desk.parts).withdrawing.open_now(halts, FIRST_NAME)
    orders = [shown_of(own).model_dump(mode="json") for own in offer.own]
    return Prepared("/api/withdrawal", {"digest": offer.digest, "orders": orders, "passphrase": PASSPHRASE})


async def to_make_a_passkey(_: Desk) -> Prepared:
    return Prepared("/api/approvers/passkeys", {"name": "approver", "label": "phone"})


async def to_add_a_passkey(_: Desk) -> Prepared:
    """What was made is asked for in `tests/desk/test_passkeys.py`: here nothing is made."""
    return Prepared("/api/approvers/passkeys/add", {"offer": "none", "made": {}, "passphrase": PASSPHRASE})


async def to_remove_a_passkey(desk: Desk) -> Prepared:
    made, now = Authenticator().makes(b64(b"a challenge")), desk.clock.now()
    passkey = enrolled(made, challenge=b"a challenge", origin=ORIGIN, label="phone", now=now)
    enrolling = DeskService(desk.parts).enrolling
    await enrolling.with_passphrase(adding("approver", passkey), "approver", PASSPHRASE, origin=ORIGIN)
    shown = desk.store.rosters().head
    body = {"fingerprint": passkey.fingerprint, "digest": shown, "passphrase": PASSPHRASE}
    return Prepared("/api/approvers/passkeys/remove", body)


async def to_sign_in(_: Desk) -> Prepared:
    return Prepared("/api/session", {"passphrase": PASSPHRASE})


async def to_ask_for_a_passkey(desk: Desk) -> Prepared:
    await to_remove_a_passkey(desk)
    return Prepared("/api/session/passkey", {"name": "approver"})


async def to_sign_out(_: Desk) -> Prepared:
    return Prepared("/api/session", {})


ROUTES: dict[tuple[str, str], Callable[[Desk], Awaitable[Prepared]]] = {
    ("POST", "/api/operations/{operation_id}/approve"): to_approve,
    ("POST", "/api/operations/{operation_id}/reject"): to_reject,
    ("POST", "/api/operations/{operation_id}/settle"): to_settle,
    ("POST", "/api/mandates"): to_draft_a_mandate,
    ("POST", "/api/mandates/{mandate_id}/sign"): to_sign_a_mandate,
    ("POST", "/api/mandates/{mandate_id}/revoke"): to_revoke_a_mandate,
    ("POST", "/api/halt"): to_halt,
    ("POST", "/api/withdrawal"): to_withdraw,
    ("POST", "/api/resume"): to_resume,
    ("POST", "/api/approvers/passkeys"): to_make_a_passkey,
    ("POST", "/api/approvers/passkeys/add"): to_add_a_passkey,
    ("POST", "/api/approvers/passkeys/remove"): to_remove_a_passkey,
    ("POST", "/api/session"): to_sign_in,
    ("POST", "/api/session/passkey"): to_ask_for_a_passkey,
    ("DELETE", "/api/session"): to_sign_out,
}
DOOR = [("POST", "/api/session"), ("POST", "/api/session/passkey")]
INSIDE = [each for each in ROUTES if each not in DOOR]
SIGNED = (to_approve, to_settle, to_resume, to_remove_a_passkey, to_sign_a_mandate, to_withdraw)
BY_PASSPHRASE = [each for each in ROUTES if ROUTES[each] in SIGNED]
BY_DIGEST = [each for each in ROUTES if ROUTES[each] in (*SIGNED, to_reject)]
OF_A_PLAN = [each for each in ROUTES if "operation_id" in each[1]]
FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "http://localhost:9999"},
    {"origin": "null"},
    {"origin": ""},
    {"host": "evil.example"},
    {"host": "localhost:9999"},
    {"sec-fetch-site": "cross-site"},
    {"content-type": "text/plain"},
]


async def send(page: Page, route: tuple[str, str], prepared: Prepared, body: Any = None, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {"origin": ORIGIN, "x-desk-token": page.token, **named}
    answer = await page.http.request(
        route[0], prepared.path, json=prepared.body if body is None else body, headers=sent
    )
    return answer.status_code


def everything(desk: Desk) -> tuple[Any, ...]:
    """What a decision would have changed."""
    store = desk.store
    decided = store.operations(limit=50), store.halts(), store.rosters().roster, store.mandates()
    return *decided, tuple(desk.exchange.requests)


def refusals(desk: Desk) -> list[tuple[str, str | None]]:
    events = ("decision refused", "passphrase refused")
    return [(entry.event, entry.operation_id) for entry in desk.store.journal() if entry.event in events]


def written_down(desk: Desk, prepared: Prepared, times: int = 1) -> bool:
    named = None if prepared.operation is None else prepared.operation.operation_id
    return [operation_id for _, operation_id in refusals(desk)].count(named) >= times


async def decides_nothing(desk: Desk, route: tuple[str, str], prepared: Prepared, body: Any, *statuses: int) -> None:
    """Somebody who has signed in is refused with one of these, and that is written down."""
    before = everything(desk)
    async with page_over(desk) as page:
        await page.sign_in()
        assert await send(page, route, prepared, body) in statuses
    assert everything(desk) == before
    assert written_down(desk, prepared)


@on_a_desk
async def test_the_table_has_every_route_that_changes_something(desk: Desk) -> None:
    app = desk_app(DeskService(desk.parts), origins=[ORIGIN])
    changing = {
        (method, route.path)
        for route in app.routes
        if isinstance(route, Route) and route.methods
        for method in route.methods
        if method not in ("GET", "HEAD")
    }
    assert changing == set(ROUTES)


@pytest.mark.requirement("D-02")
@pytest.mark.parametrize("route", [each for each in ROUTES if ROUTES[each] is not to_add_a_passkey], ids=str)
@on_a_desk
async def test_it_is_accepted_where_nothing_is_wrong(desk: Desk, route: tuple[str, str]) -> None:
    prepared = await ROUTES[route](desk)
    async with page_over(desk) as page:
        await page.sign_in()
        assert await send(page, route, prepared) == 200


@pytest.mark.parametrize("port", ["", ":80", ":"])
@pytest.mark.parametrize("host", ["desk.example", "DESK.Example", "desk.example."])
@on_a_desk
async def test_its_own_name_is_known_in_every_spelling(desk: Desk, host: str, port: str) -> None:
    app = desk_app(DeskService(desk.parts), origins=["http://desk.example"])
    said = {"host": f"{host}{port}", "origin": f"HTTP://{host}{port}", "content-type": "application/json"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://desk.example") as http:
        assert (await http.get("/", headers=said)).status_code == 200
        answer = await http.request("DELETE", "/api/session", json={}, headers=said)
    assert answer.json()["error"] != "This desk goes by another address."
    assert answer.status_code == 401


@pytest.mark.requirement("D-02")
@pytest.mark.parametrize("route", INSIDE, ids=str)
@on_a_desk
async def test_it_takes_a_session_and_its_token(desk: Desk, route: tuple[str, str]) -> None:
    prepared = await ROUTES[route](desk)
    before = everything(desk)
    lacking = ("no session", "no cookie", "no token", "another token", "an ended session")
    for times, what in enumerate(lacking, start=1):
        async with page_over(desk) as page:
            if what != "no session":
                await page.sign_in()
            if what == "no cookie":
                page.http.cookies.clear()
            if what == "an ended session":
                desk.clock.advance(timedelta(hours=12))
            token = {"no token": "", "another token": "guessed"}.get(what, page.token)
            assert await send(page, route, prepared, x_desk_token=token) == 401, what
        assert everything(desk) == before, what
        assert prepared.operation is None or written_down(desk, prepared, times), what


@pytest.mark.requirement("D-02")
@pytest.mark.parametrize("route", ROUTES, ids=str)
@on_a_desk
async def test_it_comes_from_the_desks_own_page(desk: Desk, route: tuple[str, str]) -> None:
    prepared = await ROUTES[route](desk)
    before = everything(desk)
    async with page_over(desk) as page:
        await page.sign_in()
        for times, headers in enumerate(FOREIGN, start=1):
            assert await send(page, route, prepared, **headers) == 403, headers
            assert everything(desk) == before, headers
            assert prepared.operation is None or written_down(desk, prepared, times), headers
    assert desk.store.verify().intact


@pytest.mark.requirement("D-02")
@pytest.mark.parametrize("digest", ["0" * 64, "", None, 7])
@pytest.mark.parametrize("route", BY_DIGEST, ids=str)
@on_a_desk
async def test_it_is_about_what_was_shown(desk: Desk, route: tuple[str, str], digest: Any) -> None:
    prepared = await ROUTES[route](desk)
    if digest == "" and ROUTES[route] is to_resume:
        return  # a halt is one for the whole store: its end may be asked for by who never saw a digest
    await decides_nothing(desk, route, prepared, {**prepared.body, "digest": digest}, 400, 403)


@pytest.mark.requirement("D-01")
@pytest.mark.parametrize("passphrase", ["not the passphrase", "", " ", None, 7])
@pytest.mark.parametrize("route", BY_PASSPHRASE, ids=str)
@on_a_desk
async def test_it_takes_the_passphrase_again(desk: Desk, route: tuple[str, str], passphrase: Any) -> None:
    prepared = await ROUTES[route](desk)
    await decides_nothing(desk, route, prepared, {**prepared.body, "passphrase": passphrase}, 400, 403)


@pytest.mark.requirement("D-02")
@pytest.mark.parametrize("body", [[], "text", 7, {}])
@pytest.mark.parametrize("route", OF_A_PLAN, ids=str)
@on_a_desk
async def test_what_cannot_be_read_decides_nothing_and_is_written_down(
    desk: Desk, route: tuple[str, str], body: Any
) -> None:
    prepared = await ROUTES[route](desk)
    await decides_nothing(desk, route, prepared, body, 400)


@pytest.mark.requirement("D-02")
@pytest.mark.parametrize("route", [each for each in OF_A_PLAN if ROUTES[each] is not to_settle], ids=str)
@on_a_desk
async def test_an_expired_plan_is_not_decided(desk: Desk, route: tuple[str, str]) -> None:
    prepared = await ROUTES[route](desk)
    async with page_over(desk) as page:
        await page.sign_in()
        desk.clock.advance(timedelta(minutes=5))
        assert await send(page, route, prepared) in (403, 409)
    assert written_down(desk, prepared)
    assert desk.store.operations(limit=1)[0].decision is None


@pytest.mark.requirement("D-02")
@pytest.mark.parametrize("route", [*OF_A_PLAN, ("POST", "/api/resume"), ("DELETE", "/api/session")], ids=str)
@on_a_desk
async def test_it_is_done_once(desk: Desk, route: tuple[str, str]) -> None:
    prepared = await ROUTES[route](desk)
    async with page_over(desk) as page:
        await page.sign_in()
        assert await send(page, route, prepared) == 200
        before = everything(desk)
        assert await send(page, route, prepared) in (401, 403, 409)
    assert everything(desk) == before
    assert prepared.operation is None or written_down(desk, prepared)


@pytest.mark.requirement("D-01")
@pytest.mark.parametrize("route", BY_PASSPHRASE, ids=str)
@on_a_desk
async def test_eight_guesses_at_once_end_the_session_after_five_and_lock_nobody_out(
    desk: Desk, route: tuple[str, str]
) -> None:
    prepared = await ROUTES[route](desk)
    before, statuses = everything(desk), list[int]()
    async with page_over(desk) as page:
        await page.sign_in()

        async def guess(number: int) -> None:
            statuses.append(await send(page, route, prepared, {**prepared.body, "passphrase": f"guess {number}"}))

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(guess, number)
        assert sorted(statuses) == [401] * (8 - MOST_WRONG) + [403] * MOST_WRONG
        assert everything(desk) == before
        assert len(refusals(desk)) == 8
        assert (await page.sign_in()).status_code == 200
        assert await send(page, route, prepared) == 200


@pytest.mark.requirement("D-01")
@on_a_desk
async def test_eight_guesses_at_once_to_sign_in_are_written_down_and_lock_nobody_out(desk: Desk) -> None:
    answers: list[httpx.Response] = []
    async with page_over(desk) as page:

        async def guess(number: int) -> None:
            answers.append(await page.post("/api/session", {"passphrase": f"guess {number}"}))

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(guess, number)
        assert [each.status_code for each in answers] == [403] * 8
        assert not any(each.headers.get("set-cookie") for each in answers)
        assert refusals(desk) == [("passphrase refused", None)] * 8
        assert (await page.sign_in()).status_code == 200
    assert desk.store.verify().intact


@on_a_desk
async def test_of_a_flood_of_guesses_the_journal_keeps_fifty_an_hour(desk: Desk) -> None:
    async with page_over(desk) as page:
        for _ in range(60):
            await page.post("/api/session", {"passphrase": "a guess"})
        assert len(refusals(desk)) == 50
        desk.clock.advance(timedelta(hours=1))
        await page.post("/api/session", {"passphrase": "a guess"})
        assert len(refusals(desk)) == 51


@on_a_desk
async def test_the_right_passphrase_starts_the_count_anew(desk: Desk) -> None:
    async with page_over(desk) as page:
        await page.sign_in()
        for _ in range(2):
            prepared = await to_resume(desk)
            for _ in range(MOST_WRONG - 1):
                await send(page, ("POST", "/api/resume"), prepared, {**prepared.body, "passphrase": "a guess"})
            assert await send(page, ("POST", "/api/resume"), prepared) == 200


@on_a_desk
async def test_a_no_does_not_start_the_count_anew(desk: Desk) -> None:
    async with page_over(desk) as page:
        await page.sign_in()
        prepared, route = await to_approve(desk), ("POST", "/approve")
        for symbol in ("AAPL", "TSLA", "MSFT", "AAPL", "TSLA")[:MOST_WRONG]:
            await send(page, route, prepared, {**prepared.body, "passphrase": "a guess"})
            other = await desk.asked(symbol, cancel_orders=True)
            path = f"/api/operations/{other.operation_id}/reject"
            assert await send(page, route, Prepared(path, {"digest": other.plan.digest})) in (200, 401)
        assert await send(page, route, prepared) == 401


@on_a_desk
async def test_a_foreign_request_about_no_plan_writes_nothing(desk: Desk) -> None:
    async with page_over(desk) as page:
        before = desk.store.journal()
        for path in ("/api/operations/op-none/approve", "/api/operations/../approve", "/api/halt"):
            await page.post(path, {}, origin="http://evil.example")
        assert desk.store.journal() == before
