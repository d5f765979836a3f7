"""What is read beside the positions for an account's next expiration evening and its exposure, and how that is said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial

import anyio

from positions_mcp.domain.account.balances import Balances
from positions_mcp.domain.account.market import ContractFacts, Dividend, next_dividend
from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.account.quotes import Moneyness
from positions_mcp.domain.account.readings import NotKnown, Reading, known
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.errors import UpstreamError
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, expiry_session, last_dated, sent_for
from positions_mcp.domain.exercise.terms import sizes_of
from positions_mcp.domain.exercise.tonight import Tonight, early_assignment_said, may_be_called_early, several_said
from positions_mcp.domain.ids import AccountId, InstrumentId, is_uuid
from positions_mcp.domain.money import plain, to_cents
from positions_mcp.domain.portfolio.groups import GroupBy
from positions_mcp.domain.portfolio.select import ExpiringOption, Week
from positions_mcp.domain.portfolio.summary import Obligations, Summarizing, Summary, delta_adjusted
from positions_mcp.guard.expiration import ReadInTask
from positions_mcp.tools._day import read_balances
from positions_mcp.tools._evening import Evening, read_evening
from positions_mcp.tools._turns import beside_others
from positions_mcp.tools.context import ToolContext

_PATIENCE_S = 5
"""How long a status waits for an account that it can do without."""
_MOST_DIVIDENDS = 5
"""Underlyings whose dividends are asked for."""
_MOST_SAID = 5
"""Short calls that may be assigned early and are told of in full."""
_SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class BesidePositions:
    """What was read beside an account's positions, one request of each."""

    evening: Evening
    balances: Balances | NotKnown


async def read_beside(
    context: ToolContext,
    account: AccountId,
    reading: Reading,
    soon: Sequence[ExpiringOption],
    options: Sequence[Holding] = (),
) -> BesidePositions:
    """Instructions, balances, terms and market data, side by side. What is refused is not known."""
    async with anyio.create_task_group() as tasks:
        evening = ReadInTask(tasks, lambda: read_evening(context, account, soon, reading.as_of, options))
        balances = ReadInTask(tasks, lambda: read_balances(context, account))
    return BesidePositions(evening.value, balances.value)


async def early_assignment(
    context: ToolContext, options: Iterable[ExpiringOption], terms: Mapping[InstrumentId, ContractFacts]
) -> str:
    """Short calls whose holders may exercise them for a dividend, as far as that is known; empty for none."""
    now, calendar, events = context.clock.now(), context.calendar, context.neighbours.events
    today, next_evening = new_york_day(now), sent_for(now, calendar, DeadlineRule())
    later = [each for each in options if expiry_session(each.contract.expiration, calendar).day > today]
    callable_ones = [each for each in later if may_be_called_early(each, terms.get(each.position.instrument_id))]
    calls = [each for each in callable_ones if each.moneyness is Moneyness.IN]
    unpriced = [each for each in callable_ones if each.moneyness is Moneyness.UNKNOWN]
    on = list(dict.fromkeys(key for each in calls if (key := each.position.underlying_instrument_id) and is_uuid(key)))

    async def read(underlying: InstrumentId) -> Sequence[Dividend] | NotKnown:
        asked = events.read_dividends(underlying, since=today, until=today + _SOON) if events else None
        return await known("dividends", asked)

    async with anyio.create_task_group() as tasks:
        dividends = {key: ReadInTask(tasks, partial(read, key)) for key in on[:_MOST_DIVIDENDS]}
    said, undated = list[str](), list[ExpiringOption]()
    for each in calls:
        reading = dividends.get(each.position.underlying_instrument_id or InstrumentId(""))
        if reading is None or isinstance(reading.value, NotKnown):
            undated.append(each)
            continue
        last = expiry_session(each.contract.expiration, calendar).day
        coming = next_dividend((dividend for dividend in reading.value if dividend.ex_date <= last), today)
        if coming:
            evening = calendar.previous_session(coming.ex_date)
            said.append(early_assignment_said(each, coming, evening.day, is_over=evening.day < next_evening.day))
    said = [*said[:_MOST_SAID], *([f"{more} more so"] if (more := len(said) - _MOST_SAID) > 0 else [])]
    said += [f"ex-dividend dates not known ({several_said(undated)}"] if undated else []
    said += [f"not known whether in the money ({several_said(unpriced)}"] if unpriced else []
    return "; ".join(said)


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
    listed, ids = beside.evening.outstanding, {option.position.instrument_id for each, option in days if each == day}
    early = listed.beside(ids) if listed else 0
    return Tonight(day, known_ones, power, unread=len(projected) - len(known_ones), beside=early)


def evening_words(context: ToolContext, day: date) -> str:
    """`Tonight`, or the day."""
    return "Tonight" if day == new_york_day(context.clock.now()) else f"Evening of {day:%a} {day.isoformat()}"


def exposure_of(summary: Summary, beside: BesidePositions, early: str) -> dict[str, str] | None:
    """Exposure beside market value, and what of it is not known; None where no option is held."""
    all_of, contracts = summary.obligations, beside.evening.facts.contracts
    held = all_of.sized(sizes_of(all_of.options or all_of.shorts, contracts))
    asked = held.are_all or (held.shorts and all(each.instrument_id in contracts for each in held.shorts))
    if held.are_all and not held.options:
        return None
    figures = {"short_puts": held.puts, "short_calls": held.calls, "short_index_options": held.in_cash}
    said = {name: plain(value) for name, value in figures.items() if value}
    if said and (beside.evening.facts.no_contracts or not asked):
        said["multipliers"] = "100 a contract assumed" if held.are_all else "100 a contract assumed: too many options"
    if held.not_known:
        said["short_options_not_known"] = str(held.not_known)
    if early:
        said["early_assignment"] = early
    return said | _delta_adjusted(held, summary, beside)


def _delta_adjusted(held: Obligations, summary: Summary, beside: BesidePositions) -> dict[str, str]:
    if not held.are_all:
        return {"delta_adjusted_net": "not known: too many options"}
    if beside.evening.facts.no_market_data:
        return {"delta_adjusted_net": "not known: market data could not be read"}
    greeks = {key: each.greeks.delta for key, each in beside.evening.facts.snapshots.items() if each.greeks is not None}
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
    tonight = tonight_of(context, soon, await read_beside(context, account, reading, soon))
    return tonight.lines if tonight and tonight.day == today else []
