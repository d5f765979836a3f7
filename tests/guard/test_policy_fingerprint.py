"""A policy has a fingerprint: in every plan, in what is said of limits, and in the record where another one judged."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from guard.desk import CALLER, POLICY, desk
from positions_mcp.domain.errors import PositionsError, Sent
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.growth import added
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.policy import Channel, Narrower, Policy
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.guard.guard import Guard

OTHERS: dict[str, Any] = {
    "trading_enabled": True,
    "limits_to_choose": ("trading.max_notional",),
    "accounts": frozenset({AccountId(1)}),
    "allow_instruments": frozenset({"KO"}),
    "deny_instruments": frozenset({"KO"}),
    "max_notional": Decimal(1),
    "max_daily_notional": Decimal(1),
    "max_positions": 1,
    "max_open_plans_per_caller": 1,
    "max_open_plans": 1,
    "max_operations_per_minute": 1,
    "max_operations_per_day": 1,
    "allow_close_all": False,
    "allow_uncovered": True,
    "exercise_deadline": time(16),
    "tolerance": Decimal("0.2"),
    "option_tolerance": Decimal("0.2"),
    "give_up_above": None,
    "two_persons_above": Decimal(1),
    "two_persons_for_close_all": True,
    "channel": Channel.DESK,
    "desk_above": Decimal(1),
    "halt_after": None,
    "plan_lifetime": timedelta(minutes=4),
    "approval_lifetime": timedelta(seconds=59),
    "book_lag_s": 1.0,
    "decline_rest": timedelta(minutes=9),
    "for_accounts": {AccountId(1): Narrower(max_positions=1)},
    "for_callers": {"claude": Narrower(max_positions=1)},
    "for_rights": {"traders": Narrower()},
    "signing_in": "5f3a",
    "unknown_rights": ("traders",),
}


def test_every_limit_changes_it() -> None:
    assert set(OTHERS) == set(Policy.model_fields)
    prints = {Policy(**{name: value}).fingerprint for name, value in OTHERS.items()} | {Policy().fingerprint}
    assert len(prints) == len(OTHERS) + 1
    assert all(len(each) == 12 and int(each, 16) >= 0 for each in prints)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"max_notional": Decimal("5E4")}, {"max_notional": Decimal("50000.00")}),
        ({"tolerance": Decimal("0.10")}, {"tolerance": Decimal("0.1")}),
        ({"desk_above": Decimal("-0")}, {"desk_above": Decimal(0)}),
        ({"deny_instruments": frozenset({"ko", "AAPL"})}, {"deny_instruments": frozenset({"AAPL", "KO"})}),
        (
            {"allow_instruments": frozenset({"AAPL  280121C00195000"})},
            {"allow_instruments": frozenset({"AAPL280121C00195000"})},
        ),
        ({"plan_lifetime": timedelta(seconds=300)}, {"plan_lifetime": timedelta(minutes=5)}),
        ({"book_lag_s": 60}, {"book_lag_s": 60.0}),
    ],
)
def test_it_does_not_depend_on_how_a_limit_is_written(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert Policy(**one).fingerprint == Policy(**other).fingerprint


def test_it_is_that_of_a_changed_copy_and_not_of_what_was_copied() -> None:
    before = Policy().fingerprint
    assert Policy().model_copy(update={"max_positions": 3}).fingerprint == Policy(max_positions=3).fingerprint != before


def test_a_limit_that_a_later_release_adds_changes_it_once_it_is_set_so_that_replicas_of_both_agree() -> None:
    class LaterNarrower(Narrower):
        most_orders: int | None = added("0.3.0", default=None)

    class Later(Policy):
        only_at_noon: bool = added("0.3.0", default=False)

    for_callers = {"claude": Narrower(max_positions=1)}, {"claude": LaterNarrower(max_positions=1)}
    assert Later().fingerprint == Policy().fingerprint != Later(only_at_noon=True).fingerprint
    narrowed = {Policy(for_callers=each).fingerprint for each in for_callers}
    assert narrowed.isdisjoint(
        {Policy(for_callers={"claude": LaterNarrower(max_positions=1, most_orders=1)}).fingerprint}
    )
    assert len(narrowed) == 1


@pytest.mark.requirement("G-02")
async def test_a_plan_names_it_and_its_digest_covers_it(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        plan = (await it.plan("AAPL")).operation.plan
        assert plan.policy == POLICY.fingerprint
        assert plan.changed(policy="0" * 12).digest != plan.digest


async def sent_by_a_server_with(policy: Policy, tmp_path: Path, *symbols: str) -> Operation:
    """Approved at the desk of one server, and sent by another one that has other limits."""
    async with desk(tmp_path) as it:
        operation = await it.approved_at_desk(*(symbols or ("AAPL",)))
        async with Guard(replace(it.parts, policy=policy)) as other:
            await other.send_approved(operation.operation_id, caller=CALLER)
        return await it.parts.operation(operation.operation_id)


@pytest.mark.requirement("G-02", "G-10")
async def test_where_another_server_sends_its_own_limits_decide_and_the_record_says_that_they_are_others(
    tmp_path: Path,
) -> None:
    wider, narrower = (POLICY.model_copy(update={"max_notional": Decimal(most)}) for most in (99_000, 10))
    sent = await sent_by_a_server_with(wider, tmp_path / "wider")
    assert sent.rows[0].has_effect
    assert f"Planned under policy {POLICY.fingerprint}" in sent.reason
    assert wider.fingerprint in sent.reason
    refused = await sent_by_a_server_with(narrower, tmp_path / "narrower")
    assert refused.state(refused.updated_at) is OperationState.REFUSED
    assert narrower.fingerprint in refused.reason
    assert "exceeds the limit of $10" in refused.reason


@pytest.mark.requirement("G-02")
async def test_the_same_limits_elsewhere_are_not_remarked_on(tmp_path: Path) -> None:
    sent = await sent_by_a_server_with(POLICY.model_copy(), tmp_path)
    assert sent.rows[0].has_effect
    assert "policy" not in sent.reason.lower()


TEN = Decimal(10)
NARROWER: dict[str, Policy] = {
    f"{name} {value}": POLICY.model_copy(update={name: value})
    for name, value in (
        ("trading_enabled", False),
        ("limits_to_choose", ("trading.max_notional",)),
        ("accounts", frozenset({AccountId(1)})),
        ("allow_instruments", frozenset({"KO"})),
        ("deny_instruments", frozenset({"TSLA"})),
        ("max_notional", TEN),
        ("max_daily_notional", TEN),
        ("max_positions", 1),
        ("two_persons_above", TEN),
        ("for_accounts", {next(iter(POLICY.accounts)): Narrower(max_notional=TEN)}),
        ("for_accounts", {next(iter(POLICY.accounts)): Narrower(max_positions=1)}),
        ("for_callers", {CALLER: Narrower(max_daily_notional=TEN)}),
        ("for_callers", {CALLER: Narrower(two_persons_above=TEN)}),
    )
}


@pytest.mark.requirement("G-01", "G-10", "D-05")
@pytest.mark.parametrize("policy", NARROWER.values(), ids=NARROWER)
async def test_nothing_is_sent_that_the_limits_of_the_server_forbid_that_would_send_it(
    policy: Policy, tmp_path: Path
) -> None:
    """Whatever those of the servers allow that planned it and at whose desk it was approved."""
    told = Sent.NO
    try:
        done = await sent_by_a_server_with(policy, tmp_path, "AAPL", "TSLA")
    except PositionsError as error:
        told = error.sent
    else:
        assert [row.state for row in done.rows] == [RowState.NOT_SENT] * 2
    assert told is Sent.NO
