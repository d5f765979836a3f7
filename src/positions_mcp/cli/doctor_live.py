"""What `doctor --live` asks the live API, reading only, and where its answers differ from what this program knows.

Of what they answer counts, names of fields and values of enums are shown, never what they hold.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import anyio

from positions_mcp.api.server_time import server_time
from positions_mcp.cli.assembly.composition import open_venue
from positions_mcp.cli.findings import Findings
from positions_mcp.clock import SystemClock
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.enums import OpenEnum
from positions_mcp.domain.errors import PositionsError, ReadFailed
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.operation.records import Record, Response
from positions_mcp.domain.text import label
from positions_mcp.settings import Settings, live_access

RecordT = TypeVar("RecordT", bound=Record | Position)

WORTH_A_NOTE = timedelta(seconds=5)
TOO_MUCH = timedelta(seconds=60)
"""Approvals and leases are measured in tens of seconds."""
_KNOWN_OTHERWISE: dict[type[Any], set[str]] = {Instruction: {"client_instruction_id"}}
"""Names that are read as another field's."""
_UNREADABLE = "unreadable_fields"


def ask_the_live_api(found: Findings, settings: Settings) -> None:
    """Compare the clocks, and read the first page of positions, orders and instructions of every account."""
    _compare_clocks(found, live_access(settings.api.hosts).base_url)
    anyio.run(_read_accounts, found, settings)


async def _read_accounts(found: Findings, settings: Settings) -> None:
    with open_venue(settings) as venue:
        async with venue.connect() as client:
            for account in settings.allowed_accounts:
                await _read(found, f"positions of {account}", Position, partial(client.get_positions, account))
                await _read(found, f"orders of {account}", Order, partial(client.get_orders, account))
                instructions = partial(client.get_position_instructions, account)
                await _read(found, f"instructions of {account}", Instruction, instructions)


async def _read(
    found: Findings, subject: str, kind: type[RecordT], read: Callable[[], Awaitable[Response[list[RecordT]]]]
) -> None:
    try:
        page = await read()
    except PositionsError as error:
        if kind is Order:
            found.note(subject, f"cannot be read, so operations are followed by the book alone: {error}")
        else:
            found.fail(subject, str(error))
        return
    drift = drift_of(kind, page.data)
    total = page.metadata.total_items
    counted = f"{drift.records} read" + (f" of {total}" if total not in (None, drift.records) else "")
    if page.unreadable:
        reasons = "; ".join(sorted({each.reason for each in page.unreadable})[:3])
        found.fail(subject, f"{counted}; {len(page.unreadable)} rows are not what this program knows: {reasons}")
    elif drift.is_none:
        found.ok(subject, f"{counted}; every field and value is known{_never_sent(drift)}")
    else:
        found.note(subject, f"{counted}; {_differences(drift)}{_never_sent(drift)}")


def _differences(drift: Drift) -> str:
    parts = (
        ("fields not known here", drift.new_fields),
        ("values not known here", drift.new_values),
        ("fields that cannot be read", drift.unreadable_fields),
    )
    return "; ".join(f"{words}: {', '.join(names)}" for words, names in parts if names)


def _never_sent(drift: Drift) -> str:
    return f"; never sent, or never with a value: {', '.join(drift.never_sent)}" if drift.never_sent else ""


def _compare_clocks(found: Findings, base_url: str) -> None:
    before = SystemClock().now()
    try:
        theirs = server_time(base_url)
    except ReadFailed as error:
        found.note("clock against the API", f"not compared: {error}")
        return
    after = SystemClock().now()
    # The header has whole seconds, and was written at some moment between the question and the answer.
    off = max(theirs - after, before - (theirs + timedelta(seconds=1)), timedelta())
    words = f"{off.total_seconds():.0f} s apart" if off >= timedelta(seconds=1) else "agrees within a second"
    if off > TOO_MUCH:
        found.fail("clock against the API", f"{words}. Set this machine's clock.")
    elif off > WORTH_A_NOTE:
        found.note("clock against the API", f"{words}. Deadlines go by this machine's clock.")
    else:
        found.ok("clock against the API", words)


@dataclass(frozen=True, slots=True)
class Drift:
    """The difference for one kind of record, over the records that came."""

    records: int
    new_fields: tuple[str, ...]
    new_values: tuple[str, ...]
    """As `status=SOMETHING`."""
    unreadable_fields: tuple[str, ...]
    never_sent: tuple[str, ...]
    """Fields this program knows and no record had. Optional ones are often left out."""

    @property
    def is_none(self) -> bool:
        return not (self.new_fields or self.new_values or self.unreadable_fields)


def drift_of(kind: type[RecordT], records: Iterable[RecordT]) -> Drift:
    """What these records have that `kind` does not know, and the other way round."""
    fields, values, unreadable, sent, count = set[str](), set[str](), set[str](), set[str](), 0
    for record in records:
        count += 1
        unread = _extra(record).get(_UNREADABLE, ())
        unreadable.update(map(str, unread if isinstance(unread, Iterable) else ()))
        sent |= _sent(record)
        for path, part in _parts(record):
            fields.update(f"{path}{name}" for name in _extra(part))
            values.update(
                f"{path}{name}={label(value)}"
                for name in _fields(type(part))
                if isinstance(value := getattr(part, name), OpenEnum) and not value.is_known
            )
    fields -= _KNOWN_OTHERWISE.get(kind, set()) | {_UNREADABLE}
    return Drift(
        records=count,
        new_fields=_named(fields),
        new_values=tuple(sorted(values)),
        unreadable_fields=_named(unreadable),
        never_sent=tuple(sorted(_fields(kind) - sent)) if count else (),
    )


def _fields(kind: type[Any]) -> set[str]:
    return set(kind.model_fields) if issubclass(kind, Record) else {*Position._fields} - {"extra"}


def _extra(record: Record | Position) -> Mapping[str, object]:
    return (record.model_extra or {}) if isinstance(record, Record) else dict(record.extra)


def _sent(record: Record | Position) -> set[str]:
    """The fields it came with; of a position, those with a value."""
    if isinstance(record, Record):
        return record.model_fields_set
    return {name for name in record._fields if getattr(record, name) not in (None, "")}


def _parts(record: Record | Position, path: str = "") -> Iterator[tuple[str, Record | Position]]:
    """The record and the records within it, each with the path of its fields."""
    yield path, record
    for name in _fields(type(record)):
        if isinstance(value := getattr(record, name), Record):
            yield from _parts(value, f"{path}{name}.")


def _named(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(label(name, 80) for name in sorted(names))
