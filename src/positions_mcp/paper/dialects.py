"""The two dialects of the API, and the values of its enums in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from positions_mcp.paper.errors import PaperError

ContractName = Literal["seed", "current"]
ErrorShape = Literal["flat", "enveloped"]

_SORT_KEYS = (
    "SYMBOL",
    "INSTRUMENT_TYPE",
    "QUANTITY",
    "MARKET_VALUE",
    "POSITION_TYPE",
    "UNREALIZED_PNL",
    "DAILY_UNREALIZED_PNL",
)
_ORDER_STATUSES = (
    "PENDING_NEW",
    "NEW",
    "PARTIALLY_FILLED",
    "FILLED",
    "CANCELED",
    "REJECTED",
    "EXPIRED",
    "PENDING_CANCEL",
    "PENDING_REPLACE",
    "REPLACED",
    "DONE_FOR_DAY",
    "STOPPED",
    "SUSPENDED",
    "CALCULATED",
    "OTHER",
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """One dialect of the API.

    `seed` is the specification of mid-May 2026, `current` the API as SDK 0.11.0 has it. The seed's errors are flat
    (`{code, message, details}`), the current ones enveloped (`{error, metadata}`); either can be asked for with either.
    """

    name: ContractName
    errors: ErrorShape

    @property
    def is_current(self) -> bool:
        """Whether this is the API of today."""
        return self.name == "current"

    @property
    def key_field(self) -> str:
        """What the caller's key of an instruction is called."""
        return "client_instruction_id" if self.is_current else "instruction_id"

    @property
    def sort_keys(self) -> tuple[str, ...]:
        """What positions can be sorted by."""
        return (*_SORT_KEYS, "DAILY_REALIZED_PNL") if self.is_current else _SORT_KEYS

    @property
    def order_statuses(self) -> tuple[str, ...]:
        """The values of an order's status."""
        return (*_ORDER_STATUSES, "QUEUED", "PENDING_TRIGGER") if self.is_current else _ORDER_STATUSES

    @property
    def position_types(self) -> tuple[str, ...]:
        """The values of a position's type."""
        if self.is_current:
            return ("LONG", "SHORT")
        return ("LONG", "SHORT", "LONG_CALL", "SHORT_CALL", "LONG_PUT", "SHORT_PUT")

    @property
    def instrument_types(self) -> tuple[str, ...]:
        """The values of a security's type."""
        if self.is_current:
            return ("COMMON_STOCK", "INDEX", "OPTION", "CASH")
        return ("COMMON_STOCK", "PREFERRED_STOCK", "OPTION", "CASH", "OTHER")

    @property
    def instruction_statuses(self) -> tuple[str, ...]:
        """The values of an instruction's status."""
        both = ("SENT", "ACCEPTED", "REJECTED", "CANCEL_REQUESTED", "CANCELLED", "CANCEL_FAILED", "UNKNOWN")
        return both if self.is_current else (*both, "ENGINE_REJECTED")


def dialect_of(name: ContractName, errors: ErrorShape | None = None) -> Dialect:
    """The dialect of that name, with its own shape of errors unless another is asked for.

    Raises:
        PaperError: there is no such dialect or shape.
    """
    if name not in get_args(ContractName):
        raise PaperError(f"no contract {name!r}; there are {', '.join(get_args(ContractName))}")
    if errors is not None and errors not in get_args(ErrorShape):
        raise PaperError(f"no shape of errors {errors!r}; there are {', '.join(get_args(ErrorShape))}")
    return Dialect(name, errors or ("enveloped" if name == "current" else "flat"))
