"""What of a book can be counted on, and what leaves a short option without cover (G-12)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.ids import NIL_UUID, InstrumentId
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.plan import CloseTarget, HeldTarget
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.portfolio.exposure import Exposed, Quantities, expected_quantities
from positions_mcp.guard.account import Account
from positions_mcp.guard.policy.findings import Finding, Rule, Severity


def is_short_option(position: Position) -> bool:
    """Whether it needs cover."""
    return position.is_option and position.counted_quantity < 0


def counted_on(
    account: Account,
    operation_id: str,
    *,
    instructed: bool = True,
    of: Iterable[Position] | None = None,
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
        for key in _instruments_of(target, account.book)
    ]
    quantities = expected_quantities(
        account.book,
        open_orders=account.open_orders,
        in_flight=[key for key, _ in unfinished],
        outstanding=account.outstanding if instructed else None,
        unlisted=account.record.unlisted(operation_id) if instructed else (),
        of=of,
    )
    for key, row in unfinished:
        # None of the orders that were read says what it takes: none is known yet, or those there are have filled.
        lists = account.open_order_ids or ()
        takes_unseen = row.is_not_known or not any(order.order_id in lists for order in row.orders)
        if takes_unseen and key in quantities and not is_short_option(account.book.by_id[key]):
            quantities[key] = Decimal(0)
    return quantities


def _instruments_of(target: CloseTarget | HeldTarget, book: Book) -> Iterable[InstrumentId]:
    """The instruments that a close is about, as far as they are known."""
    return book.by_id if target.instrument_id == NIL_UUID else (target.instrument_id,)


def uncovered(
    policy: Policy,
    was: Exposed,
    now: Exposed,
    message: str,
    *,
    severity: Severity = Severity.REFUSE,
    compared: str = "as now",
) -> Finding:
    """A plan may not leave more short contracts uncovered, or unprotected, than before, unless policy allows it."""
    return Finding(
        rule=Rule.UNCOVERED,
        severity=Severity.NOTE if policy.allow_uncovered else severity,
        limit=f"{plain(was.uncovered)} uncovered, {plain(was.unprotected)} unprotected, {compared}",
        seen=f"{plain(now.uncovered)} uncovered, {plain(now.unprotected)} unprotected",
        message=message,
    )
