"""Operations as rows of the tables, and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, func, insert, or_, select, text, union, update

from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.operation import Operation, Row
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.states import Stage
from positions_mcp.store.compiled import Compiled, asking_ahead, given
from positions_mcp.store.schema import as_text, decisions, journal, operations, rows
from positions_mcp.store.stored import Stored

CHUNK = 500
"""How many operations are read at once: a statement takes so many ids and no more."""
_COLUMNS = tuple(column.name for column in operations.c)
_ROW_COLUMNS = tuple(column.name for column in rows.c)
OPEN = [stage.value for stage in Stage if stage.is_open]
_UNDER_WAY = [*OPEN, Stage.APPROVED.value, Stage.CLAIMED.value]

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
_ROWS = Compiled(select(rows).where(rows.c.operation_id == given("id")).order_by(rows.c.position))
_ROWS_BETWEEN = Compiled(
    select(rows)
    .where(rows.c.operation_id > given("after"), rows.c.operation_id <= given("last"))
    .order_by(rows.c.operation_id, rows.c.position)
)
_NEXT = (
    select(operations.c.id)
    .where(operations.c.id > given("after"))
    .order_by(operations.c.id)
    .limit(given("most", Integer()))
)
_NOTED_AFTER = Compiled(_NOTED.where(operations.c.id.in_(_NEXT)).order_by(operations.c.id))
_USED = Compiled(
    select(rows.c.reserved).where(
        rows.c.mode == given("mode"), rows.c.account_id == given("account_id"), rows.c.reserved_on == given("day")
    )
)
_INSERT, _INSERT_ROWS = Compiled(insert(operations)), Compiled(insert(rows))
_CHANGING = ("stage", "updated_at", "due_at", "unfinished", "reason", "lease", "sent_entry", "counted_at")
_UPDATE = Compiled(
    update(operations).where(operations.c.id == given("of")).values({name: given(name) for name in _CHANGING})
)
_UPDATE_ROW = Compiled(
    update(rows)
    .where(rows.c.operation_id == given("of"), rows.c.position == given("at"))
    .values({name: given(name) for name in ("reserved", "reserved_on", "content")})
)
_DECIDE = Compiled(
    text(
        "INSERT INTO decisions (operation_id, content) VALUES (:operation_id, :content) "
        "ON CONFLICT (operation_id) DO UPDATE SET content = excluded.content"
    )
)


_OLDEST_FIRST = (operations.c.created_at,)
_NEWEST_FIRST = operations.c.created_at.desc(), operations.c.id.desc()
LAST_PLANNED_FIRST = (operations.c.planned_entry.desc(),)
"""By the journal, which alone knows it of two that were planned in one instant, or by servers whose clocks differ."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Operations that match something, by statements that are made once; who asks gives the values."""

    found: Compiled

    @classmethod
    def where(
        cls,
        *where: ColumnElement[bool],
        noted: bool = False,
        order: Sequence[ColumnElement[Any]] = _OLDEST_FIRST,
        limit: int | ColumnElement[int] | None = None,
    ) -> Selection:
        """In the order they were planned if no other is asked for, with what the journal last says where `noted`."""
        return cls(Compiled((_NOTED if noted else _DECIDED).where(*where).order_by(*order).limit(limit)))

    def stored(self, connection: Connection, **values: Any) -> Iterator[Stored]:
        """As they stand in the tables."""
        yield from with_rows(connection, self.found.all(connection, **values))

    def read(self, connection: Connection, **values: Any) -> tuple[Operation, ...]:
        """The operations, with rows and decisions."""
        return tuple(each.read() for each in self.stored(connection, **values))


