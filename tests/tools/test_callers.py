"""Callers are told apart by the whole of what they are called."""

from __future__ import annotations

import pytest

from positions_mcp.tools._caller import identity_of

LONG = "a" * 80
NAMES = [
    "alice",
    "a" * 60,
    "a" * 61,
    LONG + "1",
    LONG + "2",
    "alice\u200b",
    "alice ",
    " alice",
    "al  ice",
    "alice\n",
    "Alice",
    "a" * 59 + "…",
    identity_of(LONG + "1"),
    "\ud800",
    "\ud801",
]


@pytest.mark.requirement("G-02")
def test_no_two_names_have_one_identity() -> None:
    assert len({identity_of(name) for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize("name", ["alice", "claude-code", "a client", "a" * 60])
def test_a_short_plain_name_is_its_own_identity_as_in_stores_of_earlier_releases(name: str) -> None:
    assert identity_of(name) == name


@pytest.mark.parametrize("name", NAMES)
def test_an_identity_is_short_and_draws_nothing(name: str) -> None:
    assert identity_of(name).isprintable()
    assert len(identity_of(name)) <= 120
