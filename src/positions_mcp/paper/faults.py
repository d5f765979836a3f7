"""Failures on demand: which there are, when they strike, and how they leave the exchange.

A fault is armed for one operation (or `any`) and a number of strikes. It strikes when a request for that operation
has been authenticated. What happens is real at the level at which it happens:

- *In the answer* (a status, a body that is cut, a missing order …): the answer itself is that way, in process and
  over TCP.
- *At the connection*: the application raises a `TransportFault`. Over TCP the server turns it into the real thing:
  the socket is reset without an answer (`ConnectionDropped`), the answer stops half way and the socket is reset
  (`AnswerTruncated`), or the listening socket is closed for a while (`ConnectionRefused`: then the operating system
  refuses, and as it never tells anybody, such a fault lasts a number of seconds instead of a number of strikes). In
  process there is no socket: the exception leaves the ASGI application, and whoever called it treats it as its HTTP
  library would have: `ConnectionRefused` as a failure to connect (nothing was sent), `ConnectionDropped` and
  `AnswerTruncated` as a failure to read (something may have happened).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from positions_mcp.paper.errors import PaperError

READS = (
    "get_positions",
    "get_position_instructions",
    "get_orders",
    "get_order",
    "get_accounts",
    "get_account",
    "get_balances",
    "get_executions",
    "get_clock",
    "get_market_hours",
    "get_instruments",
    "get_instrument",
    "get_instrument_events",
    "get_option_contracts",
    "get_snapshots",
)
WRITES = (
    "close_positions",
    "close_position",
    "submit_position_instructions",
    "cancel_position_instruction",
    "cancel_order",
)
OPERATIONS = (*READS, *WRITES)
ANY = "any"

KINDS: Mapping[str, str] = {
    "refuse": "the connection is refused; over TCP for --seconds (default 2)",
    "delay": "the effect happens at once, the answer comes after --seconds (default 2)",
    "delay_before_effect": "nothing happens for --seconds (default 2), then the request is served",
    "drop_before_effect": "the connection is dropped before anything happened",
    "drop_after_effect": "the effect happens, then the connection is dropped without an answer",
    "truncated_body": "the effect happens, half of the answer arrives, then the connection is dropped",
    "non_json_body": "the effect happens, the answer is a page of HTML with status 200",
    "empty_204": "the effect happens, the answer is 204 without a body",
    "missing_order": "the effect happens, one order is missing from the answer",
    "changed_quantity": "the position grows by one unit just before it is closed, so the order has another quantity",
    "ignored_key": "the caller's instruction key is neither echoed nor honoured",
    "unknown_fields": "the answer has fields and enum values that no specification knows",
    "clearing_down": "the clearing service is unavailable: 503, and every submitted row is rejected",
    "changed_total": "the total differs from page to page (strikes from the second page on)",
}
"""Kinds of fault and what they do. `status_NNN` (300–599) is one more: the answer has that status, without an effect
unless armed with `after_effect`; 429 carries Retry-After of `seconds` (default 1)."""

_STATUS = re.compile(r"status_([345][0-9][0-9])", re.ASCII)
_KINDS_FOR: Mapping[str, tuple[str, ...]] = {
    "missing_order": ("close_positions", "close_position"),
    "changed_quantity": ("close_positions", "close_position"),
    "ignored_key": ("submit_position_instructions",),
    "clearing_down": ("get_position_instructions", "submit_position_instructions", "cancel_position_instruction"),
    "changed_total": ("get_positions", "get_orders"),
}


class TransportFault(Exception):
    """A failure of the connection, raised out of the ASGI application on purpose."""


class ConnectionRefused(TransportFault):
    """The request never arrived: as if nothing had listened."""


class ConnectionDropped(TransportFault):
    """The connection ended without an answer; whether there was an effect is not told."""


class AnswerTruncated(TransportFault):
    """The connection ended in the middle of the answer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is armed: for which operation, which kind, and how often it will still strike."""

    operation: str
    kind: str
    times: int = 1
    seconds: Decimal | None = None
    after_effect: bool = False
    number: int = 0

    def __post_init__(self) -> None:
        if self.operation not in (*OPERATIONS, ANY):
            raise PaperError(f"no operation {self.operation!r}; there are {', '.join((*OPERATIONS, ANY))}")
        if self.kind not in KINDS and self.status is None:
            raise PaperError(f"no fault {self.kind!r}; there are {', '.join(KINDS)} and status_NNN (300 to 599)")
        sensible = _KINDS_FOR.get(self.kind, OPERATIONS)
        if self.operation != ANY and self.operation not in sensible:
            raise PaperError(f"{self.kind} has no meaning for {self.operation}; it has for {', '.join(sensible)}")
        if self.times < 1:
            raise PaperError(f"a fault strikes at least once, not {self.times} times")
        if self.seconds is not None and not (self.seconds.is_finite() and 0 <= self.seconds <= 3600):
            raise PaperError(f"seconds are from 0 to 3600, not {self.seconds}")

    @property
    def status(self) -> int | None:
        """The HTTP status of a `status_NNN` fault."""
        match = _STATUS.fullmatch(self.kind)
        return int(match[1]) if match else None

    def applies_to(self, operation: str, *, later_page: bool) -> bool:
        """Whether it strikes a request for `operation`."""
        if self.operation not in (operation, ANY) or operation not in _KINDS_FOR.get(self.kind, OPERATIONS):
            return False
        return later_page or self.kind != "changed_total"

    def as_record(self) -> Mapping[str, Any]:
        """A JSON-able form, also that of the control endpoint."""
        return {
            "operation": self.operation,
            "kind": self.kind,
            "times": self.times,
            "seconds": None if self.seconds is None else str(self.seconds),
            "after_effect": self.after_effect,
        }

    @classmethod
    def from_record(cls, number: int, record: Mapping[str, Any]) -> Fault:
        """The inverse of `as_record`; missing fields have their defaults.

        Raises:
            PaperError: a field is unknown or has a value that is not allowed.
        """
        if unknown := set(record) - {"operation", "kind", "times", "seconds", "after_effect"}:
            raise PaperError(f"a fault has no {', '.join(sorted(unknown))}")
        times, seconds, after = record.get("times", 1), record.get("seconds"), record.get("after_effect", False)
        if type(times) is not int or type(after) is not bool:
            raise PaperError("a fault's `times` is a whole number and its `after_effect` true or false")
        try:
            pause = None if seconds is None else Decimal(str(seconds))
        except InvalidOperation as error:
            raise PaperError(f"seconds are a number, not {seconds!r}") from error
        return cls(str(record.get("operation", ANY)), str(record.get("kind", "")), times, pause, after, number)
