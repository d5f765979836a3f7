"""What a mandate lets through without a question, and what it never does (G-16)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from guard.delegated import sent_without_question, signed, terms
from guard.desk import CALLER, PASSPHRASE, POLICY, desk
from guard.exchange import held
from positions_mcp.domain.errors import InvalidInput, Refused, StoreUnavailable
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.guard.approval.questions import Rung
from positions_mcp.guard.delegating import Delegation

pytestmark = pytest.mark.requirement("G-16")


async def test_a_plan_under_a_mandate_is_sent_at_once_and_says_under_which_and_what_is_left(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        mandate = await signed(it, in_all=Decimal(20_000), operations=3)
        report = await sent_without_question(it, "AAPL")
        assert report is not None
        assert report.state is OperationState.SUBMITTED
        assert f"under mandate {mandate.mandate_id} signed by approver" in report.decision
        assert "2 of 3 operations and $4,950.00 of $20,000 left" in report.decision
        stored = it.store.operation(report.operation_id)
        assert stored is not None
        assert stored.decision is not None
        assert (stored.decision.channel, stored.decision.mandate) == (Channel.MANDATE, mandate.mandate_id)
        used = [entry.content for entry in it.store.journal() if entry.event == "mandate used"]
        assert [(each["operation"], each["use"]["operations_left"]) for each in used] == [(report.operation_id, 2)]
        assert it.store.verify().intact


NEVER: dict[str, tuple[dict[str, Any], tuple[str, ...], dict[str, Any]]] = {
    "another instrument": ({"instruments": ("AAPL",)}, ("MSFT",), {}),
    "one of two instruments": ({"instruments": ("AAPL",)}, ("AAPL", "MSFT"), {}),
    "close-all": ({}, (), {}),
    "open orders cancelled": ({}, ("AAPL",), {"cancel_orders": True}),
    "another caller": ({"callers": ("Ana",)}, ("AAPL",), {}),
    "more an operation": ({"per_operation": Decimal("15049.99")}, ("AAPL",), {}),
    "more than in all": ({"per_operation": Decimal(100), "in_all": Decimal(100)}, ("AAPL",), {}),
    "a price below": ({"prices": ({"instrument": "AAPL", "at_least": "150.51"},)}, ("AAPL",), {}),
    "a price above": ({"prices": ({"instrument": "AAPL", "at_most": "150.49"},)}, ("AAPL",), {}),
    "losses not known": ({"loss_at_most": Decimal(1)}, ("AAPL",), {}),
}


@pytest.mark.parametrize("name", NEVER)
async def test_what_a_mandate_does_not_say_is_asked_about(name: str, tmp_path: Path) -> None:
    fields, instruments, options = NEVER[name]
    async with desk(tmp_path) as it:
        await signed(it, **fields)
        assert await sent_without_question(it, *instruments, **options) is None
        assert it.exchange.effects == []


@pytest.mark.parametrize(
    ("pnl", "lost"), [("-5000.00", True), ("-4999.99", False), ("12.00", False)], ids=["more", "less", "a gain"]
)
async def test_it_closes_only_while_the_loss_is_at_most_what_it_says(pnl: str, lost: bool, tmp_path: Path) -> None:
    at_a_loss = held("AAPL", 100, price="150.50", number=1, unrealized_pnl=Decimal(pnl))
    async with desk(tmp_path, positions=[at_a_loss]) as it:
        await signed(it, loss_at_most=Decimal("4999.99"))
        assert (await sent_without_question(it, "AAPL") is None) is lost


async def test_an_underlying_covers_its_share_and_standard_options_and_no_adjusted_ones(tmp_path: Path) -> None:
    share, option = held("AAPL", 10, number=1), held("AAPL  280121C00195000", 1, number=2)
    adjusted = held("AAPL1 280121C00195000", 1, number=3)
    async with desk(tmp_path, positions=[share, option, adjusted]) as it:
        await signed(it, instruments=(), underlyings=("AAPL",))
        assert await sent_without_question(it, "AAPL  280121C00195000") is not None
        assert await sent_without_question(it, "AAPL") is not None
        assert await sent_without_question(it, "AAPL1 280121C00195000") is None


UNCERTAIN: dict[str, tuple[Any, ...]] = {
    "two of one name": (held("AAPL", 10, number=1), held("AAPL", 5, number=2)),
    "two of one name, differently written": (held("AAPL", 10, number=1), held("aapl", 5, number=2)),
    "a hidden character": (held("AA\u200bPL", 10, number=1),),
    "a type that is not known": (held("AAPL", 10, number=1, instrument_type=None),),
    "no price": (held("AAPL", 10, number=1, price=None),),
    "a side that contradicts": (held("AAPL", 10, number=1, position_type="SHORT"),),
}


@pytest.mark.parametrize("name", UNCERTAIN)
async def test_what_is_not_known_for_certain_is_asked_about(name: str, tmp_path: Path) -> None:
    from domain.books import POSITIONS

    rows = [POSITIONS.validate_python(each._asdict()) for each in UNCERTAIN[name]]
    async with desk(tmp_path, positions=rows) as it:
        await signed(it)
        assert await sent_without_question(it, rows[0].instrument_id) is None


async def test_an_unreadable_book_or_orders_are_asked_about(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await signed(it)
        it.exchange.consistent = False
        assert await sent_without_question(it, "AAPL") is None
        it.exchange.consistent, it.exchange.orders_fail = True, True
        assert await sent_without_question(it, "AAPL") is None


async def test_a_halt_stops_what_is_under_a_mandate_before_and_after_it_is_taken(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await signed(it)
        planned = await it.plan("AAPL")
        step = await it.guard.step(planned, can_elicit=True)
        await it.supervisor.halt("news", by="ana")
        assert (await it.guard.step(await it.plan("MSFT"), can_elicit=True)).rung is Rung.REFUSE
        report = await it.guard.send_under(planned.operation, step.mandate, caller=CALLER)
        assert report.state is OperationState.REFUSED
        assert it.exchange.effects == []


async def test_a_covered_call_is_not_uncovered_under_a_mandate_even_where_policy_allows_it(tmp_path: Path) -> None:
    covered = [held("AAPL", 100, number=1), held("AAPL  280121C00195000", -1, number=2)]
    for allowed in (False, True):
        policy = POLICY.model_copy(update={"allow_uncovered": allowed})
        async with desk(tmp_path / str(allowed), positions=covered, policy=policy) as it:
            await signed(it, instruments=(), underlyings=("AAPL",))
            assert await sent_without_question(it, "AAPL") is None
            assert it.exchange.effects == []


async def test_it_stands_for_the_supervisor_who_is_asked_above_an_amount_or_always(tmp_path: Path) -> None:
    for number, narrower in enumerate(({"desk_above": Decimal(0)}, {"channel": Channel.DESK})):
        async with desk(tmp_path / str(number), policy=POLICY.model_copy(update=narrower)) as it:
            await signed(it)
            assert await sent_without_question(it, "AAPL") is not None


async def test_what_a_person_has_just_declined_is_not_sent_under_a_mandate(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await signed(it)
        await it.guard.decline(await it.asked("AAPL"), client="Claude")
        assert await sent_without_question(it, "AAPL") is None
        it.clock.advance(POLICY.decline_rest)
        assert await sent_without_question(it, "AAPL") is not None


@pytest.mark.parametrize("at", ["a form", "the page"])
@pytest.mark.parametrize(
    ("no", "then"), [(("AAPL",), ("AAPL", "MSFT")), (("AAPL", "MSFT"), ("MSFT",)), ((), ("TSLA",))]
)
async def test_what_was_declined_as_a_part_of_another_plan_is_not_sent_either(
    no: tuple[str, ...], then: tuple[str, ...], at: str, tmp_path: Path
) -> None:
    async with desk(tmp_path) as it:
        await signed(it)
        asked = await it.asked(*no)
        if at == "a form":
            await it.guard.decline(asked, client="Claude")
        else:
            await it.supervisor.reject(asked.operation_id, by="Ana")
        assert await sent_without_question(it, *then) is None
        assert await sent_without_question(it, *then, caller="another agent") is None
        it.clock.advance(POLICY.decline_rest)
        assert await sent_without_question(it, *then) is not None


@pytest.mark.parametrize("no", [("AAPL",), ("AAPL", "MSFT"), ("MSFT",)])
async def test_a_no_between_choosing_a_mandate_and_taking_the_plan_for_sending_counts(
    no: tuple[str, ...], tmp_path: Path
) -> None:
    async with desk(tmp_path) as it:
        mandate = await signed(it)
        asked, planned = await it.asked(*no, caller="another agent"), await it.plan("AAPL")
        step = await it.guard.step(planned, can_elicit=True)
        assert step.rung is Rung.MANDATE
        await it.supervisor.reject(asked.operation_id, by="Ana")
        sending = partial(it.guard.send_under, planned.operation, mandate.mandate_id, caller=CALLER)
        if "AAPL" not in no:
            assert (await sending()).state is OperationState.SUBMITTED
            return
        with pytest.raises(Refused, match="just said no"):
            await sending()
        assert it.exchange.effects == []
        assert it.store.standing(mandate.mandate_id).uses == ()


async def test_operations_and_dollars_are_used_up(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await signed(it, operations=1)
        assert await sent_without_question(it, "AAPL") is not None
        assert await sent_without_question(it, "MSFT") is None
    async with desk(tmp_path / "dollars") as it:
        await signed(it, per_operation=Decimal(16_000), in_all=Decimal(19_049))
        assert await sent_without_question(it, "AAPL") is not None  # 15,050: 3,999 are left
        assert await sent_without_question(it, "MSFT") is None  # 4,000


async def test_a_price_that_has_risen_since_the_plan_counts_before_it_is_sent_and_afterwards(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        mandate = await signed(it, per_operation=Decimal(16_000), in_all=Decimal(19_200))
        planned = await it.plan("AAPL")
        step = await it.guard.step(planned, can_elicit=True)
        it.exchange.change(1, instrument_price=Decimal("160.01"), market_value=Decimal("16001.00"))
        report = await it.guard.send_under(planned.operation, step.mandate, caller=CALLER)
        assert report.state is OperationState.REFUSED
        assert "more than its $16,000 per operation" in report.reason
    async with desk(tmp_path / "again") as it:
        mandate = await signed(it, per_operation=Decimal(16_000), in_all=Decimal(19_200))
        planned = await it.plan("AAPL")
        it.exchange.change(1, instrument_price=Decimal("155.00"), market_value=Decimal("15500.00"))
        await it.guard.send_under(planned.operation, mandate.mandate_id, caller=CALLER)
        assert len(it.exchange.effects) == 1
        standing = it.store.mandate(mandate.mandate_id)
        assert standing is not None
        assert standing.notional_left == Decimal("3700.00")
        assert await sent_without_question(it, "MSFT") is None  # 4,000


async def test_it_ends_at_midnight_in_new_york_and_at_its_own_hour(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        mandate = await signed(it)
        assert mandate.window is not None
        assert mandate.window.ends.isoformat() == "2026-11-21T05:00:00+00:00"
        planned = await it.plan("AAPL")
        it.clock.at = mandate.window.ends - timedelta(seconds=1)
        assert await sent_without_question(it, "MSFT") is not None
        it.clock.at = mandate.window.ends
        assert await sent_without_question(it, "TSLA") is None
        with pytest.raises(Refused):
            await it.guard.send_under(planned.operation, mandate.mandate_id, caller=CALLER)


async def test_it_that_ends_while_the_account_is_read_again_sends_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        mandate = await signed(it)
        planned = await it.plan("AAPL")
        assert mandate.window is not None
        ends = mandate.window.ends
        it.clock.at = ends - timedelta(minutes=1)
        planned = await it.plan("MSFT")
        it.exchange.between_reads.append(lambda: setattr(it.clock, "at", ends))
        report = await it.guard.send_under(planned.operation, mandate.mandate_id, caller=CALLER)
        assert report.state is OperationState.REFUSED
        assert "ended at 2026-11-21 00:00:00 New York" in report.reason


async def test_a_revoked_mandate_sends_nothing_more_not_even_the_rest_of_an_operation(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        mandate = await signed(it)
        planned = await it.plan("AAPL", "MSFT")
        it.exchange.on_write = lambda _: it.store.revoke_mandate(mandate.mandate_id, "ana", it.clock.now()) and None
        report = await it.guard.send_under(planned.operation, mandate.mandate_id, caller=CALLER)
        assert len(it.exchange.effects) == 1
        assert "was revoked by ana" in report.reason
        it.exchange.on_write = None
        assert await sent_without_question(it, "TSLA") is None


async def test_only_the_draft_that_was_shown_is_signed_once_and_for_a_trading_day_at_hand(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.supervisor.set_up_approver(PASSPHRASE)
        delegation = Delegation(it.parts)
        draft = await delegation.draft(terms(), by="ana", shadow=timedelta(days=1))
        with pytest.raises(Refused, match="not the draft that was shown"):
            await delegation.sign(draft.mandate_id, PASSPHRASE, digest="0" * 64)
        with pytest.raises(Refused):
            await delegation.sign(draft.mandate_id, "another pass phrase", digest=draft.digest)
        for day in ("2026-11-21", "2026-11-19", "2026-11-24"):
            with pytest.raises(InvalidInput, match="2026-11-20 or 2026-11-23"):
                await delegation.sign(
                    draft.mandate_id, PASSPHRASE, digest=draft.digest, day=it.clock.now().date().fromisoformat(day)
                )
        await delegation.sign(draft.mandate_id, PASSPHRASE, digest=draft.digest)
        with pytest.raises(Refused, match="no draft"):
            await delegation.sign(draft.mandate_id, PASSPHRASE, digest=draft.digest)


async def test_a_draft_lets_nothing_through_and_notes_what_it_would_have(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        delegation = Delegation(it.parts)
        draft = await delegation.draft(terms(operations=1), by="ana", shadow=timedelta(days=1))
        for names in (("AAPL",), ("AAPL",), ("MSFT",), ()):
            assert await sent_without_question(it, *names) is None
            it.clock.advance(timedelta(seconds=1))
    async with desk(tmp_path) as it:  # what was noted in the background is there once the server has ended
        delegation = Delegation(it.parts)
        shadows = await delegation.shadows(await delegation.show(draft.mandate_id))
        assert [(each.note.symbols, bool(each.why_not)) for each in shadows] == [
            (("AAPL",), False),
            (("MSFT",), True),
            (("TSLA", "AAPL", "MSFT"), True),
        ]
        assert "All 1 of its operations" in shadows[1].why_not[0]
        assert "never under a mandate" in shadows[2].why_not[0]


async def test_what_cannot_be_noted_fails_no_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise StoreUnavailable("The disk is full.")

    async with desk(tmp_path) as it:
        await Delegation(it.parts).draft(terms(), by="ana", shadow=timedelta(days=1))
        monkeypatch.setattr(it.store, "note_shadows", broken)
        assert (await it.plan("AAPL")).operation.plan.closes
