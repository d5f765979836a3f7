"""One order of the program being cancelled: journalled before it leaves, asked for once, and told for what is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import anyio

from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.enums import OrderStatus
from positions_mcp.domain.errors import (
    InvalidInput,
    NothingSent,
    Overtaken,
    PositionsError,
    Refused,
    RequestRejected,
    StoreUnavailable,
    UpstreamError,
)
from positions_mcp.domain.ids import AccountId, OrderId
from positions_mcp.domain.operation.operation import Operation, Row, SentOrder
from positions_mcp.domain.operation.plan import Frozen
from positions_mcp.domain.text import clean
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.threads import in_thread

GRACE = timedelta(seconds=1)
"""What the writer gets beyond its own time-out: it knows whether anything had left by then."""
NO_MORE_AFTER = timedelta(seconds=120)
"""From then on no further cancel leaves: a person waits for the report."""
_LOOK = timedelta(seconds=5)
_LOOKS, _PAUSE_S = 4, 0.5


class Withdrawal(StrEnum):
    """What became of one order."""

    CANCELLED = "cancelled"
    PARTLY_FILLED = "cancelled, a part had filled"
    FILLED = "already filled"
    ENDED = "ended before"
    ASKED = "cancel asked for, not confirmed yet"
    REFUSED = "refused"
    UNKNOWN = "not known whether the cancel arrived"
    NOT_SENT = "not sent"
    NO_ORDER = "no order of it is known yet"

    @property
    def is_over(self) -> bool:
        """Whether nothing of it can fill any more."""
        return self in (Withdrawal.CANCELLED, Withdrawal.PARTLY_FILLED, Withdrawal.FILLED, Withdrawal.ENDED)


class Withdrawn(Frozen):
    """One line of the report."""

    account_id: AccountId
    operation_id: str
    symbol: str
    order_id: OrderId | None
    outcome: Withdrawal
    detail: str = ""


@dataclass(frozen=True, slots=True)
class OwnOrder:
    """An order of the program; None where a row may have one that is not known."""

    operation: Operation
    row: Row
    order: SentOrder | None

    @property
    def symbol(self) -> str:
        return self.operation.plan.targets[self.row.position].symbol

    def told(self, outcome: Withdrawal, detail: str = "") -> Withdrawn:
        return Withdrawn(
            account_id=self.operation.account_id,
            operation_id=self.operation.operation_id,
            symbol=self.symbol,
            order_id=self.order.order_id if self.order else None,
            outcome=outcome,
            detail=clean(detail, 200),
        )


async def cancel_own(deps: Dependencies, own: OwnOrder, by: str, *, in_time: bool) -> Withdrawn:
    """What became of one order: looked at first, then journalled, asked for once, and followed for a while."""
    if own.order is None:
        return own.told(Withdrawal.NO_ORDER, f"Its request is {own.row.state}: look at the broker's own record.")
    order_id, account = own.order.order_id, own.operation.account_id
    now = await _look(deps, account, order_id)
    if now is not None and not now.is_open:
        return own.told(*_ended(now, asked=False))
    if not in_time:
        return own.told(Withdrawal.NOT_SENT, f"{NO_MORE_AFTER.total_seconds():g} s were over. Withdraw again.")
    try:
        with anyio.CancelScope(shield=True):
            outcome, detail = await _send(deps, own, order_id, by)
    except Overtaken as refused:
        seen = await _look(deps, account, order_id)
        ended = seen is not None and not seen.is_open
        return own.told(*(_ended(seen, asked=True) if ended and seen else (Withdrawal.UNKNOWN, refused.message)))
    except (InvalidInput, Refused, StoreUnavailable) as error:
        return own.told(Withdrawal.NOT_SENT, error.message)
    if outcome is Withdrawal.NOT_SENT:
        return own.told(outcome, detail)
    seen = await _follow(deps, account, order_id)
    if seen is not None and not seen.is_open:
        return own.told(*_ended(seen, asked=True))
    return own.told(outcome, detail)


async def _send(deps: Dependencies, own: OwnOrder, order_id: OrderId, by: str) -> tuple[Withdrawal, str]:
    """Journal, send once, journal. Raises Overtaken, Refused or StoreUnavailable where nothing was sent."""
    operation_id, store = own.operation.operation_id, deps.store
    await in_thread(store.begin_withdrawal, operation_id, order_id, clean(by, 60), deps.clock.now())
    await deps.checkpoint("cancel journalled", operation_id)
    outcome, detail = await _ask(deps, own.operation.account_id, order_id)
    try:
        await in_thread(
            store.end_withdrawal,
            operation_id,
            order_id,
            f"{outcome}: {detail}" if detail else outcome.value,
            sent=outcome is not Withdrawal.NOT_SENT,
            now=deps.clock.now(),
        )
    except PositionsError as error:  # the entry that it left stands, and keeps it from being sent again
        detail = f"{detail} The outcome could not be journalled: {error.message}".lstrip()
    return outcome, detail


async def _ask(deps: Dependencies, account: AccountId, order_id: OrderId) -> tuple[Withdrawal, str]:
    if deps.order_canceller is None:
        return Withdrawal.NOT_SENT, "Orders cannot be cancelled here."
    with anyio.move_on_after((deps.write_timeout + GRACE).total_seconds()):
        try:
            answer = await deps.order_canceller.cancel_order(account, order_id)
        except (InvalidInput, NothingSent) as error:
            return Withdrawal.NOT_SENT, error.message
        except RequestRejected as error:
            return Withdrawal.REFUSED, error.message
        except Exception as error:  # it may have left, whatever happened
            return Withdrawal.UNKNOWN, error.message if isinstance(error, PositionsError) else type(error).__name__
        if answer.data.id != order_id:
            return Withdrawal.UNKNOWN, "The API answered with another order."
        return Withdrawal.ASKED, f"The order is {clean(answer.data.status, 40)}."
    return Withdrawal.UNKNOWN, f"No answer within {deps.write_timeout.total_seconds():g} seconds."


async def _follow(deps: Dependencies, account: AccountId, order_id: OrderId) -> Order | None:
    """The order as it is once it has ended, or as last seen."""
    seen = None
    for look in range(_LOOKS):
        if look:
            await deps.sleep(_PAUSE_S)
        seen = await _look(deps, account, order_id) or seen
        if seen is not None and not seen.is_open:
            break
    return seen


async def _look(deps: Dependencies, account: AccountId, order_id: OrderId) -> Order | None:
    """The order as it is now; None where that cannot be read."""
    if deps.orders is None:
        return None
    with anyio.move_on_after(_LOOK.total_seconds()):
        try:
            return await deps.orders.find_order(account, order_id)
        except (InvalidInput, UpstreamError):  # an id that is none names nothing to the API
            return None
    return None


def _ended(order: Order, *, asked: bool) -> tuple[Withdrawal, str]:
    filled = order.filled_quantity or 0
    if order.status is OrderStatus.FILLED:
        return Withdrawal.FILLED, ""
    part = f"{filled:f} of {order.quantity:f} had filled." if filled and order.quantity is not None else ""
    if asked and order.status is OrderStatus.CANCELED:
        return (Withdrawal.PARTLY_FILLED, part) if filled else (Withdrawal.CANCELLED, "")
    return Withdrawal.ENDED, f"The order is {clean(order.status, 40)}. {part}".strip()