_IN_ACCOUNT = operations.c.mode == given("mode"), operations.c.account_id == given("account_id")
_IDS, _IS_UNFINISHED = select(operations.c.id).where(*_IN_ACCOUNT), operations.c.unfinished.is_(True)
_SENT_SINCE = operations.c.sent_entry > given("planned")
BY_ID = Selection.where(operations.c.id == given("id"))
NOTED = Selection.where(operations.c.id == given("id"), noted=True)
LATEST = Selection.where(operations.c.request_key == given("key"), order=LAST_PLANNED_FIRST, limit=1)
UNFINISHED = Selection.where(*_IN_ACCOUNT, _IS_UNFINISHED)
NOTED_OTHERS = Selection.where(
    operations.c.id.in_(union(_IDS.where(_IS_UNFINISHED), _IDS.where(_SENT_SINCE))),
    operations.c.id != given("beside"),
    noted=True,
)
"""What may still change an account's book beside one operation, or was sent there after an entry."""
DECLINED_SINCE = Selection.where(
    *_IN_ACCOUNT, operations.c.stage == Stage.DECLINED.value, operations.c.updated_at > given("since")
)
DECLINED_AT = Compiled(
    select(func.max(operations.c.updated_at)).where(
        operations.c.target_key == given("key"), operations.c.stage == Stage.DECLINED.value
    )
)
"""When a set of targets was last declined."""
_OF_IT = select(operations).where(operations.c.id == given("id")).subquery()
SENT_AFTER = Selection.where(
    operations.c.mode == select(_OF_IT.c.mode).scalar_subquery(),
    operations.c.account_id == select(_OF_IT.c.account_id).scalar_subquery(),
    operations.c.sent_entry > select(_OF_IT.c.planned_entry).scalar_subquery(),
    operations.c.id != given("id"),
)
"""Other operations of its account that sent something after one was planned."""
SAME_REQUEST = Selection.where(
    or_(operations.c.request_key == given("key"), operations.c.id == given("supersede")),
    operations.c.stage.in_(_UNDER_WAY),
    order=LAST_PLANNED_FIRST,
)
WAITING = Selection.where(
    operations.c.due_at > given("now"),
    operations.c.stage.in_(OPEN),
    order=(operations.c.due_at, operations.c.id),
    limit=given("most", Integer()),
)
"""Plans that may still be decided, nearest expiry first."""
BEING_SENT = Selection.where(
    *_IN_ACCOUNT, operations.c.stage == Stage.CLAIMED.value, operations.c.id != given("beside")
)


@lru_cache(maxsize=16)
def in_stages(stages: Sequence[Stage], limit: int) -> Selection:
    """The latest operations that are in one of these stages, newest first."""
    return Selection.where(operations.c.stage.in_([each.value for each in stages]), order=_NEWEST_FIRST, limit=limit)


def select_operations(
    connection: Connection, *where: ColumnElement[bool], limit: int | None = None, newest_first: bool = False
) -> tuple[Operation, ...]:
    """Operations that match, with rows and decisions, in the order they were planned."""
    order = _NEWEST_FIRST if newest_first else _OLDEST_FIRST
    wanted = _DECIDED.where(*where).order_by(*order).limit(limit)
    return tuple(each.read() for each in with_rows(connection, connection.execute(wanted).all()))


def select_noted(connection: Connection, *where: ColumnElement[bool]) -> Iterator[Stored]:
    """Operations as they stand in the tables, with what the journal last says of each."""
    yield from with_rows(connection, connection.execute(_NOTED.where(*where).order_by(operations.c.created_at)).all())


def every_noted(connection: Connection) -> Iterator[Stored]:
    """All operations by their ids, with what the journal last says of each; only some are in memory."""
    with asking_ahead(connection):
        coming, before = _NOTED_AFTER.ask(connection, after="", most=CHUNK), ""
        while found := coming.fetchall():
            last = found[-1][0]
            of_each = _ROWS_BETWEEN.ask(connection, after=before, last=last)
            coming, before = _NOTED_AFTER.ask(connection, after=last, most=CHUNK), last
            yield from _with(found, _by_operation(of_each.fetchall()))


def with_rows(connection: Connection, found: Sequence[Sequence[Any]]) -> Iterator[Stored]:
    """Operations, found with their decisions, and their rows."""
    for start in range(0, len(found), CHUNK):
        some = found[start : start + CHUNK]
        yield from _with(some, _rows_of(connection, [each[0] for each in some]))


