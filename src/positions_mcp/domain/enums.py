"""Open enumerations: known values have names, unknown ones are kept as the API sent them and never fail a page.

The API has renamed and added values several times. What a later contract renamed is folded onto one meaning by the
properties beside it, while the value itself stays as it arrived.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Self, cast


class OpenEnum(StrEnum):
    """A string enumeration that accepts values it does not know; `is_known` tells them apart.

    A known value is known in any letters.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            return None
        if (known := cls._value2member_map_.get(value.strip().upper())) is not None:
            return cast("Self", known)
        member = str.__new__(cls, value)
        member._name_ = value
        member._value_ = value
        return member

    @property
    def is_known(self) -> bool:
        """Whether this program knows the value."""
        return self._value_ in type(self)._value2member_map_


class SecurityType(OpenEnum):
    """Type of security. INDEX is newer than the seed contract; PREFERRED_STOCK and OTHER were dropped since."""

    COMMON_STOCK = "COMMON_STOCK"
    PREFERRED_STOCK = "PREFERRED_STOCK"
    OPTION = "OPTION"
    CASH = "CASH"
    INDEX = "INDEX"
    OTHER = "OTHER"

    @cached_property
    def is_money(self) -> bool:
        """Whether it is money itself, also in a value that this program does not know."""
        return self.upper() in {"CASH", "CASH_BALANCE", "CURRENCY", "FX", "FOREX"}


class PositionType(OpenEnum):
    """Classification of a position. Since June 2026 the API sends LONG and SHORT for options too."""

    LONG = "LONG"
    SHORT = "SHORT"
    LONG_CALL = "LONG_CALL"
    SHORT_CALL = "SHORT_CALL"
    LONG_PUT = "LONG_PUT"
    SHORT_PUT = "SHORT_PUT"

    @cached_property
    def is_long(self) -> bool:
        """Whether it says long, also in a value that this program does not know."""
        return self.upper().startswith("LONG")

    @cached_property
    def is_short(self) -> bool:
        """Whether it says short, also in a value that this program does not know."""
        return self.upper().startswith("SHORT")


class PositionSortKey(StrEnum):
    """Keys by which the API sorts positions. DAILY_REALIZED_PNL is newer than the seed contract."""

    SYMBOL = "SYMBOL"
    INSTRUMENT_TYPE = "INSTRUMENT_TYPE"
    QUANTITY = "QUANTITY"
    MARKET_VALUE = "MARKET_VALUE"
    POSITION_TYPE = "POSITION_TYPE"
    UNREALIZED_PNL = "UNREALIZED_PNL"
    DAILY_UNREALIZED_PNL = "DAILY_UNREALIZED_PNL"
    DAILY_REALIZED_PNL = "DAILY_REALIZED_PNL"


class SortDirection(StrEnum):
    """Direction of a sort."""

    ASC = "ASC"
    DESC = "DESC"


class OrderSide(OpenEnum):
    """Side of an order. SELL_SHORT and OTHER are of the seed contract only."""

    BUY = "BUY"
    SELL = "SELL"
    SELL_SHORT = "SELL_SHORT"
    OTHER = "OTHER"


