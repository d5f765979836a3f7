"""Whether an exercise, or the cancel of one, would leave a short option without cover (G-12)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.account.quotes import find_underlying, is_exercised_by_exception, underlying_price
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.exercise.cards import CardRow
from positions_mcp.domain.exercise.consequences import quantities_after, with_underlyings
from positions_mcp.domain.ids import InstructionId
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.plan import CancelTarget, InstructionTarget, Kind, Plan
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.portfolio.exposure import Exposed, Quantities, exposed, worsened
from positions_mcp.guard.coverage import counted_on
from positions_mcp.guard.facts import Facts
from positions_mcp.guard.verdict import Finding, Rule, Severity

_Worse = tuple[tuple[Exposed, Exposed], ...]


def judge(policy: Policy, plan: Plan, facts: Facts) -> Iterator[Finding]:
    """An instruction or its cancel may not leave more short contracts uncovered, or unprotected, than before."""
    if plan.kind is Kind.SUBMIT_INSTRUCTIONS:
        rows = [row for target in plan.instructions if (row := card_row(target, facts.book)) is not None]
        yield from _findings(policy, _after(rows, facts.book, counted_on(facts, plan.plan_id, plan.instructions)))
    for target in plan.cancels:
        yield from _of_cancel(policy, target, facts)


def card_row(target: InstructionTarget, book: Book) -> CardRow | None:
    """The target as a row of a consequence card; None where nothing of it is held long any more."""
    held = book.by_id.get(target.instrument_id)
    if held is None or held.quantity <= 0 or held.contract is None:
        return None
    return CardRow(position=held, instruction_type=target.instruction_type, quantity=target.quantity)


def opposite_of(kind: InstructionType) -> InstructionType:
    """What may happen once an instruction is withdrawn."""
    if kind is InstructionType.DO_NOT_EXERCISE:
        return InstructionType.EXERCISE
    return InstructionType.DO_NOT_EXERCISE


def before_the_instruction(facts: Facts, instruction_id: InstructionId) -> Quantities:
    """What can be counted on as if the instruction had never been sent."""
    outstanding = facts.outstanding and facts.outstanding.without(instruction_id)
    return counted_on(replace(facts, outstanding=outstanding), "")


def exercised_tonight(option: Position, book: Book) -> bool | None:
    """Whether exercise by exception takes it on the book's day; None where the underlying's price is not known."""
    price = underlying_price(find_underlying(option, book), book.as_of)
    if option.contract is None or price is None:
        return None
    return is_exercised_by_exception(option.contract, price.price)


def _of_cancel(policy: Policy, target: CancelTarget, facts: Facts) -> Iterator[Finding]:
    option = facts.book.by_id.get(target.instrument_id)
    if option is None or option.quantity <= 0 or option.contract is None or target.quantity is None:
        return
    free = before_the_instruction(facts, target.instruction_id)
    stands = CardRow(position=option, instruction_type=target.instruction_type, quantity=target.quantity)
    if option.contract.expiration > new_york_day(facts.book.as_of):
        # It stays held: nothing is exercised by exception before its expiration.
        yield from _findings(policy, _compared([stands], [], facts.book, free))
        return
    exercised = exercised_tonight(option, facts.book)
    ends = {True: InstructionType.EXERCISE, False: InstructionType.DO_NOT_EXERCISE}
    for happens in (True, False) if exercised is None else (exercised,):
        withdrawn = CardRow(position=option, instruction_type=ends[happens], quantity=target.quantity)
        worse = _compared([stands], [withdrawn], facts.book, free)
        yield from _findings(policy, worse, perhaps=exercised is None)


def _after(rows: Sequence[CardRow], book: Book, quantities: Quantities) -> _Worse:
    return _compared([], rows, book, quantities)


def _compared(was: Sequence[CardRow], then: Sequence[CardRow], book: Book, quantities: Quantities) -> _Worse:
    """The groups that lack more cover once `then` is carried out than once `was` is."""
    whole = with_underlyings([*was, *then], book)
    before, after = (quantities_after(rows, whole, quantities) for rows in (was, then))
    return worsened(exposed(whole, before), exposed(whole, after))


def _findings(policy: Policy, worse: _Worse, *, perhaps: bool = False) -> Iterator[Finding]:
    for was, now in worse:
        severity = Severity.DESK if perhaps else Severity.REFUSE
        doubt = "Depending on a price that is not known, it" if perhaps else "It"
        yield Finding(
            rule=Rule.UNCOVERED,
            severity=Severity.NOTE if policy.allow_uncovered else severity,
            limit=f"{plain(was.uncovered)} uncovered, {plain(was.unprotected)} unprotected, as now",
            seen=f"{plain(now.uncovered)} uncovered, {plain(now.unprotected)} unprotected",
            message=f"{doubt} would leave short {now.name} without cover: {plain(now.uncovered)} uncovered "
            f"({plain(was.uncovered)} otherwise), {plain(now.unprotected)} unprotected "
            f"({plain(was.unprotected)} otherwise).",
        )
