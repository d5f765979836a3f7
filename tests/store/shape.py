"""The shape of what is stored: every field of every record, every column of an operation, and the values they may have.

Each release has its own, checked in beside its stores. A later program may add to it in the one way that
`domain.operation.growth` describes, and may take nothing away.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy import Table

from positions_mcp.domain.operation.growth import Added
from positions_mcp.domain.operation.mandate import Mandate, MandateUse
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.roster import RosterLink
from positions_mcp.domain.operation.statements import SignedStatement
from positions_mcp.domain.operation.supervision import Approver, Halt, JournalEntry
from positions_mcp.signing.release_1 import Approval, Endorsement
from positions_mcp.store.schema import operations

Records = Mapping[str, type[BaseModel]]
STORED: Records = {
    "operation": Operation,
    "halt": Halt,
    "approver": Approver,
    "entry": JournalEntry,
    "endorsement": Endorsement,
    "approval": Approval,
    "roster": RosterLink,
    "mandate": Mandate,
    "use": MandateUse,
    "statement": SignedStatement,
}
"""Everything that digests, signatures and the journal's chain cover. What stands in them is found from here."""


@dataclass(frozen=True)
class Shape:
    """Each path, such as `operation.plan.targets[close].symbol`, with what a release stored there."""

    values: dict[str, list[str]] = field(default_factory=dict)
    """The values it may have; none where they are not closed."""
    added: dict[str, str] = field(default_factory=dict)
    """The version that a path came in, where it came later than 0.1.0."""
    defaults: dict[str, str] = field(default_factory=dict)
    """What a record that leaves the field out has."""

    @classmethod
    def of(cls, records: Records = STORED, table: Table = operations) -> Self:
        """The shape of the program as it is."""
        shape = cls()
        for name, record in records.items():
            for path, info, version in _fields(name, record):
                shape.values[path] = sorted({*shape.values.get(path, []), *_values(info.annotation)})
                if version:
                    shape.added[path] = version
                if isinstance(info.exclude_if, Added):
                    shape.defaults[path] = repr(info.exclude_if.default)
        for column in table.columns:
            path = f"table {table.name}.{column.name}"
            shape.values[path] = []
            if "added" in column.info:
                shape.added[path] = column.info["added"]
        return shape

    def complaints(self, release: Shape, version: str) -> list[str]:
        """Why what `release` stored would no longer be what it was."""
        found = [f"{path} is gone: what is stored keeps its name" for path in release.values if path not in self.values]
        owners = {_owner(path) for path in release.values}
        for path, values in self.values.items():
            if path in release.values:
                found += [f"{path} can no longer be {value}" for value in set(release.values[path]) - set(values)]
            elif _owner(path) in owners and not _is_later(self.added.get(path, ""), version):
                found.append(f"{path} came after {version}: declare it as domain/operation/growth.py says")
        for path, default in release.defaults.items():
            if self.defaults.get(path) != default:
                found.append(f"{path} is left out where it is {default}, and that never changes")
        return found


def _fields(name: str, record: type[BaseModel], version: str = "") -> Iterator[tuple[str, FieldInfo, str]]:
    """(path, field, version it came in) of every field, also within other records."""
    for own, info in record.model_fields.items():
        came = info.exclude_if.version if isinstance(info.exclude_if, Added) else version
        yield f"{name}.{own}", info, came
        for part in _parts(info.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _fields(_named(f"{name}.{own}", part), part, came)


def _owner(path: str) -> str:
    return path.rpartition(".")[0]


def _named(path: str, record: type[BaseModel]) -> str:
    """`path`, with the literal that tells this record from the others that may stand there."""
    for name in ("action", "kind"):
        literal = record.model_fields.get(name)
        if literal is not None and get_origin(literal.annotation) is Literal:
            return f"{path}[{get_args(literal.annotation)[0]}]"
    return path


def _parts(annotation: Any) -> Iterator[Any]:
    """The types that an annotation is made of."""
    if get_origin(annotation) is Annotated:
        yield from _parts(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType, tuple, list, dict, frozenset):
        for argument in get_args(annotation):
            yield from _parts(argument)
    else:
        yield annotation


def _values(annotation: Any) -> set[str]:
    found: set[str] = set()
    for part in _parts(annotation):
        if get_origin(part) is Literal:
            found |= {str(value.value if isinstance(value, Enum) else value) for value in get_args(part)}
        elif isinstance(part, type) and issubclass(part, Enum):
            found |= {str(member.value) for member in part}
    return found


def _is_later(version: str, than: str) -> bool:
    return bool(version) and _numbers(version) > _numbers(than)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
