"""Doing nothing tonight as the yardstick of instructions on the day of expiration (G-12).

What would happen anyway is no reason to refuse: a batch may leave no short option with less cover than doing nothing
leaves it. What it gives up against doing nothing is said in dollars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TypeAlias

from positions_mcp.domain.account.quotes import intrinsic_value, is_exercised_by_exception, points_in_the_money
from positions_mcp.domain.enums import ExerciseStyle, InstructionType
from positions_mcp.domain.exercise.cover import Lacking
from positions_mcp.domain.exercise.facts import ExpirationFacts
from positions_mcp.domain.exercise.outcomes import Outcome
from positions_mcp.domain.exercise.projected import ProjectedOption, ProjectedUnderlying, Projection
from positions_mcp.domain.exercise.projection import project
from positions_mcp.domain.exercise.settlement import Asked, Flow
from positions_mcp.domain.instruments import OptionContract, OptionRight
from positions_mcp.domain.money import ZERO, exact_product, exact_sum
from positions_mcp.domain.portfolio.exposure import Exposed, worsened

_Group: TypeAlias = tuple[str, OptionRight | None]


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Dollars that one instruction gives up against doing nothing.

    They are the same where the price that decides is known. `most` is None where nothing bounds it.
    """

    symbol: str
    instruction_type: InstructionType
    quantity: int
    least: Decimal
    most: Decimal | None
    worth_at_most: Decimal | None = None
    """Without an underlying's price: what exercising can be worth in all, by the option's own price."""

    def exceeds(self, amount: Decimal) -> bool:
        """Whether it gives up more than `amount`, or may."""
        return self.most is None or self.most > amount

    @property
    def said(self) -> str:
        """In words, the dollars first; empty where nothing is given up."""
        named = f"{self.instruction_type} {self.quantity} {self.symbol}"
        if self.most is not None and not self.most:
            return ""
        if self.worth_at_most is not None:
            most = "not known" if self.most is None else f"at most {self.most:,.2f}"
            return (
                f"{named} is worth at most {self.worth_at_most:,.2f} by the option's own price, as the underlying's "
                f"is not known; what it gives up is {most}"
            )
        if self.most is None:
            return f"{named} gives up what is not known"
        if self.least == self.most:
            return f"{self.most:,.2f} given up by {named}"
        return f"{self.least:,.2f} to {self.most:,.2f} given up by {named}"


