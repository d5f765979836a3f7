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
from positions_mcp.domain.operation.plan import InstructionTarget, Plan
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.portfolio.exposure import Exposed, Quantities, exposed, worsened
from positions_mcp.guard.account import Account
from positions_mcp.guard.policy.cover import counted_on, uncovered
from positions_mcp.guard.policy.findings import Finding, Severity

_Worse = tuple[tuple[Exposed, Exposed], ...]


def findings_on_submit(policy: Policy, plan: Plan, account: Account) -> Iterator[Finding]:
    """An instruction may not leave more short contracts uncovered, or unprotected, than before."""
    rows = [row for target in plan.instructions if (row := card_row(target, account.book)) is not None]
    quantities = counted_on(account, plan.plan_id, plan.instructions)
    yield from _findings(policy, _compared([], rows, account.book, quantities))


def findings_on_cancel(policy: Policy, plan: Plan, account: Account) -> Iterator[Finding]:
    """Nor may the cancel of one."""
    (target,) = plan.cancels
    option = account.book.by_id.get(target.instrument_id)
    if option is None or option.quantity <= 0 or option.contract is None or target.quantity is None:
        return
    free = before_the_instruction(account, target.instruction_id)
    stands = CardRow(position=option, instruction_type=target.instruction_type, quantity=target.quantity)
    if option.contract.expiration > new_york_day(account.book.as_of):
        # It stays held: nothing is exercised by exception before its expiration.
        yield from _findings(policy, _compared([stands], [], account.book, free))
        return
    exercised = exercised_tonight(option, account.book)
    ends = {True: InstructionType.EXERCISE, False: InstructionType.DO_NOT_EXERCISE}
    for happens in (True, False) if exercised is None else (exercised,):
        withdrawn = CardRow(position=option, instruction_type=ends[happens], quantity=target.quantity)
        worse = _compared([stands], [withdrawn], account.book, free)
        yield from _findings(policy, worse, perhaps=exercised is None)


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


def before_the_instruction(account: Account, instruction_id: InstructionId) -> Quantities:
    """What can be counted on as if the instruction had never been sent."""
    outstanding = account.outstanding and account.outstanding.without(instruction_id)
    return counted_on(replace(account, outstanding=outstanding), "")


def exercised_tonight(option: Position, book: Book) -> bool | None:
    """Whether exercise by exception takes it on the book's day; None where the underlying's price is not known."""
    price = underlying_price(find_underlying(option, book), book.as_of)
    if option.contract is None or price is None:
        return None
    return is_exercised_by_exception(option.contract, price.price)


def _compared(was: Sequence[CardRow], then: Sequence[CardRow], book: Book, quantities: Quantities) -> _Worse:
    """The groups that lack more cover once `then` is carried out than once `was` is."""
    whole = with_underlyings([*was, *then], book)
    before, after = (quantities_after(rows, whole, quantities) for rows in (was, then))
    return worsened(exposed(whole, before), exposed(whole, after))


def _findings(policy: Policy, worse: _Worse, *, perhaps: bool = False) -> Iterator[Finding]:
    doubt = "Depending on a price that is not known, it" if perhaps else "It"
    for was, now in worse:
        message = (
            f"{doubt} would leave short {now.name} without cover: {plain(now.uncovered)} uncovered "
            f"({plain(was.uncovered)} otherwise), {plain(now.unprotected)} unprotected "
            f"({plain(was.unprotected)} otherwise)."
        )
        yield uncovered(policy, was, now, message, severity=Severity.DESK if perhaps else Severity.REFUSE)
