"""Failures on demand: which there are, when they strike, and how they leave the exchange (`docs/paper-exchange.md`).

What happens is real at the level at which it happens. In the answer, it is that way in process and over TCP. At the
connection, the application raises a `TransportFault`: over TCP the server turns it into the real thing; in process it
leaves the ASGI application, and whoever called it treats it as its HTTP library would have. `ConnectionRefused` lasts a
number of seconds, not of strikes: the operating system never tells who was refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from positions_mcp.paper.errors import PaperError
from positions_mcp.paper.fault_kinds import ANY, CONDITIONS, KINDS, KINDS_FOR, ON_ROWS
from positions_mcp.paper.operations import OPERATIONS
from positions_mcp.paper.symbols import as_uuid, canonical, instrument_id_of

_STATUS = re.compile(r"status_([2345][0-9][0-9])", re.ASCII)
_LONGEST_BODY = 60_000
_MOST_COUNTED = 10_000
_LEAST_STATUS_WITHOUT_BODY = 300
_ALWAYS_SAID = ("operation", "kind", "times", "seconds", "after_effect")


class TransportFault(Exception):
    """A failure of the connection, raised out of the ASGI application on purpose."""


class ConnectionRefused(TransportFault):
    """The request never arrived: as if nothing had listened."""


class ConnectionDropped(TransportFault):
    """The connection ended without an answer; whether there was an effect is not told."""


class AnswerTruncated(TransportFault):
    """The connection ended in the middle of the answer."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request is about, as faults look at it: `instruments` are the UUIDs of those that it names."""

    operation: str
    account: int | None = None
    instruments: frozenset[str] = frozenset()
    later_page: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is armed: what happens, to which requests, and how often it will still strike.

    `times`: None until it is cleared. `skip`: so many requests pass before. `seconds`, `jitter`, `count`, `share` and
    `body` say how much, as `KINDS` has it. `seen`: the requests that a `rate_limit` has let pass in its window.
    """

    operation: str
    kind: str
    times: int | None = 1
    seconds: Decimal | None = None
    after_effect: bool = False
    number: int = 0
    skip: int = 0
    account: int | None = None
    instrument: str | None = None
    jitter: Decimal | None = None
    count: int | None = None
    share: Decimal | None = None
    body: str | None = None
    seen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.operation not in (*OPERATIONS, ANY):
            raise PaperError(f"no operation {self.operation!r}; there are {', '.join((*OPERATIONS, ANY))}")
        if self.kind not in KINDS and self.status is None:
            raise PaperError(f"no fault {self.kind!r}; there are {', '.join(KINDS)} and status_NNN (300 to 599)")
        sensible = KINDS_FOR.get(self.kind, OPERATIONS)
        if self.operation != ANY and self.operation not in sensible:
            raise PaperError(f"{self.kind} has no meaning for {self.operation}; it has for {', '.join(sensible)}")
        self._check_amounts()
        if self.body is not None and (self.status is None or len(self.body) > _LONGEST_BODY):
            raise PaperError(f"a body goes with status_NNN, and has at most {_LONGEST_BODY} characters")
        if self.status is not None and self.status < _LEAST_STATUS_WITHOUT_BODY and self.body is None:
            raise PaperError(f"no fault {self.kind!r} without a body of its own; status_NNN is from 300 to 599")

    def _check_amounts(self) -> None:
        if self.times is not None and self.times < 1:
            raise PaperError(f"a fault strikes at least once, not {self.times} times")
        if self.skip < 0:
            raise PaperError(f"a fault lets no fewer than 0 requests pass, not {self.skip}")
        for name, value in (("seconds", self.seconds), ("jitter", self.jitter)):
            if value is not None and not (value.is_finite() and 0 <= value <= 3600):
                raise PaperError(f"{name} are from 0 to 3600, not {value}")
        if self.count is not None and not 0 < self.count <= _MOST_COUNTED:
            raise PaperError(f"a count is from 1 to {_MOST_COUNTED}, not {self.count}")
        if self.share is not None and not (self.share.is_finite() and 0 <= self.share <= 1):
            raise PaperError(f"a share is from 0 to 1, not {self.share}")
        if self.account is not None and self.account < 1:
            raise PaperError(f"an account number is above zero, not {self.account}")

    @property
    def status(self) -> int | None:
        match = _STATUS.fullmatch(self.kind)
        return int(match[1]) if match else None

    @property
    def is_condition(self) -> bool:
        """Whether it holds beside other faults, instead of taking a request for itself."""
        return self.kind in CONDITIONS

    @property
    def instrument_id(self) -> str | None:
        if self.instrument is None:
            return None
        return as_uuid(self.instrument) or instrument_id_of(canonical(self.instrument))

    def applies_to(self, subject: Subject) -> bool:
        """Whether it is for a request; how many it lets pass first is not asked."""
        if self.operation not in (subject.operation, ANY):
            return False
        if subject.operation not in KINDS_FOR.get(self.kind, OPERATIONS):
            return False
        if self.account not in (None, subject.account):
            return False
        if self.kind == "changed_total" and not subject.later_page:
            return False
        wanted = self.instrument_id
        if wanted is None:
            return True
        # A listing, or a close of everything, names no instrument: there the fault is for those of its rows.
        return wanted in subject.instruments or (not subject.instruments and self.kind in ON_ROWS)

    def is_on(self, instrument_id: str) -> bool:
        """Whether it is for this instrument, or for every one."""
        return self.instrument_id in (None, instrument_id)

    @property
    def keeps_count(self) -> bool:
        """Whether meeting a request changes it."""
        return self.times is not None or self.skip > 0 or self.kind == "rate_limit"

    def met(self, now: datetime) -> tuple[Fault | None, Fault | None]:
        """What is left of it after a request for which it is, and the fault as it strikes that request, if it does."""
        if self.skip:
            return replace(self, skip=self.skip - 1), None
        if self.kind == "rate_limit":
            return self._counted(now)
        if self.times is None:
            return self, self
        return (replace(self, times=self.times - 1) if self.times > 1 else None), self

    def _counted(self, now: datetime) -> tuple[Fault, Fault | None]:
        window = timedelta(seconds=float(60 if self.seconds is None else self.seconds))
        budget = self.count or 10
        recent = tuple(text for text in self.seen if now - datetime.fromisoformat(text) < window)
        if len(recent) < budget:
            return replace(self, seen=(*recent, now.isoformat())), None
        free_again = datetime.fromisoformat(recent[-budget]) + window - now
        return replace(self, seen=recent), replace(self, seconds=Decimal(-(-free_again // timedelta(seconds=1))))

    def as_record(self) -> Mapping[str, Any]:
        """A JSON-able form, also that of the control endpoint; what is not said is left out of the newer fields."""
        record: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "number" and (field.name in _ALWAYS_SAID or value != field.default):
                record[field.name] = str(value) if isinstance(value, Decimal) else value
        return record

    @classmethod
    def from_record(cls, number: int, record: Mapping[str, Any]) -> Fault:
        """The inverse of `as_record`; missing fields have their defaults. `times`: null until it is cleared.

        Raises PaperError.
        """
        if unknown := set(record) - {field.name for field in fields(cls)} | ({"number"} & set(record)):
            raise PaperError(f"a fault has no {', '.join(sorted(unknown))}")
        kind = str(record.get("kind", ""))
        times = record.get("times", None if kind in CONDITIONS else 1)
        after, body, instrument = record.get("after_effect", False), record.get("body"), record.get("instrument")
        if type(times) not in (int, type(None)) or type(after) is not bool:
            raise PaperError("a fault's `times` is a whole number and its `after_effect` true or false")
        for name in ("skip", "account", "count"):
            if type(record.get(name)) not in (int, type(None)):
                raise PaperError(f"a fault's `{name}` is a whole number")
        if not all(isinstance(text, str | None) for text in (body, instrument)):
            raise PaperError("a fault's `body` and `instrument` are texts")
        said = {
            "operation": str(record.get("operation", ANY)),
            "kind": kind,
            "times": times,
            "number": number,
            "skip": record.get("skip") or 0,
            "seen": tuple(record.get("seen", ())),
        }
        return cls(**{**record, **said, **{name: _number(name, record) for name in ("seconds", "jitter", "share")}})


@dataclass(frozen=True, slots=True)
class Strikes:
    """The faults that strike one request: conditions that hold, and at most one that takes it for itself."""

    faults: tuple[Fault, ...] = ()

    def of(self, kind: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.kind == kind), None)

    @property
    def refusing(self) -> Fault | None:
        """The `status_NNN` that answers before any effect, if there is one."""
        return next((fault for fault in self.faults if fault.status and not fault.after_effect), None)

    def on(self, kind: str, instrument_id: str) -> Fault | None:
        fault = self.of(kind)
        return fault if fault and fault.is_on(instrument_id) else None


NO_STRIKES = Strikes()


def _number(name: str, record: Mapping[str, Any]) -> Decimal | None:
    value = record.get(name)
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation as error:
        raise PaperError(f"{name} are a number, not {value!r}") from error
