"""A plan is judged by the limits of the rights that its caller had, wherever and whenever it is sent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from guard.desk import CALLER, FORM, POLICY, Desk, desk
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.policy import Narrower, Policy
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.guard.guard import Guard
from positions_mcp.guard.policy.findings import Rule

pytestmark = pytest.mark.requirement("G-10", "O-02")

TRADERS, BOTH = ("traders",), ("juniors", "traders")


def with_rights(**narrower: Narrower) -> Policy:
    """The usual policy with these rights: AAPL comes to 15,050 dollars, MSFT to 4,000."""
    return POLICY.model_copy(update={"for_rights": narrower})


def most(dollars: int) -> Narrower:
    return Narrower(max_notional=Decimal(dollars))


RIGHTS = with_rights(traders=Narrower(), juniors=most(10_000))


async def test_the_narrowest_of_all_rights_counts_and_is_what_the_refusal_says(tmp_path: Path) -> None:
    policy = with_rights(traders=most(12_000), juniors=Narrower(max_positions=1), auditors=most(1))
    async with desk(tmp_path, policy=policy) as it:
        planned = await it.plan("AAPL", "MSFT", rights=BOTH)
    assert planned.verdict is not None
    assert [each.message for each in planned.verdict.refusals] == [
        "Notional $19,050.00 exceeds the limit of $12,000 per operation.",
        "2 positions exceed the limit of 1 per operation.",
    ]
    assert planned.operation.plan.rights == BOTH


async def test_a_right_that_is_none_here_refuses_because_its_limits_are_not_known(tmp_path: Path) -> None:
    async with desk(tmp_path, policy=RIGHTS) as it:
        planned = await it.plan("AAPL", rights=("nobody", "traders"))
        assert planned.verdict is not None
        [finding] = planned.verdict.refusals
        assert finding.rule is Rule.RIGHTS
        operation = await it.guard.ask(planned.operation)
        with pytest.raises(Refused, match="rights nobody, which are none here: their limits are not known"):
            await it.guard.send_elicited(operation, caller=CALLER, client="x", rights=("nobody", "traders"))
        assert it.exchange.requests == []


@pytest.mark.parametrize("now", [BOTH, (), ("juniors",), ("seniors",)])
async def test_a_plan_of_a_caller_whose_rights_are_others_by_now_is_not_used(
    tmp_path: Path, now: tuple[str, ...]
) -> None:
    async with desk(tmp_path, policy=RIGHTS) as it:
        first = (await it.plan("AAPL", rights=TRADERS)).operation
        with pytest.raises(Refused, match="made with the rights traders; this caller has "):
            await it.guard.continue_plan(first.operation_id, caller=CALLER, rights=now)
        asked = await it.guard.ask(first, FORM)
        with pytest.raises(Refused, match="made with the rights traders"):
            await it.guard.send_elicited(asked, caller=CALLER, client="x", rights=now)
        assert it.events()[-1] == "yes not taken"
        other = (await it.plan("AAPL", rights=now)).operation
        assert (other.operation_id != first.operation_id, other.plan.rights) == (True, now)
        assert (await it.parts.operation(first.operation_id)).state(it.clock.now()) is OperationState.EXPIRED
        assert it.exchange.requests == []


async def test_the_same_rights_find_the_same_plan_and_its_yes_is_taken(tmp_path: Path) -> None:
    async with desk(tmp_path, policy=RIGHTS) as it:
        first = (await it.plan("AAPL", rights=TRADERS)).operation
        assert (await it.plan("AAPL", rights=TRADERS)).operation.operation_id == first.operation_id
        await it.guard.continue_plan(first.operation_id, caller=CALLER, rights=TRADERS)
        sent = await it.guard.send_elicited(await it.guard.ask(first), caller=CALLER, client="x", rights=TRADERS)
        assert sent.state is OperationState.SUBMITTED


async def _sent_by_one_with(policy: Policy, it: Desk) -> Operation:
    """Approved at the desk of a server that has RIGHTS, and sent by one of the same store with other limits."""
    operation = await it.approved_at_desk("AAPL", rights=TRADERS)
    async with Guard(replace(it.parts, policy=policy)) as other:
        await other.send_approved(operation.operation_id, caller=CALLER)
    return await it.parts.operation(operation.operation_id)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (with_rights(traders=most(100)), "exceeds the limit of $100 per operation"),
        (with_rights(traders=Narrower(), juniors=most(100)), ""),
        (with_rights(juniors=Narrower()), "rights traders, which are none here"),
        (POLICY, "rights traders, which are none here"),
    ],
    ids=["narrower", "others", "without it", "without rights"],
)
async def test_where_it_is_sent_with_another_configuration_that_one_decides_and_what_it_does_not_know_is_refused(
    tmp_path: Path, policy: Policy, said: str
) -> None:
    async with desk(tmp_path, policy=RIGHTS) as it:
        operation = await _sent_by_one_with(policy, it)
        assert said in operation.reason
        is_sent = operation.state(it.clock.now()) is OperationState.SUBMITTED
        assert (is_sent, len(it.exchange.requests)) == ((False, 0) if said else (True, 1))
