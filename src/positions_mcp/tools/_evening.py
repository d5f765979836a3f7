"""Expiring options in an answer: until when they may be instructed, what is instructed, and what else happens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import anyio

from positions_mcp.domain.account.market import ContractFacts
from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.account.readings import NotKnown, known
from positions_mcp.domain.account.sessions import minute, new_york_day
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, expiry_session, sent_for
from positions_mcp.domain.exercise.facts import closing_price_of
from positions_mcp.domain.exercise.instructions import Outstanding
from positions_mcp.domain.exercise.projected import ProjectedOption
from positions_mcp.domain.exercise.terms import terms_of
from positions_mcp.domain.exercise.timing import last_moment
from positions_mcp.domain.exercise.tonight import NOT_KNOWN, is_settled_at_opening, outcome_words, untouched
from positions_mcp.domain.ids import AccountId, InstrumentId, is_uuid
from positions_mcp.domain.portfolio.select import ExpiringOption
from positions_mcp.guard.expiration import MOST, MarketFacts, ReadInTask, read_market_facts
from positions_mcp.tools._format import EXPIRY_COLUMNS, expiry_cells
from positions_mcp.tools.context import ToolContext

EVENING_COLUMNS = ["instructed", "if_nothing_sent", *EXPIRY_COLUMNS]
_MOST_CUTOFFS = 2


def cutoff_words(context: ToolContext) -> str:
    """`2026-11-27 14:30 New York (early close)`, and that today's has passed where it has."""
    now, rule = context.clock.now(), DeadlineRule(context.guard.policy.exercise_deadline)
    session, today = sent_for(now, context.calendar, rule), context.calendar.session_on(new_york_day(now))
    passed = "; that of today has passed" if today is not None and today != session else ""
    return f"{minute(rule.on(session))}{' (early close)' if session.early_close else ''}{passed}"


def cutoffs_of(
    context: ToolContext, options: Iterable[ExpiringOption], contracts: Mapping[InstrumentId, ContractFacts]
) -> str:
    """The first cut-offs of options that expire."""
    rule, now = DeadlineRule(context.guard.policy.exercise_deadline), context.clock.now()
    terms = (
        (each.contract.expiration, terms_of(each.position, contracts.get(each.position.instrument_id)))
        for each in options
    )
    ends = sorted({last_moment(of, expiry_session(day, context.calendar), rule) for day, of in set(terms)})
    return moments_said(ends[:_MOST_CUTOFFS], now)


def moments_said(moments: Iterable[datetime], now: datetime) -> str:
    """Each of them, and those passed as such."""
    return ", ".join(f"{minute(each)}{' (passed)' if each <= now else ''}" for each in moments)


@dataclass(frozen=True, slots=True)
class Evening:
    """What expiring options are under, as far as the instructions and what lies beside the book could be read."""

    outstanding: Outstanding | None
    context: ToolContext
    read_at: datetime
    facts: MarketFacts = field(default_factory=MarketFacts)

    def cells(self, option: ExpiringOption) -> list[str]:
        option = self.priced(option)
        if (projected := self.projected(option)) is None:
            return [NOT_KNOWN, f"{NOT_KNOWN}: instructions not read", *expiry_cells(option)]
        claims = self.outstanding.on(option.position.instrument_id) if self.outstanding else None
        instructed = claims.said if claims and option.position.quantity > 0 else ""
        return [instructed, outcome_words(projected), *expiry_cells(option)]

    def priced(self, option: ExpiringOption) -> ExpiringOption:
        """The same at the close once that decides, at none once an opening has settled it.

        Before, at the market data's price where the account holds nothing that says one.
        """
        facts, now = self.facts.contracts.get(option.position.instrument_id), self.context.clock.now()
        if is_settled_at_opening(option, now, self.context.calendar, facts):
            return replace(option, price=None)
        session = expiry_session(option.contract.expiration, self.context.calendar)
        close = closing_price_of(option.underlying, session.day) if now >= session.closes else None
        if close is not None:
            return replace(option, price=close)
        quoted = self.facts.latest.get(option.position.underlying_instrument_id or "")
        if option.price is not None or quoted is None:
            return option
        return replace(option, price=quoted.price)

    def projected(self, option: ExpiringOption) -> ProjectedOption | None:
        """What becomes of it if nothing more is sent; None where instructions decide that were not read."""
        held = option.position
        if held.quantity > 0 and self.outstanding is None:
            return None
        return untouched(
            option,
            self.outstanding or Outstanding((), now=self.read_at, calendar=self.context.calendar),
            now=self.context.clock.now(),
            read_at=self.read_at,
            calendar=self.context.calendar,
            facts=self.facts.contracts.get(held.instrument_id),
            quoted=self.facts.latest.get(held.underlying_instrument_id or ""),
        )


async def read_evening(
    context: ToolContext,
    account: AccountId,
    expiring: Sequence[ExpiringOption],
    read_at: datetime,
    options: Sequence[Holding] = (),
) -> Evening:
    """The instructions on options that expire, and of them, and of other `options` too, what lies beside the book.

    One request of each for what fits into it. What is refused is not known.
    """
    of = [*(each.position for each in expiring), *options]
    underlyings = [key for each in of if (key := each.underlying_instrument_id) and is_uuid(key)]
    market_of = _first([*underlyings, *(each.instrument_id for each in options)])
    terms_of, near = _first([each.instrument_id for each in of]), context.neighbours
    async with anyio.create_task_group() as tasks:
        outstanding = ReadInTask(tasks, lambda: _instructions(context, account, of if expiring else ()))
        facts = ReadInTask(tasks, lambda: read_market_facts(near, terms_of=terms_of, market_of=market_of))
    return Evening(outstanding.value, context, read_at, facts.value)


def _first(ids: Sequence[InstrumentId]) -> list[InstrumentId]:
    return list(dict.fromkeys(ids))[:MOST]


async def _instructions(context: ToolContext, account: AccountId, options: Sequence[Holding]) -> Outstanding | None:
    """Read only where a long option is held; None where refused."""
    now, deadline = context.clock.now(), DeadlineRule(context.guard.policy.exercise_deadline)
    if not any(each.quantity > 0 for each in options):
        return Outstanding((), now=now, calendar=context.calendar)
    listed = await known("instructions", context.instructions.get_position_instructions(account))
    if isinstance(listed, NotKnown) or listed.left_out:
        return None
    return Outstanding(listed.data, now=now, calendar=context.calendar, deadline=deadline)
