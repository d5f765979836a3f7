"""The contracts of the API, as it was in May, in the summer and is now, and the values of its enums in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from positions_mcp.paper.errors import PaperError

ContractName = Literal["seed", "summer", "current", "auto"]
ErrorShape = Literal["flat", "enveloped"]

OLD_KEY, NEW_KEY = "instruction_id", "client_instruction_id"
"""What the caller's key of an instruction was called until SDK 0.7, and has been since 0.8."""
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
_INSTRUCTION_STATUSES = ("SENT", "ACCEPTED", "REJECTED", "CANCEL_REQUESTED", "CANCELLED", "CANCEL_FAILED", "UNKNOWN")


@dataclass(frozen=True, slots=True)
class Dialect:
    """One contract of the API.

    `seed` is the specification of mid-May 2026 (PyPI release 0.4), `summer` that of June to August (0.5 to 0.7,
    TypeScript to 0.91), `current` the API as releases 0.8 to 0.11 have it. `auto` is `current` with the caller's key
    under both names. The seed's errors are flat (`{code, message, details}`), later ones enveloped
    (`{error, metadata}`); either can be asked for with any.
    """

    name: ContractName
    errors: ErrorShape

    @property
    def is_seed(self) -> bool:
        return self.name == "seed"

    @property
    def is_current(self) -> bool:
        return self.name in ("current", "auto")

    @property
    def key_fields(self) -> tuple[str, ...]:
        """What the caller's key of an instruction is called: one name, or both."""
        if self.name == "auto":
            return (NEW_KEY, OLD_KEY)
        return (NEW_KEY,) if self.is_current else (OLD_KEY,)

    @property
    def sort_keys(self) -> tuple[str, ...]:
        return _SORT_KEYS if self.is_seed else (*_SORT_KEYS, "DAILY_REALIZED_PNL")

    @property
    def order_statuses(self) -> tuple[str, ...]:
        return (*_ORDER_STATUSES, "QUEUED", "PENDING_TRIGGER") if self.is_current else _ORDER_STATUSES

    @property
    def position_types(self) -> tuple[str, ...]:
        if self.is_seed:
            return ("LONG", "SHORT", "LONG_CALL", "SHORT_CALL", "LONG_PUT", "SHORT_PUT")
        return ("LONG", "SHORT")

    @property
    def instrument_types(self) -> tuple[str, ...]:
        if self.is_seed:
            return ("COMMON_STOCK", "PREFERRED_STOCK", "OPTION", "CASH", "OTHER")
        return ("COMMON_STOCK", "INDEX", "OPTION", "CASH")

    @property
    def refused_status(self) -> str:
        """The status of an instruction that was never taken in."""
        return "ENGINE_REJECTED" if self.is_seed else "REJECTED"

    @property
    def instruction_statuses(self) -> tuple[str, ...]:
        return (*_INSTRUCTION_STATUSES, "ENGINE_REJECTED") if self.is_seed else _INSTRUCTION_STATUSES


def dialect_of(name: ContractName, errors: ErrorShape | None = None) -> Dialect:
    """The contract of that name, with its own shape of errors unless another is asked for. Raises PaperError."""
    if name not in get_args(ContractName):
        raise PaperError(f"no contract {name!r}; there are {', '.join(get_args(ContractName))}")
    if errors is not None and errors not in get_args(ErrorShape):
        raise PaperError(f"no shape of errors {errors!r}; there are {', '.join(get_args(ErrorShape))}")
    return Dialect(name, errors or ("flat" if name == "seed" else "enveloped"))
