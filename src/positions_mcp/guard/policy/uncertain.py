"""G-12 where cover cannot be judged: short options that deliver what is not known, and what may be covering them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.operation.plan import CancelTarget, InstructionTarget
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.portfolio.uncertain import UncertainCover, cover_taken_by, may_deliver, uncertain_cover
from positions_mcp.domain.text import label
from positions_mcp.guard.account import Account
from positions_mcp.guard.policy.findings import Finding, Rule, Severity


def findings_on_uncertain_cover(
    policy: Policy, account: Account, touched: Collection[InstrumentId], bought_back: Collection[InstrumentId] = ()
) -> Iterator[Finding]:
    """What a plan would take away from a short option whose deliverable is not known: a person decides."""
    for found in uncertain_cover(account.book, touched, bought_back):
        yield Finding(
            rule=Rule.UNCOVERED,
            severity=Severity.NOTE if policy.allow_uncovered else Severity.DESK,
            limit="cover that can be judged",
            seen=found.short.name,
            message=said_of(found),
        )


def findings_on_instructions(
    policy: Policy, account: Account, targets: Sequence[InstructionTarget | CancelTarget]
) -> Iterator[Finding]:
    """The same for what exercising takes away, also from other short options, where what is exercised is not known."""
    yield from findings_on_uncertain_cover(policy, account, taken_by(targets, account))
    for option in exercised_by(targets, account):
        for taken in cover_taken_by(option, account.book):
            yield Finding(
                rule=Rule.UNCOVERED,
                severity=Severity.NOTE if policy.allow_uncovered else Severity.DESK,
                limit="a deliverable that is known",
                seen=option.name,
                message=f"Exercising {label(option.name)} may take {label(taken.share.name)}, which may cover the "
                f"short {label(taken.short.name)}: what it delivers is not known, so that cannot be judged.",
            )


def said_of(found: UncertainCover) -> str:
    """Why that cannot be judged, in one sentence."""
    return (
        f"{label(found.position.name)} may be covering the short {label(found.short.name)}: what that delivers is not "
        "known, so whether it would be left uncovered cannot be judged."
    )


def taken_by(targets: Iterable[InstructionTarget | CancelTarget], account: Account) -> tuple[InstrumentId, ...]:
    """The holdings that exercising may take away: the option itself, and what it delivers or buys back."""
    options = exercised_by(targets, account)
    return tuple(key for each in options for key in (each.instrument_id, *may_deliver(each, account.book)))


def exercised_by(targets: Iterable[InstructionTarget | CancelTarget], account: Account) -> tuple[Position, ...]:
    """The options that may be exercised for these.

    A cancelled DO_NOT_EXERCISE lets the option be exercised; a cancelled exercise takes nothing away.
    """
    exercising = [
        target.instrument_id
        for target in targets
        if (target.instruction_type is InstructionType.DO_NOT_EXERCISE) == isinstance(target, CancelTarget)
    ]
    return tuple(option for key in exercising if (option := account.book.by_id.get(key)) is not None)