class OrderType(OpenEnum):
    """How an order is priced."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"
    TRAILING_STOP = "TRAILING_STOP"
    TRAILING_STOP_LIMIT = "TRAILING_STOP_LIMIT"
    OTHER = "OTHER"


class OrderStatus(OpenEnum):
    """Lifecycle status of an order. QUEUED and PENDING_TRIGGER are newer than the seed contract."""

    PENDING_NEW = "PENDING_NEW"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    PENDING_CANCEL = "PENDING_CANCEL"
    PENDING_REPLACE = "PENDING_REPLACE"
    REPLACED = "REPLACED"
    DONE_FOR_DAY = "DONE_FOR_DAY"
    STOPPED = "STOPPED"
    SUSPENDED = "SUSPENDED"
    CALCULATED = "CALCULATED"
    QUEUED = "QUEUED"
    PENDING_TRIGGER = "PENDING_TRIGGER"
    OTHER = "OTHER"

    @property
    def is_terminal(self) -> bool:
        """Whether the order can never fill again. False for values this program does not know."""
        return self in _ENDED_ORDERS


class TimeInForce(OpenEnum):
    """How long an order stands. AT_THE_OPENING and AT_THE_CLOSE became AT_OPEN and AT_CLOSE."""

    DAY = "DAY"
    GOOD_TILL_CANCEL = "GOOD_TILL_CANCEL"
    IMMEDIATE_OR_CANCEL = "IMMEDIATE_OR_CANCEL"
    FILL_OR_KILL = "FILL_OR_KILL"
    GOOD_TILL_DATE = "GOOD_TILL_DATE"
    AT_THE_OPENING = "AT_THE_OPENING"
    AT_THE_CLOSE = "AT_THE_CLOSE"
    AT_OPEN = "AT_OPEN"
    AT_CLOSE = "AT_CLOSE"
    GOOD_TILL_CROSSING = "GOOD_TILL_CROSSING"
    GOOD_THROUGH_CROSSING = "GOOD_THROUGH_CROSSING"
    AT_CROSSING = "AT_CROSSING"
    OTHER = "OTHER"


class QueueState(OpenEnum):
    """Whether an order that waits for a session has been released."""

    AWAITING_RELEASE = "AWAITING_RELEASE"
    RELEASED = "RELEASED"


class TrailingOffsetType(OpenEnum):
    """Unit of a trailing offset."""

    PRICE = "PRICE"
    BPS = "BPS"


class ContractType(OpenEnum):
    """Whether an option is a call or a put, as the API says it."""

    CALL = "CALL"
    PUT = "PUT"


class ExerciseStyle(OpenEnum):
    """When an option may be exercised: on any day, or at its expiration only."""

    AMERICAN = "AMERICAN"
    EUROPEAN = "EUROPEAN"


class ListingType(OpenEnum):
    """Where the terms of an option come from."""

    STANDARD = "STANDARD"
    FLEX = "FLEX"
    OTC = "OTC"


class MarginType(OpenEnum):
    """The margin model of an account."""

    NONE = "NONE"
    REG_T = "REG_T"
    PORTFOLIO_MARGIN = "PORTFOLIO_MARGIN"
    RISK_BASED_HAIRCUT_BROKER_DEALER = "RISK_BASED_HAIRCUT_BROKER_DEALER"
    RISK_BASED_HAIRCUT_MARKET_MAKER = "RISK_BASED_HAIRCUT_MARKET_MAKER"
    CIRO = "CIRO"
    FUTURES_NLV = "FUTURES_NLV"
    FUTURES_TOT_EQ = "FUTURES_TOT_EQ"
    OTHER = "OTHER"


class InstructionType(OpenEnum):
    """What an instruction asks for."""

    EXERCISE = "EXERCISE"
    DO_NOT_EXERCISE = "DO_NOT_EXERCISE"
    CONTRARY_EXERCISE = "CONTRARY_EXERCISE"


class InstructionStatus(OpenEnum):
    """Lifecycle status of an instruction. ENGINE_REJECTED became REJECTED in June 2026."""

    SENT = "SENT"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    ENGINE_REJECTED = "ENGINE_REJECTED"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    CANCELLED = "CANCELLED"
    CANCEL_FAILED = "CANCEL_FAILED"
    UNKNOWN = "UNKNOWN"

    @property
    def is_rejected(self) -> bool:
        """Whether the row was refused, under either contract's name."""
        return self in (InstructionStatus.REJECTED, InstructionStatus.ENGINE_REJECTED)

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more will happen by itself; CANCEL_FAILED too: an operator must look."""
        return self.is_rejected or self in _ENDED_INSTRUCTIONS

    @property
    def is_outstanding(self) -> bool:
        """Whether the instruction claims contracts: sent, accepted, or a cancel not known to have succeeded."""
        return not self.is_rejected and self is not InstructionStatus.CANCELLED


_ENDED_ORDERS = frozenset(
    {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED, OrderStatus.REPLACED}
)
_ENDED_INSTRUCTIONS = frozenset(
    {InstructionStatus.ACCEPTED, InstructionStatus.CANCELLED, InstructionStatus.CANCEL_FAILED}
)
