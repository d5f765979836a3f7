"""How much one caller may ask of one replica."""

from __future__ import annotations

import json
from types import SimpleNamespace

import anyio
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from positions_mcp.operating.requests import Limits


class Minute:
    """Seconds that a test moves."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def ask(app: ASGIApp, caller: str = "alice") -> tuple[int, dict[str, str], str]:
    """Status, headers and words of one request."""
    heard: list[Message] = []

    async def send(message: Message) -> None:
        heard.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    await app({"type": "http", "user": SimpleNamespace(username=caller)}, receive, send)
    headers = {name.decode(): value.decode() for name, value in heard[0]["headers"]}
    words = json.loads(heard[1]["body"])["error"]["message"] if heard[1]["body"] else ""
    return heard[0]["status"], headers, words


async def test_a_caller_that_asks_too_often_is_told_for_how_long_to_wait_and_others_are_served() -> None:
    time = Minute()
    app = Limits(10, 3, time).around(answering)
    assert [(await ask(app))[0] for _ in range(5)] == [200, 200, 200, 429, 429]
    status, headers, words = await ask(app)
    assert (status, headers["retry-after"]) == (429, "20")
    assert words == "This caller may make 3 requests a minute. Wait 20 s. Nothing was sent by this call."
    assert (await ask(app, "bob"))[0] == 200
    time.at += 19.9
    assert (await ask(app))[0] == 429
    time.at += 0.1
    assert [(await ask(app))[0] for _ in range(2)] == [200, 429]
    time.at += 3600
    assert [(await ask(app))[0] for _ in range(4)] == [200, 200, 200, 429], "what is not used is not saved up"


@pytest.mark.parametrize("ends", ["answered", "failed", "cancelled"])
async def test_a_request_that_has_ended_in_whatever_way_makes_room_for_the_next(ends: str) -> None:
    entered, leave = anyio.Event(), anyio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        entered.set()
        await leave.wait()
        if ends == "failed":
            raise ValueError
        await answering(scope, receive, send)

    limits = Limits(1, None)
    app, quick = limits.around(slow), limits.around(answering)
    async with anyio.create_task_group() as tasks:

        async def first() -> None:
            try:
                await ask(app)
            except ValueError:
                assert ends == "failed"

        tasks.start_soon(first)
        await entered.wait()
        assert (await ask(quick))[0] == 429
        assert (await ask(quick, "bob"))[0] == 200
        if ends == "cancelled":
            tasks.cancel_scope.cancel()
        leave.set()
    assert (await ask(quick))[0] == 200


async def test_no_limit_is_no_limit() -> None:
    app = Limits(1, None).around(answering)
    assert {(await ask(app))[0] for _ in range(1000)} == {200}
