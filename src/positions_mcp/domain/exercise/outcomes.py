"""What the options on one underlying come to at a price, or at every one, and what is left in the account then.

Options on shares are either exercised or not, so that between two strikes every price has the same outcome: a finite
list of outcomes says it for every closing price.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.account.quotes import BY_EXCEPTION_THRESHOLD
from positions_mcp.domain.exercise.settlement import Flow, Settling, Span
from positions_mcp.domain.instruments import OptionRight
from positions_mcp.domain.money import ZERO, exact_sum, plain
from positions_mcp.domain.portfolio.exposure import Exposed, Quantities, exposed


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


Lacking = Mapping[tuple[str, OptionRight | None], Exposed]
"""Short options by root and right, with what of them lacks cover."""


@dataclass(frozen=True, slots=True)
class EveningResult:
    """What one course of the evening leaves: what moves, and which short options lack cover then."""

    flow: Flow
    at_worst: Lacking
    expected: Lacking
    """Where every instruction ends as expected."""

    def short_of(self, held: Decimal) -> tuple[Decimal, Decimal]:
        """Shares short in the end, of so many held before: at worst, and as expected."""
        moved = self.flow.shares
        return max(-exact_sum((held, moved.least)), ZERO), max(-exact_sum((held, moved.expected)), ZERO)


@dataclass(frozen=True, slots=True)
class Related:
    """The part of a book that is on one underlying.

    `counted` is what can be counted on of each instrument: less than is held where open orders may still trade it.
    """

    book: Book
    shares: Position | None
    """The position in the underlying; flat where none is held, None where its shares are never delivered."""
    counted: Quantities

    @property
    def shares_held(self) -> Decimal:
        """Shares before the evening."""
        return self.shares.quantity if self.shares else ZERO

    @property
    def shares_locked(self) -> Decimal:
        """Of those, what open orders may still trade away."""
        return abs(self.shares_held) - abs(self._counted(self.shares)) if self.shares else ZERO

    def lacking_now(self) -> Lacking:
        """The short options that lack cover in the present book."""
        held = {position.instrument_id: self._counted(position) for position in self.book.positions}
        return exposed(self.book, [held])[0]

    def left(self, options: Sequence[Settling], flows: Sequence[Flow]) -> tuple[EveningResult, ...]:
        """What is left once `options` have settled, for each of the ways shares may have moved."""
        at_worst = self._lacking_after(options, flows, as_expected=False)
        expected = self._lacking_after(options, flows, as_expected=True)
        return tuple(map(EveningResult, flows, at_worst, expected))

    def _lacking_after(
        self, options: Sequence[Settling], flows: Iterable[Flow], *, as_expected: bool
    ) -> tuple[Lacking, ...]:
        """The short options that lack cover then.

        Shares count as far as they are certain, not those that an open order or an instruction may still take; where
        instructions end `as_expected`, only open orders take any.
        """
        left = {position.instrument_id: self._counted(position) for position in self.book.positions}
        for option in options:
            key = option.position.instrument_id
            left[key] = ZERO if option.expires else self._left_of(option, left[key], as_expected=as_expected)
        return exposed(self.book, (self._with_shares(left, flow, as_expected=as_expected) for flow in flows))

    def _left_of(self, option: Settling, counted: Decimal, *, as_expected: bool) -> Decimal:
        exercised = option.exercised(in_the_money=False)
        gone = exercised.expected if as_expected else exercised.most
        return max(min(counted, option.position.quantity - gone), ZERO)

    def _with_shares(self, left: Quantities, flow: Flow, *, as_expected: bool) -> Quantities:
        if self.shares is None:
            return left
        moved = (flow.shares.expected,) if as_expected else (flow.shares.least, flow.shares.most)
        counts = self._counted(self.shares), self.shares.quantity
        return {**left, self.shares.instrument_id: nearest_zero(exact_sum((c, m)) for c in counts for m in moved)}

    def _counted(self, position: Position) -> Decimal:
        return self.counted.get(position.instrument_id, position.quantity)


def nearest_zero(values: Iterable[Decimal]) -> Decimal:
    """The smallest of several quantities of one sign; zero where they differ in sign."""
    each = tuple(values)
    if min(each) > 0:
        return min(each)
    return max(each) if max(each) < 0 else ZERO
