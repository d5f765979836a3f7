"""Verification of everything: the chain itself, and the tables against what the chain says they hold."""

from __future__ import annotations

from sqlalchemy import Connection, select

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.operation.supervision import Verification
from positions_mcp.store import journal, keeping, records
from positions_mcp.store.schema import decisions, rows
from positions_mcp.store.transaction import Transaction

_SINGLE_VALUES = ("halt", "approver")


def verify(connection: Connection) -> Verification:
    """Walk the whole journal and compare what it describes; the answer names the first thing that does not hold."""
    sequence, head = journal.head_of(connection)
    try:
        journal.follow_chain(connection, (0, journal.GENESIS))
        _compare_operations(connection)
        _compare_single_values(connection)
        Transaction(connection).approver()
    except StoreUnavailable as error:
        return Verification(intact=False, entries=sequence, head=head, problem=error.message)
    return Verification(intact=True, entries=sequence, head=head)


def _compare_operations(connection: Connection) -> None:
    told: dict[str, str | None] = {}
    for entry in journal.entries(connection):
        if entry.operation_id is not None:
            told[entry.operation_id] = entry.state_digest
    for table, column in ((rows, rows.c.operation_id), (decisions, decisions.c.operation_id)):
        strays = set(connection.execute(select(column).distinct()).scalars()) - set(told)
        if strays:
            raise journal.broken(f"{table.name} holds {min(strays)}, of which the journal knows nothing")
    held = records.select_operations(connection)
    if missing := set(told) ^ set(records.ids_of(held)):
        raise journal.broken(f"journal and operations disagree about {min(missing)}")
    for operation in held:
        if records.state_digest(connection, operation) != told[operation.operation_id]:
            raise journal.broken(f"operation {operation.operation_id} is not as it was written")


def _compare_single_values(connection: Connection) -> None:
    told: dict[str, str | None] = {}
    for entry in journal.entries(connection):
        if entry.operation_id is None:
            told[str(entry.content.get("key"))] = entry.state_digest
    for key in _SINGLE_VALUES:
        value = keeping.get(connection, key)
        if journal.digest_of(value) != told.get(key, journal.digest_of(None)):
            raise journal.broken(f"the {key} is not as it was written")
