"""Who is signed in at one desk of a store is signed in at every one, and signed out of all within a second."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta

import anyio
import pytest

from desk.pages import Page, goes_over, on_a_desk, page_over
from guard.desk import PASSPHRASE, Desk
from positions_mcp.desk.app import desk_app
from positions_mcp.desk.service import Desk as Served
from positions_mcp.desk.sessions import IDLE, MOST_WRONG


async def status(page: Page) -> int:
    return (await page.http.get("/api/queue", headers={"x-desk-token": page.token, "x-desk-person": "1"})).status_code


async def sign_out(page: Page) -> int:
    headers = {**page.sent, "x-desk-token": page.token}
    return (await page.http.request("DELETE", "/api/session", json={}, headers=headers)).status_code


@on_a_desk
async def test_who_signs_in_at_one_desk_decides_at_another_and_signs_out_of_both(desk: Desk) -> None:
    operation = await desk.asked("AAPL")
    async with page_over(desk) as one, page_over(desk) as two:
        await one.sign_in()
        goes_over(one, two)
        assert (await two.decide("approve", operation, passphrase=PASSPHRASE)).status_code == 200
        assert await sign_out(two) == 200
        goes_over(one, two)
        assert [await status(page) for page in (one, two)] == [401, 401]


@on_a_desk
async def test_somebody_who_is_there_at_one_desk_is_there_at_another(desk: Desk) -> None:
    async with page_over(desk) as one, page_over(desk) as two:
        await one.sign_in()
        goes_over(one, two)
        for page in (one, two, one):
            desk.clock.advance(IDLE - timedelta(minutes=2))
            assert await status(page) == 200
        desk.clock.advance(IDLE)
        assert [await status(page) for page in (one, two)] == [401, 401]


@on_a_desk
async def test_a_token_or_a_cookie_alone_opens_no_desk(desk: Desk) -> None:
    async with page_over(desk) as one, page_over(desk) as two:
        await one.sign_in()
        two.token = one.token
        assert await status(two) == 401
        goes_over(one, two)
        assert (await two.http.get("/api/queue", headers={"x-desk-token": b"\xff\xfe"})).status_code == 401


@on_a_desk
async def test_wrong_passphrases_are_counted_over_all_desks(desk: Desk) -> None:
    operation = await desk.asked("AAPL")
    async with page_over(desk) as one, page_over(desk) as two:
        await one.sign_in()
        goes_over(one, two)
        for number in range(MOST_WRONG):
            await (one, two)[number % 2].decide("approve", operation, passphrase="wrong " * 4)
        assert [await status(page) for page in (one, two)] == [401, 401]
        await one.sign_in()
        goes_over(one, two)
        for _ in range(2):  # a right one in between ends the count
            for number in range(MOST_WRONG - 1):
                await (one, two)[number % 2].decide("approve", operation, passphrase="wrong " * 4)
            answer = await two.post("/api/halt", {"reason": "news"})
            assert answer.status_code == 200
            assert (await one.post("/api/resume", {"passphrase": PASSPHRASE})).status_code == 200


@on_a_desk
async def test_a_page_that_listens_at_one_desk_hears_within_a_second_that_it_was_signed_out_at_another(
    desk: Desk,
) -> None:
    app = desk_app(Served(desk.parts), origins=["http://localhost:8421"])
    async with page_over(desk) as one:
        await one.sign_in()
        cookie = "; ".join(f"{name}={value}" for name, value in one.http.cookies.items())
        headers = {"host": "localhost:8421", "cookie": cookie, "x-desk-token": one.token}
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/api/events",
            "query_string": b"",
            "server": ("localhost", 8421),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        heard: list[bytes] = []
        listening = anyio.Event()

        async def receive() -> dict[str, object]:
            await anyio.sleep_forever()
            return {}

        async def send(message: dict[str, object]) -> None:
            if body := message.get("body"):
                assert isinstance(body, bytes)
                heard.append(body)
                listening.set()

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(app, scope, receive, send)
                await listening.wait()
                assert await sign_out(one) == 200
    assert heard[-1].startswith(b"event: over")


@on_a_desk
async def test_the_store_has_only_hashes_of_what_signs_in(desk: Desk) -> None:
    async with page_over(desk) as page:
        await page.sign_in()
        secrets = [page.token, *dict(page.http.cookies).values()]
    with closing(sqlite3.connect(desk.store.status().place)) as database:
        rows = str(database.execute("SELECT * FROM desk_sessions").fetchall())
    assert len(secrets) == 2
    assert not [secret for secret in secrets if secret in rows]


@on_a_desk
async def test_who_is_signed_in_goes_on_reading_where_the_store_can_be_written_no_more(desk: Desk) -> None:
    async with page_over(desk) as page:
        await page.sign_in()
        full = "CREATE TRIGGER full BEFORE UPDATE ON desk_sessions BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        with closing(sqlite3.connect(desk.store.status().place)) as database:
            database.execute(full)
        desk.clock.advance(timedelta(minutes=5))
        assert await status(page) == 200


@pytest.mark.requirement("D-01")
@on_a_desk
async def test_of_too_many_the_one_left_alone_for_longest_ends(desk: Desk) -> None:
    async with page_over(desk) as first, page_over(desk) as page:
        await first.sign_in()
        for _ in range(100):
            desk.clock.advance(timedelta(seconds=1))
            page.http.cookies.clear()
            await page.sign_in()
        assert [await status(each) for each in (first, page)] == [401, 200]
