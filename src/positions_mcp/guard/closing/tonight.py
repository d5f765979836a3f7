"""What tonight's expirations do to shares that a close sells or buys back: its order knows nothing of them.

A put that is exercised by exception sells shares that were sold already, and leaves the account short.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.account.quotes import find_underlying
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.exercise.facts import ExpirationFacts, last_session
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
    """What options that the close leaves move of the shares that it trades, on the day that they end."""
    today = new_york_day(hours.now)
    traded = {target.instrument_id: target.order_quantity for target in plan.closes}
    on = {None, *traded}
    options = [each for each in account.book.options if each.underlying_instrument_id in on]
    options = [each for each in _moving(options, account, hours) if _shares_of(each, account) in traded]
    if not options or hours.calendar.session_on(today) is None:
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
    for underlying in project(facts, today).underlyings:
        if said := moved_tonight(underlying):
            name = label(underlying.name)
            move = "move" if all(each.flow.shares != Span() for each in underlying.outcomes) else "may move"
            yield Finding(
                rule=Rule.LAST_DAY,
                severity=Severity.NOTE,
                limit="shares that nothing else moves tonight",
                seen=name,
                message=f"Tonight's exercises and assignments {move} {name} too. With this close: {said}.",
            )


def _moving(options: Sequence[Position], account: Account, hours: Hours) -> list[Position]:
    """Those that end today, and those that are instructed: what exercising them moves, it moves tonight."""
    today, listed = new_york_day(hours.now), account.outstanding
    before = hours.calendar.next_session(today + timedelta(days=1)).day - timedelta(days=1)
    dated = expiring_by(before, options)
    ending = [each for each in dated if (last := last_session(each, hours.calendar)) and last.day == today]
    if listed is None or listed.is_empty:
        return ending
    instructed = [each for each in options if listed.on(each.instrument_id).each]
    return [*ending, *(each for each in instructed if each not in ending)]


def _shares_of(option: Position, account: Account) -> InstrumentId | None:
    """What it delivers or takes, where that is held."""
    shares = find_underlying(option, account.book)
    return shares.instrument_id if shares else None


def _left(position: Position, traded: Mapping[InstrumentId, Decimal]) -> Position:
    """The position as the close leaves it."""
    return position._replace(quantity=nearer_zero(position.quantity, traded.get(position.instrument_id, ZERO)))
