"""Who approved it may still do so when each request leaves: asked again in the transaction that journals it (D-05)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from guard.delegated import sent_without_question, terms
from guard.desk import CALLER, PASSPHRASE, POLICY, Desk
from guard.exchange import raising
from guard.persons import BEN, TWO, Place, change, sent, two_people
from positions_mcp.domain.errors import OutcomeUnknown, Refused
from positions_mcp.domain.operation.operation import Conclusion
from positions_mcp.domain.operation.roster import Rights
from positions_mcp.domain.operation.statements import TERMINAL
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.guard.deciding import digest_of_row
from positions_mcp.guard.delegating import Delegation
from positions_mcp.guard.enrolling import changing_member, removing_member
from positions_mcp.guard.touches import Person, Touches
from positions_mcp.signing.keys import unlock

pytestmark = pytest.mark.requirement("D-05")
GONE = removing_member("Ben")
LESS = changing_member("Ben", rights=(Rights(approves=Decimal(10)),))
ONLY_SEES = changing_member("Ben", rights=(Rights(),))


@dataclass
class Meanwhile:
    """Lets something happen once, as soon as an operation passes a place on its way."""

    passing: str
    happens: Callable[[], Awaitable[object]] | None = None
    passed: list[str] = field(default_factory=list)

    async def __call__(self, name: str, operation_id: str) -> None:
        del operation_id
        self.passed.append(name)
        if name == self.passing and self.happens is not None:
            happens, self.happens = self.happens, None
            await happens()


@pytest.mark.parametrize("made", [GONE, LESS, ONLY_SEES], ids=["removed", "may approve less", "only sees"])
@pytest.mark.parametrize("passing", ["claimed", "read again"])
async def test_who_may_approve_it_no_more_sends_nothing_of_what_was_taken_for_sending(
    place: Place, tmp_path: Path, made: Any, passing: str
) -> None:
    meanwhile = Meanwhile(passing)
    async with two_people(tmp_path, POLICY, place=place, checkpoint=meanwhile) as it:
        operation = await it.asked("AAPL")
        await it.supervisor.approve(operation.operation_id, BEN, name="Ben")
        meanwhile.happens = lambda: change(it, made)
        assert not await sent(it, operation)
        assert passing in meanwhile.passed
        assert it.exchange.effects == []
        assert it.store.used(it.parts.mode, operation.account_id, it.clock.now().date()) == 0


async def test_of_a_batch_nothing_more_leaves_once_one_of_the_two_was_removed(place: Place, tmp_path: Path) -> None:
    meanwhile = Meanwhile("answered")
    async with two_people(tmp_path, place=place, checkpoint=meanwhile) as it:
        operation = await it.asked("AAPL", "MSFT")
        await it.supervisor.approve(operation.operation_id, BEN, name="Ben")
        await it.supervisor.approve(operation.operation_id, PASSPHRASE, name="Ana")
        meanwhile.happens = lambda: change(it, GONE)
        report = await it.guard.send_approved(operation.operation_id, caller=CALLER)
        assert [row.state for row in report.rows] == [RowState.SUBMITTED, RowState.NOT_SENT]
        assert len(it.exchange.effects) == 1


async def test_two_plans_of_one_person_each_are_not_both_sent_above_what_takes_two(
    place: Place, tmp_path: Path
) -> None:
    meanwhile = Meanwhile("read again")
    above = POLICY.model_copy(update={"two_persons_above": Decimal(20_000)})
    async with two_people(tmp_path, above, place=place, checkpoint=meanwhile) as it:
        first, second = await it.asked("AAPL"), await it.asked("TSLA")
        for each in (first, second):
            assert each.plan.measure <= 20_000 < first.plan.measure + second.plan.measure
            await it.supervisor.approve(each.operation_id, PASSPHRASE, name="Ana")
        meanwhile.happens = lambda: sent(it, second)
        report = await it.guard.send_approved(first.operation_id, caller=CALLER)
        assert report.anything_sent is False
        assert "It takes 2 people" in report.reason
        assert len(it.exchange.effects) == 1


async def test_what_goes_under_a_mandate_counts_for_the_amount_of_who_signed_it(place: Place, tmp_path: Path) -> None:
    async with two_people(tmp_path, POLICY, place=place, approves=Decimal(20_000)) as it:
        delegation = Delegation(it.parts)
        for _ in range(2):
            draft = await delegation.draft(terms(in_all=Decimal(20_000)), by="ben", shadow=timedelta(days=1))
            await delegation.sign(draft.mandate_id, BEN, digest=draft.digest, name="Ben")
        assert await sent_without_question(it, "AAPL") is not None
        assert await sent_without_question(it, "TSLA") is None
        operation = await it.asked("TSLA")
        with pytest.raises(Refused, match=r"\$15,050.00 is used"):
            await it.supervisor.approve(operation.operation_id, BEN, name="Ben")
        assert len(it.exchange.effects) == 1


@pytest.mark.parametrize("made", [GONE, ONLY_SEES], ids=["removed", "only sees"])
async def test_nothing_goes_under_a_mandate_once_who_signed_it_may_not_approve_as_much(
    place: Place, tmp_path: Path, made: Any
) -> None:
    meanwhile = Meanwhile("read again")
    async with two_people(tmp_path, POLICY, place=place, checkpoint=meanwhile) as it:
        delegation = Delegation(it.parts)
        draft = await delegation.draft(terms(), by="ben", shadow=timedelta(days=1))
        await delegation.sign(draft.mandate_id, BEN, digest=draft.digest, name="Ben")
        meanwhile.happens = lambda: change(it, made)
        report = await sent_without_question(it, "AAPL")
        assert report is not None
        assert report.anything_sent is False
        assert it.exchange.effects == []


async def test_a_person_who_was_removed_flattens_nothing_more(place: Place, tmp_path: Path) -> None:
    meanwhile = Meanwhile("claimed")
    async with two_people(tmp_path, place=place, checkpoint=meanwhile) as it:
        flattening = await it.supervisor.plan_flatten(it.request().account_id, None, by="Ben")
        meanwhile.happens = lambda: change(it, GONE)
        done = await it.supervisor.flatten(flattening, BEN, typed_account="19816", name="Ben")
        assert done.anything_sent is False
        assert it.exchange.effects == []


async def ben_at(it: Desk, touches: Touches) -> tuple[Person, Any]:
    """Ben with his key."""
    key = (await touches.member("Ben")).credentials[0]
    return Person("Ben", key.fingerprint, TERMINAL), unlock(key, BEN)


@pytest.mark.parametrize("made", [GONE, ONLY_SEES], ids=["removed", "only sees"])
async def test_who_may_not_any_more_neither_resumes_nor_settles_what_they_had_signed(
    place: Place, tmp_path: Path, made: Any
) -> None:
    settles = {"rights": {"resumes_and_settles": True}}
    async with two_people(tmp_path, POLICY, place=place, **settles) as it:
        it.exchange.before.append(raising(OutcomeUnknown("dropped")))
        asked = await it.asked("AAPL")
        await it.guard.send_elicited(asked, caller=CALLER, client="Claude")
        lost = it.store.operation(asked.operation_id)
        await it.supervisor.halt("a storm", by="root")
        touches = Touches(it.parts)
        ben, key = await ben_at(it, touches)
        shown = digest_of_row(lost, lost.rows[0])
        said = {"evidence": "a call", "shown": shown}
        settling = await touches.settlement(lost.operation_id, 0, Conclusion.DID_NOT, ben, **said)
        resuming = await touches.resumption(ben, shown=None)
        await change(it, made)
        for touch in (settling, resuming):
            with pytest.raises(Refused):
                await touch.sign(key)
        assert it.store.halts()
        assert it.store.operation(lost.operation_id).rows[0].is_in_doubt


@pytest.mark.parametrize("made", [GONE, LESS], ids=["removed", "may approve less"])
async def test_a_first_yes_that_counts_no_more_makes_room_for_another_one(
    place: Place, tmp_path: Path, made: Any
) -> None:
    async with two_people(tmp_path, TWO, place=place) as it:
        operation = await it.asked("AAPL")
        await it.supervisor.approve(operation.operation_id, BEN, name="Ben")
        await change(it, made)
        await it.supervisor.approve(operation.operation_id, PASSPHRASE, name="Ana")
        assert not await sent(it, operation)
        if made is GONE:
            stored = it.store.operation(operation.operation_id)
            assert stored.state(it.clock.now()) is OperationState.AWAITING_APPROVAL
            assert it.store.first_yes(operation.operation_id).statement.name == "Ana"
