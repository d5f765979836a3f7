"""A write is sent once, and what is known of its effect is what the error says."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import pytest

from api.loopback import (
    AAPL,
    ACCOUNT,
    CALL,
    INSTRUCTION,
    ORDER,
    Loopback,
    Reply,
    answer,
    cut,
    data,
    drop,
    envelope,
    instruction,
    order,
    position,
    raw,
    reset,
    serving,
    silence,
)
from positions_mcp.api import PositionsClient, _exchange
from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.errors import (
    Forbidden,
    NotFound,
    NothingSent,
    OutcomeUnknown,
    RateLimited,
    RequestRejected,
    Sent,
    Unauthenticated,
    UpstreamError,
)
from positions_mcp.domain.exercise.instructions import InstructionRequest

ROW = InstructionRequest(instrument_id=CALL, instruction_type=InstructionType.EXERCISE, quantity=1, instruction_id="k")
WRITES: dict[str, Callable[[PositionsClient], Awaitable[Any]]] = {
    "close_position": lambda client: client.close_position(ACCOUNT, AAPL, cancel_orders=False),
    "close_positions": lambda client: client.close_positions(ACCOUNT, cancel_orders=False),
    "submit": lambda client: client.submit_position_instructions(ACCOUNT, [ROW]),
    "cancel": lambda client: client.cancel_position_instruction(ACCOUNT, INSTRUCTION),
    "cancel_order": lambda client: client.cancel_order(ACCOUNT, ORDER),
}
FLAT = {"code": 409, "message": "already so", "details": [{"reason": "DUPLICATE"}]}
ENVELOPED = {"error": FLAT, "metadata": {"request_id": "request-9"}}
UNKNOWN: dict[str, Reply] = {
    "closed without a word": drop,
    "reset": reset,
    "never answered": silence,
    "cut in the middle": cut(envelope([order()]), 40),
    "not HTTP": raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "half a status line": raw(b"HTTP/1.1 20"),
    **{
        f"{status} with a body": answer(status, ENVELOPED)
        for status in (402, 405, 408, 410, 418, 500, 501, 502, 504, 599)
    },
    **{
        f"{status} redirect": answer(status, b"", {"Location": f"/v1/accounts/{ACCOUNT}/positions"})
        for status in (300, 301, 302, 303, 304, 307, 308)
    },
    "a refusal that is not JSON": answer(403, b"<html>Forbidden</html>"),
    "a refusal without a body": answer(404, b""),
    "a refusal with JSON that says nothing": answer(400, {}),
    "503 of a gateway": answer(503, {"message": "Service Unavailable"}),
    "200 without a body": answer(200, b""),
    "204": raw(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "200 that is not JSON": answer(200, b"<html>OK</html>"),
    "200 with NaN": answer(200, b'{"data": [{"id": NaN}]}'),
    "200 with a list": answer(200, []),
    "200 with a text": answer(200, "done"),
    "200 without data": answer(200, {"metadata": {"request_id": "request-2"}}),
    "200 with null data": data(None),
    "200 with text as data": data("closed"),
    "200 nested too deeply": answer(200, b'{"data":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "200 with an endless number": answer(200, b'{"data": ' + b"9" * 10_000 + b"}"),
    "200 with broken compression": answer(200, b"not gzip", {"Content-Encoding": "gzip"}),
}


async def sent_once(server: Loopback, client: PositionsClient, write: str) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await WRITES[write](client)
    assert (len(server.requests), server.connections) == (1, 1)
    return caught.value


@pytest.mark.requirement("A-03", "A-04")
@pytest.mark.parametrize("reply", UNKNOWN.values(), ids=UNKNOWN.keys())
@pytest.mark.parametrize("write", WRITES)
async def test_whatever_leaves_the_effect_open_is_unknown_and_sent_once(write: str, reply: Reply):
    async with serving(reply) as server, server.client(write_timeout_s=1.0) as client:
        error = await sent_once(server, client, write)
    is_unknown(error)


@pytest.mark.requirement("A-03", "A-04")
@pytest.mark.parametrize("reply", UNKNOWN.values(), ids=UNKNOWN.keys())
async def test_it_is_unknown_and_sent_once_by_an_http_client_of_ones_own_too(reply: Reply):
    async with (
        serving(reply) as server,
        httpx.AsyncClient(trust_env=False) as own,
        server.client(write_timeout_s=1.0, http_client=own) as client,
    ):
        error = await sent_once(server, client, "close_position")
    is_unknown(error)


def is_unknown(error: UpstreamError) -> None:
    assert type(error) is OutcomeUnknown
    assert error.sent in (Sent.YES, Sent.UNKNOWN)
    left = "was" if error.sent is Sent.YES else "may have been"
    assert error.message.startswith(f"The request {left} sent and its outcome is not known: ")
    assert "Do not send it again" in error.hint


@pytest.mark.requirement("A-03", "G-05")
@pytest.mark.parametrize("status", [400, 403, 409, 422, 429])
@pytest.mark.parametrize("write", ["close_position", "close_positions"])
async def test_a_refusal_of_a_close_that_carries_orders_is_no_refusal(write: str, status: int):
    both = ENVELOPED | {"data": [order()]}
    async with serving(answer(status, both)) as server, server.client() as client:
        error = await sent_once(server, client, write)
    assert type(error) is OutcomeUnknown
    assert "orders may have been made" in error.message
    async with serving(answer(status, ENVELOPED | {"data": []})) as server, server.client() as client:
        assert isinstance(await sent_once(server, client, write), RequestRejected)


@pytest.mark.requirement("A-03")
@pytest.mark.parametrize(
    "body", [FLAT, ENVELOPED, {"error": "Nope"}, {"message": "Nope"}], ids=["flat", "enveloped", "text", "bare"]
)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestRejected),
        (401, Unauthenticated),
        (403, Forbidden),
        (404, NotFound),
        (409, RequestRejected),
        (422, RequestRejected),
        (429, RateLimited),
    ],
)
@pytest.mark.parametrize("write", WRITES)
async def test_a_readable_refusal_is_a_rejection_and_is_sent_once(
    write: str, status: int, kind: type[RequestRejected], body: dict[str, Any]
):
    async with (
        serving(answer(status, body, {"Retry-After": "7", "X-Request-Id": "header-1"})) as server,
        server.client() as client,
    ):
        error = await sent_once(server, client, write)
    assert type(error) is kind
    assert (error.sent, error.status) == (Sent.YES, status)
    assert error.request_id == ("request-9" if body is ENVELOPED else "header-1")
    assert str(status) in error.message
    if isinstance(error, RateLimited):
        assert error.retry_after_s == 7
    if body in (FLAT, ENVELOPED):
        assert (error.code, error.details) == (409, ({"reason": "DUPLICATE"},))
        assert '"already so"' in error.message


@pytest.mark.requirement("A-03")
@pytest.mark.parametrize("body", [FLAT, ENVELOPED], ids=["flat", "enveloped"])
async def test_503_is_a_rejection_only_for_a_submission_that_clearing_could_not_take(body: dict[str, Any]):
    for write in WRITES:
        async with serving(answer(503, body)) as server, server.client() as client:
            error = await sent_once(server, client, write)
        assert type(error) is (RequestRejected if write == "submit" else OutcomeUnknown)


@pytest.mark.parametrize(
    ("status", "row_status"),
    [(200, "SENT"), (207, "REJECTED"), (409, "REJECTED"), (500, "REJECTED"), (503, "REJECTED")],
)
async def test_a_submission_answers_rows_whenever_rows_came(status: int, row_status: str):
    document = {**envelope([instruction(status=row_status)]), "error": FLAT}
    async with serving(answer(status, document)) as server, server.client() as client:
        answered = await client.submit_position_instructions(ACCOUNT, [ROW])
    assert (answered.status, answered.data[0].status, answered.error.message) == (status, row_status, "already so")


async def test_a_close_is_judged_by_its_orders_whatever_the_error_beside_them_says():
    document = {**envelope([order()]), "error": FLAT}
    async with serving(answer(207, document)) as server, server.client() as client:
        answered = await client.close_positions(ACCOUNT, cancel_orders=False)
    assert (answered.status, len(answered.data), answered.error.code) == (207, 1, 409)


async def test_an_order_that_cannot_be_read_is_reported_beside_those_that_can():
    async with serving(data([order(), {"id": None}, "x"])) as server, server.client() as client:
        answered = await client.close_positions(ACCOUNT, cancel_orders=False)
    assert len(answered.data) == 1
    assert [(row.position, row.raw) for row in answered.unreadable] == [(1, {"id": None}), (2, "x")]


@pytest.mark.requirement("A-04")
async def test_a_refused_connection_is_nothing_sent():
    async with serving(data([])) as server:
        url = server.url
    async with PositionsClient(url, "k.s") as client:
        for write in WRITES.values():
            with pytest.raises(NothingSent) as caught:
                await write(client)
            assert caught.value.sent is Sent.NO


@pytest.mark.requirement("A-04")
async def test_a_write_gets_a_connection_of_its_own_while_reads_share_one():
    async with serving(data([])) as server, server.client() as client:
        await client.get_positions(ACCOUNT)
        await client.close_positions(ACCOUNT, cancel_orders=False)
        await client.close_positions(ACCOUNT, cancel_orders=False)
        await client.get_positions(ACCOUNT)
    assert [request.connection for request in server.requests] == [1, 2, 3, 1]


@pytest.mark.requirement("A-04")
async def test_concurrent_writes_do_not_share_a_connection():
    async with serving(data([])) as server, server.client() as client, anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(WRITES["close_position"], client)
    assert sorted(request.connection for request in server.requests) == [1, 2, 3, 4, 5]


async def test_a_cancelled_write_raises_the_cancellation_and_leaves_the_client_usable():
    async with serving(silence, data([order()])) as server, server.client() as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(WRITES["close_position"], client)
            await server.arrived.wait()
            tasks.cancel_scope.cancel()
        assert len((await client.close_position(ACCOUNT, AAPL, cancel_orders=False)).data) == 1
    assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.requirement("A-04")
async def test_a_shielded_write_ends_by_its_own_time_limit():
    async with serving(silence) as server, server.client(write_timeout_s=1.0) as client:
        with anyio.CancelScope(shield=True), pytest.raises(OutcomeUnknown, match="no answer within"):
            await client.close_position(ACCOUNT, AAPL, cancel_orders=False)
    assert len(server.requests) == 1


@pytest.mark.requirement("A-04")
async def test_the_time_limit_is_for_the_whole_write_however_slowly_the_answer_drips():
    async def drip(writer: Any) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await anyio.sleep(0.02)

    async with serving(drip) as server, server.client(write_timeout_s=1.0) as client:
        error = await sent_once(server, client, "close_position")
    assert type(error) is OutcomeUnknown


async def test_an_answer_beyond_the_limit_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_exchange, "LARGEST_BODY", 10_000)
    rows = [position(symbol="A" * 1000)] * 100
    async with serving(data(rows)) as server, server.client() as client:
        error = await sent_once(server, client, "close_position")
        assert (type(error), error.sent, error.status) == (OutcomeUnknown, Sent.YES, 200)
        with pytest.raises(UpstreamError, match="larger than"):
            await client.get_positions(ACCOUNT)
    gc.collect()


@pytest.mark.requirement("A-03")
async def test_what_waits_for_its_place_is_not_sent_once_the_client_is_closed():
    let_go = anyio.Event()

    async def late(writer: asyncio.StreamWriter) -> None:
        await let_go.wait()
        await data([order()])(writer)

    async def waiting() -> None:
        with pytest.raises(NothingSent, match="this client is closed"):
            await client.close_position(ACCOUNT, AAPL, cancel_orders=False)

    async with serving(late) as server, server.client(max_requests=1) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.close_position, ACCOUNT, AAPL, False)
        await server.arrived.wait()
        tasks.start_soon(waiting)
        await anyio.wait_all_tasks_blocked()
        await client.aclose()
        let_go.set()
    assert len(server.requests) == 1
