"""Human decisions: bound to one plan, signed where they come from the desk, used once, and lapsing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from guard.desk import CALLER, PASSPHRASE, POLICY, QUICK, Desk, desk
from positions_mcp.domain.errors import InvalidInput, Overtaken, Refused, StoreUnavailable
from positions_mcp.domain.operation.operation import Decision
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.domain.operation.policy import Channel, Policy
from positions_mcp.domain.operation.roster import whole_member
from positions_mcp.domain.operation.statements import KeySignature
from positions_mcp.domain.operation.states import OperationState, Stage
from positions_mcp.guard.approval.check import ApprovalCheck, expect_approved
from positions_mcp.guard.approval.questions import Rung
from positions_mcp.guard.asking import Wait
from positions_mcp.guard.guard import Guard
from positions_mcp.signing.keys import ScryptCost, Unlocked, new_key
from positions_mcp.signing.rosters import RosterChain
from signing.people import FIRST, link

LIFETIME = timedelta(seconds=60)
DESK_ONLY = Policy(**{**POLICY.model_dump(), "channel": Channel.DESK})


async def state_of(it: Desk, operation_id: str) -> OperationState:
    return (await it.guard.operation(operation_id)).state


@pytest.mark.requirement("G-01")
async def test_without_form_elicitation_and_without_an_approver_the_person_is_told_what_to_run(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        planned = await it.plan("AAPL")
        step = await it.guard.step(planned, can_elicit=False)
        assert step.rung is Rung.REFUSE
        assert step.for_the_person.endswith("positions-mcp approver init")
        await it.supervisor.set_up_approver(PASSPHRASE)
        step = await it.guard.step(planned, can_elicit=False)
        assert step.rung is Rung.DESK
        assert step.for_the_person.endswith(f"positions-mcp approve {planned.operation.operation_id}")


@pytest.mark.requirement("G-01")
async def test_a_yes_in_the_client_is_not_enough_where_the_desk_is_required(tmp_path: Path) -> None:
    async with desk(tmp_path, policy=DESK_ONLY) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        operation = await it.asked("AAPL")
        with pytest.raises(Refused):
            await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        assert it.exchange.requests == []
        assert await state_of(it, operation.operation_id) is OperationState.AWAITING_APPROVAL


@pytest.mark.requirement("G-01")
async def test_a_form_cannot_approve_a_plan_that_was_never_put_before_a_person(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        operation = (await it.plan("AAPL")).operation
        with pytest.raises(Overtaken):
            await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        assert it.exchange.requests == []


@pytest.mark.requirement("G-02")
async def test_a_waiting_call_sends_as_soon_as_the_desk_says_yes_and_tells_how_long_it_waits(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        operation = await it.asked("AAPL")
        told: list[tuple[float, float]] = []

        async def on_wait(waited: float, at_most: float) -> None:
            told.append((waited, at_most))
            if len(told) == 3:
                await it.supervisor.approve(operation.operation_id, PASSPHRASE)

        report = await it.guard.wait_and_send(operation, caller=CALLER, wait=Wait(45, on_wait))
        assert report.state is OperationState.SUBMITTED
        assert len(it.exchange.requests) == 1
        assert [at_most for _, at_most in told] == [45, 45, 45]
        assert all(waited >= pauses for (waited, _), pauses in zip(told, (0.0, 0.1, 0.2), strict=True))
        assert "desk, approver" in report.decision


async def test_a_call_that_waits_in_vain_leaves_the_plan_open_for_the_desk(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.asked("AAPL")
        report = await it.guard.wait_and_send(operation, caller=CALLER, wait=Wait(45))
        assert report.state is OperationState.AWAITING_APPROVAL
        assert sum(it.pauses) == pytest.approx(45)
        report = await it.guard.wait_and_send(operation, caller=CALLER, wait=Wait(600))
        assert report.state is OperationState.EXPIRED


@pytest.mark.requirement("G-02")
async def test_a_desk_approval_that_no_call_uses_lapses_after_a_minute(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.approved_at_desk("AAPL")
        assert await state_of(it, operation.operation_id) is OperationState.APPROVED
        it.clock.advance(timedelta(seconds=60))
        with pytest.raises(Overtaken):
            await it.guard.send_approved(operation.operation_id, caller=CALLER)
        assert await state_of(it, operation.operation_id) is OperationState.LAPSED
        assert it.exchange.requests == []


@pytest.mark.requirement("G-02")
async def test_an_approval_that_lapses_while_the_store_is_waited_for_sends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path) as it:
        operation = await it.approved_at_desk("AAPL")
        claim = it.store.claim

        def after_a_wait(*args: Any, **kwargs: Any) -> Any:
            it.clock.advance(LIFETIME)
            return claim(*args, **kwargs)

        monkeypatch.setattr(it.store, "claim", after_a_wait)
        with pytest.raises(Overtaken, match="lapsed"):
            await it.guard.send_approved(operation.operation_id, caller=CALLER)
        assert it.exchange.requests == []


async def test_a_reject_at_the_desk_ends_the_waiting_call(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.asked("AAPL")
        await it.supervisor.reject(operation.operation_id, by="root")
        report = await it.guard.wait_and_send(operation, caller=CALLER, wait=Wait(45))
        assert report.state is OperationState.DECLINED
        assert report.anything_sent is False


@pytest.mark.requirement("G-02")
@pytest.mark.parametrize("passphrase", ["", "correct horse battery", PASSPHRASE.upper(), PASSPHRASE + " "])
async def test_a_wrong_passphrase_approves_nothing(tmp_path: Path, passphrase: str) -> None:
    async with desk(tmp_path) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        operation = await it.asked("AAPL")
        with pytest.raises(Refused, match="passphrase"):
            await it.supervisor.approve(operation.operation_id, passphrase)
        assert await state_of(it, operation.operation_id) is OperationState.AWAITING_APPROVAL


@pytest.mark.requirement("G-02", "D-04")
async def test_a_decision_is_good_for_one_plan_one_time_one_channel_and_as_it_was_signed(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.approved_at_desk("AAPL")
        one, two = operation.plan, (await it.plan("TSLA")).operation.plan
        decision = it.store.operation(operation.operation_id).decision
        chain, today = it.store.rosters(), it.clock.now().date()

        def check(plan: Plan, given: Decision, whose: RosterChain = chain) -> None:
            approved = operation.changed(plan=plan, decision=given)
            expect_approved(it.parts.policy, approved, whose, it.store, today=today)

        check(one, decision)
        signed = decision.signed
        wrong = [
            (two, decision),
            (one.changed(account_id=7), decision),
            (one.changed(caller="another"), decision),
            (one, decision.changed(expires_at=decision.expires_at + timedelta(seconds=1))),
            (one, decision.changed(note="another note")),
            (one, decision.changed(origin="elsewhere")),
            (one, decision.changed(by="Ben")),
            (one, decision.changed(signed=None, signature=signed.signature.signature)),
            (one, decision.changed(signed=signed.changed(signature=KeySignature(signature="00" * 64)))),
            (one, decision.changed(first=signed)),
        ]
        for plan, given in wrong:
            with pytest.raises(Refused):
                check(plan, given)
        for other in (RosterChain(), FIRST):
            with pytest.raises(Refused):
                check(one, decision, other)


@pytest.mark.requirement("G-01", "G-02")
async def test_a_yes_in_the_client_that_another_process_wrote_down_sends_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.asked("AAPL")
        forged = Decision(
            operation_id=operation.operation_id,
            digest=operation.plan.digest,
            channel=Channel.ELICITATION,
            approved=True,
            by="client Claude",
            decided_at=it.clock.now(),
            expires_at=it.clock.now() + timedelta(seconds=60),
        )
        it.store.decide(forged, it.clock.now())
        with pytest.raises(Refused):
            await it.guard.send_approved(operation.operation_id, caller=CALLER)
        with pytest.raises(Refused):
            await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        assert it.exchange.requests == []


@pytest.mark.requirement("G-01")
async def test_a_declined_set_of_targets_is_not_asked_about_again_for_ten_minutes_except_at_the_desk(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as it:
        declined = await it.asked("AAPL", "TSLA")
        await it.guard.decline(declined, client="Claude")
        for again in (await it.plan("TSLA", "AAPL"), await it.plan("AAPL", "TSLA", cancel_orders=True)):
            assert again.operation.operation_id != declined.operation_id
            assert (await it.guard.step(again, can_elicit=True)).rung is Rung.REFUSE
        await it.supervisor.set_up_approver(PASSPHRASE)
        again = await it.plan("AAPL", "TSLA")
        assert (await it.guard.step(again, can_elicit=True)).rung is Rung.DESK
        operation = await it.guard.ask(again.operation)
        with pytest.raises(Refused):
            await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        assert (await it.guard.step(await it.plan("AAPL"), can_elicit=True)).rung is Rung.ELICITATION
        it.clock.advance(timedelta(minutes=10))
        later = await it.plan("AAPL", "TSLA")
        assert (await it.guard.step(later, can_elicit=True)).rung is Rung.ELICITATION


@pytest.mark.requirement("G-02")
async def test_replacing_the_approver_needs_the_old_passphrase(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        first = it.store.rosters()
        with pytest.raises(Refused):
            await it.supervisor.set_up_approver("a completely new one")
        with pytest.raises(Refused):
            await it.supervisor.replace_approver("not the old one at all", "a completely new one")
        assert it.store.rosters() == first
        await it.supervisor.replace_approver(PASSPHRASE, "a completely new one")
        assert first.head in it.store.rosters().heads
        operation = await it.asked("AAPL")
        with pytest.raises(Refused):
            await it.supervisor.approve(operation.operation_id, PASSPHRASE)
        await it.supervisor.approve(operation.operation_id, "a completely new one")
        report = await it.guard.send_approved(operation.operation_id, caller=CALLER)
        assert report.state is OperationState.SUBMITTED


def forge_approver(it: Desk) -> Unlocked:
    """What somebody writes who may write the store, and does not know the passphrase."""
    thief = new_key("the thief's passphrase", it.clock.now(), hardness=QUICK)
    forged = link(it.store.rosters(), thief, "approver", whole_member("approver", thief.key))
    with pytest.raises(Refused, match="is not signed by an approver"):
        it.store.set_roster(forged, it.clock.now())
    with it.store._writing() as transaction:
        transaction.note(
            "roster set", "roster", forged.model_dump_json(), it.clock.now(), {"link": forged.model_dump(mode="json")}
        )
    return thief


@pytest.mark.requirement("G-02")
async def test_neither_a_running_nor_a_new_server_accepts_an_approver_that_the_old_one_did_not_endorse(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as it:
        await it.approved_at_desk("AAPL")
        await it.guard.send_approved((await it.plan("AAPL", create=False)).operation.operation_id, caller=CALLER)
        operation = await it.approved_at_desk("TSLA")
        forge_approver(it)
        new_server = Guard(it.parts)
        async with new_server:
            for server in (it.guard, new_server):
                with pytest.raises(StoreUnavailable, match="not signed by an approver"):
                    await server.send_approved(operation.operation_id, caller=CALLER)
        assert "not signed by an approver" in it.parts.store.verify().problem
        assert len(it.exchange.requests) == 1


@pytest.mark.requirement("G-02")
async def test_a_running_server_remembers_its_approver_although_the_whole_store_is_exchanged(tmp_path: Path) -> None:
    async with desk(tmp_path / "own") as it, desk(tmp_path / "thief") as thief:
        check = ApprovalCheck(it.parts)
        await it.supervisor.set_up_approver(PASSPHRASE)
        assert await check.rosters() == it.store.rosters()
        await thief.supervisor.set_up_approver("the thief's passphrase")
        check._deps = thief.parts
        with pytest.raises(Refused, match="without a signature"):
            await check.rosters()


def test_a_short_passphrase_is_refused_and_the_default_cost_is_high() -> None:
    from guard.exchange import FRIDAY

    with pytest.raises(InvalidInput):
        new_key("eleven char", FRIDAY)
    assert 128 * ScryptCost().r * ScryptCost().n >= 128 * 2**20


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_the_passphrase_is_in_no_file_of_the_store(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.approved_at_desk("AAPL")
        assert not [name for name, content in contents(tmp_path).items() if PASSPHRASE.encode() in content]


async def test_a_store_that_cannot_be_written_sends_nothing(tmp_path: Path) -> None:
    from store.test_opening import no_file_may_grow_beyond

    async with desk(tmp_path) as it:
        operation = await it.asked("AAPL")
        log = tmp_path / "operations.sqlite-wal"
        with no_file_may_grow_beyond(log.stat().st_size), pytest.raises(StoreUnavailable):
            await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        assert it.exchange.requests == []
        assert it.store.operation(operation.operation_id).stage is Stage.AWAITING_APPROVAL
