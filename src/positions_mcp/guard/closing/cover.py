"""Whether a close would leave a short option without cover (G-12), at once or by tonight's expirations.

A put that is exercised by exception sells shares that were sold already, and leaves the account short.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.account.quotes import find_underlying
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.enums import OrderStatus
from positions_mcp.domain.exercise.facts import ExpirationFacts, last_session
from positions_mcp.domain.exercise.projection import project
from positions_mcp.domain.exercise.settlement import Span
from positions_mcp.domain.exercise.words import moved_tonight
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.money import ZERO, exact_sum, plain
from positions_mcp.domain.operation.operation import Operation, SentOrder
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.states import RowState
from positions_mcp.domain.portfolio.exposure import CoverGroups, Exposed, Quantities, nearer_zero
from positions_mcp.domain.portfolio.select import expiring_by
from positions_mcp.domain.portfolio.uncertain import uncertain_cover
from positions_mcp.domain.text import label
from positions_mcp.guard.account import Account
from positions_mcp.guard.closing.targets import Hours, close_target, locks_of
from positions_mcp.guard.policy.cover import (
    counted_on,
    findings_on_uncertain_cover,
    is_short_option,
    lacking_cover,
    said_of,
)
from positions_mcp.guard.policy.findings import Finding, Rule, Severity


def findings_on_cover(policy: Policy, plan: Plan, account: Account, hours: Hours) -> Iterator[Finding]:
    """G-12: a close may not leave more short contracts uncovered, or unprotected, than before."""
    if not account.book.short_options:
        return
    counted = _counted(account, plan.plan_id) | _freed_by_cancelling(plan, account) | _expired(account, hours)
    for was, now in _groups(account).worsened(counted, _to_be_traded(plan, account)):
        yield lacking_cover(policy, _said(was, now), severity=Severity.REFUSE)


def findings_on_unjudged_cover(policy: Policy, plan: Plan, account: Account) -> Iterator[Finding]:
    """Nor take what may cover a short option whose deliverable is not known, without a person."""
    bought_back = {t.instrument_id for t in plan.closes if t.quantity < 0 and t.order_quantity == abs(t.quantity)}
    touched = [target.instrument_id for target in plan.closes]
    yield from findings_on_uncertain_cover(policy, account, touched, bought_back)


def uncovering(operation: Operation, position: int, account: Account, hours: Hours) -> str:
    """Why a row may not be sent now: it would uncover a short option whose buy-back is not known. Empty if it may.

    Buy-backs of this operation count as far as the answers showed orders for them that live or have filled.
    """
    target = operation.plan.closes[position]
    held = account.book.by_id.get(target.instrument_id)
    if held is None or not account.book.short_options or is_short_option(held):
        return ""
    quantities = dict(
        account.worked_out(
            operation.operation_id, lambda: _counted(account, operation.operation_id) | _expired(account, hours)
        )
    )
    for done, row in zip(operation.plan.closes, operation.rows, strict=True):
        key, as_planned = done.instrument_id, row.state in (RowState.SUBMITTED, RowState.QUEUED)
        if key in quantities and as_planned and row.position != position:
            ordered = exact_sum(_ordered(order) for order in row.orders if order.side is done.side)
            quantities[key] = nearer_zero(quantities[key], ordered)
    worse = _groups(account).worsened(quantities, {target.instrument_id: abs(target.quantity)})
    if worse:
        return _said(*worse[0])
    # One that stays was decided with the plan; one that the plan buys back has to be gone before its cover goes.
    bought_back = {each.instrument_id for each in operation.plan.closes if each.quantity < 0}
    waits = (
        found
        for found in (uncertain_cover(account.book, [target.instrument_id]) if bought_back else ())
        if found.short.instrument_id in bought_back and quantities[found.short.instrument_id]
    )
    return next(map(said_of, waits), "")


def _groups(account: Account) -> CoverGroups:
    return account.worked_out("cover", lambda: CoverGroups.of(account.book))


def _counted(account: Account, operation_id: str) -> Quantities:
    """What can be counted on of short options and their cover."""
    return counted_on(account, operation_id, of=_groups(account).positions)


def _freed_by_cancelling(plan: Plan, account: Account) -> Quantities:
    """What counts as cover again because the plan itself cancels the open orders that were taking it."""
    if not plan.cancel_orders:
        return {}
    held = (account.book.by_id.get(target.instrument_id) for target in plan.closes)
    return {
        position.instrument_id: nearer_zero(position.quantity, locks_of(position, account).stays(cancel_orders=True))
        for position in held
        if position is not None
    }


def _expired(account: Account, hours: Hours) -> Quantities:
    """Options that expired on a day before, and are still listed: they oblige to nothing more, and cover nothing."""
    expirations = {
        each.instrument_id: contract.expiration
        for options in _groups(account).options.values()
        for each in options
        if (contract := each.contract) is not None
    }
    over = {day for day in set(expirations.values()) if hours.are_over(day)}
    return {key: Decimal(0) for key, day in expirations.items() if day in over}


def _to_be_traded(plan: Plan, account: Account) -> dict[InstrumentId, Decimal]:
    """What the API would trade if it were sent now: before sending that may be less than was planned."""
    held = (account.book.by_id.get(target.instrument_id) for target in plan.closes)
    return {
        position.instrument_id: close_target(position, account, plan.cancel_orders).order_quantity
        for position in held
        if position is not None and position.quantity
    }


def _ordered(order: SentOrder) -> Decimal:
    whole = order.is_open or order.status == OrderStatus.FILLED
    return (order.quantity if whole else order.filled) or Decimal(0)


def _said(was: Exposed, now: Exposed) -> str:
    more = max(now.uncovered - was.uncovered, now.unprotected - was.unprotected)
    kind = "uncovered" if now.uncovered > was.uncovered else "without the long option that limits them"
    group = f"short {label(now.root)} {f'{now.right.lower()}s' if now.right else 'options'}"
    return f"It would leave {plain(more)} more {group} {kind} ({plain(now.uncovered)} in all)."


def findings_on_tonight(plan: Plan, account: Account, hours: Hours) -> Iterator[Finding]:
    """What options that the close leaves move of the shares that it trades: this evening, and that of its order."""
    today, market = new_york_day(hours.now), hours.market
    orders = (market.current or market.next).day
    for day in sorted({today, orders}):
        if hours.calendar.session_on(day) is not None:
            yield from _findings_on(day, plan, account, hours)


def _findings_on(day: date, plan: Plan, account: Account, hours: Hours) -> Iterator[Finding]:
    traded = {target.instrument_id: target.order_quantity for target in plan.closes}
    on = {None, *traded}
    options = [each for each in account.book.options if each.underlying_instrument_id in on]
    options = [each for each in _moving(day, options, account, hours) if _shares_of(each, account) in traded]
    if not options:
        return
    held = dict.fromkeys(_shares_of(each, account) for each in options)
    left = [_left(each, traded) for each in (*(account.book.by_id[key] for key in held if key), *options)]
    facts = ExpirationFacts(
        book=replace(account.book, positions=tuple(left)),
        now=hours.now,
        calendar=hours.calendar,
        outstanding=account.outstanding,
        unlisted=account.unlisted(plan.plan_id),
        contracts=account.beside.contracts,
        latest=account.beside.latest,
        deadline=hours.deadline,
    )
    evening = "Tonight's" if day == new_york_day(hours.now) else f"The evening of {day.isoformat()}: its"
    for underlying in project(facts, day).underlyings:
        if said := moved_tonight(underlying):
            name = label(underlying.name)
            move = "move" if all(each.flow.shares != Span() for each in underlying.outcomes) else "may move"
            message = f"{evening} exercises and assignments {move} {name} too. With this close: {said}."
            yield Finding.on(Rule.LAST_DAY, Severity.NOTE, message)


def _moving(day: date, options: Sequence[Position], account: Account, hours: Hours) -> list[Position]:
    """Those that end on a day, and those that are instructed: what exercising them moves, it moves in its evening."""
    listed = account.outstanding
    before = hours.calendar.next_session(day + timedelta(days=1)).day - timedelta(days=1)
    dated = expiring_by(before, options)
    ending = [each for each in dated if (last := last_session(each, hours.calendar)) and last.day == day]
    if listed is None or listed.is_empty:
        return ending
    today = new_york_day(hours.now)
    instructed = [
        each
        for each in options
        # What is sent for tonight is done before the order of a later day trades.
        if any(
            day in (today, claim.instruction.evening(hours.calendar, hours.deadline))
            for claim in listed.on(each.instrument_id).each
        )
    ]
    return [*ending, *(each for each in instructed if each not in ending)]


def _shares_of(option: Position, account: Account) -> InstrumentId | None:
    """What it delivers or takes, where that is held."""
    shares = find_underlying(option, account.book)
    return shares.instrument_id if shares else None


def _left(position: Position, traded: Mapping[InstrumentId, Decimal]) -> Position:
    """The position as the close leaves it."""
    return position._replace(quantity=nearer_zero(position.quantity, traded.get(position.instrument_id, ZERO)))