def _with(found: Sequence[Sequence[Any]], of_each: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Stored]:
    end = len(_COLUMNS)
    for each in found:
        noted, noted_in = each[end + 1 :] or (None, 0)
        columns = dict(zip(_COLUMNS, each, strict=False))
        yield Stored(columns, of_each.get(each[0], []), each[end], noted, noted_in or 0)


def _rows_of(connection: Connection, ids: Sequence[str]) -> Mapping[str, list[dict[str, Any]]]:
    if len(ids) == 1:
        return _by_operation(_ROWS.all(connection, id=ids[0]))
    # Each id is bound.
    by_place = select(rows).where(rows.c.operation_id.in_(ids)).order_by(rows.c.operation_id, rows.c.position)
    return _by_operation(connection.execute(by_place).all())


def _by_operation(found: Sequence[Sequence[Any]]) -> Mapping[str, list[dict[str, Any]]]:
    of_each: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in found:
        of_each[row[0]].append(dict(zip(_ROW_COLUMNS, row, strict=True)))
    return of_each


def added(operation: Operation, request_key: str, planned_entry: int) -> Stored:
    """How a new operation stands."""
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
    return Stored(columns, tuple(_row(operation, row) for row in operation.rows), None)


def changed(
    before: Stored,
    operation: Operation,
    rows_: Sequence[Row],
    *,
    sent_entry: int | None = None,
    counted_at: datetime | None = None,
) -> Stored:
    """How an operation stands once its stage, some of its rows, or its decision have changed.

    `sent_entry` and `counted_at` are noted where given.
    """
    columns = dict(before.columns) | _columns(operation)
    if operation.plan is not before.read().plan:
        columns |= {"plan": operation.plan.canonical.decode(), "target_key": operation.plan.target_key}
    if sent_entry is not None:
        columns["sent_entry"] = sent_entry
    if counted_at is not None:
        columns["counted_at"] = as_text(counted_at)
    told = list(before.rows)
    for row in rows_:
        told[row.position] = _row(operation, row)
    decision = operation.decision.canonical.decode() if operation.decision else before.decision
    return Stored(columns, told, decision)


def write(connection: Connection, before: Stored | None, stored: Stored) -> None:
    """Store an operation: all of a new one, else what has changed of it since it stood as `before`."""
    key, columns = stored.operation_id, stored.columns
    if before is None:
        _INSERT.run(connection, **columns)
        _INSERT_ROWS.many(connection, stored.rows)
    else:
        new = {name: value for name, value in columns.items() if before.columns[name] != value}
        if not new.keys() <= set(_CHANGING):
            connection.execute(update(operations).where(operations.c.id == key).values(new))
        elif new:
            _UPDATE.run(connection, of=key, **{name: columns[name] for name in _CHANGING})
        pairs = zip(before.rows, stored.rows, strict=True)
        differing = [{**row, "of": key, "at": row["position"]} for old, row in pairs if row is not old and row != old]
        _UPDATE_ROW.many(connection, differing)
    if stored.decision is not None and stored.decision != (before.decision if before else None):
        _DECIDE.run(connection, operation_id=key, content=stored.decision)


def reserved(stored: Stored) -> object:
    """What `used_on` sees of an operation; None where nothing."""
    return [(row["reserved"], row["reserved_on"]) for row in stored.rows if row["reserved_on"] is not None] or None


def used_on(connection: Connection, mode: Mode, account_id: AccountId, day: date) -> Decimal:
    """Dollars reserved on a day."""
    found = _USED.all(connection, mode=mode.value, account_id=account_id, day=day.isoformat())
    return exact_sum(Decimal(text) for (text,) in found)


def unknown(operation_id: str) -> InvalidInput:
    """The error where there is no operation of that id."""
    return InvalidInput(f"There is no operation {operation_id!r:.80}.", hint="list_operations names the recent ones.")


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
