"""What of a book can be counted on, and what leaves a short option without cover, or nobody can tell (G-12)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from decimal import Decimal

from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.ids import NIL_UUID, InstrumentId
from positions_mcp.domain.operation.plan import CancelTarget, InstructionTarget
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.portfolio.exposure import Quantities, expected_quantities
from positions_mcp.domain.portfolio.uncertain import UncertainCover, cover_taken_by, may_deliver, uncertain_cover
from positions_mcp.domain.text import label
from positions_mcp.guard.account import Account
from positions_mcp.guard.policy.findings import Finding, Rule, Severity


def is_short_option(position: Position) -> bool:
    return position.is_option and position.counted_quantity < 0


def counted_on(
    account: Account, operation_id: str, *, instructed: bool = True, of: Iterable[Position] | None = None
) -> Quantities:
    """What of the book can be counted on, apart from the operation itself.

    Not `instructed`: before what instructions take, for a projection, which carries them out itself. `of` these
    positions; of all, if omitted.
    """
    unfinished = [
        (key, row)
        for operation in account.record.without(operation_id)
        if operation.plan.kind.is_close
        for target, row in zip(operation.plan.closings, operation.rows, strict=True)
        if row.is_unfinished
        for key in (account.book.by_id if target.instrument_id == NIL_UUID else (target.instrument_id,))
    ]
    quantities = expected_quantities(
        account.book,
        open_orders=account.open_orders,
        in_flight=[key for key, _ in unfinished],
        outstanding=account.outstanding if instructed else None,
        unlisted=account.unlisted(operation_id) if instructed else (),
        of=of,
    )
    for key, row in unfinished:
        # None of the orders that were read says what it takes: none is known yet, or those there are have filled.
        lists = account.open_order_ids or ()
        takes_unseen = row.is_not_known or not any(order.order_id in lists for order in row.orders)
        if takes_unseen and key in quantities and not is_short_option(account.book.by_id[key]):
            quantities[key] = Decimal(0)
    return quantities


def lacking_cover(policy: Policy, message: str, *, severity: Severity = Severity.DESK, name: str = "") -> Finding:
    """What is said of cover: as grave as that, but where policy allows short options without cover only called out."""
    gravity = Severity.NOTE if policy.allow_uncovered else severity
    return Finding.on(Rule.UNCOVERED, gravity, message, name=name)


def findings_on_uncertain_cover(
    policy: Policy, account: Account, touched: Collection[InstrumentId], bought_back: Collection[InstrumentId] = ()
) -> Iterator[Finding]:
    """What a plan would take away from a short option whose deliverable is not known: a person decides."""
    for found in uncertain_cover(account.book, touched, bought_back):
        yield lacking_cover(policy, said_of(found), name=label(found.position.name))


def findings_on_instructions(
    policy: Policy, account: Account, targets: Sequence[InstructionTarget | CancelTarget]
) -> Iterator[Finding]:
    """The same for what exercising takes away, also from other short options, where what is exercised is not known."""
    yield from findings_on_uncertain_cover(policy, account, taken_by(targets, account))
    for option in exercised_by(targets, account):
        for taken in cover_taken_by(option, account.book):
            message = (
                f"Exercising {label(option.name)} may take {label(taken.share.name)}, which may cover the short "
                f"{label(taken.short.name)}: what it delivers is not known, so that cannot be judged."
            )
            yield lacking_cover(policy, message, name=label(option.name))


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
