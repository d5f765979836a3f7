"""Makes up positions from a seed, for scenarios as large as a desk's book."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from positions_mcp.paper.holdings import Instrument
from positions_mcp.paper.scenario import GenerateSection
from positions_mcp.paper.symbols import Contract, instrument_id_of

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CENT = Decimal("0.01")
_HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class GeneratedPosition:
    """A position that was made up: shares of `symbol`, or a contract, and what was paid for each unit."""

    symbol: str
    contract: Contract | None
    quantity: Decimal
    average_price: Decimal


class Generator:
    """The same section and expiries always give the same underlyings and positions."""

    def __init__(self, section: GenerateSection, expiries: list[date]) -> None:
        self._section = section
        self._expiries = expiries
        self._dice = random.Random(f"{section.seed}|{section.positions}")  # noqa: S311  # repeatable on purpose
        self.underlyings = [self._underlying(_ticker(number)) for number in range(section.underlyings)]

    def positions(self) -> list[GeneratedPosition]:
        """As many positions as the section asks for, no two in the same instrument."""
        section, dice = self._section, self._dice
        shares = self.underlyings[: section.positions - int(section.positions * section.options)]
        made = {share.symbol: self._holding(share, None, dice.randrange(1, 2000)) for share in shares}
        while len(made) < section.positions:
            underlying = dice.choice(self.underlyings)
            price = underlying.price or Decimal(1)
            strike = max((price * dice.randrange(60, 141) / 100).quantize(_HALF), _HALF)
            right = dice.choice(("call", "put"))
            contract = Contract(
                underlying.symbol, dice.choice(self._expiries), "call" if right == "call" else "put", strike
            )
            if contract.compact not in made:
                made[contract.compact] = self._holding(underlying, contract, dice.randrange(1, 60))
        return list(made.values())

    def _underlying(self, symbol: str) -> Instrument:
        price, volatility = (
            Decimal(self._dice.randrange(500, 60_000)) / 100,
            Decimal(self._dice.randrange(15, 80)) / 100,
        )
        return Instrument(symbol, instrument_id_of(symbol), None, price, volatility, "XNYS")

    def _holding(self, underlying: Instrument, contract: Contract | None, units: int) -> GeneratedPosition:
        dice, price = self._dice, underlying.price or Decimal(1)
        if contract:
            price = price * dice.randrange(1, 120) / 1000
        paid = max((price * dice.randrange(70, 131) / 100).quantize(_CENT), _CENT)
        quantity = Decimal(-units if dice.random() < self._section.short else units)
        return GeneratedPosition(underlying.symbol, contract, quantity, paid)


def _ticker(number: int) -> str:
    """A four-letter ticker that is none of the usual ones: QAAA, QAAB and so on."""
    letters = ""
    for _ in range(3):
        number, place = divmod(number, 26)
        letters = _LETTERS[place] + letters
    return "Q" + letters
