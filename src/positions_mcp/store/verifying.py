"""Verification of everything: the chain itself, and the tables against what the chain says they hold."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Connection, select

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.operation.supervision import Verification
from positions_mcp.store import journal, records, standings
from positions_mcp.store.schema import decisions, operations, rows
from positions_mcp.store.schema import journal as journal_table
from positions_mcp.store.tallies import Tallies
from positions_mcp.store.transaction import PASSKEYS, Transaction


def verify(connection: Connection) -> Verification:
    """Walk the whole journal and compare what it describes; the answer names the first thing that does not hold."""
    sequence, head = journal.head_of(connection)
    try:
        tallies = Tallies()
        journal.follow_chain(connection, (0, journal.GENESIS), tallies.take)
        _compare_operations(connection)
        standings.compare(connection, tallies)
        transaction = Transaction(connection)
        transaction.halts()
        transaction.rosters()
        transaction.single(PASSKEYS)
    except StoreUnavailable as error:
        return Verification(intact=False, entries=sequence, head=head, problem=error.message)
    return Verification(intact=True, entries=sequence, head=head)


def _compare_operations(connection: Connection) -> None:
    """Each operation against the last entry about it, some at a time: a store may hold any number."""
    for table, column in ((rows, rows.c.operation_id), (decisions, decisions.c.operation_id)):
        if (stray := _first_not_in(connection, column, operations.c.id)) is not None:
            raise journal.broken(f"{table.name} holds {stray}, of which the journal knows nothing")
    if (missing := _first_not_in(connection, journal_table.c.operation_id, operations.c.id)) is not None:
        raise journal.broken(f"journal and operations disagree about {missing}")
    last = ""
    while True:
        some = select(operations).where(operations.c.id > last).order_by(operations.c.id).limit(records.CHUNK)
        found = connection.execute(some).mappings().all()
        told = journal.last_state_digests(connection, [row["id"] for row in found])
        for stored in records.with_rows(connection, found):
            if stored.operation_id not in told:
                raise journal.broken(f"journal and operations disagree about {stored.operation_id}")
            if _digest_of(stored) != told[stored.operation_id]:
                raise journal.broken(f"operation {stored.operation_id} is not as it was written")
        if len(found) < records.CHUNK:
            return
        last = found[-1]["id"]


def _digest_of(stored: records.Stored) -> str:
    try:
        return stored.digest
    except (ValueError, TypeError) as error:
        raise journal.broken(f"operation {stored.operation_id} cannot be read") from error


def _first_not_in(connection: Connection, column: Column[Any], other: Column[Any]) -> str | None:
    """The first id in a column that is not in another one."""
    there = select(other).where(other == column).exists()
    wanted = select(column).where(column.is_not(None), ~there).order_by(column).limit(1)
    return connection.execute(wanted).scalar_one_or_none()
