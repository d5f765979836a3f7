"""What a store asks of its database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event

from positions_mcp.store.operations import SqlOperationStore


@contextmanager
def asked_of(store: SqlOperationStore) -> Iterator[list[str]]:
    """The statements that a store in a file executes meanwhile, with what is bound in them."""
    asked: list[str] = []
    watched: list[sqlite3.Connection] = []
    engine = store._database._engine

    def note(session: sqlite3.Connection, *_: object) -> None:
        session.set_trace_callback(asked.append)
        watched.append(session)

    event.listen(engine, "checkout", note)
    try:
        yield asked
    finally:
        event.remove(engine, "checkout", note)
        for session in watched:
            session.set_trace_callback(None)


def steps_of(store: SqlOperationStore, asked: list[str]) -> list[str]:
    """How SQLite goes about those statements that look for operations."""
    about = [each for each in asked if "FROM operations" in each or "JOIN operations" in each]
    with store._database.reading() as connection:
        return [row[3] for text in about for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
