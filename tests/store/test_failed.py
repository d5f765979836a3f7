"""A write in which a statement failed is never taken to be done. SQLite undoes the statement alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from databases import new_database
from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.store import keeping
from positions_mcp.store.operations import SqlOperationStore
from positions_mcp.store.transaction import Transaction
from store.steps import begin, claimed

pytestmark = pytest.mark.requirement("G-05")


@pytest.fixture
def place(postgres_url: str) -> str:
    return new_database(postgres_url)


@pytest.fixture
def store(place: str) -> Iterator[SqlOperationStore]:
    found = SqlOperationStore(place)
    yield found
    found.close()


def fail(transaction: Transaction) -> None:
    """What fails, and is not said."""
    with suppress(DBAPIError):
        transaction.connection.execute(text("SELECT 1 / 0"))


def test_a_request_whose_check_failed_unseen_is_not_begun(store: SqlOperationStore) -> None:
    operation = claimed(store)
    with pytest.raises(StoreUnavailable):
        begin(store, operation, 0, check=fail)
    assert store.operation("op-1") == operation
    assert store.verify().intact
    assert begin(store, operation, 0).rows[0].lease is not None


def write(store: SqlOperationStore) -> None:
    with store._writing_beside() as connection:
        keeping.put(connection, "probe", "written")
        with suppress(DBAPIError):
            connection.execute(text("SELECT 1 / 0"))


def test_a_commit_that_would_be_a_rollback_is_not_taken_for_one(store: SqlOperationStore) -> None:
    with pytest.raises(StoreUnavailable):
        write(store)
    with store._writing_beside() as connection:
        assert keeping.get(connection, "probe") is None


@pytest.mark.parametrize("table", ["operations", "operation_rows", "journal", "chains"])
def test_of_what_goes_out_together_one_that_fails_undoes_all(store: SqlOperationStore, place: str, table: str) -> None:
    operation = claimed(store)
    with psycopg.connect(place, autocommit=True) as beside:
        beside.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$"
        )
        beside.execute(f"CREATE TRIGGER refused BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION refuse()")
        with pytest.raises(StoreUnavailable):
            begin(store, operation, 0)
        beside.execute(f"DROP TRIGGER refused ON {table}")
    assert store.operation("op-1") == operation
    assert store.verify().intact
    assert begin(store, operation, 0).rows[0].lease is not None
