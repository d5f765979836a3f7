"""What the options on one underlying come to at a price, and at every price where the one that decides is not known.

Options on shares are either exercised or not, so that between two strikes every price has the same outcome: a finite
list of outcomes says it for every closing price.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from positions_mcp.domain.account.quotes import BY_EXCEPTION_THRESHOLD
from positions_mcp.domain.exercise.settlement import Flow, Settling, Span
from positions_mcp.domain.instruments import OptionRight
from positions_mcp.domain.money import ZERO, exact_sum, plain


@dataclass(frozen=True, slots=True)
class Outcome:
    """What moves if the underlying closes between two prices; None at an end is no bound.

    The bounds belong to it where `includes_low` and `includes_high` say so.
    """

    low: Decimal | None
    high: Decimal | None
    flow: Flow
    includes_low: bool = True
    includes_high: bool = True

    @property
    def said(self) -> str:
        """The condition in words: `from 95.01`, `above 94.99, below 95.01`, `at any price`."""
        if self.low is None and self.high is None:
            return "at any price"
        if self.high is None:
            return f"{'from' if self.includes_low else 'above'} {plain(self.low or ZERO)}"
        upper = f"{'up to' if self.includes_high else 'below'} {plain(self.high)}"
        if self.low is None:
            return upper
        if self.low == self.high:
            return f"at {plain(self.low)} exactly"
        return f"{'from' if self.includes_low else 'above'} {plain(self.low)}, {upper}"

    @property
    def inside(self) -> Decimal:
        """A price that has this outcome, and is not at a bound where there is a range."""
        if self.low is None:
            return ZERO if self.high is None else exact_sum((self.high, -BY_EXCEPTION_THRESHOLD))
        if self.high is None:
            return exact_sum((self.low, BY_EXCEPTION_THRESHOLD))
        return (self.low + self.high) / 2

    def contains(self, price: Decimal) -> bool:
        """Whether the underlying closing at `price` has this outcome."""
        above = self.low is None or price > self.low or (self.includes_low and price == self.low)
        below = self.high is None or price < self.high or (self.includes_high and price == self.high)
        return above and below


def at_every_price(options: Sequence[Settling]) -> tuple[Outcome, ...]:
    """Every outcome of options on shares, from the lowest closing price to the highest.

    A call is exercised from 0.01 above its strike, a put down from 0.01 below it: each step changes the sum by what
    that option moves when it is in the money instead of out of it.
    """
    flow = sum_of(option.shares_flow(in_the_money=_starts_in(option)) for option in options)
    # At the same price a put stops just above it and a call starts at it: the calls come first.
    steps = sorted(((_threshold(option), _starts_in(option), option) for option in options), key=lambda step: step[:2])
    outcomes: list[Outcome] = []
    low, includes_low = None, True
    for place, (price, is_put, option) in enumerate(steps):
        if place == 0 or steps[place - 1][:2] != (price, is_put):
            outcomes.append(Outcome(low, price, flow, includes_low, includes_high=is_put))
            low, includes_low = price, not is_put
        now_in = not _starts_in(option)
        flow = sum_of((flow, option.shares_flow(in_the_money=now_in), _less(option, in_the_money=not now_in)))
    outcomes.append(Outcome(low, None, flow, includes_low))
    return _merged(outcomes)


def _starts_in(option: Settling) -> bool:
    """Whether it is in the money at the lowest price: a put is."""
    return option.contract.right is OptionRight.PUT


def _threshold(option: Settling) -> Decimal:
    step = -BY_EXCEPTION_THRESHOLD if _starts_in(option) else BY_EXCEPTION_THRESHOLD
    return exact_sum((option.contract.strike, step))


def _less(option: Settling, *, in_the_money: bool) -> Flow:
    """What takes an option's part out of a sum: each end apart, so that it is not what the sum could be less."""
    flow = option.shares_flow(in_the_money=in_the_money)
    return Flow(_negated(flow.cash), _negated(flow.shares))


def _negated(span: Span) -> Span:
    return Span(-span.expected, -span.least, -span.most)


def sum_of(flows: Iterable[Flow]) -> Flow:
    """What several come to."""
    total = Flow()
    for flow in flows:
        total = total.plus(flow)
    return total


def _merged(outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """Neighbours with the same outcome as one."""
    merged: list[Outcome] = []
    for outcome in outcomes:
        if merged and merged[-1].flow == outcome.flow:
            last = merged[-1]
            merged[-1] = Outcome(last.low, outcome.high, last.flow, last.includes_low, outcome.includes_high)
        else:
            merged.append(outcome)
    return tuple(merged)
