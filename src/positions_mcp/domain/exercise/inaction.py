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

from positions_mcp.domain.exercise.cards import ForgoneValue, given_up
from positions_mcp.domain.exercise.facts import ExpirationFacts
from positions_mcp.domain.exercise.outcomes import EveningResult, Outcome
from positions_mcp.domain.exercise.projected import ProjectedUnderlying, Projection
from positions_mcp.domain.exercise.projection import project
from positions_mcp.domain.exercise.settlement import AskedInstruction, Flow
from positions_mcp.domain.instruments import OptionRight
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.portfolio.exposure import Exposed, worsened

_Group: TypeAlias = tuple[str, OptionRight | None]


@dataclass(frozen=True, slots=True)
class AddedShort:
    """Shares of one underlying that are short afterwards, and would not be if nothing were sent, at worst."""

    name: str
    shares: Decimal
    by_assignment: bool
    """Whether short calls are assigned then: the shares, or the calls, that would have met them are missing."""
    is_certain: bool
    """Whether it is so at every price that may decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedWithInaction:
    """A batch, or the cancel of an instruction, beside doing nothing on the same evening."""

    nothing: Projection
    then: Projection
    """With the batch."""
    worse: tuple[tuple[Exposed, Exposed], ...]
    """Short options that lack more cover than if nothing were sent, as (nothing, batch), at whatever price decides."""
    perhaps_worse: tuple[tuple[Exposed, Exposed], ...]
    """The same at some closing prices only, where the price that decides is not known."""
    more_short_shares: tuple[AddedShort, ...]
    given_up: tuple[ForgoneValue, ...] = ()

    @property
    def gives_up_least(self) -> Decimal:
        """Dollars given up in all, for certain."""
        return exact_sum(each.least for each in self.given_up)

    @property
    def gives_up_most(self) -> Decimal | None:
        """Dollars given up in all, at worst; None where nothing bounds them."""
        most = [each.most for each in self.given_up]
        return None if None in most else exact_sum(each for each in most if each is not None)


def against_nothing(facts: ExpirationFacts, day: date, batch: Sequence[AskedInstruction]) -> ComparedWithInaction:
    """What a batch changes of the evening of `day`, compared with sending nothing more."""
    then = project(facts, day, batch=batch)
    options = {each.settling.position.instrument_id: each for group in then.underlyings for each in group.options}
    lost = tuple(given_up(row, options[row.instrument_id]) for row in batch if row.instrument_id in options)
    return compared(project(facts, day), then, lost)


def compared(nothing: Projection, then: Projection, given_up: tuple[ForgoneValue, ...] = ()) -> ComparedWithInaction:
    """One course of an evening beside another, which is what happens if nothing is sent."""
    before = {each.name: each for each in nothing.underlyings}
    worse: list[tuple[Exposed, Exposed]] = []
    perhaps: list[tuple[Exposed, Exposed]] = []
    short: list[AddedShort] = []
    then = replace(then, underlyings=_every_underlying(nothing, then))
    for after in then.underlyings:
        known = before.get(after.name)
        cases, near = _cases(known, after), _pin_cases(known, after)
        always, sometimes = _worse(cases, near)
        worse += always
        perhaps += sometimes
        short += _more_short(after.name, cases, near)
    return ComparedWithInaction(
        nothing=nothing,
        then=then,
        worse=tuple(worse),
        perhaps_worse=tuple(perhaps),
        more_short_shares=tuple(short),
        given_up=given_up,
    )


def _every_underlying(nothing: Projection, then: Projection) -> tuple[ProjectedUnderlying, ...]:
    """Those of `then`, and as untouched those that only `nothing` changes: a withdrawn early exercise leaves none."""
    names = {each.name for each in then.underlyings}
    untouched = (
        replace(each, outcomes=(Outcome(None, None, Flow()),), left=(_untouched(each),))
        for each in nothing.underlyings
        if each.name not in names
    )
    return (*then.underlyings, *untouched)


def _worse(
    cases: Sequence[_Case], near: Sequence[_Case]
) -> tuple[list[tuple[Exposed, Exposed]], list[tuple[Exposed, Exposed]]]:
    """Groups that lack more cover than with nothing sent: at every price that may decide, and at some of them.

    What happens on either side of a strike too near to call is added, and takes nothing from what is certain.
    """
    found: dict[_Group, list[tuple[Exposed, Exposed]]] = {}
    for case in cases:
        for group, pair in case.worse.items():
            found.setdefault(group, []).append(pair)
    certain = {group for group, pairs in found.items() if len(pairs) == len(cases)}
    for case in near:
        for group, pair in case.worse.items():
            found.setdefault(group, []).append(pair)
    always: list[tuple[Exposed, Exposed]] = []
    sometimes: list[tuple[Exposed, Exposed]] = []
    for group, pairs in found.items():
        worst = max(pairs, key=lambda pair: (pair[1].uncovered, pair[1].unprotected))
        (always if group in certain else sometimes).append(worst)
    return always, sometimes


def _more_short(name: str, cases: Sequence[_Case], near: Sequence[_Case]) -> list[AddedShort]:
    more = [case for case in cases if case.more_short > 0]
    perhaps = [case for case in near if case.more_short > 0]
    if not more and not perhaps:
        return []
    assigned = [case for case in more if case.assigns_call]
    by_assignment = bool(assigned) or any(case.assigns_call for case in perhaps)
    is_certain = len(assigned) == len(cases) if by_assignment else len(more) == len(cases)
    worst = max(case.more_short for case in (*more, *perhaps))
    return [AddedShort(name, worst, by_assignment, is_certain)]


@dataclass(frozen=True, slots=True)
class _Case:
    """What one closing price, or a range of them, leaves of so many shares: with nothing sent, and otherwise."""

    held: Decimal
    nothing: EveningResult
    then: EveningResult
    assigns_call: bool
    """Whether a short call is assigned then."""

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
        before, after = self.nothing.short_of(self.held), self.then.short_of(self.held)
        return max(now - was for was, now in zip(before, after, strict=True))


def _cases(nothing: ProjectedUnderlying | None, then: ProjectedUnderlying) -> list[_Case]:
    """Every closing price at which both can be told, from the lowest to the highest."""
    afters = list(zip(then.outcomes, then.left, _assigns_call(then), strict=True))
    if nothing is None:
        return [_Case(then.shares_before, _untouched(then), left, assigns) for _, left, assigns in afters]
    cases, first = list[_Case](), 0
    for one, was in zip(nothing.outcomes, nothing.left, strict=True):
        for place in range(first, len(afters)):
            other, now, assigns = afters[place]
            if _overlap(one, other):
                cases.append(_Case(then.shares_before, was, now, assigns))
            elif place == first:  # it ends below this one, and below all that follow
                first += 1
            else:
                break
    return cases


def _pin_cases(nothing: ProjectedUnderlying | None, then: ProjectedUnderlying) -> list[_Case]:
    """Both sides of every strike that is too near to call: the same ones with nothing sent and otherwise."""
    before = {pin.strike: pin for pin in nothing.pins} if nothing else {}
    pairs = [(before[pin.strike], pin) for pin in then.pins if pin.strike in before]
    return [
        _Case(then.shares_before, was.left, now.left, now.assigns_call)
        for one, other in pairs
        for was, now in ((one.lower, other.lower), (one.upper, other.upper))
    ]


def _untouched(projected: ProjectedUnderlying) -> EveningResult:
    return EveningResult(Flow(), projected.lacking_before, projected.lacking_before)


def _assigns_call(projected: ProjectedUnderlying) -> list[bool]:
    """Of each outcome whether a short call is assigned: at the price that decides, or where that is not known in it."""
    calls = [each for each in projected.options if each.is_short_call]
    always = any(each.is_assigned_call_at(price) for each in calls if (price := each.price.price) is not None)
    unpriced = [each for each in calls if each.price.price is None]
    first = min(unpriced, key=lambda each: each.settling.contract.strike, default=None)
    lows = [each.low for each in projected.outcomes]
    return [always or bool(first and low is not None and first.is_assigned_call_at(low)) for low in lows]


def _overlap(one: Outcome, other: Outcome) -> bool:
    """Whether some closing price has both outcomes."""
    lows = [low for low in (one.low, other.low) if low is not None]
    highs = [high for high in (one.high, other.high) if high is not None]
    if not lows or not highs or max(lows) < min(highs):
        return True
    return max(lows) == min(highs) and one.contains(max(lows)) and other.contains(max(lows))
