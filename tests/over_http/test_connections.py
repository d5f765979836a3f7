"""No flood, no slow client and no client that is gone keeps a server from those who have a token (G-23)."""

from __future__ import annotations

import logging
import socket
import struct
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute

from over_http.wire import Place, Wire, limited, until
from positions_mcp.cli.serving.connections import Limits, Phase
from tools.serving import ERAS, text_of
from trading import Person

pytestmark = pytest.mark.requirement("G-23")

TRICKLE = "POST /mcp HTTP/1.1\r\nHost: {}:{}\r\nTransfer-Encoding: chunked\r\n{}\r\n1\r\n{{\r\n"
MODERN = {"MCP_Protocol_Version": "2026-07-28"}


async def flood(place: Place, count: int, data: str = "", *sources: str) -> None:
    for number in range(count):
        source = sources[number % len(sources)] if sources else None
        await (place.saying(data, source) if data else place.connect(source))


@pytest.mark.parametrize("data", ["", "POST /mcp HTTP/1.1\r\nHost: x\r\n"], ids=["silent", "half a request"])
@pytest.mark.parametrize("era", ERAS)
async def test_a_flood_from_one_address_keeps_no_caller_of_that_address_out(
    era: str, data: str, tmp_path: Path
) -> None:
    async with limited(tmp_path) as place, anyio.create_task_group() as tasks:
        await flood(place, 200, data)
        tasks.start_soon(flood, place, 200, data)
        async with place.callers.caller("alice", era) as alice:
            assert "PAPER" in text_of(await alice.call_tool("get_trading_status", {}))
        await until(lambda: len(place.wires) == 400)
        assert len(place.phases()) <= Limits().of_an_address + Limits().of_a_caller


async def test_a_flood_from_many_addresses_is_bounded_as_a_whole(tmp_path: Path) -> None:
    async with limited(tmp_path) as place:
        await flood(place, 400, "GET", *(f"127.0.0.{number}" for number in range(2, 42)))
        assert (await place.callers.post(Authorization=f"Bearer {place.callers.token('alice')}")).status_code == 200
        await until(lambda: len(place.phases()) <= Limits().of_strangers + 1)


@pytest.mark.parametrize("method", ["POST", "GET", "HEAD", "OPTIONS", "DELETE"])
async def test_requests_without_a_known_token_are_counted_by_the_minute_and_those_with_one_are_not(
    method: str, tmp_path: Path
) -> None:
    async with limited(tmp_path, Limits(refused_of_an_address=3)) as place:
        token = place.callers.token("alice")
        wire = await place.connect()
        wrong = place.request(method, f"{token}x")
        statuses = []
        for _ in range(4):
            await wire.send(wrong)
            statuses.append((await wire.answer() if method != "HEAD" else await wire.stream.receive())[:12])
        assert statuses == [b"HTTP/1.1 401"] * 3 + [b"HTTP/1.1 429"]
        assert await wire.hears() == b"" or method == "HEAD"
        assert (await place.callers.post(Authorization=f"Bearer {token}")).status_code == 200
        assert (await place.callers.post()).status_code == 429
        place.passes(60)
        assert (await place.callers.post()).status_code == 401


async def test_all_addresses_together_have_a_limit_of_refusals_too(tmp_path: Path) -> None:
    async with limited(tmp_path, Limits(refused_of_all=3)) as place:
        sources = [f"127.0.0.{number}" for number in range(2, 6)]
        heard = [await (await place.saying(place.request(), source)).answer() for source in sources]
        assert [each[:12] for each in heard] == [b"HTTP/1.1 401"] * 3 + [b"HTTP/1.1 429"]
        assert b"retry-after: 60" in heard[-1].lower()


async def test_a_path_that_is_not_there_is_refused_as_often_as_any_other(tmp_path: Path) -> None:
    async with limited(tmp_path, Limits(refused_of_an_address=1)) as place:
        asked = place.request("GET").replace("/mcp", "/.well-known/oauth-protected-resource")
        heard = await (await place.saying(asked + asked)).hears()
        assert [heard.count(status) for status in (b"HTTP/1.1 404", b"HTTP/1.1 429")] == [1, 1]


@pytest.mark.parametrize(
    ("data", "says"),
    [("", b""), ("POST", b"HTTP/1.1 408"), ("POST /mcp HTTP/1.1\r\nHost: x\r\nA: b\r\n", b"HTTP/1.1 408")],
    ids=["nothing", "a word", "all but the end"],
)
async def test_who_does_not_finish_a_request_is_not_waited_for(data: str, says: bytes, tmp_path: Path) -> None:
    async with limited(tmp_path) as place:
        wire = await place.connect()
        if data:
            await wire.send(data)
        await place.sees(Phase.REQUEST)
        await until(lambda: not data or bool(next(iter(place.connections)).conn.trailing_data[0]))
        place.passes(9)
        if data:
            await wire.send(data[:1])  # one byte more is no new beginning
        assert place.phases() == [Phase.REQUEST]
        place.passes(1)
        assert (await wire.hears()).startswith(says)
        await until(lambda: place.phases() == [])


