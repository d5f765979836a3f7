"""An answer is what HTTP says it is, however its bytes arrive; what is no complete answer is never taken for one."""

from __future__ import annotations

import functools
import gzip
import zlib
from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from positions_mcp.api import _exchange
from positions_mcp.api._exchange import Received, TooLarge, Unanswered
from positions_mcp.api._incoming import Incoming

BODY = b'{"data":[]}'
GZIPPED, DEFLATED = gzip.compress(BODY, mtime=0), zlib.compress(BODY)
LONG = BODY * 100


def read(*arriving: bytes, ends: bool = False) -> tuple[Received, bool] | None:
    """The answer, and whether its connection may be used again; None while it is not complete."""
    incoming = Incoming()
    try:
        for content in arriving:
            incoming.feed(content)
        if ends and not incoming.is_complete:
            incoming.end()
        return (incoming.received(), incoming.may_be_followed) if incoming.is_complete else None
    finally:
        incoming.close()


def plain(body: bytes = BODY, *headers: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    lines = "".join(f"{line}\r\n" for line in (f"HTTP/{version} {status}", *headers))
    return lines.encode() + b"\r\n" + body


def sized(body: bytes = BODY, *headers: str, status: str = "200 OK") -> bytes:
    return plain(body, f"Content-Length: {len(body)}", *headers, status=status)


def chunked(body: bytes, *cuts: int, trailer: str = "") -> bytes:
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    parts = [body[begin:end] for begin, end in pairwise(edges) if begin != end]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return plain(framed + b"0\r\n" + trailer.encode() + b"\r\n", "Transfer-Encoding: chunked")


def by_h11(content: bytes) -> tuple[int, bytes]:
    """What another library makes of a whole answer to a DELETE."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="DELETE", target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(content)
    client.receive_data(b"")
    status, body = 0, b""
    while not isinstance(event := client.next_event(), h11.EndOfMessage):
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        else:
            assert isinstance(event, h11.InformationalResponse)
    return status, body


ANSWERS = st.one_of(
    st.builds(
        sized, st.binary(max_size=300), status=st.sampled_from(["200 OK", "207 Multi-Status", "409", "503 Busy"])
    ),
    st.builds(
        lambda body, cuts: chunked(body, *cuts), st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5)
    ),
    st.sampled_from([plain(b"", status="204 No Content"), plain(b"", status="304 Not Modified")]),
)


@pytest.mark.requirement("A-01")
@given(ANSWERS, st.integers(0, 2), st.lists(st.integers(0, 500), max_size=6))
def test_an_answer_is_the_same_however_it_is_cut_and_what_another_library_reads(
    content: bytes, hints: int, cuts: list[int]
):
    content = plain(b"", "Link: </a>", status="103 Early Hints") * hints + content
    edges = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    found = read(*(content[begin:end] for begin, end in pairwise(edges)))
    assert found is not None
    assert (found[0].status, found[0].body) == by_h11(content)
    assert found[1]


@pytest.mark.requirement("A-03")
@given(st.sampled_from([sized(), chunked(BODY, 3), sized(status="409 Conflict")]), st.data())
def test_an_answer_that_was_cut_is_never_complete(content: bytes, drawn: st.DataObject):
    cut = content[: drawn.draw(st.integers(0, len(content) - 1))]
    assert read(cut) is None
    with pytest.raises(Unanswered):
        read(cut, ends=True)


def test_an_answer_without_a_length_is_complete_where_its_connection_ends():
    for content in (plain(), plain(version="1.0")):
        assert read(content) is None
        found = read(content, ends=True)
        assert found is not None
        assert (found[0].body, found[1]) == (BODY, False)


@pytest.mark.requirement("A-03")
@pytest.mark.parametrize(
    "content",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        plain(BODY, "Content-Length: 3", "Content-Length: 11"),
        plain(BODY, "Content-Length: 11", "Transfer-Encoding: chunked"),
        plain(BODY, "Content-Length: -1"),
        plain(b"zz\r\n", "Transfer-Encoding: chunked"),
        plain(b"", status="101 Switching Protocols")[:-2] + b"Bad Header: 1\r\n\r\n",
        sized(b'{"data":', status="104 Upload Resumption Supported") + sized(b"[]}"),
        plain(b"1\r\n{\r\n0\r\n\r\n", "Transfer-Encoding: chunked", status="110 Unknown") + sized(b"}"),
        sized(status="099 Unknown") + sized(),
        sized(b"", status="000 Unknown") + sized(),
    ],
    ids=lambda content: repr(content)[:50],
)
def test_what_is_no_answer_is_not_taken_for_one(content: bytes):
    with pytest.raises(Unanswered):
        read(content, ends=True)


@pytest.mark.requirement("A-03", "G-05")
@pytest.mark.parametrize("more", [b"x", b"\r\n", sized(b'{"data":[1]}', status="403 Forbidden"), b"HTTP/1.1 200 OK"])
@pytest.mark.parametrize("at_once", [True, False])
def test_the_first_answer_counts_and_what_follows_ends_the_connection(more: bytes, at_once: bool):
    found = read(sized() + more) if at_once else read(sized(), more)
    assert found is not None
    assert (found[0].status, found[0].body) == (200, BODY)
    assert not found[1] or more == b"\r\n"


@pytest.mark.parametrize("said", ["close", "Close", "keep-alive, close"])
def test_a_connection_that_is_said_to_end_is_not_used_again(said: str):
    found = read(sized(BODY, f"Connection: {said}"))
    assert found is not None
    assert not found[1]


def test_headers_behind_the_body_do_not_count_and_equal_ones_are_one():
    found = read(chunked(BODY, trailer="X-Request-Id: late\r\n"))
    assert found is not None
    assert "x-request-id" not in found[0].headers
    found = read(sized(BODY, "X-Request-ID: a", "x-request-id: b"))
    assert found is not None
    assert found[0].headers["x-request-id"] == "a, b"


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        ("gzip", GZIPPED),
        ("x-gzip", GZIPPED),
        ("GZIP", GZIPPED),
        ("deflate", DEFLATED),
        ("deflate", DEFLATED[2:-4]),
        ("deflate, gzip", gzip.compress(DEFLATED, mtime=0)),
        ("identity", BODY),
        ("", BODY),
        ("gzip", b""),
    ],
)
def test_an_encoded_body_is_decoded(encoding: str, encoded: bytes):
    found = read(sized(encoded, f"Content-Encoding: {encoding}"))
    assert found is not None
    assert found[0].body == (BODY if encoded else b"")


@pytest.mark.requirement("A-03")
@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        ("gzip", BODY),
        ("gzip", gzip.compress(LONG, mtime=0)[:-9]),
        ("deflate", zlib.compress(LONG)[:9]),
        (", ".join(["gzip"] * 5), functools.reduce(lambda body, _: gzip.compress(body, mtime=0), range(5), BODY)),
    ],
    ids=["none", "cut gzip", "cut deflate", "five times"],
)
def test_a_body_that_cannot_be_decoded_wholly_is_no_answer(encoding: str, encoded: bytes):
    with pytest.raises(Unanswered, match="compressed"):
        read(sized(encoded, f"Content-Encoding: {encoding}"))


def test_a_head_is_bounded():
    with pytest.raises(Unanswered):
        read(b"HTTP/1.1 200 OK\r\nX: ", *([b"a" * 2**16] * 3))


def test_a_body_is_bounded_also_where_it_is_small_until_it_is_decoded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_exchange, "LARGEST_BODY", 10_000)
    for content in (
        sized(b"a" * 10_001),
        plain(b"a" * 10_001),
        sized(gzip.compress(b"a" * 10_001), "Content-Encoding: gzip"),
        plain(b"1;" + b"e" * 30_000, "Transfer-Encoding: chunked"),
    ):
        with pytest.raises(TooLarge) as caught:
            read(content, ends=True)
        assert caught.value.status == 200
    assert read(sized(b"a" * 10_000)) is not None
