"""The page withdraws what it has shown, with one signature, and tells what became of each order."""

from __future__ import annotations

import pytest

from desk.pages import goes_over, on_a_desk, page_over
from desk.test_passkeys import Ana
from guard.desk import PASSPHRASE, Desk

pytestmark = pytest.mark.requirement("G-24", "D-01")


async def cancels(desk: Desk) -> int:
    return sum(request.startswith("cancel ") for request in desk.exchange.requests)


@pytest.mark.parametrize("with_passkey", [False, True], ids=["passphrase", "passkey"])
@on_a_desk
async def test_what_is_halted_is_shown_signed_cancelled_and_told(desk: Desk, with_passkey: bool) -> None:
    await desk.close("AAPL", "MSFT")
    async with page_over(desk) as page, page_over(desk) as other:
        await page.sign_in()
        assert (await page.read("/api/withdrawal"))["orders"] == []
        assert (await page.post("/api/halt", {"reason": "news", "kind": "close"})).status_code == 200
        shown = await page.read("/api/withdrawal")
        assert [(each["symbol"], each["state"], each["filled"]) for each in shown["orders"]] == [
            ("AAPL", "PENDING_NEW", "0"),
            ("MSFT", "PENDING_NEW", "0"),
        ]
        body = {"digest": shown["digest"], "orders": [each["shown"] for each in shown["orders"]]}
        assert await cancels(desk) == 0
        if with_passkey:
            goes_over(page, other)
            ana = Ana(desk, page, other)
            await ana.adds()
            answer = await ana.touches("/api/withdrawal", body)
        else:
            answer = await page.post("/api/withdrawal", {**body, "passphrase": PASSPHRASE})
        assert answer.status_code == 200, answer.text
        told = {(each["symbol"], each["outcome"], each["is_over"]) for each in answer.json()["report"]}
        assert told == {("AAPL", "cancelled", True), ("MSFT", "cancelled", True)}
        assert await cancels(desk) == 2
        after = await page.read("/api/withdrawal")
        assert after["orders"] == []
        (operation,) = (await page.read("/api/operations"))["operations"]
        story = await page.read(f"/api/operations/{operation['id']}")
        assert [each["event"] for each in story["journal"]].count("order cancel sending") == 2
    assert desk.store.verify().intact


@pytest.mark.requirement("D-02")
@on_a_desk
async def test_a_halt_or_an_order_more_than_was_shown_is_not_withdrawn(desk: Desk) -> None:
    await desk.close("AAPL")
    async with page_over(desk) as page:
        await page.sign_in()
        await page.post("/api/halt", {"reason": "news", "account": "19816"})
        shown = await page.read("/api/withdrawal")
        orders = [each["shown"] for each in shown["orders"]]
        whole = {"digest": shown["digest"], "orders": orders, "passphrase": PASSPHRASE}
        for wrong in (
            {"orders": [*orders, orders[0] | {"row": 7}]},
            {"orders": []},
            {"orders": None},
            {"orders": [orders[0] | {"order_id": None}]},
        ):
            assert (await page.post("/api/withdrawal", whole | wrong)).status_code in (400, 403)
        await page.post("/api/halt", {"reason": "more news"})
        answer = await page.post("/api/withdrawal", whole)
        assert answer.status_code == 403
        assert "has changed since the orders were shown" in answer.json()["error"]
        assert await cancels(desk) == 0


@pytest.mark.requirement("G-11")
@pytest.mark.parametrize(
    ("said", "scope"),
    [
        ({}, ""),
        ({"account": "19816"}, "everything destructive in account 19816"),
        ({"account": "19861"}, "everything destructive in account 19861"),
        ({"caller": "Claude", "kind": "exercise"}, "exercise instructions asked for by Claude"),
    ],
    ids=str,
)
@on_a_desk
async def test_a_halt_at_the_page_is_of_what_it_says_and_by_whom(desk: Desk, said: dict[str, str], scope: str) -> None:
    async with page_over(desk) as page:
        await page.sign_in()
        answer = await page.post("/api/halt", {"reason": "news", **said})
        assert answer.status_code == 200
        doubt = answer.json()["doubt"]
        assert ("CHECK THE NAME" in doubt) is ("caller" in said)
        assert ("CHECK THE ACCOUNT" in doubt) is (said.get("account") == "19861")
        (halt,) = (await page.read("/api/queue"))["halts"]
        assert (halt["scope"], halt["by"], halt["reason"]) == (scope, "approver at the page", "news")


@pytest.mark.parametrize("said", [{"account": "all"}, {"kind": "everything"}, {"account": "-1"}], ids=str)
@on_a_desk
async def test_a_halt_of_what_there_is_not_is_none(desk: Desk, said: dict[str, str]) -> None:
    async with page_over(desk) as page:
        await page.sign_in()
        assert (await page.post("/api/halt", {"reason": "news", **said})).status_code == 400
        assert desk.store.halts() == ()