@pytest.mark.parametrize("modern", [{}, MODERN], ids=ERAS)
async def test_a_body_that_trickles_is_answered_408_and_logs_nothing(
    modern: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with limited(tmp_path) as place:
        token = place.callers.token("alice")
        cut = place.request(token=token, **modern)[:-5]
        chunked = place.request(token=token, body=None, Content_Length="", Transfer_Encoding="chunked", **modern)
        for begun in (cut, chunked):
            wire = await place.saying(begun)
            await place.sees(Phase.BODY)
            place.passes(19)
            assert place.phases() == [Phase.BODY]
            place.passes(1)
            heard = await wire.hears()
            assert heard.startswith(b"HTTP/1.1 408")
            assert b"connection: close" in heard
            await until(lambda: place.phases() == [])
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_the_rest_of_a_request_that_was_refused_is_not_waited_for_either(tmp_path: Path) -> None:
    async with limited(tmp_path) as place:
        wire = await place.saying(TRICKLE.format(*place.address, ""))
        assert (await wire.answer()).startswith(b"HTTP/1.1 401")
        await place.sees(Phase.BODY)
        place.passes(19)
        await wire.send("1\r\n \r\n")
        assert place.phases() == [Phase.BODY]
        place.passes(1)
        assert await wire.hears() == b""


async def test_a_connection_that_is_kept_is_closed_when_nothing_comes(tmp_path: Path) -> None:
    async with limited(tmp_path) as place:
        wire = await place.saying(place.request(token=place.callers.token("alice"), body={}))
        assert b"HTTP/1.1 400" in await wire.answer()
        await place.sees(Phase.REQUEST)
        place.passes(9)
        await wire.send(place.request())
        assert b"HTTP/1.1 401" in await wire.answer()
        await place.sees(Phase.REQUEST)
        place.passes(9)
        assert place.phases() == [Phase.REQUEST]
        place.passes(1)
        assert await wire.hears() == b""


async def test_who_asks_and_asks_and_never_reads_is_cut_off(tmp_path: Path) -> None:
    async with limited(tmp_path, Limits(refused_of_an_address=10**6, refused_of_all=10**6)) as place:
        wire = await place.connect()
        wire.stream.extra(SocketAttribute.raw_socket).setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asked = place.request("GET") * 100

        async def keep_asking() -> None:
            try:
                while True:
                    await wire.send(asked)
            except anyio.BrokenResourceError:
                return

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keep_asking)
            await until(lambda: place.phases() == [Phase.READING])
            place.passes(59)
            assert place.phases() == [Phase.READING]
            place.passes(1)
        await until(lambda: place.phases() == [])


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_that_waits_for_a_person_and_a_stream_of_updates_have_all_the_time_they_need(
    era: str, tmp_path: Path
) -> None:
    async with limited(tmp_path) as place:

        async def an_hour_passes() -> None:
            for _ in range(60):
                place.passes(60)

        person = Person(meanwhile=an_hour_passes)
        async with place.callers.caller("alice", era, person) as alice:
            assert "1 submitted" in text_of(await alice.call_tool("close_positions", {"instruments": ["KO"]}))
            await an_hour_passes()
            assert "PAPER" in text_of(await alice.call_tool("get_trading_status", {}))
        assert len(person.questions) == 1


async def test_a_flood_of_ones_own_ends_what_is_idle_and_never_what_is_being_answered(tmp_path: Path) -> None:
    async with limited(tmp_path, Limits(of_a_caller=3)) as place:
        token = place.callers.token("alice")
        streams = [await stream_of(place, token) for _ in range(2)]
        idle = await place.saying(place.request(token=token, body={}))
        await idle.answer()
        streams.append(await stream_of(place, token))
        assert await idle.hears() == b""
        refused = await (await place.saying(place.request(token=token))).hears()
        assert refused.startswith(b"HTTP/1.1 429")
        assert b"Wait for one to end" in refused
        assert (await place.callers.post(Authorization=f"Bearer {place.callers.token('bob')}")).status_code == 200
        await streams[0].stream.aclose()
        await until(lambda: place.phases().count(Phase.ANSWER) == 2)
        assert (await place.callers.post(Authorization=f"Bearer {token}")).status_code == 200


async def stream_of(place: Place, token: str) -> Wire:
    """A stream of updates, in a session of its own."""
    opened = await place.callers.post(Authorization=f"Bearer {token}")
    wire = await place.saying(place.request("GET", token, Mcp_Session_Id=opened.headers["mcp-session-id"]))
    assert (await wire.answer()).startswith(b"HTTP/1.1 200")
    return wire


async def test_small_answers_are_sent_at_once(tmp_path: Path) -> None:
    async with limited(tmp_path) as place:
        await place.connect()
        [connection] = await place.sees(Phase.REQUEST)
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


