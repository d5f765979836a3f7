"""What was sent is followed while a page looks at it, whether or not a tool call does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from desk.pages import Page, on_a_desk, page_over
from guard.desk import AAPL, CALLER, Desk
from guard.exchange import Exchange, raising
from positions_mcp.domain.errors import OutcomeUnknown
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Mode


async def sent(desk: Desk, *symbols: str) -> Operation:
    operation = await desk.approved_at_desk(*symbols)
    await desk.guard.send_approved(operation.operation_id, caller=CALLER)
    return operation


async def looked(page: Page, operation: Operation) -> Any:
    return await page.read(f"/api/operations/{operation.operation_id}/follow")


def count_readings(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    readings: list[object] = []
    read = exchange.read_book

    async def counted(*arguments: Any, **named: Any) -> Any:
        readings.append(arguments)
        return await read(*arguments, **named)

    monkeypatch.setattr(Exchange, "read_book", lambda _, *arguments, **named: counted(*arguments, **named))
    return readings


@on_a_desk
async def test_an_order_that_fills_is_shown_flat_without_any_tool_call(desk: Desk) -> None:
    operation = await sent(desk, "AAPL")
    async with page_over(desk) as page:
        await page.sign_in()
        story = await looked(page, operation)
        assert (story["state"], story["moving"]) == ("SUBMITTED", True)
        desk.exchange.fill(AAPL)
        desk.clock.advance(timedelta(seconds=1))
        story = await looked(page, operation)
        assert (story["state"], story["moving"]) == ("CLOSED", False)
        assert story["rows"][0]["residual"] == "0"
        assert "followed" in [entry["event"] for entry in story["journal"]]


@on_a_desk
async def test_an_unknown_outcome_is_reconciled_while_a_page_looks(desk: Desk) -> None:
    desk.exchange.after.append(raising(OutcomeUnknown("dropped")))
    operation = await sent(desk, "AAPL")
    async with page_over(desk) as page:
        await page.sign_in()
        assert (await looked(page, operation))["state"] == "RECONCILED"


@on_a_desk
async def test_the_account_is_read_once_a_second_however_many_pages_look(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = await sent(desk, "AAPL")
    readings = count_readings(desk.exchange, monkeypatch)
    async with page_over(desk) as page:
        await page.sign_in()
        for seconds, expected in ((0, 1), (0.9, 1), (0.1, 2)):
            desk.clock.advance(timedelta(seconds=seconds))
            for _ in range(3):
                await looked(page, operation)
            assert len(readings) == expected


@on_a_desk
async def test_nothing_is_read_for_what_was_not_sent_or_has_ended(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, waiting = await sent(desk, "AAPL"), await desk.asked("MSFT")
    async with page_over(desk) as page:
        await page.sign_in()
        desk.exchange.fill(AAPL)
        await looked(page, ended)
        readings = count_readings(desk.exchange, monkeypatch)
        desk.clock.advance(timedelta(seconds=5))
        for operation in (ended, waiting):
            assert not (await looked(page, operation))["moving"]
        assert not readings


@on_a_desk
async def test_an_account_that_cannot_be_read_is_said_and_read_again(desk: Desk) -> None:
    operation = await sent(desk, "AAPL")
    async with page_over(desk) as page:
        await page.sign_in()
        desk.exchange.reads_fail = True
        story = await looked(page, operation)
        assert story["moving"]
        assert "could not be read" in story["not_followed"]
        desk.exchange.reads_fail = False
        desk.exchange.fill(AAPL)
        desk.clock.advance(timedelta(seconds=1))
        story = await looked(page, operation)
        assert (story["state"], story["not_followed"]) == ("CLOSED", "")


@on_a_desk
async def test_an_operation_of_the_other_mode_is_not_followed_with_this_ones_account(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = await sent(desk, "AAPL")
    readings = count_readings(desk.exchange, monkeypatch)
    async with page_over(desk, mode=Mode.LIVE) as page:
        await page.sign_in()
        story = await looked(page, operation)
    assert not readings
    assert "LIVE accounts" in story["not_followed"]
