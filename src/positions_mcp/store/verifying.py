"""Verification of everything: the chains themselves, and the tables against what they say that these hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Connection, select

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.operation.supervision import Verification
from positions_mcp.store import journal, records, standings
from positions_mcp.store.anchors import expect_right
from positions_mcp.store.journal import COMMON, Head
from positions_mcp.store.known import PASSKEYS, Known
from positions_mcp.store.schema import decisions, operations, rows
from positions_mcp.store.schema import journal as journal_table
from positions_mcp.store.transaction import Transaction
from positions_mcp.store.walk import heads


def verify(connection: Connection) -> Verification:
    """Walk the whole journal and compare what it describes; the answer names the first thing that does not hold."""
    noted = heads(connection)
    entries = sum(each.entries for each in noted.values())
    try:
        known = _walk(connection, noted)
        _compare_operations(connection)
        standings.compare(connection, known.tallies)
        view = Transaction(connection, known=known)
        view.halts()
        view.rosters()
        view.single(PASSKEYS)
    except StoreUnavailable as error:
        return Verification(intact=False, entries=entries, head=_head_of(noted, noted), problem=error.message)
    return Verification(intact=True, entries=entries, head=_head_of(noted, known.moved(noted)))


def _head_of(noted: Mapping[str, Head], moved: Mapping[str, Head]) -> str:
    """What stands for the end of every chain: the last entry of the common one, with those that it does not anchor."""
    ends = noted[COMMON].hash, *(f"{chain}:{head.hash}" for chain, head in sorted(moved.items()) if chain)
    return ends[0] if len(ends) == 1 else journal.digest_of(ends)


def _walk(connection: Connection, noted: Mapping[str, Head]) -> Known:
    """Every entry in the order of its number, all chains side by side, to where they are noted to end."""
    ends: dict[str, Head] = {COMMON: Head()}
    known = Known()
    for entry in journal.every_row(connection):
        if entry.chain == COMMON:
            expect_right(entry, ends, known)
            known.take(entry)
        ends[entry.chain] = ends.get(entry.chain, Head()).then(entry)
    for chain in sorted({*ends, *noted}):
        if (end := ends.get(chain, Head())) != noted.get(chain):
            raise journal.broken(f"{_called(chain)} ends at entry {end.sequence}, not where it was left")
    return known


def _called(chain: str) -> str:
    return f"the chain of {chain}" if chain else "it"


def _compare_operations(connection: Connection) -> None:
    """Each operation against the last entry about it."""
    for table, column in ((rows, rows.c.operation_id), (decisions, decisions.c.operation_id)):
        if (stray := _first_not_in(connection, column, operations.c.id)) is not None:
            raise journal.broken(f"{table.name} holds {stray}, of which the journal knows nothing")
    if (missing := _first_not_in(connection, journal_table.c.operation_id, operations.c.id)) is not None:
        raise journal.broken(f"journal and operations disagree about {missing}")
    for stored in records.every_noted(connection):
        if not stored.noted_in:
            raise journal.broken(f"journal and operations disagree about {stored.operation_id}")
        standings.expect_as_noted(connection, stored)


def _first_not_in(connection: Connection, column: Column[Any], other: Column[Any]) -> str | None:
    """The first id in a column that is not in another one."""
    there = select(other).where(other == column).exists()
    wanted = select(column).where(column.is_not(None), ~there).order_by(column).limit(1)
    return connection.execute(wanted).scalar_one_or_none()
