"""Why a position cannot be closed now, or by a form: it trades no more, all of it is locked, the market is closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.account.sessions import minute
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.plan import Mode, Plan
from positions_mcp.domain.portfolio.locks import Locks
from positions_mcp.domain.text import label
from positions_mcp.guard.account import Account
from positions_mcp.guard.closing.hours import Hours
from positions_mcp.guard.closing.targets import locks_of
from positions_mcp.guard.policy.findings import Finding, Rule, Severity


@dataclass(frozen=True, slots=True)
class Stuck:
    """Why no order can close a position now, and the way that is left; empty where there is none."""

    name: str
    why: str
    way: str = ""

    @property
    def reason(self) -> str:
        """As a refusal says it, without a full stop."""
        return f"{self.name} cannot be closed now: {self.why}"

    @property
    def left_out(self) -> str:
        """As a plan for everything says it."""
        return f"{self.name} is left out: {self.why}.{f' {self.way}' if self.way else ''}"


def why_stuck(position: Position, account: Account, cancel_orders: bool, hours: Hours) -> Stuck | None:
    """Why it cannot be closed now; None where it can, of it at least what is free."""
    name, held, locks = label(position.name), abs(position.quantity), locks_of(position, account)
    if not held:
        return None
    last = hours.last_trade(position, account)
    if last is not None and last.is_over(hours.now):
        return Stuck(name, last.said_over(hours.now), last.way(hours.now))
    if locks.stays(cancel_orders=cancel_orders) < held:
        return None
    under_way = "a close of it is under way: " if _is_being_closed(position, account) else ""
    return Stuck(name, f"{under_way}all {plain(held)} are locked, {locks.said}", _way_to_free(locks))


def findings_on_left_out(plan: Plan, account: Account, hours: Hours) -> Iterator[Finding]:
    """What closing everything does not touch, and the way that is left for each."""
    if not plan.kind.is_account_wide or plan.flatten:
        return
    targets = {target.instrument_id for target in plan.targets}
    for position in account.book.positions:
        if position.instrument_id in targets or not position.quantity:
            continue
        stuck = why_stuck(position, account, plan.cancel_orders, hours) if position.is_closable else None
        said = stuck.left_out if stuck else unclosable_left_out(position)
        if stuck or not position.is_closable:
            limit = "what an order can close"
            yield Finding(
                rule=Rule.LEFT_OUT,
                severity=Severity.NOTE,
                limit=limit,
                seen=position.name,
                message=said,
            )


def findings_on_last_day(plan: Plan, account: Account, hours: Hours) -> Iterator[Finding]:
    """That an option trades for the last time today, or expires, and until when."""
    for target in plan.closes:
        position = account.book.by_id.get(target.instrument_id)
        last = hours.last_trade(position, account) if position is not None else None
        if last is None or not last.is_today(hours.now) or last.is_over(hours.now):
            continue
        yield Finding(
            rule=Rule.LAST_DAY,
            severity=Severity.NOTE,
            limit="more than today to trade",
            seen=last.at.isoformat(),
            message=last.said_ahead(hours.now),
        )


def unclosable_left_out(position: Position) -> str:
    """As a plan for everything says it."""
    return f"{label(position.name)} ({plain(position.quantity)}) is left out: it {why_unclosable(position)}."


def why_unclosable(position: Position) -> str:
    """Why no order can ever close it."""
    return "is cash, which no order closes" if position.is_cash else "is an index, which nobody can trade"


def _is_being_closed(position: Position, account: Account) -> bool:
    """Whether a close of it, by whatever caller, was sent and has not ended."""
    return any(
        row.has_effect and not row.ended and (operation.plan.kind.is_account_wide or position.instrument_id == each)
        for operation in account.record.unfinished
        if operation.plan.kind.is_close
        for each, row in zip(operation.plan.names, operation.rows, strict=True)
    )


def _way_to_free(locks: Locks) -> str:
    if locks.by_orders:
        return "cancel_orders=true cancels the orders first and closes what they lock."
    if locks.by_instructions:
        return "cancel_instruction withdraws an instruction, as long as it is not final."
    return "list_instructions shows what is instructed. Ask again when it is free."


def findings_on_hours(plan: Plan, hours: Hours) -> Iterator[Finding]:
    """Outside the regular session the supervisor decides in live; on paper, where nothing is lost, a form will do.

    A person who flattens is told of the session by the question, and nothing stands against it.
    """
    market = hours.market
    if plan.mode is Mode.PAPER or plan.flatten or market.is_open:
        return
    yield Finding(
        rule=Rule.OFF_HOURS,
        severity=Severity.DESK,
        limit="closes in the regular session",
        seen="the market is closed",
        message=f"The market is closed until {minute(market.next.opens)}: an order may wait until then and fill at "
        "another price, so the supervisor decides.",
    )
