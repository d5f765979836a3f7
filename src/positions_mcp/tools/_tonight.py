"""What is read beside the positions for an account's next expiration evening and its exposure, and how that is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

import anyio

from positions_mcp.domain.account.balances import Balances
from positions_mcp.domain.account.known import NotKnown
from positions_mcp.domain.account.market import Snapshot
from positions_mcp.domain.account.readings import Reading
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.errors import UpstreamError
from positions_mcp.domain.exercise.cutoffs import expiry_session, last_dated
from positions_mcp.domain.exercise.terms import sizes_of
from positions_mcp.domain.exercise.tonight import Tonight
from positions_mcp.domain.ids import AccountId, InstrumentId, is_uuid
from positions_mcp.domain.money import plain, to_cents
from positions_mcp.domain.portfolio.groups import GroupBy
from positions_mcp.domain.portfolio.select import ExpiringOption, Week
from positions_mcp.domain.portfolio.summary import Obligations, Summarizing, Summary, delta_adjusted
from positions_mcp.guard.expiration import MarketFacts, read_market_facts
from positions_mcp.tools._cash import read_balances
from positions_mcp.tools._evening import Evening, read_evening
from positions_mcp.tools._turns import beside_others
from positions_mcp.tools.context import ToolContext

_MOST = 100
"""Contracts, or instruments, that one request asks for: no more are asked for."""
_PATIENCE_S = 5
"""How long a status waits for an account that it can do without."""


@dataclass(frozen=True, slots=True)
class BesidePositions:
    """What was read beside an account's positions, one request of each."""

    evening: Evening
    balances: Balances | NotKnown
    snapshots: Mapping[InstrumentId, Snapshot] = field(default_factory=dict)
    no_market_data: bool = False
    """Whether market data was refused, or this server does not read it."""
    no_contracts: bool = False
    """Whether the terms of contracts were refused."""


async def read_beside(
    context: ToolContext,
    account: AccountId,
    summary: Summary,
    reading: Reading,
    soon: Sequence[ExpiringOption],
    *,
    greeks: bool = True,
) -> BesidePositions:
    """Instructions, balances, terms and market data, side by side. What is refused is not known."""
    neighbours = context.neighbours
    ending = [each.position.instrument_id for each in soon][:_MOST]
    options = summary.obligations.options if greeks else []
    on = [each.underlying_instrument_id for each in (*(each.position for each in soon), *options)]
    wanted = [key for key in on if key and is_uuid(key)] + [each.instrument_id for each in options]
    ending = list(dict.fromkeys([*ending, *(each.instrument_id for each in options)]))[:_MOST]  # for multipliers
    facts = MarketFacts({}, {})
    balances: Balances | NotKnown = NotKnown("balances", "")
    evening = Evening(None, context, reading.as_of)

    async def read_instructions() -> None:
        nonlocal evening
        evening = await read_evening(context, account, soon, reading.as_of)

    async def read_money() -> None:
        nonlocal balances
        balances = await read_balances(context, account)

    async def read_facts() -> None:
        nonlocal facts
        keys = list(dict.fromkeys(wanted))[:_MOST]
        facts = await read_market_facts(neighbours, terms_of=ending, market_of=keys)

    async with anyio.create_task_group() as side_by_side:
        for read in (read_instructions, read_money, read_facts):
            side_by_side.start_soon(read)
    evening = replace(evening, contracts=facts.contracts, latest=facts.latest)
    return BesidePositions(evening, balances, facts.snapshots, facts.no_market_data is not None, facts.no_contracts)


def tonight_of(context: ToolContext, options: Sequence[ExpiringOption], beside: BesidePositions) -> Tonight | None:
    """The first evening of these options that is not over; None where there is none."""
    calendar, today = context.calendar, new_york_day(context.clock.now())
    floor = (calendar.session_on(today) or calendar.previous_session(today)).day
    days = [(expiry_session(each.contract.expiration, calendar).day, each) for each in options]
    day = min((each for each, _ in days if each >= floor), default=None)
    if day is None:
        return None
    projected = [beside.evening.projected(option) for each, option in days if each == day]
    power = None if isinstance(beside.balances, NotKnown) else beside.balances.buying_power
    known_ones = [each for each in projected if each is not None]
    return Tonight(day, known_ones, power, unread=len(projected) - len(known_ones))


def evening_words(context: ToolContext, day: date) -> str:
    """`Tonight`, or the day."""
    return "Tonight" if day == new_york_day(context.clock.now()) else f"Evening of {day:%a} {day.isoformat()}"


def exposure_of(summary: Summary, reading: Reading, beside: BesidePositions) -> dict[str, str] | None:
    """Exposure beside market value, and what of it is not known; None where no option is held."""
    sizes = sizes_of(summary.obligations.options, beside.evening.contracts)
    held = summary.obligations.sized(sizes)
    if held.are_all and not held.options:
        return None
    figures = {"short_puts": held.puts, "short_calls": held.calls, "short_index_options": held.in_cash}
    said = {name: plain(value) for name, value in figures.items() if value}
    if said and (beside.no_contracts or not held.are_all):
        said["multipliers"] = "100 a contract assumed" if held.are_all else "100 a contract assumed: too many options"
    if held.not_known:
        said["short_options_not_known"] = str(held.not_known)
    return said | _delta_adjusted(held, summary, beside)


def _delta_adjusted(held: Obligations, summary: Summary, beside: BesidePositions) -> dict[str, str]:
    if not held.are_all:
        return {"delta_adjusted_net": "not known: too many options"}
    if beside.no_market_data:
        return {"delta_adjusted_net": "not known: market data could not be read"}
    greeks = {key: each.greeks.delta for key, each in beside.snapshots.items() if each.greeks is not None}
    deltas = {key: delta for key, delta in greeks.items() if delta is not None}
    prices: dict[InstrumentId, Decimal] = {}
    for option in map(beside.evening.priced, summary.options()):
        if option.price is not None:
            prices[option.position.instrument_id] = option.price
    adjusted = delta_adjusted(held, deltas, prices)
    if adjusted is None:
        return {"delta_adjusted_net": "not known: market data give no greeks"}
    lacking = {"delta_adjusted_lacks": str(adjusted.lacking)} if adjusted.lacking else {}
    return {"delta_adjusted_net": plain(to_cents(adjusted.net)), **lacking}


async def tonight_in_all(context: ToolContext) -> dict[str, list[str]]:
    """What tonight does to each account, where today has a session and anything held expires; else nothing."""
    today = new_york_day(context.clock.now())
    if context.calendar.session_on(today) is None:
        return {}
    said: dict[AccountId, list[str]] = {}

    async def read(account: AccountId) -> None:
        said[account] = ["not known: the account did not answer in time"]
        with anyio.move_on_after(_PATIENCE_S):
            said[account] = await _tonight(context, account, today)

    async with anyio.create_task_group() as side_by_side:
        for account in context.accounts:
            side_by_side.start_soon(read, account)
    return {str(account): said[account] for account in context.accounts if said[account]}


async def _tonight(context: ToolContext, account: AccountId, today: date) -> list[str]:
    try:
        begin = Summarizing(GroupBy.SIDE, Week(today, today, last_dated(today, context.calendar)), 1)
        summary, reading = await context.positions.gather_positions(account, begin)
    except UpstreamError as error:
        return [f"not known: {error.message.rstrip('.')}"]
    soon = await beside_others(summary.count, summary.expiring)
    if not soon:
        return []
    tonight = tonight_of(context, soon, await read_beside(context, account, summary, reading, soon, greeks=False))
    return tonight.lines if tonight and tonight.day == today else []
