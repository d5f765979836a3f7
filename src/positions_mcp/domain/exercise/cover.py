"""What of one underlying is left in the account once the evening is over, and which short options then lack cover."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from positions_mcp.domain.account.positions import Book, Holding, Position
from positions_mcp.domain.enums import SecurityType
from positions_mcp.domain.exercise.settlement import Flow, Settling
from positions_mcp.domain.ids import AccountId, InstrumentId
from positions_mcp.domain.instruments import OptionRight
from positions_mcp.domain.money import ZERO, exact_sum
from positions_mcp.domain.portfolio.exposure import Exposed, Quantities, exposed

Lacking = Mapping[tuple[str, OptionRight | None], Exposed]
"""Short options by root and right, with what of them lacks cover."""


@dataclass(frozen=True, slots=True)
class Left:
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

    def lacking_now(self) -> Lacking:
        """The short options that lack cover in the present book."""
        held = {position.instrument_id: self._counted(position) for position in self.book.positions}
        return exposed(self.book, held)

    def left(self, options: Sequence[Settling], flows: Sequence[Flow]) -> tuple[Left, ...]:
        """What is left once `options` have settled, for each of the ways shares may have moved."""
        at_worst = self._lacking_after(options, flows, as_expected=False)
        expected = self._lacking_after(options, flows, as_expected=True)
        return tuple(map(Left, flows, at_worst, expected))

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
        return tuple(exposed(self.book, self._with_shares(left, flow, as_expected=as_expected)) for flow in flows)

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


def related(
    book: Book, positions: Iterable[Position], shares: Position | None, flat: Position, counted: Quantities | None
) -> Related:
    """The positions on one underlying as a book of their own. `flat` stands for shares that are not held."""
    options = [position for position in positions if position.is_option]
    on_index = any(option.underlying_instrument_type is SecurityType.INDEX for option in options)
    underlying = None if on_index else shares or flat
    held = (*options, underlying) if underlying else tuple(options)
    part = Book(account_id=book.account_id, positions=held, as_of=book.as_of)
    return Related(part, underlying, counted or {})


def flat_position(account_id: AccountId, option: Holding, name: str) -> Position:
    """Nothing of an option's underlying, which is not held."""
    return Position(
        account_id=account_id,
        instrument_id=option.underlying_instrument_id or InstrumentId(f"underlying {name}"),
        quantity=ZERO,
        symbol=name,
        instrument_type=SecurityType.COMMON_STOCK,
    )


def nearest_zero(values: Iterable[Decimal]) -> Decimal:
    """The smallest of several quantities of one sign; zero where they differ in sign."""
    each = tuple(values)
    if min(each) > 0:
        return min(each)
    return max(each) if max(each) < 0 else ZERO
