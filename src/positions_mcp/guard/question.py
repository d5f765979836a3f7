"""The question a person decides: every word of it comes from the frozen plan, so it is the same however often asked."""

from __future__ import annotations

from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.plan import (
    CancelTarget,
    CloseTarget,
    HeldTarget,
    InstructionTarget,
    Kind,
    Mode,
    Plan,
    Target,
)
from positions_mcp.domain.text import label, quoted
from positions_mcp.guard.targets import order_in_words, traded_value


def question(plan: Plan) -> str:
    """Everything the decision needs: mode, account, each order, total, open orders, session, warnings, plan id."""
    money = "real money" if plan.mode is Mode.LIVE else "no real money"
    lines = [f"{plan.mode.shown} account {plan.account_id} ({money}): {_heading(plan)}"]
    lines += [f"{number}. {line}" for number, target in enumerate(plan.targets, 1) for line in _lines(target)]
    lines.append(_total(plan))
    if plan.kind.is_close:
        lines.append(_open_orders(plan))
    if plan.session:
        lines.append(f"{'Market' if plan.kind.is_close else 'Deadline'}: {plan.session}.")
    lines += [f"Warning: {warning}" for warning in plan.warnings]
    lines.append(
        f"Plan {plan.plan_id}, asked for by {quoted(plan.caller, 80)}, valid until {plan.expires_at:%H:%M:%S} UTC."
    )
    return "\n".join(lines)


def _heading(plan: Plan) -> str:
    count = len(plan.targets)
    if any(isinstance(target, HeldTarget) for target in plan.targets):
        return "flatten. THE BOOK COULD NOT BE READ: whatever is held when it is sent"
    if plan.flatten:
        return f"flatten {count} position{_s(count)}: whatever is held when it is sent"
    if plan.kind is Kind.CLOSE_ALL_POSITIONS:
        return f"close EVERY position of the account, {count} as of now, in one request"
    if plan.kind is Kind.CLOSE_POSITIONS:
        return f"close {count} position{_s(count)} at market"
    if plan.kind is Kind.SUBMIT_INSTRUCTIONS:
        return f"submit {count} exercise instruction{_s(count)}"
    return "cancel one exercise instruction"


def _lines(target: Target) -> list[str]:
    if isinstance(target, CloseTarget):
        return [order_in_words(target)]
    if isinstance(target, HeldTarget):
        whole = "EVERY position of the account, in one request" if target.is_everything else target.symbol
        return [f"CLOSE {whole}: side, quantity and value are not known"]
    what = f"{target.instruction_type} {target.quantity if target.quantity is not None else '?'} {target.symbol}"
    if isinstance(target, InstructionTarget):
        return [" ".join([*(target.consequences or (what,)), f"Key {label(target.instruction_key, 128)}."])]
    return [" ".join([f"cancel {what}, {target.status} (id {target.instruction_id}).", *target.consequences])]


def _total(plan: Plan) -> str:
    if any(isinstance(target, InstructionTarget | CancelTarget) for target in plan.targets):
        return f"Measure against limits: ${plan.measure:,f}."
    if not plan.closes:
        return "Total not known, and not counted against limits."
    known = [abs(value) for value in map(traded_value, plan.closes) if value is not None]
    total = f"Total about ${exact_sum(known):,f}"
    missing = len(plan.targets) - len(known)
    unknown = f", {missing} without a value" if missing else ""
    return f"{total}{unknown}; measure against limits ${plan.measure:,f}."


def _open_orders(plan: Plan) -> str:
    if not plan.cancel_orders:
        return "Open orders stay as they are (cancel_orders false)."
    scope = "of the account" if plan.kind.is_account_wide else "for these instruments"
    return f"Open orders {scope} are CANCELLED first (cancel_orders true)."


def _s(count: int) -> str:
    return "" if count == 1 else "s"