@dataclass(frozen=True, slots=True)
class MoreShort:
    """Shares of one underlying that are short afterwards, and would not be if nothing were sent, at worst."""

    name: str
    shares: Decimal
    by_assignment: bool
    """Whether short calls are assigned then: the shares, or the calls, that would have met them are missing."""
    is_certain: bool
    """Whether it is so at every price that may decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstNothing:
    """A batch, or the cancel of an instruction, beside doing nothing on the same evening."""

    nothing: Projection
    then: Projection
    """With the batch."""
    worse: tuple[tuple[Exposed, Exposed], ...]
    """Short options that lack more cover than if nothing were sent, as (nothing, batch), at whatever price decides."""
    perhaps_worse: tuple[tuple[Exposed, Exposed], ...]
    """The same at some closing prices only, where the price that decides is not known."""
    more_short_shares: tuple[MoreShort, ...]
    given_up: tuple[GivenUp, ...] = ()

    @property
    def leaves_nothing_worse(self) -> bool:
        """Whether no short option has less cover than doing nothing leaves it, at any price that may decide."""
        return not self.worse and not self.perhaps_worse

    @property
    def gives_up_least(self) -> Decimal:
        """Dollars given up in all, for certain."""
        return exact_sum(each.least for each in self.given_up)

    @property
    def gives_up_most(self) -> Decimal | None:
        """Dollars given up in all, at worst; None where nothing bounds them."""
        most = [each.most for each in self.given_up]
        return None if None in most else exact_sum(each for each in most if each is not None)


def against_nothing(facts: ExpirationFacts, day: date, batch: Sequence[Asked]) -> AgainstNothing:
    """What a batch changes of the evening of `day`, compared with sending nothing more."""
    then = project(facts, day, batch=batch)
    options = {each.settling.position.instrument_id: each for group in then.underlyings for each in group.options}
    lost = tuple(given_up(row, options[row.instrument_id]) for row in batch if row.instrument_id in options)
    return compared(project(facts, day), then, lost)


def compared(nothing: Projection, then: Projection, given_up: tuple[GivenUp, ...] = ()) -> AgainstNothing:
    """One course of an evening beside another, which is what happens if nothing is sent."""
    before = {each.name: each for each in nothing.underlyings}
    worse: list[tuple[Exposed, Exposed]] = []
    perhaps: list[tuple[Exposed, Exposed]] = []
    short: list[MoreShort] = []
    then = replace(then, underlyings=_every_underlying(nothing, then))
    for after in then.underlyings:
        known = before.get(after.name)
        always, sometimes = _worse(known, after)
        worse += always
        perhaps += sometimes
        short += _more_short(known, after)
    return AgainstNothing(
        nothing=nothing,
        then=then,
        worse=tuple(worse),
        perhaps_worse=tuple(perhaps),
        more_short_shares=tuple(short),
        given_up=given_up,
    )


def given_up(row: Asked, option: ProjectedOption) -> GivenUp:
    """What one instruction gives up: not exercising in the money, or exercising out of it, or before its time.

    Without an underlying's price, the option's own bounds what exercising is worth: an American option is worth its
    intrinsic value at least, and a call never more than the share.
    """
    settling, price = option.settling, option.price.price
    kind, quantity = row.instruction_type, row.quantity
    named = (settling.contract.compact, kind, quantity)
    size, own = settling.terms.multiplier, settling.position.instrument_price
    if size is None:
        return GivenUp(*named, ZERO, None)
    if price is not None:
        least, most = _at(settling.contract, kind, price)
        if not settling.expires and own is not None and kind is InstructionType.EXERCISE:
            time_value = max(own - intrinsic_value(settling.contract, price), ZERO)
            least, most = exact_sum((least, time_value)), exact_sum((most, time_value))
        return GivenUp(*named, exact_product(least, size, quantity), exact_product(most, size, quantity))
    if own is None or own < 0 or settling.terms.style is not ExerciseStyle.AMERICAN or settling.terms.in_cash:
        return GivenUp(*named, ZERO, None)
    low, high = _bounds(settling.contract, kind, own)
    return GivenUp(
        *named,
        exact_product(low, size, quantity),
        None if high is None else exact_product(high, size, quantity),
        worth_at_most=exact_product(own, size, quantity),
    )


def _at(contract: OptionContract, kind: InstructionType, price: Decimal) -> tuple[Decimal, Decimal]:
    """Dollars per share given up at a price: at least, at most."""
    worth = intrinsic_value(contract, price) if is_exercised_by_exception(contract, price) else ZERO
    worse_than_market = max(-points_in_the_money(contract, price), ZERO)
    if kind is InstructionType.DO_NOT_EXERCISE:
        return worth, worth
    if kind is InstructionType.CONTRARY_EXERCISE:
        # In the money it may mean that the option is given up: the API does not say.
        return worse_than_market, max(worth, worse_than_market)
    return worse_than_market, worse_than_market


def _bounds(contract: OptionContract, kind: InstructionType, own: Decimal) -> tuple[Decimal, Decimal | None]:
    """Dollars per share given up, at least and at most, as far as an American option's own price says."""
    is_call = contract.right is OptionRight.CALL
    if kind is InstructionType.DO_NOT_EXERCISE:
        return (max(own - contract.strike, ZERO) if is_call else ZERO), own
    worse_than_market = max(contract.strike - own, ZERO) if is_call else None
    if kind is InstructionType.CONTRARY_EXERCISE and worse_than_market is not None:
        worse_than_market = max(worse_than_market, own)
    return ZERO, worse_than_market


def _every_underlying(nothing: Projection, then: Projection) -> tuple[ProjectedUnderlying, ...]:
    """Those of `then`, and as untouched those that only `nothing` changes: a withdrawn early exercise leaves none."""
    names = {each.name for each in then.underlyings}
    untouched = (
        replace(
            each,
            outcomes=(Outcome(None, None, Flow()),),
            lacking_after=(each.lacking_before,),
            lacking_expected=(each.lacking_before,),
        )
        for each in nothing.underlyings
        if each.name not in names
    )
    return (*then.underlyings, *untouched)


