"""What a store asks of its database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from positions_mcp.store.operations import SqlOperationStore


@contextmanager
def asked_of(store: SqlOperationStore) -> Iterator[list[tuple[str, Any]]]:
    """The statements that a store executes meanwhile, each with what is bound in it."""
    asked: list[tuple[str, Any]] = []
    engine = store._database._engine

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)


def steps_of(store: SqlOperationStore, asked: list[tuple[str, Any]]) -> list[str]:
    """How SQLite goes about those statements that look for operations."""
    about = [each for each in asked if "FROM operations" in each[0] or "JOIN operations" in each[0]]
    with store._database.reading() as connection:
        return [
            row[3] for text, said in about for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", said)
        ]
