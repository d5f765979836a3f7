"""No identifier changes a request's path: the worst one would close a whole account."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.loopback import AAPL, ACCOUNT, data, serving
from positions_mcp.api import _requests
from positions_mcp.api._endpoint import Endpoint
from positions_mcp.api._exchange import Request
from positions_mcp.api._http import Connection
from positions_mcp.domain.errors import InvalidInput, UnsafeIdentifier
from positions_mcp.domain.ids import NIL_UUID

HOSTILE = [
    ".", "..", "", " ", "instructions", "/", "//", "a/b", "../..", "%2e", "%2E%2E", "%2f", f"{AAPL}/", f"{AAPL}/..",
    f" {AAPL}",
    f"{AAPL}\n", f"{AAPL}?x=1", f"{AAPL}#", f"{AAPL};a=b", f"{AAPL}%00", "\x00", "\u202e" + AAPL, "\u200b" + AAPL,
    "AAPL", "AAPL  280121C00195000", "A" * 10_000, NIL_UUID, "{" + AAPL + "}", AAPL.replace("-", ""), "𝟘" * 36,
    AAPL.replace("a", "а"), "urn:uuid:" + AAPL, None, 7, b"a", [AAPL],
]  # fmt: skip


@pytest.mark.requirement("G-08")
@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda value: repr(value)[:40])
async def test_a_hostile_identifier_is_refused_before_any_request(hostile):
    async with serving(data([])) as server, server.client() as client:
        for send in (client.close_position, client.cancel_position_instruction, client.get_order):
            with pytest.raises(UnsafeIdentifier):
                await send(ACCOUNT, hostile)
        with pytest.raises(UnsafeIdentifier):
            await client.read_book(ACCOUNT, instrument_ids=[hostile])
        with pytest.raises(UnsafeIdentifier):
            await client.read_orders(ACCOUNT, order_ids=[hostile])
    assert server.connections == 0


@pytest.mark.requirement("G-08")
@pytest.mark.parametrize(
    "hostile",
    [value for value in HOSTILE if value not in (None, "AAPL  280121C00195000")],
    ids=lambda value: repr(value)[:40],
)
async def test_a_hostile_contract_is_refused_before_any_request(hostile):
    async with serving(data([])) as server, server.client() as client:
        with pytest.raises(UnsafeIdentifier):
            await client.get_position_instructions(ACCOUNT, hostile)
    assert server.connections == 0


@pytest.mark.requirement("G-08")
@pytest.mark.parametrize(
    "account",
    [0, -1, True, "19816", "../1", 1.0, None, 2**63, 10**5000],
    ids=lambda value: repr(value)[:10] if value != 10**5000 else "huge",
)
async def test_a_hostile_account_is_refused_before_any_request(account):
    async with serving(data([])) as server, server.client() as client:
        with pytest.raises(InvalidInput):
            await client.close_positions(account)
        with pytest.raises(InvalidInput):
            await client.close_position(account, AAPL)
    assert server.connections == 0


@pytest.mark.requirement("G-08")
@given(st.text(max_size=60) | st.from_regex(r"[0-9a-fA-F-]{30,40}"))
def test_whatever_is_accepted_is_one_segment_of_the_path(text: str):
    try:
        request = _requests.close_one(ACCOUNT, text, None)
    except UnsafeIdentifier:
        return
    segment = request.path.removeprefix(f"/v1/accounts/{ACCOUNT}/positions/")
    assert segment == text.lower()
    assert len(segment) == 36
    assert set(segment) <= set("0123456789abcdef-")


@pytest.mark.requirement("G-08")
@pytest.mark.parametrize("segment", [".", "..", "./instructions", "../orders"])
async def test_a_path_that_the_http_library_would_shorten_is_not_sent(segment: str):
    async with serving(data([])) as server:
        connection = Connection(Endpoint.checked(server.url, "k.s"), connect_timeout_s=1, most_at_once=1)
        with pytest.raises(UnsafeIdentifier):
            await connection.exchange(Request("DELETE", f"/v1/accounts/1/positions/{segment}"), timeout_s=1, fresh=True)
        await connection.aclose()
    assert server.connections == 0
