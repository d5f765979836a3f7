"""Operations by what a person looks for: as far as it is stored the database looks, and the rest is looked at here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.search import Found, Search
from positions_mcp.store import records
from positions_mcp.store.counting import of_plan
from positions_mcp.store.schema import operations

MOST_LOOKED_AT = 5_000
"""In one search. What is not found among them is looked for by the next one."""


def search(connection: Connection, wanted: Search, now: datetime, *, after: str, limit: int) -> Found:
    """The latest operations that are wanted, newest first, after the one that is named."""
    found: list[Operation] = []
    last = after
    for operation in _looked_at(connection, wanted, after):
        if wanted.fits(operation, now):
            if len(found) == limit:
                return Found(tuple(found), found[-1].operation_id)
            found.append(operation)
        last = operation.operation_id
    may_be_more = any(True for _ in _some(connection, wanted, last, 1)) if last else False
    return Found(tuple(found), last if may_be_more else None)


def _looked_at(connection: Connection, wanted: Search, after: str) -> Iterator[Operation]:
    for _ in range(MOST_LOOKED_AT // records.CHUNK):
        some = _some(connection, wanted, after, records.CHUNK)
        yield from some
        if len(some) < records.CHUNK:
            return
        after = some[-1].operation_id


def _some(connection: Connection, wanted: Search, after: str, limit: int) -> tuple[Operation, ...]:
    where = [*_where(connection, wanted), *([_comes_after(after)] if after else [])]
    return records.select_operations(connection, *where, limit=limit, newest_first=True)


def _comes_after(operation_id: str) -> ColumnElement[bool]:
    """In the order of `newest_first`."""
    planned = select(operations.c.created_at).where(operations.c.id == operation_id).scalar_subquery()
    at, key = operations.c.created_at, operations.c.id
    return or_(at < planned, and_(at == planned, key > operation_id))


def _where(connection: Connection, wanted: Search) -> Iterator[ColumnElement[bool]]:
    if wanted.account_id is not None:
        yield operations.c.account_id == wanted.account_id
    if wanted.accounts is not None:
        yield operations.c.account_id.in_(wanted.accounts)
    if wanted.stages is not None:
        yield operations.c.stage.in_([stage.value for stage in wanted.stages])
    if wanted.in_doubt:
        yield operations.c.unfinished.is_(True)
    if wanted.kind is not None:
        yield of_plan(connection, "kind") == wanted.kind.value
    if wanted.caller:
        yield of_plan(connection, "caller").icontains(wanted.caller, autoescape=True)