def _worse(
    nothing: ProjectedUnderlying | None, then: ProjectedUnderlying
) -> tuple[list[tuple[Exposed, Exposed]], list[tuple[Exposed, Exposed]]]:
    """Groups that lack more cover than with nothing sent: at every price that may decide, and at some of them."""
    cases = list(_cases(nothing, then))
    found: dict[_Group, list[tuple[Exposed, Exposed]]] = {}
    for case in cases:
        for group, pair in case.worse.items():
            found.setdefault(group, []).append(pair)
    always: list[tuple[Exposed, Exposed]] = []
    sometimes: list[tuple[Exposed, Exposed]] = []
    for pairs in found.values():
        worst = max(pairs, key=lambda pair: (pair[1].uncovered, pair[1].unprotected))
        (always if len(pairs) == len(cases) else sometimes).append(worst)
    return always, sometimes


def _more_short(nothing: ProjectedUnderlying | None, then: ProjectedUnderlying) -> list[MoreShort]:
    cases = [(each.more_short, each) for each in _cases(nothing, then)]
    more = [(shares, case) for shares, case in cases if shares > 0]
    if not more:
        return []
    assigned = [case for _, case in more if any(_is_assigned_call(each, case.outcome) for each in then.options)]
    worst = max(shares for shares, _ in more)
    return [MoreShort(then.name, worst, bool(assigned), len(assigned or more) == len(cases))]


@dataclass(frozen=True, slots=True)
class _Case:
    """What one closing price, or a range of them, leaves: with nothing sent, and otherwise."""

    outcome: Outcome
    nothing: _After
    then: _After

    @property
    def worse(self) -> dict[_Group, tuple[Exposed, Exposed]]:
        """Groups that lack more cover than with nothing sent, at worst or where instructions end as expected."""
        pairs = (
            *worsened(self.nothing.expected, self.then.expected),
            *worsened(self.nothing.at_worst, self.then.at_worst),
        )
        return {(pair[1].root, pair[1].right): pair for pair in pairs}

    @property
    def more_short(self) -> Decimal:
        """Shares more short than with nothing sent, at worst or where instructions end as expected."""
        return max(now - was for was, now in zip(self.nothing.short, self.then.short, strict=True))


@dataclass(frozen=True, slots=True)
class _After:
    """What one course of the evening leaves: at worst, and where every instruction ends as expected."""

    at_worst: Lacking
    expected: Lacking
    short: tuple[Decimal, Decimal]
    """Shares short, in that order."""


def _cases(nothing: ProjectedUnderlying | None, then: ProjectedUnderlying) -> list[_Case]:
    """Every closing price at which both can be told."""
    held = then.shares_before
    if nothing is None:
        short = max(-held, ZERO)
        untouched = _After(then.lacking_before, then.lacking_before, (short, short))
        return [_Case(outcome, untouched, after) for outcome, after in _afters(then)]
    return [
        _Case(other, was, now) for one, was in _afters(nothing) for other, now in _afters(then) if _overlap(one, other)
    ]


def _afters(projected: ProjectedUnderlying) -> list[tuple[Outcome, _After]]:
    held = projected.shares_before
    return [
        (outcome, _After(at_worst, expected, (_short(held, moved.least), _short(held, moved.expected))))
        for outcome, at_worst, expected in zip(
            projected.outcomes, projected.lacking_after, projected.lacking_expected, strict=True
        )
        for moved in (outcome.flow.shares,)
    ]


def _short(held: Decimal, moved: Decimal) -> Decimal:
    return max(-exact_sum((held, moved)), ZERO)


def _is_assigned_call(option: ProjectedOption, outcome: Outcome) -> bool:
    settling = option.settling
    if not (settling.is_short and settling.expires and settling.contract.right is OptionRight.CALL):
        return False
    if option.in_the_money is not None:
        return option.in_the_money
    return outcome.low is not None and settling.in_the_money_at(outcome.low)


def _overlap(one: Outcome, other: Outcome) -> bool:
    """Whether some closing price has both outcomes."""
    lows = [low for low in (one.low, other.low) if low is not None]
    highs = [high for high in (one.high, other.high) if high is not None]
    if not lows or not highs or max(lows) < min(highs):
        return True
    return max(lows) == min(highs) and one.contains(max(lows)) and other.contains(max(lows))
