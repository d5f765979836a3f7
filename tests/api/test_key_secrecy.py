"""The key is in no log, error, result or representation, whatever goes wrong."""

from __future__ import annotations

import logging
import traceback
from contextlib import AsyncExitStack

import httpx
import pytest

from api.loopback import (
    ACCOUNT,
    KEY,
    Received,
    Reply,
    Script,
    answer,
    cut,
    data,
    drop,
    envelope,
    position,
    serving,
    silence,
)
from positions_mcp.api import PositionsClient
from positions_mcp.domain.errors import PositionsError, UpstreamError

SECRET = KEY.partition(".")[2]


@Script
def parrot(received: Received) -> Reply:
    """Repeats the key wherever an answer has room for it."""
    bearer = received.headers["authorization"]
    problem = {"code": bearer, "message": f"bad header {bearer}", "details": [{"sent": bearer}]}
    return answer(400, {"error": problem, "metadata": {"request_id": bearer}}, {"X-Request-Id": bearer})


@Script
def parrot_of_headers(received: Received) -> Reply:
    bearer = received.headers["authorization"]
    return answer(401, b"<html>", {"X-Request-Id": bearer, "Retry-After": bearer})


@Script
def friendly_parrot(received: Received) -> Reply:
    bearer = received.headers["authorization"]
    return data([position(symbol=bearer, new_field=[bearer]), {"id": bearer}, bearer], request_id=bearer)


FAILING: dict[str, Reply | Script] = {
    "refusal that repeats the key": parrot,
    "headers that repeat the key": parrot_of_headers,
    "drop": drop,
    "silence": silence,
    "cut": cut(envelope([]), 5),
    "not JSON": answer(200, b"<html>"),
}


def everything_said_by(error: BaseException) -> str:
    """What any handler could print of an error, its causes and the frames of the program's own code."""
    trace = error.__traceback__
    while trace is not None and "positions_mcp" not in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    frames = traceback.TracebackException(type(error), error, trace, capture_locals=True)
    chain: list[BaseException] = []
    walk: BaseException | None = error
    while walk is not None:
        chain.append(walk)
        walk = walk.__cause__ or walk.__context__
    return "\n".join(["".join(frames.format()), *(repr((link, link.args, vars(link))) for link in chain)])


@pytest.mark.requirement("A-05")
@pytest.mark.parametrize("reply", FAILING.values(), ids=FAILING.keys())
@pytest.mark.parametrize("by_httpx", [False, True], ids=["directly", "by httpx"])
async def test_an_error_never_shows_the_key(reply: Reply, by_httpx: bool, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    async with AsyncExitStack() as stack:
        own = {"http_client": await stack.enter_async_context(httpx.AsyncClient())} if by_httpx else {}
        server = await stack.enter_async_context(serving(reply))
        client = await stack.enter_async_context(server.client(write_timeout_s=0.1, read_budget_s=0.1, **own))
        for send in (client.get_positions, client.close_positions):
            with pytest.raises(UpstreamError) as caught:
                await send(ACCOUNT)
            error = caught.value
            assert SECRET not in everything_said_by(error)
            assert error.__cause__ is None
            assert error.__context__ is None
            assert SECRET not in repr(client)
    logged = any(record.name.startswith("httpcore") for record in caplog.records)
    assert logged is by_httpx, "the HTTP library's log was not seen"
    assert SECRET not in caplog.text


@pytest.mark.requirement("A-05")
async def test_an_answer_that_repeats_the_key_is_read_without_it(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    async with serving(friendly_parrot) as server, server.client() as client:
        page = await client.get_positions(ACCOUNT)
        book = await client.read_book(ACCOUNT)
    assert len(server.requests[0].headers["authorization"]) > len(SECRET)
    assert SECRET not in page.model_dump_json() + repr(book) + repr(page) + caplog.text
    assert page.data[0].symbol == "Bearer [api key]"
    assert len(page.unreadable) == 2


@pytest.mark.requirement("A-05")
async def test_refused_connections_and_refused_arguments_do_not_show_the_key():
    async with PositionsClient("http://127.0.0.1:1", KEY, read_budget_s=0) as client:
        for send in (client.get_positions, client.close_positions):
            with pytest.raises(UpstreamError) as caught:
                await send(ACCOUNT)
            assert SECRET not in everything_said_by(caught.value)
        with pytest.raises(PositionsError) as refused:
            await client.close_position(ACCOUNT, "..")
        assert SECRET not in everything_said_by(refused.value)


@pytest.mark.requirement("A-05")
def test_nothing_about_a_client_that_can_be_printed_shows_the_key():
    client = PositionsClient("https://api.clearstreet.com", KEY)
    held = [vars(client), *(vars(part) for part in vars(client).values() if hasattr(part, "__dict__"))]
    assert SECRET not in repr(client) + str(client) + repr(held) + f"{client!s:.500}"
