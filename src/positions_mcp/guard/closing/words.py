"""How closes are put to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from positions_mcp.domain.enums import OrderSide
from positions_mcp.domain.instruments import parse_option_symbol
from positions_mcp.domain.money import exact_sum, plain
from positions_mcp.domain.operation.operation import Row
from positions_mcp.domain.operation.plan import CloseTarget, HeldTarget, Kind, Plan
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.domain.text import counted
from positions_mcp.guard.closing.targets import Traded, traded_value
from positions_mcp.guard.kind import RowWords


class ClosingWords:
    """Implements `positions_mcp.guard.kind.Words` for both kinds of close."""

    next_steps: Mapping[OperationState, str] = MappingProxyType({})

    def heading(self, plan: Plan) -> str:
        """`close 2 positions at market`."""
        positions = counted(len(plan.targets))
        if not plan.closes:
            return "flatten. THE BOOK COULD NOT BE READ: whatever is held when it is sent"
        if plan.flatten:
            return f"flatten {positions}: whatever is held when it is sent"
        if plan.kind is Kind.CLOSE_ALL_POSITIONS:
            return f"close EVERY position of the account, {len(plan.targets)} as of now, in one request"
        return f"close {positions} at market"

    def lines(self, plan: Plan) -> Sequence[str]:
        """Each order that should come of it."""
        return [_line(target) for target in plan.closings]

    def terms(self, plan: Plan) -> Sequence[str]:
        """What it comes to, what happens to open orders, and the market's session."""
        market = [f"Market: {plan.session}."] if plan.session else []
        return [_total(plan), *options_said(plan), _open_orders(plan), *market]

    def row(self, plan: Plan, row: Row) -> RowWords:
        """`SELL 100`, and whether it was closed twice."""
        target = plan.closings[row.position]
        if isinstance(target, HeldTarget):
            return RowWords(planned="whatever is held")
        planned = f"{target.side} {plain(target.order_quantity)}"
        return RowWords(planned=planned, alarm=_reversal(target, row))


def _line(target: CloseTarget | HeldTarget) -> str:
    """One line of a question: `BUY 5 TSLA (buys back a short), about $1,050.00`."""
    if isinstance(target, HeldTarget):
        whole = "EVERY position of the account, in one request" if target.is_everything else target.called
        return f"CLOSE {whole}: side, quantity and value are not known"
    worth = traded_value(target)
    value = f"about ${worth.copy_abs():,f}" if target.value and worth is not None else "value not known"
    back = " (buys back a short)" if target.quantity < 0 else ""
    if parse_option_symbol(target.symbol):
        back = " (buy-to-close)" if target.quantity < 0 else " (sell-to-close)"
    if target.type_says:
        other = OrderSide.BUY if target.side is OrderSide.SELL else OrderSide.SELL
        back = f" or {other}: the API says quantity {plain(target.quantity)} and type {target.type_says}"
    part = "" if target.order_quantity == target.quantity.copy_abs() else f" of {plain(target.quantity.copy_abs())}"
    return f"{target.side} {plain(target.order_quantity)}{part} {target.called}{back}, {value}"


def options_said(plan: Plan) -> list[str]:
    """What is bought and sold to close of options, the net of it, and that orders of several legs are none."""
    options = [target for target in plan.closes if parse_option_symbol(target.symbol)]
    if not options:
        return []
    counts = (
        ("buy-to-close", exact_sum(each.order_quantity for each in options if each.side is OrderSide.BUY)),
        ("sell-to-close", exact_sum(each.order_quantity for each in options if each.side is OrderSide.SELL)),
    )
    traded = Traded.of(options)
    net = f"net {'credit' if traded.net >= 0 else 'debit'} about {traded.net.copy_abs():,f} before fees"
    if traded.missing:
        net = "net not known" if traded.missing == len(options) else f"{net}, {traded.missing} without a value"
    said = f"Options: {', '.join(f'{name} {plain(count)}' for name, count in counts if count)}; {net}."
    legs = " Market orders leg in one after another, each at its own price." if len(options) > 1 else ""
    return [f"{said}{legs}"]


def _total(plan: Plan) -> str:
    if not plan.closes:
        return "Total not known, and not counted against limits."
    traded = Traded.of(plan.closes)
    return f"{traded.words}.{notional_said(plan, traded)}"


def notional_said(plan: Plan, traded: Traded) -> str:
    """What counts against limits, where that is not what is traded; begins with a space."""
    if not all(target.priced for target in plan.closes):
        return f" Notional unknown, counted as {plan.measure:,.2f}."
    return "" if plan.measure == traded.gross else f" Notional {plan.measure:,f}."


def _open_orders(plan: Plan) -> str:
    if not plan.cancel_orders:
        return "Open orders stay as they are (cancel_orders false)."
    scope = "of the account" if plan.kind.is_account_wide else "for these instruments"
    return f"Open orders {scope} are CANCELLED first (cancel_orders true)."


def _reversal(target: CloseTarget, row: Row) -> str:
    """That a close went past flat, as when it was closed twice; empty if it did not."""
    if not row.residual or (row.residual > 0) == (target.quantity > 0):
        return ""
    planned, now = ("short", "LONG") if row.residual > 0 else ("long", "SHORT")
    return (
        f"{target.called} is REVERSED: {plain(target.quantity.copy_abs())} {planned} when planned, "
        f"{plain(abs(row.residual))} {now} now"
    )
