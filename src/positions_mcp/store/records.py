"""Operations as rows of the tables, and back."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError
from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.operation import Operation, Row
from positions_mcp.domain.operation.plan import Mode, canonical_json
from positions_mcp.domain.operation.states import Stage
from positions_mcp.store.schema import as_text, decisions, journal, operations, rows

CHUNK = 500
"""How many operations are read at once: a statement takes so many ids and no more."""
_DAMAGED = "Nothing is sent until a person has looked. Run: positions-mcp operations verify."
_OF_THE_FUTURE = {"extra_forbidden", "enum", "literal_error", "union_tag_invalid"}
"""The mistakes that fields and values of a later release are to an earlier one."""
_COLUMNS = tuple(column.name for column in operations.c)
_ADDED = {column.name for column in operations.c if "added" in column.info}
_OPEN = [stage.value for stage in Stage if stage.is_open]
_COUNTED = ("position", "mode", "account_id", "reserved", "reserved_on")
_quoted = json.encoder.encode_basestring

_DECIDED = select(operations, decisions.c.content.label("decision")).outerjoin(
    decisions, decisions.c.operation_id == operations.c.id
)
_ABOUT_IT = journal.alias()
_LAST = (
    select(func.max(_ABOUT_IT.c.sequence))
    .where(_ABOUT_IT.c.operation_id == operations.c.id)
    .correlate(operations)
    .scalar_subquery()
)
_NOTED = _DECIDED.add_columns(journal.c.state_digest.label("noted"), journal.c.sequence.label("noted_in")).outerjoin(
    journal, journal.c.sequence == _LAST
)
"""Each operation with its decision and the last entry about it."""
_UPDATE_ROW = (
    update(rows)
    .where(rows.c.operation_id == bindparam("of"), rows.c.position == bindparam("at"))
    .values({name: bindparam(name) for name in ("reserved", "reserved_on", "content")})
)


@dataclass(frozen=True, slots=True)
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
        """Its id."""
        return str(self.columns["id"])

    @property
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


def select_stored(
    connection: Connection, *where: ColumnElement[bool], limit: int | None = None, newest_first: bool = False
) -> Iterator[Stored]:
    """Operations that match, in the order they were planned, as they stand in the tables."""
    order = (operations.c.created_at.desc(), operations.c.id.desc()) if newest_first else (operations.c.created_at,)
    found = connection.execute(_DECIDED.where(*where).order_by(*order).limit(limit)).mappings().all()
    for start in range(0, len(found), CHUNK):
        yield from with_rows(connection, found[start : start + CHUNK])


def select_noted(connection: Connection, *where: ColumnElement[bool]) -> Iterator[Stored]:
    """The same with what the journal last says of each."""
    found = connection.execute(_NOTED.where(*where).order_by(operations.c.created_at)).mappings().all()
    for start in range(0, len(found), CHUNK):
        yield from with_rows(connection, found[start : start + CHUNK])


def select_noted_after(connection: Connection, operation_id: str) -> list[Stored]:
    """The next `CHUNK` operations by their ids, with what the journal last says of each."""
    wanted = _NOTED.where(operations.c.id > operation_id).order_by(operations.c.id).limit(CHUNK)
    return list(with_rows(connection, connection.execute(wanted).mappings().all()))


def with_rows(connection: Connection, found: Sequence[RowMapping]) -> Iterator[Stored]:
    """Operations, found with their decisions, and their rows. At most `CHUNK` at once: each id is bound."""
    ids = [row["id"] for row in found]
    of_each: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    by_place = select(rows).where(rows.c.operation_id.in_(ids)).order_by(rows.c.operation_id, rows.c.position)
    for row in connection.execute(by_place).mappings():
        of_each[row["operation_id"]].append(dict(row))
    for row in found:
        columns = {name: row[name] for name in _COLUMNS}
        yield Stored(columns, of_each[row["id"]], row["decision"], row.get("noted"), row.get("noted_in") or 0)


def select_operations(
    connection: Connection, *where: ColumnElement[bool], limit: int | None = None, newest_first: bool = False
) -> tuple[Operation, ...]:
    """Operations that match, with rows and decisions, in the order they were planned."""
    stored = select_stored(connection, *where, limit=limit, newest_first=newest_first)
    return tuple(each.read() for each in stored)


def select_waiting(connection: Connection, now: datetime, limit: int) -> tuple[Operation, ...]:
    """Plans that may still be decided at `now`, nearest expiry first."""
    wanted = (
        _DECIDED.where(operations.c.due_at > as_text(now), operations.c.stage.in_(_OPEN))
        .order_by(operations.c.due_at, operations.c.id)
        .limit(limit)
    )
    found = connection.execute(wanted).mappings().all()
    some = (found[start : start + CHUNK] for start in range(0, len(found), CHUNK))
    return tuple(each.read() for chunk in some for each in with_rows(connection, chunk))


def select_operation(connection: Connection, operation_id: str) -> Operation | None:
    """One operation, or None."""
    found = select_operations(connection, operations.c.id == operation_id)
    return found[0] if found else None


def insert_operation(connection: Connection, operation: Operation, request_key: str, planned_entry: int) -> Stored:
    """Store a new operation."""
    plan = operation.plan
    columns = {
        **dict.fromkeys(_COLUMNS),
        "id": plan.plan_id,
        "mode": plan.mode.value,
        "account_id": plan.account_id,
        "request_key": request_key,
        "target_key": plan.target_key,
        "created_at": as_text(plan.created_at),
        "planned_entry": planned_entry,
        "plan": plan.canonical.decode(),
        "caller": plan.caller,
        **_columns(operation),
    }
    stored = Stored(columns, tuple(_row(operation, row) for row in operation.rows), None)
    connection.execute(insert(operations).values(columns))
    connection.execute(insert(rows), stored.rows)
    return stored


def update_operation(
    connection: Connection,
    before: Stored,
    operation: Operation,
    changed: Sequence[Row],
    *,
    sent_entry: int | None = None,
    counted_at: datetime | None = None,
) -> Stored:
    """Store what has changed of an operation: its stage, some rows, its decision.

    `sent_entry` and `counted_at` are noted where given.
    """
    key = operation.operation_id
    values = _columns(operation)
    if operation.plan is not before.read().plan:
        values |= {"plan": operation.plan.canonical.decode(), "target_key": operation.plan.target_key}
    if sent_entry is not None:
        values["sent_entry"] = sent_entry
    if counted_at is not None:
        values["counted_at"] = as_text(counted_at)
    new = {name: value for name, value in values.items() if before.columns[name] != value}
    if new:
        connection.execute(update(operations).where(operations.c.id == key).values(new))
    told, differing = list(before.rows), []
    for row in changed:
        stored = _row(operation, row)
        if stored != told[row.position]:
            told[row.position] = stored
            differing.append({**stored, "of": key, "at": row.position})
    if differing:
        connection.execute(_UPDATE_ROW, differing)
    decision = operation.decision.canonical.decode() if operation.decision else before.decision
    if decision is not None and decision != before.decision:
        connection.execute(delete(decisions).where(decisions.c.operation_id == key))
        connection.execute(insert(decisions).values(operation_id=key, content=decision))
    return Stored({**before.columns, **new}, told, decision)


def used_on(connection: Connection, mode: Mode, account_id: AccountId, day: date) -> Decimal:
    """Dollars reserved on a day."""
    wanted = select(rows.c.reserved).where(
        rows.c.mode == mode, rows.c.account_id == account_id, rows.c.reserved_on == day.isoformat()
    )
    return exact_sum(Decimal(text) for text in connection.execute(wanted).scalars())


def due_at(operation: Operation) -> datetime | None:
    """When time alone changes the operation, or None."""
    if operation.stage.is_open:
        return operation.plan.expires_at
    if operation.stage is Stage.APPROVED and operation.decision:
        return operation.decision.expires_at
    return operation.lease.until if operation.lease else None


def _columns(operation: Operation) -> dict[str, Any]:
    """What may change of an operation beside its rows and its decision."""
    due, lease = due_at(operation), operation.lease
    return {
        "stage": operation.stage.value,
        "updated_at": as_text(operation.updated_at),
        "due_at": as_text(due) if due else None,
        "unfinished": any(row.is_unfinished for row in operation.rows),
        "reason": operation.reason,
        "lease": lease.canonical.decode() if lease else None,
    }


def _row(operation: Operation, row: Row) -> dict[str, Any]:
    return {
        "operation_id": operation.operation_id,
        "position": row.position,
        "mode": operation.plan.mode.value,
        "account_id": operation.account_id,
        "reserved": str(row.reserved),
        "reserved_on": row.reserved_on.isoformat() if row.reserved_on else None,
        "content": row.canonical.decode(),
    }
