"""Who may approve how much, and where it takes two people (D-05)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from guard.delegated import sent_without_question, signed, terms
from guard.desk import CALLER, PASSPHRASE, POLICY, QUICK, desk
from guard.exchange import ACCOUNT
from guard.persons import BEN, TWO, Place, change, sent, two_people
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.policy import Channel, Narrower
from positions_mcp.domain.operation.roster import FIRST_NAME, Rights, whole_member
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.guard.approval.questions import Rung
from positions_mcp.guard.delegating import Delegation
from positions_mcp.guard.enrolling import adding_member, changing_member, removing_member
from positions_mcp.guard.guard import Guard
from positions_mcp.guard.reports import first_yes_said
from positions_mcp.signing.keys import WrongPassphrase, new_key
from signing.people import new_approver

pytestmark = pytest.mark.requirement("D-05")


async def test_the_second_sees_the_firsts_yes_and_it_is_sent_when_both_have_signed(
    place: Place, tmp_path: Path
) -> None:
    async with two_people(tmp_path, place=place) as it:
        operation = await it.asked("AAPL")
        approve = partial(it.supervisor.approve, operation.operation_id)
        first = await approve(PASSPHRASE, name="Ana", note="as discussed")
        assert first.state is OperationState.AWAITING_APPROVAL
        assert not await sent(it, operation)
        seen = it.store.first_yes(operation.operation_id)
        assert (seen.statement.name, seen.statement.note) == ("Ana", "as discussed")
        second = await approve(BEN, name="Ben", note="agreed")
        assert "Ben" in second.decision
        assert "first yes by Ana" in second.decision
        assert '"as discussed"' in second.decision
        assert await sent(it, operation)


@pytest.mark.parametrize("how", ["removed", "another passphrase", "renamed"])
async def test_who_decides_next_is_told_that_a_first_yes_counts_no_more(tmp_path: Path, how: str) -> None:
    async with two_people(tmp_path) as it:
        operation = await it.asked("AAPL")
        assert first_yes_said(it.store, operation) == ""
        await it.supervisor.approve(operation.operation_id, BEN, name="Ben", note="go")
        said = first_yes_said(it.store, operation)
        assert said.startswith("first yes by Ben")
        assert said.endswith('"go"')
        if how == "another passphrase":
            await it.supervisor.replace_approver(BEN, "another passphrase", name="Ben")
        else:
            await change(it, removing_member("Ben") if how == "removed" else changing_member("Ben", name="Benjamin"))
        assert "It counts no more" in first_yes_said(it.store, operation)


async def test_one_person_is_one_however_often_and_with_whatever_passphrase_they_say_yes(tmp_path: Path) -> None:
    async with two_people(tmp_path) as it:
        operation = await it.asked("AAPL")
        await it.supervisor.approve(operation.operation_id, PASSPHRASE, name="Ana")
        with pytest.raises(Refused, match="has said yes already"):
            await it.supervisor.approve(operation.operation_id, PASSPHRASE, name="ana")
        await it.supervisor.replace_approver(PASSPHRASE, "another passphrase", name="Ana")
        again = await it.supervisor.approve(operation.operation_id, "another passphrase", name="Ana")
        assert again.state is OperationState.AWAITING_APPROVAL
        with pytest.raises(Refused, match="has said yes already"):
            await it.supervisor.approve(operation.operation_id, "another passphrase", name="Ana")
        with pytest.raises(Refused, match="passphrase"):
            await it.supervisor.approve(operation.operation_id, PASSPHRASE, name="Ben")
        assert not await sent(it, operation)


@pytest.mark.parametrize("how", ["left out", "edited", "of another plan", "doubled"])
async def test_a_first_yes_that_was_written_into_the_store_is_none(place: Place, tmp_path: Path, how: str) -> None:
    async with two_people(tmp_path, place=place) as it:
        operation, other = await it.asked("AAPL"), await it.asked("TSLA")
        for each in (operation, other):
            await it.supervisor.approve(each.operation_id, PASSPHRASE, name="Ana")
            await it.supervisor.approve(each.operation_id, BEN, name="Ben")
        decision = it.store.operation(operation.operation_id).decision
        forged = {
            "left out": None,
            "edited": decision.first.changed(statement=decision.first.statement.changed(note="another")),
            "of another plan": it.store.operation(other.operation_id).decision.first,
            "doubled": decision.signed,
        }[how]
        stored = it.store.operation(operation.operation_id)
        with it.store._writing() as transaction:
            transaction.save(stored, "approved", it.clock.now(), decision=decision.changed(first=forged))
        assert not await sent(it, operation)
        assert await sent(it, other)


async def test_who_was_removed_between_yes_and_sending_approved_nothing(place: Place, tmp_path: Path) -> None:
    async with two_people(tmp_path, place=place) as it:
        operation = await it.asked("AAPL")
        await it.supervisor.approve(operation.operation_id, BEN, name="Ben")
        await it.supervisor.approve(operation.operation_id, PASSPHRASE, name="Ana")
        await change(it, removing_member("Ben"))
        assert not await sent(it, operation)


async def test_no_form_will_do_and_a_roster_with_too_few_people_is_said_at_once(tmp_path: Path) -> None:
    async with two_people(tmp_path) as it:
        assert (await it.guard.step(await it.plan("AAPL"), can_elicit=True)).rung is Rung.DESK
        await change(it, changing_member("Ben", rights=(Rights(),)))
        step = await it.guard.step(await it.plan("TSLA"), can_elicit=True)
        assert step.rung is Rung.REFUSE
        assert "1 could: Ana." in step.reason


async def test_each_may_approve_up_to_their_own_amount_of_a_day_and_splitting_gains_nothing(
    place: Place, tmp_path: Path
) -> None:
    async with two_people(tmp_path, POLICY, place=place) as it:
        first, second = await it.asked("AAPL"), await it.asked("TSLA")
        enough = max(first.plan.measure, second.plan.measure)
        await change(it, changing_member("Ben", rights=(Rights(approves=enough),)))
        for each in (first, second):
            await it.supervisor.approve(each.operation_id, BEN, name="Ben")
        assert await sent(it, first)
        assert not await sent(it, second)
        again = await it.asked("TSLA")
        assert again.operation_id == second.operation_id


@pytest.mark.parametrize(("approves", "said"), [(Decimal(0), "may not approve"), (Decimal(1), "up to $1 a day")])
async def test_who_may_not_says_no_yes(tmp_path: Path, approves: Decimal, said: str) -> None:
    async with two_people(tmp_path, POLICY, approves=approves) as it:
        operation = await it.asked("AAPL")
        with pytest.raises(Refused) as refused:
            await it.supervisor.approve(operation.operation_id, BEN, name="Ben")
        assert said in refused.value.message
        for made in (changing_member("Ben", manages=True), removing_member("Ana")):
            with pytest.raises(Refused, match="may not change"):
                await change(it, made, "Ben", BEN)


async def test_nobody_approves_what_they_asked_for(tmp_path: Path) -> None:
    async with two_people(tmp_path, POLICY) as it:
        await change(it, changing_member("Ben", callers=(CALLER,)))
        operation = await it.asked("AAPL")
        with pytest.raises(Refused, match="nobody approves what they asked for"):
            await it.supervisor.approve(operation.operation_id, BEN, name="Ben")
        await it.supervisor.approve(operation.operation_id, PASSPHRASE, name="Ana")
        assert await sent(it, operation)


async def test_where_several_approve_a_name_is_asked_for_and_alone_none_is(tmp_path: Path) -> None:
    async with two_people(tmp_path, POLICY) as it:
        operation = await it.asked("AAPL")
        with pytest.raises(Refused, match="Several people"):
            await it.supervisor.approve(operation.operation_id, PASSPHRASE)
        await change(it, removing_member("Ben"))
        await it.supervisor.approve(operation.operation_id, PASSPHRASE)
        assert it.store.operation(operation.operation_id).decision.channel is Channel.DESK


async def test_no_mandate_covers_what_needs_two_people(tmp_path: Path) -> None:
    async with desk(tmp_path, policy=TWO) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        draft = await Delegation(it.parts).draft(terms(), by="ana", shadow=timedelta(days=1))
        with pytest.raises(Refused, match="It takes two people above"):
            await Delegation(it.parts).sign(draft.mandate_id, PASSPHRASE, digest=draft.digest)
    of_account = POLICY.model_copy(update={"for_accounts": {ACCOUNT: Narrower(two_persons_above=Decimal(0))}})
    async with desk(tmp_path / "one account", policy=of_account) as it:
        with pytest.raises(Refused, match="It takes two people above"):
            await signed(it)
    earlier = POLICY.model_copy(update={"two_persons_above": Decimal(2_000_000)})
    async with desk(tmp_path / "lowered", policy=earlier) as it:
        await signed(it)
        narrower = replace(it.parts, policy=TWO)
        assert await sent_without_question(replace(it, guard=Guard(narrower), parts=narrower), "AAPL") is None
        assert not it.exchange.requests


async def test_the_approver_of_an_older_release_gets_another_passphrase_and_can_be_removed(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.store.set_approver(
            new_approver(PASSPHRASE, it.clock.now(), hardness=QUICK), replacing=None, now=it.clock.now()
        )
        ben = whole_member("Ben", new_key(BEN, it.clock.now(), hardness=QUICK).key)
        await it.supervisor.replace_approver(PASSPHRASE, "another passphrase")
        with pytest.raises(WrongPassphrase):
            await it.supervisor.check_passphrase(PASSPHRASE)
        await change(it, adding_member(ben), FIRST_NAME, "another passphrase")
        await change(it, removing_member(FIRST_NAME), "Ben", BEN)
        assert it.store.rosters().roster.members == (ben,)
