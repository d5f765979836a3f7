"""What an expiration will leave an account with, as values: by option, by underlying, and in all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from positions_mcp.domain.account.quotes import points_in_the_money
from positions_mcp.domain.account.sessions import Session
from positions_mcp.domain.exercise.facts import Basis, DecidingPrice
from positions_mcp.domain.exercise.outcomes import EveningResult, Lacking, Outcome
from positions_mcp.domain.exercise.settlement import Flow, Settling, Span
from positions_mcp.domain.instruments import OptionRight
from positions_mcp.domain.money import ZERO, exact_product, exact_sum
from positions_mcp.domain.portfolio.exposure import Exposed

TOO_NEAR: Final = Decimal("0.005")
"""Share of the price within which a strike is too near to call."""


@dataclass(frozen=True, slots=True)
class ProjectedOption:
    """One option and what becomes of its contracts. Counts are None where no price decides."""

    settling: Settling
    price: DecidingPrice

    @property
    def in_the_money(self) -> bool | None:
        """Whether exercise by exception takes it; None where that is not known."""
        return None if self.price.price is None else self.settling.in_the_money_at(self.price.price)

    @property
    def is_stated(self) -> bool:
        """Whether what it delivers follows from a price at all: not of an adjusted contract."""
        return self.settling.terms.multiplier is not None

    @property
    def is_too_near(self) -> bool:
        """Whether the price is too near the strike to call it: of a short one also once the close is known.

        Then its holder decides, and everything else goes by the close.
        """
        price, settling = self.price.price, self.settling
        if price is None or not self.is_stated or settling.terms.in_cash or not settling.expires:
            return False
        distance = abs(points_in_the_money(settling.contract, price))
        return distance <= exact_product(price, TOO_NEAR) and (settling.is_short or not self.price.is_final)

    @property
    def by_exception(self) -> Decimal | None:
        """Long contracts that clearing exercises by itself."""
        if self.settling.is_short or not self.settling.expires:
            return ZERO
        whole = self._exercised
        return None if whole is None else exact_sum((whole, -self.settling.on_instruction, -self.settling.by_batch))

    @property
    def assigned(self) -> Decimal | None:
        """Short contracts that are assigned."""
        return self._exercised if self.settling.is_short else ZERO

    @property
    def lapses(self) -> Decimal | None:
        """Contracts that end without anything moving."""
        whole = self._exercised
        if not self.settling.expires:
            return ZERO
        return None if whole is None else exact_sum((abs(self.settling.position.quantity), -whole))

    @property
    def flow(self) -> Flow | None:
        """Cash and shares that it moves; None where that is not known."""
        if self.price.price is None or not self.is_stated:
            return None
        return self.settling.flow(self.price.price)

    @property
    def is_short_call(self) -> bool:
        """Whether it is a short call that expires."""
        settling = self.settling
        return settling.is_short and settling.expires and settling.contract.right is OptionRight.CALL

    def is_assigned_call_at(self, price: Decimal) -> bool:
        return self.is_short_call and self.settling.in_the_money_at(price)

    @property
    def _exercised(self) -> Decimal | None:
        if not self.settling.expires:
            return self.settling.exercised(in_the_money=False).expected
        return None if self.in_the_money is None else self.settling.exercised(in_the_money=self.in_the_money).expected


@dataclass(frozen=True, slots=True)
class PinSide:
    """What the whole evening does on one side of a strike that is too near to call."""

    left: EveningResult
    assigns_call: bool
    """Whether a short call is assigned."""
    is_still: bool
    """Whether nothing is exercised or assigned; otherwise it may still come to nothing in all."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A strike so near the price that it cannot be called, with what the evening does on either side of it."""

    strike: Decimal
    price: Decimal
    lower: PinSide
    upper: PinSide
    has_short: bool
    """Whether an own short option has this strike: then others decide, also against the close."""
    is_decided: bool = False
    """Whether the cut-off is over, so that they have decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectedUnderlying:
    """What the evening does on one underlying."""

    name: str
    options: tuple[ProjectedOption, ...]
    shares_before: Decimal
    outcomes: tuple[Outcome, ...]
    """What moves: one where the price is known, else one for each range of closing prices. Without what is not
    `stated`."""
    lacking_before: Lacking
    left: tuple[EveningResult, ...]
    """What each of them leaves."""
    pins: tuple[Pin, ...] = ()
    shares_locked: Decimal = ZERO
    """Of them, what open orders may still trade, which is not in the outcomes."""
    not_stated: tuple[ProjectedOption, ...] = ()
    """Options whose cash and shares are not in the sums, because they are not known."""
    doubts: tuple[str, ...] = ()
    """Instructions that may still end otherwise."""

    @property
    def price(self) -> DecidingPrice:
        """The price that decides, of the first option for which one is known; of those that expire where any do.

        Where none is, that of one for which a close decides, if there is any.
        """
        prices = [option.price for option in self.options if option.settling.expires] or [o.price for o in self.options]
        known = (price for price in prices if price.price is not None)
        closes = (price for price in prices if price.basis in (Basis.CLOSE_NOT_KNOWN, Basis.NO_PRICE))
        return next(known, next(closes, prices[0]))

    @property
    def flow(self) -> Flow | None:
        """What moves, where there is one outcome and every option is in it."""
        return self.outcomes[0].flow if len(self.outcomes) == 1 and not self.not_stated else None

    @property
    def cash(self) -> Span:
        """Dollars that move, over every outcome and on either side of pins; `expected` is that of the first outcome."""
        sides = [side.left.flow.cash for pin in self.pins for side in (pin.lower, pin.upper)]
        return _over((*(outcome.flow.cash for outcome in self.outcomes), *sides))

    @property
    def is_stated(self) -> bool:
        """Whether cash and shares of any option are known."""
        return len(self.not_stated) < len(self.options)

    @property
    def shares_after(self) -> Span:
        """Shares held afterwards, over every outcome."""
        return _over(tuple(outcome.flow.shares for outcome in self.outcomes)).plus(Span.exactly(self.shares_before))

    @property
    def short_shares(self) -> Decimal:
        """Shares that may be short afterwards and were not before, at worst."""
        return max(min(self.shares_before, ZERO) - min(self.shares_after.least, ZERO), ZERO)

    @property
    def left_lacking(self) -> tuple[Exposed, ...]:
        """Short options that lack cover afterwards, at worst over every outcome."""
        worst: dict[object, Exposed] = {}
        for left in self.left:
            for group, after in left.at_worst.items():
                known = worst.get(group, after)
                worst[group] = max(known, after, key=lambda each: (each.uncovered, each.unprotected))
        return tuple(each for each in worst.values() if each.uncovered or each.unprotected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """What the evening of `day` does to an account, as far as is known at `now`."""

    now: datetime
    session: Session
    """The last session of what expires."""
    cutoffs: tuple[datetime, ...]
    """From when no instruction is taken for it: at the opening on what that settles, else at the cut-off of the day."""
    underlyings: tuple[ProjectedUnderlying, ...]
    settles: date | None = None
    """When the shares and cash are due; None where nothing is held that moves any."""
    cash_before: Decimal | None = None
    buying_power: Decimal | None = None
    unknown: tuple[str, ...] = ()
    """What is not known, and what follows from that."""

    @property
    def day(self) -> date:
        """The New York day of the evening."""
        return self.session.day

    @property
    def cash(self) -> Span:
        """Dollars received in all; negative: paid. Without what is not stated."""
        total = Span()
        for each in self.underlyings:
            total = total.plus(each.cash)
        return total

    @property
    def is_known(self) -> bool:
        """Whether every option is in the sums, at one price each."""
        return all(each.flow is not None for each in self.underlyings)

    @property
    def cash_needed(self) -> Decimal:
        """Dollars that the account pays on balance, at worst; zero where it receives."""
        return max(-self.cash.least, ZERO)


def _over(spans: tuple[Span, ...]) -> Span:
    """One span over several, of which one will be."""
    return Span(spans[0].expected, min(each.least for each in spans), max(each.most for each in spans))
