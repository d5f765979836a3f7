"""Operations by what a person looks for: as far as it is stored the database looks, and the rest is looked at here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial

from sqlalchemy import Column, ColumnElement, Connection, select, tuple_

from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.search import Found, Search
from positions_mcp.domain.operation.states import Stage
from positions_mcp.store import records
from positions_mcp.store.counting import of_plan
from positions_mcp.store.schema import operations

MOST_LOOKED_AT = 5_000
"""In one search. What is not found among them is looked for by the next one."""
_UNDER_WAY = {Stage.PLANNED, Stage.AWAITING_APPROVAL, Stage.APPROVED, Stage.CLAIMED}
"""Of which there are few at any time."""


def search(connection: Connection, wanted: Search, now: datetime, *, after: str, limit: int) -> Found:
    """The latest operations that are wanted, newest first, after the one that is named."""
    found: list[Operation] = []
    last = after
    for operation in _looked_at(connection, wanted, after, limit):
        if wanted.fits(operation, now):
            if len(found) == limit:
                return Found(tuple(found), found[-1].operation_id)
            found.append(operation)
        last = operation.operation_id
    may_be_more = any(True for _ in _some(connection, wanted, last, 1)) if last else False
    return Found(tuple(found), last if may_be_more else None)


def _looked_at(connection: Connection, wanted: Search, after: str, limit: int) -> Iterator[Operation]:
    """Few at first, as many as would do where all fit, and more at once where they do not."""
    looked_at, at_once = 0, min(limit + 1, records.CHUNK)
    while looked_at < MOST_LOOKED_AT:
        some = _some(connection, wanted, after, at_once)
        yield from some
        if len(some) < at_once:
            return
        looked_at, at_once, after = looked_at + at_once, records.CHUNK, some[-1].operation_id


def _some(connection: Connection, wanted: Search, after: str, limit: int) -> tuple[Operation, ...]:
    where = [*_where(connection, wanted), *([_comes_after(after)] if after else [])]
    return records.select_operations(connection, *where, limit=limit, newest_first=True)


def _comes_after(operation_id: str) -> ColumnElement[bool]:
    """In the order of `newest_first`."""
    planned = select(operations.c.created_at).where(operations.c.id == operation_id).scalar_subquery()
    return tuple_(operations.c.created_at, operations.c.id) < tuple_(planned, operation_id)


def _where(connection: Connection, wanted: Search) -> Iterator[ColumnElement[bool]]:
    by_age = partial(_by_age, connection)
    if wanted.mode is not None:
        yield by_age(operations.c.mode) == wanted.mode.value
    if wanted.account_id is not None:
        yield operations.c.account_id == wanted.account_id
    if wanted.accounts is not None:
        yield operations.c.account_id.in_(wanted.accounts)
    if wanted.stages is not None:
        stage = operations.c.stage if set(wanted.stages) <= _UNDER_WAY else by_age(operations.c.stage)
        yield stage.in_([each.value for each in wanted.stages])
    if wanted.in_doubt:
        yield operations.c.unfinished.is_(True)
    if wanted.kind is not None:
        yield of_plan(connection, "kind") == wanted.kind.value
    if wanted.caller:
        yield of_plan(connection, "caller").icontains(wanted.caller, autoescape=True)
    if wanted.asked_by is not None:
        yield of_plan(connection, "caller") == wanted.asked_by


def _by_age(connection: Connection, column: Column[str]) -> ColumnElement[str]:
    """A column by which SQLite is not to look: it would take an index that finds most of the table, and sort that.

    PostgreSQL knows how often a value stands there.
    """
    return column.concat("") if connection.dialect.name == "sqlite" else column
