"""The consequence card of one instruction, as values and as lines a person reads before deciding."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.account.quotes import Moneyness, UnderlyingPrice
from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.instruments import OptionRight
from positions_mcp.domain.money import plain


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class CardRow(_Frozen):
    """A row whose consequence is asked for: whole contracts of a long option."""

    position: Position
    instruction_type: InstructionType
    quantity: int = Field(gt=0)


class Effect(_Frozen):
    """What moves: dollars received (negative: paid) and shares received (negative: delivered). None: not known."""

    cash: Decimal | None
    shares: Decimal | None

    @property
    def said(self) -> str:
        """In words: `pays 19,500.00, receives 100 shares`."""
        if self.cash is None and self.shares is None:
            return "cash and shares not known"
        if self.cash is None:
            return "cash not known, no shares"
        if not self.cash and not self.shares:
            return "no cash, no shares"
        cash = f"{'pays' if self.cash < 0 else 'receives'} {abs(self.cash):,.2f}"
        shares = self.shares or Decimal(0)
        return f"{cash}, {'receives' if shares > 0 else 'delivers'} {abs(shares):,f} shares"


class Uncovered(_Frozen):
    """Short contracts of one root and right that lack cover, before and after."""

    name: str
    before: Decimal
    after: Decimal
    unprotected_before: Decimal
    unprotected_after: Decimal

    @property
    def said(self) -> str:
        """In words: `AAPL calls: 1 uncovered (now 0)`."""
        if self.after > self.before:
            return f"{self.name}: {plain(self.after)} uncovered (now {plain(self.before)})"
        return (
            f"{self.name}: {plain(self.unprotected_after)} without a long option at any strike "
            f"(now {plain(self.unprotected_before)})"
        )


class ByException(_Frozen):
    """What clearing would do at the known price if nothing were sent. `exercised` is None without a price."""

    exercised: bool | None
    expires_today: bool
    effect: Effect
    uncovers: tuple[Uncovered, ...] = ()

    @property
    def said(self) -> str:
        """In words, with the day it would happen."""
        when = "today" if self.expires_today else "at expiration"
        if self.exercised is None:
            return f"{when}: not known without a price"
        uncovers = f"; leaves {', '.join(each.said for each in self.uncovers)}" if self.uncovers else ""
        happens = f"exercised {when}: {self.effect.said}" if self.exercised else f"expires worthless {when}"
        return f"at this price {happens}{uncovers}"


class ConsequenceCard(_Frozen):
    """What one instruction would do. Dollars and shares are exact; None means not known."""

    symbol: str
    instruction_type: InstructionType
    quantity: int
    right: OptionRight
    expiration: date
    strike: Decimal
    multiplier: int | None
    moneyness: Moneyness
    price: UnderlyingPrice | None
    price_said: str | None
    """The underlying's price and how old it is."""
    effect: Effect
    shares_after: Decimal | None
    """The share position after this row and those above it."""
    gives_up: Decimal | None
    """Dollars given up at the known price, by exercising or by not exercising."""
    by_exception: ByException
    uncovers: tuple[Uncovered, ...] = ()
    unknown: tuple[str, ...] = ()
    """What could not be known, and what follows from that."""

    @property
    def underlying_said(self) -> str:
        """The underlying's price, how old it is, and what follows for the moneyness."""
        if self.price_said is None:
            return "Underlying's price not known: moneyness unknown."
        return f"Underlying {self.price_said}: {self.moneyness}."

    @property
    def lines(self) -> tuple[str, ...]:
        """The card in sentences, most important first."""
        strike = plain(self.strike.normalize())
        size = "multiplier not known" if self.multiplier is None else f"multiplier {self.multiplier}"
        lines = [
            f"{self.instruction_type} {self.quantity} {self.symbol} (strike {strike}, {size}): {self.effect.said}.",
            self.underlying_said,
        ]
        if self.shares_after is not None and self.effect.shares:
            short = ", a short position" if self.shares_after < 0 else ""
            lines.append(f"Shares held afterwards: {self.shares_after:,f}{short}.")
        if self.gives_up and self.instruction_type is InstructionType.DO_NOT_EXERCISE:
            lines.append(f"Gives up the intrinsic value, {self.gives_up:,.2f} at this price.")
        elif self.gives_up:
            lines.append(
                f"Gives up {self.gives_up:,.2f} at these prices: time value, or a strike worse than the market."
            )
        lines.append(f"If nothing is sent: {self.by_exception.said}.")
        lines += [f"Leaves {each.said}." for each in self.uncovers]
        if self.unknown:
            lines.append(f"Not known: {'; '.join(self.unknown)}.")
        return tuple(lines)
