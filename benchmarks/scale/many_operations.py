"""A store of many operations: copies of one that the program made, with the journal that they would have left.

Made of the program's own tables and hashes, because a hundred thousand closes would take hours.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from benchmarks.scale.stores import Store
from sqlalchemy import Connection, delete, func, insert, select

from positions_mcp.store import journal as journals
from positions_mcp.store.engine import open_database
from positions_mcp.store.operations import SqlOperationStore
from positions_mcp.store.schema import NUMBERS, chains, decisions, journal, operations, rows
from positions_mcp.store.stored import Stored

DAYS = 250
"""Over which they are spread: what counts for a day's limits is as much as on any other."""
_AT_ONCE = 2_000


def fill(store: Store, count: int, template: Template) -> None:
    """Put so many copies of an operation into an empty store, on the days before it."""
    SqlOperationStore(store.place).close()
    database = open_database(store.place)
    try:
        head, chain = journals.Head(), template.entries[0]["chain"]
        for begin in range(0, count, _AT_ONCE):
            with database.writing() as connection:
                last, each = head.sequence, len(template.entries)
                copies = [
                    template.copied(1 + number * DAYS // count, last + each * (number - begin))
                    for number in range(begin, min(begin + _AT_ONCE, count))
                ]
                head = _insert(connection, copies, head)
                connection.execute(delete(chains).where(chains.c.chain == chain))
                connection.execute(insert(chains).values(chain=chain, **head._asdict()))
                if not database.is_sqlite:
                    connection.execute(select(func.setval(NUMBERS.name, head.sequence)))
    finally:
        database.close()


@dataclass(frozen=True, slots=True)
class _Copy:
    """The rows of one operation in every table."""

    operation: dict[str, Any]
    rows: list[dict[str, Any]]
    decision: dict[str, Any]
    entries: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Template(_Copy):
    """An operation as the program has left it."""

    days: set[date]
    """Those of its times, by the real clock and the market's."""

    @classmethod
    def of(cls, store: Store, days: set[date]) -> Template:
        """The only operation of a store."""
        database = open_database(store.place)
        try:
            with database.reading() as connection:
                operation, decision = (
                    dict(connection.execute(select(each)).mappings().one()) for each in (operations, decisions)
                )
                about = select(journal).where(journal.c.operation_id == operation["id"]).order_by(journal.c.sequence)
                entries, those = (
                    [dict(each) for each in connection.execute(wanted).mappings()] for wanted in (about, select(rows))
                )
                return cls(operation, those, decision, entries, days)
        finally:
            database.close()

    def copied(self, days_before: int, after: int) -> _Copy:
        """One more of another id, so many days before, whose first entry has the number after that."""
        name = f"op-{after:08x}-{uuid.uuid4()}"[: len(self.operation["id"])]
        shifted = {day.isoformat(): (day - timedelta(days=days_before)).isoformat() for day in self.days}
        changes = {self.operation["id"]: name, **shifted}
        plan = _changed(self.operation["plan"], changes)
        changes[_sha256(self.operation["plan"])] = _sha256(plan)
        numbers = {each["sequence"]: after + place for place, each in enumerate(self.entries, 1)}
        operation = _row(self.operation, changes) | {"request_key": uuid.uuid4().hex}
        for number in ("planned_entry", "sent_entry"):
            operation[number] = numbers[operation[number]]
        decision = _row(self.decision, changes)
        those = [_row(each, changes) for each in self.rows]
        entries = [_row(each, changes) | {"sequence": numbers[each["sequence"]]} for each in self.entries]
        entries[-1]["state_digest"] = Stored(operation, those, decision["content"]).digest
        return _Copy(operation, those, decision, entries)


def _insert(connection: Connection, copies: list[_Copy], head: journals.Head) -> journals.Head:
    """Write copies, their entries chained from the head on. Returns the new head."""
    entries = [entry for copy in copies for entry in copy.entries]
    for entry in entries:
        entry["previous"] = head.hash
        entry["hash"] = journals.hash_of(journals.Entry(**entry))
        head = journals.Head(entry["sequence"], entry["hash"], head.entries + 1)
    connection.execute(insert(operations), [copy.operation for copy in copies])
    connection.execute(insert(rows), [row for copy in copies for row in copy.rows])
    connection.execute(insert(decisions), [copy.decision for copy in copies])
    connection.execute(insert(journal), entries)
    return head


def _row(row: Mapping[str, Any], changes: Mapping[str, str]) -> dict[str, Any]:
    return {name: _changed(value, changes) if isinstance(value, str) else value for name, value in row.items()}


def _changed(text: str, changes: Mapping[str, str]) -> str:
    for before, after in changes.items():
        text = text.replace(before, after)
    return text


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