ODD = {
    "a huge head": "GET /mcp HTTP/1.1\r\nHost: x\r\nA: " + "b" * 70_000,
    "no HTTP": "\x16\x03\x01 hello\r\n\r\n",
    "two lengths": "POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a length that is none": "POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "a broken chunk once it is answered": TRICKLE.format("x", 1, "") + "zzz\r\n",
    "an upgrade": "GET /mcp HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "HTTP/1.0": "GET /mcp HTTP/1.0\r\n\r\n",
    "a request and half of the next": "GET /mcp HTTP/1.1\r\nHost: x\r\n\r\nGET /mcp",
    "a path of no text": "GET /%ff%00 HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD.keys())
async def test_what_is_no_proper_request_is_refused_closed_and_not_logged(
    data: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with limited(tmp_path) as place:
        wire = await place.saying(data)
        assert (await wire.stream.receive())[9:12] in (b"400", b"401", b"404")
        place.passes(9)
        place.passes(30)
        place.passes(30)
        await wire.hears()
        await until(lambda: place.phases() == [])
        assert (await place.callers.post(Authorization=f"Bearer {place.callers.token('alice')}")).status_code == 200
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("sent", ["", "POST /mcp HTTP/1.1\r\n", "whole"])
async def test_a_connection_that_its_client_has_half_closed_is_gone_at_once(sent: str, tmp_path: Path) -> None:
    async with limited(tmp_path) as place:
        wire = await place.saying(place.request() if sent == "whole" else sent) if sent else await place.connect()
        await place.sees(Phase.REQUEST)
        await wire.stream.send_eof()
        await wire.hears()
        await until(lambda: place.phases() == [])


async def test_pipelined_requests_are_answered_one_after_another(tmp_path: Path) -> None:
    async with limited(tmp_path) as place:
        token = place.callers.token("alice")
        listed = {"jsonrpc": "2.0", "id": 1, "method": "nothing"}
        last = place.request(token=token, body=listed, Connection="close")
        heard = await (await place.saying(place.request(token=token, body=listed) * 50 + last)).hears()
        assert heard.count(b"HTTP/1.1 4") == 51


async def test_a_body_is_four_mebibytes_at_most(tmp_path: Path) -> None:
    async with limited(tmp_path) as place:
        token = place.callers.token("alice")
        stated = await place.saying(place.request(token=token, body=None, Content_Length=str(2**22 + 1)))
        assert (await stated.answer()).startswith(b"HTTP/1.1 413")
        chunk = f"{2**20:x}\r\n{' ' * 2**20}\r\n"
        head = place.request(token=token, body=None, Content_Length="", Transfer_Encoding="chunked")
        chunked = await place.saying(head + 5 * chunk)
        assert (await chunked.answer()).startswith(b"HTTP/1.1 413")


async def test_who_is_told_to_go_on_and_sends_no_body_is_not_waited_for(tmp_path: Path) -> None:
    async with limited(tmp_path) as place:
        token = place.callers.token("alice")
        head = place.request(token=token, body=None, Content_Length="9", Expect="100-continue")
        wire = await place.saying(head)
        assert (await wire.answer()).startswith(b"HTTP/1.1 100")
        await place.sees(Phase.BODY)
        place.passes(20)
        assert (await wire.hears()).startswith(b"HTTP/1.1 408")


async def test_half_of_a_second_request_is_not_waited_for_longer_than_a_first(tmp_path: Path) -> None:
    async with limited(tmp_path) as place:
        wire = await place.saying(place.request("GET") + "GET /mcp HTTP/1.1\r\n")
        assert (await wire.answer()).startswith(b"HTTP/1.1 401")
        await place.sees(Phase.REQUEST)
        place.passes(9)
        await wire.send("A: b\r\n")
        assert place.phases() == [Phase.REQUEST]
        place.passes(1)
        assert (await wire.hears()).startswith(b"HTTP/1.1 408")


async def test_where_the_server_is_full_a_stranger_goes_first_and_then_who_only_waits(tmp_path: Path) -> None:
    async with limited(tmp_path, Limits(of_all=3)) as place:
        await stream_of(place, place.callers.token("alice"))
        idle = await place.saying(place.request(token=place.callers.token("bob"), body={}))
        await idle.answer()
        stranger = await place.connect()
        await place.connect()
        assert await stranger.hears() == b""
        await stream_of(place, place.callers.token("carl"))
        await stream_of(place, place.callers.token("dora"))
        assert await idle.hears() == b""
        assert await (await place.connect()).hears() == b""
        assert place.phases() == [Phase.ANSWER] * 3


async def test_a_client_that_resets_its_stream_leaves_nothing_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with limited(tmp_path) as place:
        token = place.callers.token("alice")
        for _ in range(3):
            wire = await stream_of(place, token)
            raw = wire.stream.extra(SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await wire.stream.aclose()
        await until(lambda: place.phases() == [])
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
