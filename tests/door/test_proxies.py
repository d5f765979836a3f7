"""What a proxy says is believed from the proxies that a person has named, and from nobody else."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from positions_mcp.door.proxies import Proxies

TRUSTED = tuple(map(ipaddress.ip_network, ("10.0.0.5", "10.1.0.0/24", "fd00::/64")))


async def through(client: str, *headers: tuple[str, str]) -> tuple[Scope | None, int]:
    """What comes in, or the status of the refusal."""
    came: list[Scope] = []
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        came.append(scope)

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError

    given = [(name.encode(), value.encode()) for name, value in (("host", "10.0.0.9:8420"), *headers)]
    scope: dict[str, Any] = {"type": "http", "client": (client, 1), "headers": given, "scheme": "http"}
    await Proxies(app, TRUSTED)(scope, receive, send)
    return (came[0], 200) if came else (None, sent[0]["status"])


def header(scope: Scope, name: str) -> list[str]:
    return [value.decode() for key, value in scope["headers"] if key == name.encode()]


@pytest.mark.requirement("O-01")
@pytest.mark.parametrize("client", ["10.0.0.6", "203.0.113.7", "127.0.0.1", "::1", "fd00:0:0:1::1", "", "testclient"])
async def test_who_is_no_proxy_is_refused_whatever_it_says(client: str) -> None:
    said = (
        ("x-forwarded-for", "10.0.0.5"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "trading.example.com"),
    )
    assert (await through(client, *said))[1] == 403


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ([], "10.0.0.5"),
        (["198.51.100.1"], "198.51.100.1"),
        (["10.0.0.5, 198.51.100.1"], "198.51.100.1"),
        (["1.1.1.1, 198.51.100.1, 10.1.0.7"], "198.51.100.1"),
        (["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        (["198.51.100.1,,"], "198.51.100.1"),
        (["10.1.0.7"], "10.0.0.5"),
        (["unknown"], "unknown"),
        (["198.51.100.1:51234"], "198.51.100.1"),
        (["198.51.100.1, 10.1.0.7:443"], "198.51.100.1"),
        (["198.51.100.1, [fd00::7]:443"], "198.51.100.1"),
        (["[2001:db8::1]:51234"], "2001:db8::1"),
        (["[2001:db8::1]"], "2001:db8::1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["198.51.100.1, ::ffff:10.1.0.7"], "198.51.100.1"),
        (["x" * 200], "x" * 64),
    ],
)
async def test_the_client_is_whom_the_first_trusted_proxy_saw(said: list[str], client: str) -> None:
    scope, _ = await through("10.0.0.5", *[("x-forwarded-for", each) for each in said])
    assert scope
    assert scope["client"][0] == client
    assert scope["scheme"] == "https"


@pytest.mark.parametrize("proxy", ["10.0.0.5", "10.1.0.255", "fd00::17", "::ffff:10.0.0.5"])
async def test_the_host_is_the_one_that_the_client_asked_for_and_nothing_forwarded_goes_on(proxy: str) -> None:
    scope, _ = await through(proxy, ("x-forwarded-host", "evil.example, trading.example.com"), ("forwarded", "for=x"))
    assert scope
    assert header(scope, "host") == ["trading.example.com"]
    assert not [key for key, _ in scope["headers"] if b"forwarded" in key]
    plain, _ = await through(proxy)
    assert plain
    assert header(plain, "host") == ["10.0.0.9:8420"]


@pytest.mark.requirement("O-01")
async def test_what_came_to_the_proxy_in_clear_is_refused() -> None:
    assert (await through("10.0.0.5", ("x-forwarded-proto", "http")))[1] == 403
    assert (await through("10.0.0.5", ("x-forwarded-proto", "https")))[1] == 200
    assert (await through("10.0.0.5", ("x-forwarded-proto", "HTTPS")))[1] == 200
    assert (await through("10.0.0.5", ("x-forwarded-proto", "HTTP")))[1] == 403
    assert (await through("10.0.0.5", ("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")))[1] == 403
    for said, status in (
        ("for=198.51.100.1;proto=https", 200),
        ('for=198.51.100.1; Proto="HTTPS"', 200),
        ("proto=http, for=198.51.100.1;proto=https", 200),
        ("for=198.51.100.1;proto=http", 403),
        ('for=198.51.100.1; Proto = "HTTP"', 403),
        ("proto=https, proto=http", 403),
    ):
        assert (await through("10.0.0.5", ("forwarded", said)))[1] == status, said
    assert (await through("10.0.0.5", ("x-forwarded-proto", "https, http")))[1] == 403
