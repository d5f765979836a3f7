"""What tonight's expirations do to shares that a close sells or buys back: its order knows nothing of them.

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
from positions_mcp.domain.exercise.cutoffs import sent_for
from positions_mcp.domain.exercise.facts import ExpirationFacts, last_session
from positions_mcp.domain.exercise.instructions import Claim
from positions_mcp.domain.exercise.projection import project
from positions_mcp.domain.exercise.settlement import Span
from positions_mcp.domain.exercise.words import moved_tonight
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.money import ZERO
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.domain.portfolio.exposure import nearer_zero
from positions_mcp.domain.portfolio.select import expiring_by
from positions_mcp.domain.text import label
from positions_mcp.guard.account import Account
from positions_mcp.guard.closing.targets import Hours
from positions_mcp.guard.policy.findings import Finding, Rule, Severity


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
            yield Finding.on(Rule.LAST_DAY, Severity.NOTE, "shares that nothing else moves tonight", name, message)


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
        if any(day == today or _evening_of(claim, hours) == day for claim in listed.on(each.instrument_id).each)
    ]
    return [*ending, *(each for each in instructed if each not in ending)]


def _evening_of(claim: Claim, hours: Hours) -> date | None:
    sent = claim.instruction.created_at or claim.instruction.updated_at
    return None if sent is None else sent_for(sent, hours.calendar, hours.deadline).day


def _shares_of(option: Position, account: Account) -> InstrumentId | None:
    """What it delivers or takes, where that is held."""
    shares = find_underlying(option, account.book)
    return shares.instrument_id if shares else None


def _left(position: Position, traded: Mapping[InstrumentId, Decimal]) -> Position:
    """The position as the close leaves it."""
    return position._replace(quantity=nearer_zero(position.quantity, traded.get(position.instrument_id, ZERO)))
