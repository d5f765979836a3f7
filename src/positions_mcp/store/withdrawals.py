"""Cancels of an operation's own orders, as entries of the journal: each order is asked for once."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from positions_mcp.domain.errors import Overtaken, Refused
from positions_mcp.domain.ids import OrderId
from positions_mcp.ports import Signing
from positions_mcp.store import journal, passkeys
from positions_mcp.store.access import Access
from positions_mcp.store.schema import journal as journal_table
from positions_mcp.store.transaction import Transaction

_SIGNED = "withdrawal signed"
_LEAVING, _OUTCOME = "order cancel sending", "order cancel outcome"


class Withdrawals(Access):
    """The part of the store that keeps them."""

    def sign_withdrawal(self, signing: Signing, content: dict[str, object], now: datetime) -> None:
        with self._writing() as transaction:
            told = passkeys.told(transaction, signing, now)
            transaction.append_alone(_SIGNED, {**content, **told, "by": signing.signed.by}, now)

    def begin_withdrawal(self, operation_id: str, order_id: OrderId, by: str, now: datetime) -> None:
        """Journal that the cancel of an operation's own order is about to leave: once for each order."""
        self._change(operation_id, lambda transaction: _begin(transaction, operation_id, order_id, by, now))

    def end_withdrawal(self, operation_id: str, order_id: OrderId, outcome: str, *, sent: bool, now: datetime) -> None:
        def end(transaction: Transaction) -> None:
            told = {"order": order_id, "outcome": outcome, "sent": sent}
            transaction.append(transaction.operation(operation_id), _OUTCOME, told, now)

        self._change(operation_id, end)


def _begin(transaction: Transaction, operation_id: str, order_id: OrderId, by: str, now: datetime) -> None:
    """Note that a cancel is about to leave. Raises Refused, or Overtaken where one may have left before."""
    operation = transaction.operation(operation_id)
    if order_id not in {order.order_id for row in operation.rows for order in row.orders}:
        raise Refused(f"That order is none of operation {operation_id}.", hint="Nothing was cancelled.")
    if _may_have_left(transaction, operation_id, order_id):
        raise Overtaken("A cancel of this order was sent before, and is not sent again.")
    transaction.append(operation, _LEAVING, {"order": order_id, "by": by}, now)


def _may_have_left(transaction: Transaction, operation_id: str, order_id: OrderId) -> bool:
    """By the last word on it: one whose outcome was never written may have left as well."""
    wanted = (
        select(journal_table)
        .where(journal_table.c.operation_id == operation_id, journal_table.c.event.in_((_LEAVING, _OUTCOME)))
        .order_by(journal_table.c.sequence)
    )
    left = False
    for row in transaction.connection.execute(wanted):
        content = journal.read(row).content
        if content.get("order") == order_id:
            left = bool(content.get("sent", True))
    return left
