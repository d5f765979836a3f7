"""Reads are asked again, within a budget and as the API asks; their failures say what happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import pytest

from api.loopback import (
    ACCOUNT,
    ORDER,
    Reply,
    answer,
    cut,
    data,
    drop,
    envelope,
    position,
    reset,
    serving,
    silence,
)
from positions_mcp.api import PositionsClient
from positions_mcp.api._retry import retry_after_seconds
from positions_mcp.domain.errors import (
    Forbidden,
    NotFound,
    RateLimited,
    ReadFailed,
    RequestRejected,
    Sent,
    Unauthenticated,
    UpstreamError,
)

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


@dataclass
class Time:
    """A clock that only sleeping moves."""

    elapsed: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.elapsed)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.elapsed += seconds

    @property
    def options(self) -> dict[str, Any]:
        return {"clock": self, "monotonic": lambda: self.elapsed, "sleep": self.sleep, "random": lambda: 1.0}


PASSING: dict[str, Reply] = {
    "closed without a word": drop,
    "reset": reset,
    "cut": cut(envelope([position()]), 30),
    **{str(status): answer(status, {"message": "later"}) for status in (429, 502, 503, 504)},
}


@pytest.mark.requirement("A-04")
@pytest.mark.parametrize("reply", PASSING.values(), ids=PASSING.keys())
async def test_a_passing_failure_of_a_read_is_asked_again(reply: Reply):
    time = Time()
    async with serving(reply, reply, data([position()])) as server, server.client(**time.options) as client:
        page = await client.get_positions(ACCOUNT)
    assert len(page.data) == 1
    assert len(server.requests) == 3
    assert time.pauses == [0.25, 0.5]


@pytest.mark.requirement("A-04")
async def test_a_time_out_of_a_read_is_asked_again():
    async with (
        serving(silence, data([position()])) as server,
        server.client(read_timeout_s=1.0, random=lambda: 0.0) as client,
    ):
        assert len((await client.get_positions(ACCOUNT)).data) == 1
    assert len(server.requests) == 2


@pytest.mark.requirement("A-04")
async def test_a_refused_connection_of_a_read_is_tried_again_until_the_budget_is_spent():
    async with serving(data([])) as server:
        url = server.url
    time = Time()
    async with PositionsClient(url, "k.s", **time.options) as client:
        with pytest.raises(ReadFailed, match=r"no connection could be made.*after 7 attempts") as caught:
            await client.get_positions(ACCOUNT)
    assert caught.value.sent is Sent.NO
    assert time.pauses == [0.25, 0.5, 1, 2, 4, 4]


@pytest.mark.requirement("A-04")
async def test_the_pause_has_full_jitter():
    time = Time()
    draws = iter([0.0, 0.5, 0.1])
    options = {**time.options, "random": lambda: next(draws)}
    refusal = answer(503, {"message": "later"})
    async with serving(refusal, refusal, refusal, data([])) as server, server.client(**options) as client:
        await client.get_positions(ACCOUNT)
    assert time.pauses == [0.0, 0.25, 0.1]


@pytest.mark.requirement("A-04")
@pytest.mark.parametrize("asked", ["3", " 3 ", format_datetime(NOW + timedelta(seconds=3), usegmt=True)])
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured_as_seconds_and_as_a_date(status: int, asked: str):
    time = Time()
    refusal = answer(status, {"message": "later"}, {"Retry-After": asked})
    async with serving(refusal, data([])) as server, server.client(**time.options) as client:
        await client.get_positions(ACCOUNT)
    assert time.pauses == [3.0]


@pytest.mark.requirement("A-04")
async def test_a_wait_beyond_the_budget_is_not_begun():
    time = Time()
    async with (
        serving(answer(429, {"message": "slow down"}, {"Retry-After": "60"})) as server,
        server.client(**time.options) as client,
    ):
        with pytest.raises(RateLimited, match="asks to wait 60 s") as caught:
            await client.get_positions(ACCOUNT)
    assert (len(server.requests), time.pauses, caught.value.retry_after_s) == (1, [], 60)
    async with (
        serving(answer(503, {"message": "closed"}, {"Retry-After": "3600"})) as server,
        server.client(**time.options) as client,
    ):
        with pytest.raises(ReadFailed, match="asks to wait 3600 s"):
            await client.get_positions(ACCOUNT)
    assert len(server.requests) == 1


@pytest.mark.requirement("A-04")
async def test_a_pause_that_outlasts_the_budget_leaves_what_the_api_last_said():
    time = Time()

    async def oversleep(seconds: float) -> None:
        await time.sleep(seconds + 20)

    options = {**time.options, "sleep": oversleep}
    async with serving(answer(503, {"message": "closed"})) as server, server.client(**options) as client:
        with pytest.raises(ReadFailed, match='503: "closed"'):
            await client.get_positions(ACCOUNT)
    assert len(server.requests) == 1


@pytest.mark.requirement("A-04")
@pytest.mark.parametrize("reply", ["", "soon", "-5", "1e9", "9" * 50, "٣", "Fri, 99 Nov 2026 15:00:00 GMT"])
def test_a_retry_after_that_says_nothing_asks_for_nothing(reply: str):
    assert retry_after_seconds(reply, NOW) is None


def test_a_retry_after_in_the_past_is_no_wait():
    assert retry_after_seconds("Fri, 20 Nov 2026 14:00:00 GMT", NOW) == 0
    assert retry_after_seconds("Fri, 20 Nov 2026 15:00:05 -0000", NOW) == 5


@pytest.mark.requirement("A-04")
async def test_the_budget_bounds_the_whole_read():
    async with serving(silence) as server, server.client(read_budget_s=0.3, read_timeout_s=10) as client:
        with anyio.fail_after(2), pytest.raises(ReadFailed, match="no answer within") as caught:
            await client.get_positions(ACCOUNT)
    assert caught.value.sent is Sent.UNKNOWN


@pytest.mark.requirement("A-03")
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"code": 4, "message": "no"}', b'{"error": {"code": 4, "message": "no"}}']
)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestRejected),
        (401, Unauthenticated),
        (403, Forbidden),
        (404, NotFound),
        (408, ReadFailed),
        (500, ReadFailed),
    ],
)
async def test_what_asking_again_cannot_mend_fails_at_once(status: int, kind: type[UpstreamError], body: bytes):
    async with serving(answer(status, body, {"Request-Id": "r-1"})) as server, server.client() as client:
        with pytest.raises(UpstreamError) as caught:
            await client.get_position_instructions(ACCOUNT)
    error = caught.value
    assert (type(error), error.status, error.request_id, error.sent) == (kind, status, "r-1", Sent.YES)
    assert ('"no"' in error.message) == (b"no" in body)
    assert len(server.requests) == 1


@pytest.mark.requirement("A-03")
@pytest.mark.parametrize(
    "reply",
    [
        answer(200, b""),
        answer(200, b"<html>"),
        answer(200, []),
        answer(200, {}),
        answer(200, "text"),
        data({"positions": []}),
        data(None),
        answer(200, {"data": None, "error": {"message": "no"}, "metadata": {"total_items": 0}}),
        answer(200, {"data": [], "metadata": {"next_page_token": {"a": 1}}}),
        answer(200, b'{"data": ' + b"[" * 200_000),
        answer(200, b'{"data": [{"quantity": Infinity}]}'),
        answer(200, {"data": [], "metadata": ["next"]}),
        answer(200, b"\xff\xfe\x00"),
    ],
)
async def test_a_success_that_cannot_be_read_is_a_failed_read(reply: Reply):
    async with serving(reply) as server, server.client() as client:
        with pytest.raises(ReadFailed) as caught:
            await client.get_positions(ACCOUNT)
    assert caught.value.status == 200
    assert len(server.requests) == 1


async def test_a_null_list_is_empty_only_where_the_total_says_so():
    async with serving(data(None, total_items=0)) as server, server.client() as client:
        assert (await client.get_positions(ACCOUNT)).data == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(status: int):
    async with serving(answer(status, b"", {"Location": "/elsewhere"})) as server, server.client() as client:
        with pytest.raises(ReadFailed, match="redirect"):
            await client.get_order(ACCOUNT, ORDER)
    assert len(server.requests) == 1
