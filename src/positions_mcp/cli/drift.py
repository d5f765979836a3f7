"""Where what an API answers differs from what this program knows: fields and enum values, never what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.enums import OpenEnum
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.operation.records import Record
from positions_mcp.domain.text import label

RecordT = TypeVar("RecordT", bound=Record | Position)

_KNOWN_OTHERWISE: dict[type[Any], set[str]] = {Instruction: {"client_instruction_id"}}
"""Names that are read as another field's."""
_UNREADABLE = "unreadable_fields"


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
        """Whether everything that came is known."""
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
