"""One operation as it stands in the tables, and back to what it is."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import canonical_json
from positions_mcp.store.schema import operations

_DAMAGED = "Nothing is sent until a person has looked. Run: positions-mcp operations verify."
_OF_THE_FUTURE = {"extra_forbidden", "enum", "literal_error", "union_tag_invalid"}
"""The mistakes that fields and values of a later release are to an earlier one."""
_ADDED = {column.name for column in operations.c if "added" in column.info}
_COUNTED = ("position", "mode", "account_id", "reserved", "reserved_on")
_quoted = json.encoder.encode_basestring


@dataclass(frozen=True)
class Stored:
    """One operation as it stands in the tables."""

    columns: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    decision: str | None
    noted: str | None = None
    """What the last entry about it says it looked like."""
    noted_in: int = 0
    """The number of that entry."""

    @property
    def operation_id(self) -> str:
        return str(self.columns["id"])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that is stored of it. What came after its release and is not set is not part of it.

        Its parts are stored as canonical JSON, and are digested as they stand.
        """
        columns = {name: value for name, value in self.columns.items() if name not in _ADDED or value is not None}
        columns["unfinished"] = bool(columns["unfinished"])
        updated_at = datetime.fromisoformat(columns["updated_at"]).isoformat().replace("+00:00", "Z")
        rows_ = ",".join(row["content"] for row in self.rows)
        content = (
            f'{{"decision":{self.decision or "null"},"lease":{columns["lease"] or "null"},"plan":{columns["plan"]},'
            f'"reason":{_quoted(columns["reason"])},"rows":[{rows_}],"stage":{_quoted(columns["stage"])},'
            f'"updated_at":"{updated_at}"}}'
        )
        counted = [[row[name] for name in _COUNTED] for row in self.rows]
        beside = canonical_json([columns, counted])
        return hashlib.sha256(b"[" + content.encode() + b"," + beside[1:]).hexdigest()

    def read(self) -> Operation:
        """The operation. Raises StoreUnavailable where the tables do not hold one."""
        try:
            digest = self.digest
        except (ValueError, TypeError, KeyError) as error:
            raise self._damaged() from error
        return READ.of(digest) or READ.keep(digest, self._parse())

    def _parse(self) -> Operation:
        columns = self.columns
        try:
            return Operation.model_validate(
                {
                    "plan": json.loads(columns["plan"]),
                    "stage": columns["stage"],
                    "reason": columns["reason"],
                    "rows": [json.loads(row["content"]) for row in self.rows],
                    "decision": json.loads(self.decision) if self.decision else None,
                    "lease": json.loads(columns["lease"]) if columns["lease"] else None,
                    "updated_at": columns["updated_at"],
                }
            )
        except ValidationError as error:
            if {mistake["type"] for mistake in error.errors(include_url=False)} <= _OF_THE_FUTURE:
                raise StoreUnavailable(
                    f"Operation {self.operation_id} was written by a newer positions-mcp, or altered.",
                    hint="Use the newest positions-mcp that has worked on this store.",
                ) from error
            raise self._damaged() from error
        except (ValueError, TypeError) as error:
            raise self._damaged() from error

    def _damaged(self) -> StoreUnavailable:
        return StoreUnavailable(f"Operation {self.operation_id!r:.80} is damaged in the store.", hint=_DAMAGED)


class _Read:
    """Operations that were read, by the digest of all that is stored of them: the same text is not parsed again."""

    def __init__(self, most_rows: int) -> None:
        self._lock = threading.Lock()
        self._most_rows = most_rows
        self._rows = 0
        self._found: OrderedDict[str, Operation] = OrderedDict()

    def of(self, digest: str) -> Operation | None:
        """The operation that is stored so; None where it was not read lately."""
        with self._lock:
            if (operation := self._found.get(digest)) is not None:
                self._found.move_to_end(digest)
            return operation

    def keep(self, digest: str, operation: Operation) -> Operation:
        """Keep an operation as one that is stored so."""
        with self._lock:
            if digest not in self._found:
                self._rows += len(operation.rows)
            self._found[digest] = operation
            while self._rows > self._most_rows:
                self._rows -= len(self._found.popitem(last=False)[1].rows)
        return operation


READ = _Read(most_rows=5_000)
