"""How a replica ends: what is refused when, what is waited for, and what ends the waiting."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from operating.test_limits import answering
from positions_mcp.operating.drain import Drain, Stage

SESSION = [(b"mcp-session-id", b"s")]
CALL, LISTEN = b'{"method": "tools/call"}', b'{"method": "subscriptions/listen"}'


async def ask(
    app: ASGIApp, body: bytes = CALL, headers: Sequence[tuple[bytes, bytes]] = (), method: str = "POST"
) -> tuple[int, bytes]:
    """Status and body of one request."""
    heard: list[Message] = []

    async def send(message: Message) -> None:
        heard.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    await app({"type": "http", "method": method, "headers": list(headers)}, receive, send)
    return heard[0]["status"], heard[1]["body"]


class Slow:
    """An application that answers when a test lets it."""

    def __init__(self) -> None:
        self.entered, self.leave = anyio.Event(), anyio.Event()
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.bodies.append((await receive())["body"])
        self.entered.set()
        await self.leave.wait()
        await answering(scope, receive, send)


async def until(drain: Drain, stage: Stage) -> None:
    while drain.stage is not stage:
        await anyio.lowlevel.checkpoint()


async def test_it_answers_in_its_grace_then_refuses_what_is_new_and_waits_for_what_is_under_way() -> None:
    drain, slow, told = Drain(0.01), Slow(), []
    drain.leave = lambda: told.append("leave")
    app, quick = drain.around(slow), drain.around(answering)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, app)
            await slow.entered.wait()
            tasks.start_soon(drain.out, lambda: told.append("over"))
            await until(drain, Stage.LEAVING)
            assert (await ask(quick))[0] == 200, "balancers have yet to notice"
            await until(drain, Stage.REFUSING)
            status, words = await ask(quick)
            assert status == 503
            assert b"Nothing was sent" in words
            assert (await ask(quick, headers=SESSION))[0] == 200, "an answer to a question of a call under way"
            assert told == ["leave"]
            slow.leave.set()
        assert told == ["leave", "over"]
    assert slow.bodies == [CALL]


async def test_what_is_sent_without_a_call_is_waited_for_too() -> None:
    drain, sent, told = Drain(0.01), anyio.Event(), []
    drain.settled = sent.wait
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drain.out, lambda: told.append("over"))
            await until(drain, Stage.REFUSING)
            assert told == []
            sent.set()
    assert told == ["over"]


@pytest.mark.parametrize(("body", "method"), [(LISTEN, "POST"), (b"", "GET")], ids=["2026", "legacy"])
async def test_a_stream_of_updates_is_not_waited_for(body: bytes, method: str) -> None:
    drain, slow = Drain(0.01), Slow()
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, drain.around(slow), body, (), method)
            await slow.entered.wait()
            await drain.out(tasks.cancel_scope.cancel)


@pytest.mark.parametrize("hurried_in", [Stage.LEAVING, Stage.REFUSING])
async def test_a_second_signal_ends_the_waiting(hurried_in: Stage) -> None:
    drain, slow, over = Drain(0.01 if hurried_in is Stage.REFUSING else 3600), Slow(), anyio.Event()
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, drain.around(slow))
            await slow.entered.wait()
            tasks.start_soon(drain.out, over.set)
            await until(drain, hurried_in)
            drain.hurry()
            await over.wait()
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("said", [{"grace_s": 0.01, "longest_call_s": 0.05}, {"grace_s": 0}], ids=repr)
async def test_a_call_that_never_ends_is_not_waited_for_for_ever(said: dict[str, float]) -> None:
    drain, slow, over = Drain(**said), Slow(), anyio.Event()
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, drain.around(slow))
            await slow.entered.wait()
            await drain.out(over.set)
            tasks.cancel_scope.cancel()
