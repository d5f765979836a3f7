"""The name of a signed-in caller: what is shown of it stops that caller, and only the whole of it lets it pass."""

from __future__ import annotations

import pytest

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.policy import Narrower, Policy
from positions_mcp.domain.operation.roster import Member, asks_as
from positions_mcp.domain.operation.supervision import Halt, is_called, may_be_called
from positions_mcp.tools._caller import signed_in_as
from tools.serving import FRIDAY

ALICE = signed_in_as("https://login.example.com", "alice")
CALLER = f"token of {ALICE}"


@pytest.mark.parametrize(
    ("name", "stops", "passes"),
    [
        (CALLER, True, True),
        (ALICE, True, True),
        ("alice", True, False),
        ("Alice", True, False),
        ("token of alice", True, False),
        ("ALICE".lower() + " ", False, False),
        ("lice", False, False),
        ("bob", False, False),
        (signed_in_as("https://login.example.org", "alice"), False, False),
    ],
)
def test_what_is_shown_of_a_name_stops_and_only_all_of_it_lets_pass(name: str, stops: bool, passes: bool) -> None:
    assert (may_be_called(CALLER, name), is_called(CALLER, name)) == (stops, passes)
    assert Halt(reason="x", by="y", at=FRIDAY, caller=name).covers_all_of(CALLER) is stops
    narrower = Policy(max_positions=20, for_callers={name: Narrower(max_positions=1)})
    assert narrower.within(AccountId(1), CALLER).max_positions == (1 if stops else 20)


@pytest.mark.requirement("D-05", "O-02")
def test_an_approver_does_not_approve_what_was_asked_for_after_signing_in_under_that_name() -> None:
    assert asks_as(_member("alice"), CALLER)
    assert asks_as(_member("Dr A", "alice"), CALLER)
    assert asks_as(_member("Dr A", ALICE), CALLER)
    assert not asks_as(_member("bob"), CALLER)


def _member(name: str, *callers: str) -> Member:
    return Member.model_construct(name=name, callers=callers, rights=())
