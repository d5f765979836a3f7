"""Where what an API answers differs from what this program knows: fields and enum values, never what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from positions_mcp.domain.enums import OpenEnum
from positions_mcp.domain.instructions import Instruction
from positions_mcp.domain.records import Record
from positions_mcp.domain.text import label

_KNOWN_OTHERWISE: dict[type[Record], set[str]] = {Instruction: {"client_instruction_id"}}
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


def drift_of(kind: type[Record], records: Iterable[Record]) -> Drift:
    """What these records have that `kind` does not know, and the other way round."""
    fields, values, unreadable, sent, count = set[str](), set[str](), set[str](), set[str](), 0
    for record in records:
        count += 1
        extra = record.model_extra or {}
        unreadable.update(map(str, extra.get(_UNREADABLE, ())))
        sent |= record.model_fields_set
        for path, part in _parts(record):
            fields.update(f"{path}{name}" for name in part.model_extra or {})
            values.update(
                f"{path}{name}={label(value)}"
                for name in type(part).model_fields
                if isinstance(value := getattr(part, name), OpenEnum) and not value.is_known
            )
    fields -= _KNOWN_OTHERWISE.get(kind, set()) | {_UNREADABLE}
    return Drift(
        records=count,
        new_fields=_named(fields),
        new_values=tuple(sorted(values)),
        unreadable_fields=_named(unreadable),
        never_sent=tuple(sorted(set(kind.model_fields) - sent)) if count else (),
    )


def _parts(record: BaseModel, path: str = "") -> Iterator[tuple[str, BaseModel]]:
    """The record and the records within it, each with the path of its fields."""
    yield path, record
    for name in type(record).model_fields:
        if isinstance(value := getattr(record, name), Record):
            yield from _parts(value, f"{path}{name}.")


def _named(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(label(name, 80) for name in sorted(names))
