"""Plans about instructions: what they measure, what they would uncover, and when they are stale."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from guard.clearing import (
    CALL,
    CALL_220,
    CALL_230,
    GIVING_UP,
    PUT,
    PUT_220,
    SHARES,
    SHORT,
    clearing_desk,
    listed,
    row,
    usual_book,
)
from guard.desk import POLICY
from guard.exchange import held, instrument, raising
from positions_mcp.domain.enums import InstructionStatus, SecurityType
from positions_mcp.domain.errors import InvalidBatch, InvalidInput, OutcomeUnknown
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.guard.approval.questions import Rung
from positions_mcp.guard.policy.findings import Rule, Severity, Verdict

BEFORE_THE_OPENING = timedelta(hours=1, minutes=2)
"""From 10:30, which the clock shows, back to two minutes before 09:30."""


def rules(verdict: Verdict | None) -> list[Rule]:
    assert verdict is not None
    return [finding.rule for finding in verdict.refusals]


LATER = "AAPL261218C00230000"
"""Stays short after tonight, as `CALL_230` does not."""


def covered_calls(shares: int = 200, price: str | None = "231.00", *, short: str = CALL_230):
    """Shares, long puts and calls of 220 that end tonight, and four short calls that they cover."""
    facts = {"underlying_instrument_id": instrument(SHARES)}
    return (
        held("AAPL", shares, price=price, number=SHARES),
        held(PUT_220, 2, price="0.01", number=PUT, **facts),
        held(CALL_220, 2, price="11.10", number=CALL, **facts),
        held(short, -4, price="1.20", number=SHORT, **facts),
    )


@pytest.mark.requirement("G-10")
async def test_an_exercise_measures_its_strike_and_a_do_not_exercise_its_intrinsic_value(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        planned = await it.plan(row(CALL_220, "EXERCISE", 2), row(PUT_220, "CONTRARY_EXERCISE", 1))
        assert [target.measure for target in planned.operation.plan.targets] == [44_000, 22_000]
        planned = await it.plan(row(CALL_220, "DO_NOT_EXERCISE", 3), row(PUT_220, "DO_NOT_EXERCISE", 3))
        assert [target.measure for target in planned.operation.plan.targets] == [3_300, 0]


@pytest.mark.requirement("G-10")
async def test_cancelling_counts_for_what_the_instruction_prevented(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        it.desk.exchange.instructions += [listed(1, "DO_NOT_EXERCISE", 2), listed(2, "EXERCISE", 2)]
        assert (await it.plan_cancel(1)).operation.plan.measure == 44_000
        assert (await it.plan_cancel(2)).operation.plan.measure == 2_200


@pytest.mark.requirement("G-10")
async def test_limits_hold_for_instructions_too(tmp_path: Path) -> None:
    policy = POLICY.model_copy(update={"max_notional": Decimal(30_000), "max_positions": 1})
    async with clearing_desk(tmp_path, policy=policy) as it:
        assert rules((await it.plan(row(CALL_220, quantity=2))).verdict) == [Rule.NOTIONAL_PER_OPERATION]
        both = await it.plan(row(CALL_220, "DO_NOT_EXERCISE"), row(PUT_220, "DO_NOT_EXERCISE"))
        assert rules(both.verdict) == [Rule.POSITIONS_PER_OPERATION]
        step = await it.desk.guard.step(both, can_elicit=True)
        assert step.rung is Rung.REFUSE


@pytest.mark.requirement("G-12")
@pytest.mark.parametrize(
    ("kind", "symbol", "uncovers"),
    [
        ("EXERCISE", PUT_220, True),  # delivers the shares that cover
        ("DO_NOT_EXERCISE", CALL_220, True),  # gives up the long that covers
        ("EXERCISE", CALL_220, False),  # shares take the long's place
        ("DO_NOT_EXERCISE", PUT_220, False),
    ],
)
async def test_an_instruction_may_not_uncover_a_short(
    tmp_path: Path, kind: str, symbol: str, *, uncovers: bool
) -> None:
    async with clearing_desk(tmp_path, positions=covered_calls()) as it:
        planned = await it.plan(row(symbol, kind, 1))
        assert rules(planned.verdict) == ([Rule.UNCOVERED] if uncovers else [])
        allowed = POLICY.model_copy(update={"allow_uncovered": True})
    async with clearing_desk(tmp_path, positions=covered_calls(), policy=allowed, place=tmp_path / "two") as it:
        planned = await it.plan(row(symbol, kind, 1))
        assert rules(planned.verdict) == []
        assert planned.verdict is not None
        noted = [finding.rule for finding in planned.verdict.findings if finding.severity is Severity.NOTE]
        assert (Rule.UNCOVERED in noted) is uncovers


@pytest.mark.requirement("G-12")
async def test_the_rows_of_a_batch_are_judged_together(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path, positions=covered_calls(shares=300)) as it:
        assert rules((await it.plan(row(PUT_220, "EXERCISE", 1))).verdict) == []
        together = await it.plan(row(PUT_220, "EXERCISE", 1), row(CALL_220, "DO_NOT_EXERCISE", 1))
        assert rules(together.verdict) == [Rule.UNCOVERED]


@pytest.mark.requirement("G-12")
@pytest.mark.parametrize(("short", "refused"), [(LATER, [Rule.UNCOVERED]), (CALL_230, [])])
async def test_a_cancel_may_not_rearm_an_exercise_that_uncovers_what_stays_short(
    tmp_path: Path, short: str, refused: list[Rule]
) -> None:
    async with clearing_desk(tmp_path, positions=covered_calls(price="210.00", short=short)) as it:
        it.desk.exchange.instructions.append(listed(1, "DO_NOT_EXERCISE", 2, at=PUT))
        planned = await it.plan_cancel(1)
        assert rules(planned.verdict) == refused
        it.desk.exchange.change(SHARES, instrument_price=Decimal(231))
        assert rules((await it.plan_cancel(1)).verdict) == []


@pytest.mark.requirement("G-12")
@pytest.mark.parametrize(("short", "refused"), [(LATER, [Rule.UNCOVERED]), (CALL_230, [])])
async def test_a_cancel_may_not_take_away_the_shares_that_would_cover_what_stays_short(
    tmp_path: Path, short: str, refused: list[Rule]
) -> None:
    async with clearing_desk(tmp_path, positions=covered_calls(price="210.00", short=short)) as it:
        it.desk.exchange.instructions.append(listed(1, "EXERCISE", 2))
        assert rules((await it.plan_cancel(1)).verdict) == refused  # the call lapses out of the money
        it.desk.exchange.change(SHARES, instrument_price=Decimal(231))
        assert rules((await it.plan_cancel(1)).verdict) == []  # it is exercised by exception


@pytest.mark.requirement("G-12", "G-10")
async def test_a_cancel_whose_consequence_hangs_on_an_unknown_price_needs_the_desk(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path, positions=covered_calls(price=None, short=LATER)) as it:
        it.desk.exchange.instructions.append(listed(1, "DO_NOT_EXERCISE", 2, at=PUT))
        planned = await it.plan_cancel(1)
        assert planned.verdict is not None
        assert Rule.UNCOVERED in [finding.rule for finding in planned.verdict.needs_desk]


@pytest.mark.requirement("I-02")
async def test_keys_are_made_once_and_kept_in_the_plan(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        first = (await it.plan(row(CALL_220), row(PUT_220, key="mine"))).operation.plan
        it.desk.clock.advance(timedelta(minutes=1))
        again = (await it.plan(row(PUT_220, key="mine"), row("AAPL 261120C00220000"))).operation.plan
        assert again == first
        assert first.instructions[1].instruction_key == "mine"
        it.desk.clock.advance(timedelta(minutes=5))
        later = (await it.plan(row(CALL_220), row(PUT_220, key="mine"))).operation.plan
        assert later.plan_id != first.plan_id
        assert later.instructions[0].instruction_key != first.instructions[0].instruction_key


@pytest.mark.requirement("G-03")
@pytest.mark.parametrize(
    ("number", "change", "reason"),
    [
        (CALL, {"quantity": Decimal(1), "available_quantity": Decimal(1)}, "Insufficient position"),
        (CALL, {"quantity": Decimal(-5)}, "held short"),
        (SHARES, {"instrument_price": Decimal(219)}, "would now do the opposite of what was shown"),
        (SHARES, {"instrument_price": Decimal(260)}, "moved +12.6 %, beyond the tolerance of 10 %"),
        (SHARES, {"instrument_price": None}, "has no price now"),
    ],
)
async def test_what_was_shown_and_no_longer_holds_is_stale(
    tmp_path: Path, number: int, change: dict[str, object], reason: str
) -> None:
    async with clearing_desk(tmp_path) as it:
        planned = await it.plan(row(CALL_220, quantity=2))
        operation = await it.desk.guard.ask(planned.operation)
        it.desk.exchange.change(number, **change)
        report = await it.send(type(planned)(operation, planned.verdict))
        assert report.state is OperationState.STALE
        assert reason in report.reason
        assert it.clearing.requests == []


@pytest.mark.requirement("G-03")
async def test_fewer_contracts_than_planned_but_enough_are_not_stale(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        planned = await it.plan(row(CALL_220, quantity=2))
        it.desk.exchange.change(CALL, quantity=Decimal(2), available_quantity=Decimal(2))
        assert (await it.send(planned)).state is OperationState.SUBMITTED


@pytest.mark.requirement("G-03", "I-03")
async def test_a_deadline_that_passes_before_sending_is_stale(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        it.desk.clock.advance(timedelta(hours=6, minutes=59))  # 17:29 in New York
        planned = await it.plan(row(CALL_220))
        it.desk.clock.advance(timedelta(minutes=1))
        report = await it.send(planned)
        assert report.state is OperationState.STALE
        assert "ended on 2026-11-20 at 17:30 New York time" in report.reason
        assert it.clearing.requests == []
        with pytest.raises(InvalidBatch, match="17:30"):
            await it.plan(row(CALL_220))


@pytest.mark.requirement("G-03", "I-03")
async def test_what_stands_against_several_rows_alike_is_said_once(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        it.desk.clock.advance(timedelta(hours=6, minutes=59))  # 17:29 in New York
        planned = await it.plan(row(CALL_220), row(PUT_220, "DO_NOT_EXERCISE"))
        first, second = (" ".join(target.consequences) for target in planned.operation.plan.instructions)
        soon = "The cut-off is at 17:30 New York time, in less than 15 minutes."
        assert (f"Warning for rows 1, 2: {soon}" in first, soon in second) == (True, False)
        it.desk.clock.advance(timedelta(minutes=1))
        over = f"Instructions on each of 2 ({CALL_220}, {PUT_220}) ended on 2026-11-20 at 17:30 New York time."
        assert over in (await it.send(planned)).reason
        with pytest.raises(InvalidBatch) as refused:
            await it.plan(row(CALL_220), row(PUT_220), row("MSFT"), row("TSLA", quantity="0"))
        assert refused.value.message.startswith(f"4 of 4 rows may not be submitted. {over} Row 3: ")
        assert set(refused.value.reasons) == {0, 1, 2, 3}


@pytest.mark.requirement("I-03")
async def test_a_batch_with_two_cut_offs_names_the_first_as_such(tmp_path: Path) -> None:
    index = held("SPX261120C06000000", 1, price="10", number=9, underlying_instrument_type=SecurityType.INDEX)
    async with clearing_desk(tmp_path, positions=[*usual_book(), index]) as it:
        it.desk.clock.advance(-BEFORE_THE_OPENING)
        session = (await it.plan(row("SPX261120C06000000"), row(CALL_220))).operation.plan.session
        first = "instructions are taken until Fri 2026-11-20 09:30 New York"
        assert session == f"{first}, the first cut-off of its rows"


@pytest.mark.requirement("G-03", "I-05")
@pytest.mark.parametrize("status", [InstructionStatus.ACCEPTED, InstructionStatus.CANCELLED])
async def test_an_instruction_that_ended_meanwhile_is_not_cancelled(tmp_path: Path, status: InstructionStatus) -> None:
    async with clearing_desk(tmp_path) as it:
        it.desk.exchange.instructions.append(listed(1, "DO_NOT_EXERCISE", 2))
        planned = await it.plan_cancel(1)
        it.clearing.become(it.desk.exchange.instructions[0].id, status)
        report = await it.send(planned)
        assert report.state is OperationState.STALE
        assert f"it is {status}, which is final" in report.reason
        assert it.clearing.requests == []
        with pytest.raises(InvalidInput, match="which is final"):
            await it.plan_cancel(1)


@pytest.mark.requirement("I-04")
async def test_a_plan_says_what_it_could_not_read(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path, instructions=None) as it:
        plan = (await it.plan(row(CALL_220))).operation.plan
        assert "what is already instructed is not known" in " ".join(plan.warnings)
        with pytest.raises(InvalidInput, match="could not be read"):
            await it.plan_cancel(1)


async def test_an_index_option_has_no_shares_and_its_cash_is_not_known(tmp_path: Path) -> None:
    index = held("SPX261120C06000000", 1, price="10", number=9, underlying_instrument_type=SecurityType.INDEX)
    async with clearing_desk(tmp_path, positions=[*usual_book(), index]) as it:
        it.desk.clock.advance(-BEFORE_THE_OPENING)
        planned = await it.plan(row("SPX261120C06000000"))
        (target,) = planned.operation.plan.instructions
        assert any("cash not known, no shares" in line for line in target.consequences)
        assert planned.operation.plan.session == "instructions are taken until Fri 2026-11-20 09:30 New York"
        it.desk.clock.advance(BEFORE_THE_OPENING - timedelta(hours=1))
        report = await it.send(planned)
        assert report.state is OperationState.STALE
        assert "ended on 2026-11-20 at 09:30 New York time, when the opening settled it" in report.reason


@pytest.mark.requirement("I-05")
@pytest.mark.parametrize(
    ("symbol", "kind", "sent", "ends"),
    [
        ("SPX261120C06000000", "EXERCISE", "2026-11-20T14:00:00Z", "2026-11-20 09:30"),
        ("SPX261120C06000000", "DO_NOT_EXERCISE", "2026-11-20T14:00:00Z", "2026-11-20 09:30"),
        ("SPX261120C06000000", "DO_NOT_EXERCISE", None, "2026-11-20 09:30"),
        ("AAPL261120C00220000", "DO_NOT_EXERCISE", "2026-11-20T15:00:00Z", None),
        ("AAPL261119C00220000", "DO_NOT_EXERCISE", "2026-11-19T15:00:00Z", "2026-11-19 17:30"),
        ("AAPL261218C00220000", "EXERCISE", "2026-11-19T15:00:00Z", "2026-11-19 17:30"),
        ("AAPL261218C00220000", "EXERCISE", "2026-11-19T23:00:00Z", None),
        ("AAPL261218C00220000", "EXERCISE", None, None),
    ],
)
async def test_a_cancel_after_the_last_moment_for_it_says_so(
    tmp_path: Path, symbol: str, kind: str, sent: str | None, ends: str | None
) -> None:
    late = f"This cancel is late: instructions on {symbol} ended on {ends} New York."
    async with clearing_desk(tmp_path, positions=[held(symbol, 2, price="10", number=CALL)]) as it:
        it.desk.exchange.instructions.append(listed(1, kind, 2, symbol=symbol, created_at=sent))
        warnings = " ".join((await it.plan_cancel(1)).operation.plan.warnings)
        assert (late in warnings) if ends else ("This cancel is late" not in warnings)


@pytest.mark.requirement("G-03", "I-05")
async def test_a_cancel_whose_last_moment_comes_before_it_is_sent_is_stale(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        it.desk.exchange.instructions.append(listed(1, "DO_NOT_EXERCISE", 2))
        it.desk.clock.advance(timedelta(hours=6, minutes=59))
        planned = await it.plan_cancel(1)
        assert planned.operation.plan.warnings == ()
        it.desk.clock.advance(timedelta(minutes=2))
        report = await it.send(planned)
        assert report.state is OperationState.STALE
        assert f"instructions on {CALL_220} ended on 2026-11-20 17:30 New York" in report.reason
        assert it.clearing.requests == []
        again = await it.plan_cancel(1)
        assert again.operation.operation_id != planned.operation.operation_id
        assert (await it.send(again)).state is not OperationState.STALE


@pytest.mark.requirement("G-05", "G-12")
async def test_shares_that_an_exercise_of_unknown_outcome_may_deliver_cover_nothing(tmp_path: Path) -> None:
    facts = {"underlying_instrument_id": instrument(SHARES)}
    positions = (
        held("AAPL", 200, price="231.00", number=SHARES),
        held(PUT_220, 2, price="0.01", number=PUT, **facts),
        held(CALL_220, 1, price="11.10", number=CALL, **facts),
        held(CALL_230, -2, price="1.20", number=SHORT, **facts),
    )
    async with clearing_desk(tmp_path, positions=positions, policy=GIVING_UP) as it:
        it.clearing.after.append(raising(OutcomeUnknown("dropped")))
        exercise = row(PUT_220, "EXERCISE", 1, key="mine")
        sent = await it.submit(exercise)
        assert sent.state is OperationState.UNKNOWN
        it.desk.exchange.instructions.clear()
        assert Rule.UNCOVERED in rules((await it.desk.plan(CALL_220)).verdict)
        assert Rule.UNCOVERED not in rules((await it.plan(exercise)).verdict)
