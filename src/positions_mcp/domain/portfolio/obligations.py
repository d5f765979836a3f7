"""Exposure beside market value: what short options oblige to, and delta-adjusted value where greeks are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.enums import SecurityType
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.instruments import OptionRight
from positions_mcp.domain.money import ZERO, exact_product, exact_sum

MOST_OPTIONS = 50
"""Options that a delta is asked for; of an account with more, delta-adjusted value is not known."""


class Obligations:
    """Dollars at their strikes for which short options may be assigned, gathered page by page."""

    def __init__(self) -> None:
        self.puts = ZERO
        """Paid for the shares that short puts buy."""
        self.calls = ZERO
        """Received for the shares that short calls sell."""
        self.in_cash = ZERO
        """Strikes of short index options, which settle in cash and move no shares."""
        self.not_known = 0
        """Short options whose deliverable does not follow from their symbol."""
        self.options: list[Holding] = []
        """All options, as long as they are few."""
        self.are_all = True
        """Whether `options` are all of them."""
        self.others = ZERO
        """Market value of what is no option and no cash."""
        self.unpriced = 0
        """Positions of these that have none."""

    def add(self, positions: Sequence[Holding]) -> None:
        """Count some more positions."""
        options: list[Holding] = []
        values: list[Decimal] = []
        for each in positions:
            if each.instrument_type is SecurityType.OPTION or each.is_option:
                options += [each] if each.quantity else []
            elif (value := each.value) is not None and not each.is_cash:
                values.append(value)
            else:
                self.unpriced += value is None
        self.others = exact_sum((self.others, *values))
        self.are_all = self.are_all and len(self.options) + len(options) <= MOST_OPTIONS
        self.options = [*self.options, *options] if self.are_all else []
        for each in options:
            if each.counted_quantity < 0:
                self._oblige(each)

    def _oblige(self, short: Holding) -> None:
        contract, size = short.contract, short.multiplier
        if contract is None or size is None:
            self.not_known += 1
            return
        amount = exact_product(abs(short.quantity), size, contract.strike)
        if short.underlying_instrument_type is SecurityType.INDEX:
            self.in_cash += amount
        elif contract.right is OptionRight.PUT:
            self.puts += amount
        else:
            self.calls += amount

    @property
    def exist(self) -> bool:
        """Whether any option is held short."""
        return bool(self.puts or self.calls or self.in_cash or self.not_known)


@dataclass(frozen=True, slots=True)
class DeltaAdjusted:
    """Net dollars that an account moves like, and how many positions are not in it: no delta, price or size known."""

    net: Decimal
    lacking: int


def delta_adjusted(
    held: Obligations, deltas: Mapping[InstrumentId, Decimal], price_of: Mapping[InstrumentId, Decimal]
) -> DeltaAdjusted | None:
    """Market value of what is no option, and delta x size x the underlying's price of options; None: not known.

    `price_of` has the prices of underlyings by the id of the option.
    """
    parts = list(_parts(held.options, deltas, price_of))
    if not held.are_all or not parts:
        return None
    return DeltaAdjusted(exact_sum((held.others, *parts)), len(held.options) - len(parts) + held.unpriced)


def _parts(
    options: Iterable[Holding], deltas: Mapping[InstrumentId, Decimal], price_of: Mapping[InstrumentId, Decimal]
) -> Iterable[Decimal]:
    for each in options:
        delta, price, size = deltas.get(each.instrument_id), price_of.get(each.instrument_id), each.multiplier
        if delta is not None and price is not None and size is not None:
            yield exact_product(each.counted_quantity, size, delta, price)
