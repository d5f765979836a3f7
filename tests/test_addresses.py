"""Addresses are the same where the standards say so, and nowhere else: by case, port, final dot and zeros of IPv6."""

from __future__ import annotations

import pytest

from positions_mcp.addresses import authority, origin, place

pytestmark = pytest.mark.requirement("O-01")


@pytest.mark.parametrize(
    ("text", "scheme", "same"),
    [
        ("trading.example.com", "https", "trading.example.com"),
        ("Trading.EXAMPLE.com", "https", "trading.example.com"),
        ("trading.example.com.", "https", "trading.example.com"),
        ("trading.example.com:443", "https", "trading.example.com"),
        ("trading.example.com.:0443", "https", "trading.example.com"),
        ("trading.example.com:", "https", "trading.example.com"),
        ("trading.example.com:443", "http", "trading.example.com:443"),
        ("trading.example.com:80", "http", "trading.example.com"),
        ("trading.example.com:8443", "https", "trading.example.com:8443"),
        ("[0:0:0:0:0:0:0:1]:8420", "http", "[::1]:8420"),
        ("[2001:DB8::A]", "https", "[2001:db8::a]"),
    ],
)
def test_two_spellings_of_one_address_are_one(text: str, scheme: str, same: str) -> None:
    assert authority(text, scheme) == same
    assert authority(same, scheme) == same
    assert origin(f"{scheme.upper()}://{text}") == f"{scheme}://{same}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "localhost..",
        "localhost:8420@evil.example",
        "evil.example/localhost",
        "localhost#evil",
        "localhost?evil",
        "localhost\\evil",
        "local host",
        "localhost:٨٠",
        "localhost:-80",
        "localhost:100080",
        "localhost:80:80",
        "[::1",
        "[localhost]",
        "[::1]evil",
        "::1",
    ],
)
def test_what_is_no_address_stays_as_it_is(text: str) -> None:
    assert authority(text, "http") == text


@pytest.mark.parametrize("text", ["", "null", "localhost", "http:/localhost", "file://"])
def test_what_is_no_origin_is_the_same_as_none(text: str) -> None:
    assert origin(text) == text


@pytest.mark.parametrize(
    ("url", "there"),
    [
        ("http://localhost", ("localhost", 80)),
        ("https://API.clearstreet.com", ("api.clearstreet.com", 443)),
        ("http://[::1]:8421", ("::1", 8421)),
    ],
)
def test_a_url_without_a_port_is_reached_at_the_one_of_its_scheme(url: str, there: tuple[str, int]) -> None:
    assert place(url) == there
