"""What a mandate allows, and on which day: instruments, kinds, amounts, and bounds on prices and losses."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.domain.exercise.terms import INDEX_ROOTS
from positions_mcp.domain.ids import AccountId, is_uuid
from positions_mcp.domain.instruments import OptionContract, as_root, parse_option_symbol
from positions_mcp.domain.money import is_sensible
from positions_mcp.domain.operation.plan import Frozen, Kind, Mode
from positions_mcp.domain.operation.supervision import is_called

MOST_OPERATIONS = 500
MOST_NAMES = 100
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9./-]{0,20}", re.ASCII)


class MandateKind(StrEnum):
    """The kinds of operation that a mandate may cover. Closing a whole account is none of them."""

    CLOSE = "close"
    EXERCISE = "exercise"
    CANCEL = "cancel"

    @classmethod
    def of(cls, kind: Kind) -> MandateKind | None:
        """What a plan of that kind is; None for what no mandate covers."""
        return _OF_KIND.get(kind)

    @property
    def shown(self) -> str:
        return _SHOWN[self]


_OF_KIND = {
    Kind.CLOSE_POSITIONS: MandateKind.CLOSE,
    Kind.SUBMIT_INSTRUCTIONS: MandateKind.EXERCISE,
    Kind.CANCEL_INSTRUCTION: MandateKind.CANCEL,
}
_SHOWN = {
    MandateKind.CLOSE: "close positions",
    MandateKind.EXERCISE: "submit exercise instructions",
    MandateKind.CANCEL: "cancel exercise instructions",
}


def named(text: str) -> str:
    """How an instrument stands in a mandate: an option by its symbol without spaces, another by its symbol, or a UUID.

    Raises ValueError for what is neither.
    """
    name = text.strip()
    if is_uuid(name):
        return name.lower()
    contract, symbol = parse_option_symbol(name), name.upper()
    if contract is None and _SYMBOL.fullmatch(symbol) is None:
        raise ValueError(f"{text!r:.60} is no symbol: name a share, an option by its OSI symbol, or a UUID")
    return contract.compact if contract else symbol


def _underlying(text: str) -> str:
    name = named(text)
    if is_uuid(name) or parse_option_symbol(name) is not None:
        raise ValueError(f"{text!r:.60} is no underlying: name the symbol of a share")
    return name


def _dollars(amount: Decimal) -> Decimal:
    if not is_sensible(amount) or amount <= 0:
        raise ValueError("an amount is dollars, more than 0")
    return amount


def _price(amount: Decimal | None) -> Decimal | None:
    if amount is not None and (not is_sensible(amount) or amount < 0):
        raise ValueError("a price is dollars, 0 or more")
    return amount


Dollars = Annotated[Decimal, AfterValidator(_dollars)]
Price = Annotated[Decimal | None, AfterValidator(_price)]
InstrumentName = Annotated[str, AfterValidator(named)]
UnderlyingName = Annotated[str, AfterValidator(_underlying)]


class PriceBound(Frozen):
    """Between which prices something may be sent: of the instrument itself, or of the underlying of options."""

    instrument: InstrumentName
    at_least: Price = None
    at_most: Price = None

    def model_post_init(self, _context: object) -> None:
        if self.at_least is None and self.at_most is None:
            raise ValueError(f"a bound on the price of {self.instrument} needs a least or a most price")
        if None not in (self.at_least, self.at_most) and self.at_least > self.at_most:  # type: ignore[operator]
            raise ValueError(f"no price of {self.instrument} is within its bounds")


class Window(Frozen):
    """When a signed mandate holds: from `begins` until before `ends`, within one New York day."""

    day: date
    begins: AwareDatetime
    ends: AwareDatetime

    def model_post_init(self, _context: object) -> None:
        if not midnight(self.day) <= self.begins < self.ends <= end_of_day(self.day):
            raise ValueError(f"a mandate begins before it ends, both on {self.day} in New York")


class MandateTerms(Frozen):
    """What a mandate allows. Amounts are notional in dollars, as plans count against limits."""

    mode: Mode
    account_id: AccountId
    kinds: tuple[MandateKind, ...] = Field(min_length=1)
    instruments: tuple[InstrumentName, ...] = Field(default=(), max_length=MOST_NAMES)
    """Each one alone."""
    underlyings: tuple[UnderlyingName, ...] = Field(default=(), max_length=MOST_NAMES)
    """The share of that symbol, and the standard options whose root it is."""
    callers: tuple[str, ...] = Field(default=(), max_length=20)
    """Who may use it: as plans name them, a client's name or a token's subject; empty for anybody."""
    per_operation: Dollars
    in_all: Dollars
    operations: int = Field(ge=1, le=MOST_OPERATIONS)
    cancel_orders: bool = False
    """Whether closes may cancel open orders first."""
    prices: tuple[PriceBound, ...] = Field(default=(), max_length=MOST_NAMES)
    loss_at_most: Dollars | None = None
    """Only while what its positions have lost, gains not counted, is at most this."""
    until: time | None = None
    """New York time of day; None for the end of the day."""

    def model_post_init(self, _context: object) -> None:
        if not (self.instruments or self.underlyings):
            raise ValueError("a mandate names instruments or underlyings")
        if len(set(self.kinds)) != len(self.kinds):
            raise ValueError("a kind is named once")
        if self.per_operation > self.in_all:
            raise ValueError("one operation may not come to more than all of them together")
        if self.cancel_orders and MandateKind.CLOSE not in self.kinds:
            raise ValueError("only closes cancel open orders")
        if self.loss_at_most is not None and set(self.kinds) != {MandateKind.CLOSE}:
            raise ValueError("a bound on losses is for closes alone")
        for bound in self.prices:
            if bound.instrument not in (*self.instruments, *self.underlyings, *self._roots):
                raise ValueError(f"a price of {bound.instrument} is bounded, which it does not name")
        if any(not caller.strip() for caller in self.callers):
            raise ValueError("a caller has a name")
        if self.until is not None and (self.until.tzinfo is not None or self.until == time.min):
            raise ValueError("until is a New York time of day after midnight")

    def is_for(self, caller: str) -> bool:
        return not self.callers or any(is_called(caller, name) for name in self.callers)

    @property
    def _roots(self) -> set[str]:
        """What the options among its instruments are on."""
        contracts = filter(None, map(parse_option_symbol, self.instruments))
        return {root for contract in contracts for root in roots_of(contract)}

    def window(self, day: date, now: datetime) -> Window:
        """When it holds if it is signed at `now` for a New York day. Raises ValueError where that is over."""
        end = end_of_day(day)
        if self.until is not None:
            end = min(end, datetime.combine(day, self.until, NEW_YORK).astimezone(UTC))
        return Window(day=day, begins=max(now, midnight(day)), ends=end)


def end_of_day(day: date) -> datetime:
    """The midnight in New York that ends a day, whether that has 23, 24 or 25 hours."""
    return midnight(day + timedelta(days=1))


def midnight(day: date) -> datetime:
    """When a New York day begins. In UTC, because times of one zone are compared by the clock on the wall."""
    return datetime.combine(day, time.min, NEW_YORK).astimezone(UTC)


def roots_of(contract: OptionContract) -> set[str]:
    """What an option may be said to be on: its root, that without an adjustment's digits, and a weekly's index."""
    plain = contract.underlying_root
    listed = INDEX_ROOTS.get(plain)
    return {as_root(contract.root), plain, *([as_root(listed.index)] if listed else [])}
