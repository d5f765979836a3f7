"""G-12 where cover cannot be judged: short options that deliver what is not known, and what may be covering them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.operation.plan import CancelTarget, InstructionTarget
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.portfolio.uncertain import UncertainCover, may_deliver, uncertain_cover
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


def said_of(found: UncertainCover) -> str:
    """Why that cannot be judged, in one sentence."""
    return (
        f"{label(found.position.name)} may be covering the short {label(found.short.name)}: what that delivers is not "
        "known, so whether it would be left uncovered cannot be judged."
    )


def taken_by(targets: Iterable[InstructionTarget | CancelTarget], account: Account) -> tuple[InstrumentId, ...]:
    """The holdings that exercising may take away: the option itself, and what it delivers or buys back.

    A cancelled DO_NOT_EXERCISE lets the option be exercised; a cancelled exercise takes nothing away.
    """
    taken: list[InstrumentId] = []
    for target in targets:
        option = account.book.by_id.get(target.instrument_id)
        advises_against = target.instruction_type is InstructionType.DO_NOT_EXERCISE
        if option is None or advises_against != isinstance(target, CancelTarget):
            continue
        taken += [option.instrument_id, *may_deliver(option, account.book)]
    return tuple(taken)
