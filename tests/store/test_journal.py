"""The journal shows every edit, and a store that does not hold is read but not written."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.operation.plan import canonical_json
from positions_mcp.domain.operation.states import Stage
from positions_mcp.domain.operation.supervision import Approver, Halt, JournalEntry
from positions_mcp.store import journal
from positions_mcp.store.operations import SqlOperationStore
from positions_mcp.store.schema import as_text
from store.steps import NOW, allow, approved, claimed, finished, lease_until, plan_of, planned


def edit(place: Path | str, statement: str) -> None:
    """Change the database behind the store's back."""
    url = f"sqlite:///{place}" if isinstance(place, Path) else str(place).replace("://", "+psycopg://")
    engine = create_engine(url)
    with engine.begin() as connection:
        assert connection.execute(text(statement)).rowcount
    engine.dispose()


EDITS = {
    "an entry's content": "UPDATE journal SET content = replace(content, 'client tester', 'client other') "
    "WHERE event = 'approved'",
    "an entry's time": "UPDATE journal SET at = '2026-11-20T15:31:00.000000+00:00' WHERE sequence = 2",
    "an entry's event": "UPDATE journal SET event = 'declined' WHERE sequence = 3",
    "an entry in the middle removed": "DELETE FROM journal WHERE sequence = 2",
    "the last entry removed": "DELETE FROM journal WHERE sequence = (SELECT max(sequence) FROM journal)",
    "a plan": 'UPDATE operations SET plan = replace(plan, \'"quantity":"10"\', \'"quantity":"11"\')',
    "a stage": "UPDATE operations SET stage = 'PLANNED'",
    "a reason": "UPDATE operations SET reason = 'all is well'",
    "a request key": "UPDATE operations SET request_key = 'another'",
    "a row": "UPDATE operation_rows SET content = replace(content, 'SUBMITTED', 'DEVIATED')",
    "what was reserved": "UPDATE operation_rows SET reserved = '0' WHERE position = 0",
    "the day it was reserved on": "UPDATE operation_rows SET reserved_on = '2026-11-19' WHERE position = 0",
    "a decision": "UPDATE decisions SET content = replace(content, 'client tester', 'approver')",
    "an operation removed": "DELETE FROM operations",
    "a decision added": "INSERT INTO decisions (operation_id, content) VALUES ('op-7', '{}')",
    "the halt lifted": "DELETE FROM meta WHERE key = 'halt'",
    "the approver": "UPDATE meta SET value = replace(value, 'aaaa', 'bbbb') WHERE key = 'approver'",
}


@pytest.mark.parametrize("statement", EDITS.values(), ids=EDITS)
def test_verification_finds_every_edit(store: SqlOperationStore, place: Path | str, statement: str) -> None:
    finished(store)
    approver = Approver(public_key="a" * 64, salt="0" * 32, scrypt_n=16, scrypt_r=8, scrypt_p=1, created_at=NOW)
    store.set_approver(approver, replacing=None, now=NOW)
    store.set_halt(Halt(reason="news", by="root", at=NOW))
    assert store.verify().intact
    edit(place, statement)
    verification = store.verify()
    assert not verification.intact
    assert verification.problem


@pytest.mark.requirement("G-02")
def test_a_decision_forged_in_the_database_claims_nothing(store: SqlOperationStore, place: Path | str) -> None:
    approved(store, plan_of("op-1"))
    planned(store, plan_of("op-2", symbols=("TSLA",)))
    content = "(SELECT replace(content, 'op-1', 'op-2') FROM decisions WHERE operation_id = 'op-1')"
    edit(place, f"INSERT INTO decisions (operation_id, content) VALUES ('op-2', {content})")
    edit(place, "UPDATE operations SET stage = 'APPROVED' WHERE id = 'op-2'")
    with pytest.raises(StoreUnavailable):
        store.claim("op-2", lease_until(), NOW, check=allow)


@pytest.mark.requirement("G-11")
def test_a_halt_lifted_in_the_database_still_sends_nothing(store: SqlOperationStore, place: Path | str) -> None:
    operation = claimed(store)
    store.set_halt(Halt(reason="news", by="root", at=NOW))
    edit(place, "DELETE FROM meta WHERE key = 'halt'")
    with pytest.raises(StoreUnavailable):
        store.begin(
            operation.operation_id,
            lease_until(),
            reserving={},
            now=NOW,
            market_now=NOW,
            check=lambda ledger: allow(ledger.halts()),
        )


def test_a_broken_chain_is_read_but_not_written(store: SqlOperationStore, place: Path | str) -> None:
    operation = planned(store)
    edit(place, "UPDATE journal SET content = '{}' WHERE sequence = 1")
    reopened = SqlOperationStore(place)
    assert reopened.operation("op-1") == operation
    assert not reopened.status().writable
    with pytest.raises(StoreUnavailable, match="journal is broken"):
        reopened.move("op-1", expected=(Stage.PLANNED,), to=Stage.REFUSED, reason="", now=NOW)
    reopened.close()


def test_an_edit_of_what_was_already_verified_is_found_by_the_next_write(
    store: SqlOperationStore, place: Path | str
) -> None:
    planned(store, plan_of("op-1"))
    planned(store, plan_of("op-2"))
    edit(place, "UPDATE operations SET reason = 'x' WHERE id = 'op-1'")
    with pytest.raises(StoreUnavailable):
        store.move("op-1", expected=(Stage.PLANNED,), to=Stage.REFUSED, reason="", now=NOW)
    assert store.move("op-2", expected=(Stage.PLANNED,), to=Stage.REFUSED, reason="", now=NOW).stage is Stage.REFUSED


@pytest.mark.requirement("G-15")
def test_the_journal_names_the_mode_of_every_plan(store: SqlOperationStore) -> None:
    planned(store)
    (entry,) = store.journal("op-1")
    assert entry.content["mode"] == "paper"


@pytest.mark.requirement("R-01")
@given(
    micros=st.integers(0, 999_999) | st.just(0) | st.just(120_000),
    event=st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20),
    operation_id=st.none() | st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20),
    content=st.dictionaries(
        st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.text())
    ),
    digest=st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
    chain=st.sampled_from(["", "paper:19816", "live:1"]),
)
def test_the_hash_of_what_is_stored_is_that_of_the_entry(
    micros: int, event: str, operation_id: str | None, content: dict[str, Any], *, digest: str | None, chain: str
) -> None:
    at = datetime(2026, 11, 20, 15, 30, 7, micros, tzinfo=UTC)
    entry = JournalEntry(
        sequence=7, at=at, event=event, operation_id=operation_id, content=content, state_digest=digest,
        previous="0" * 64, hash="", chain=chain,
    )  # fmt: skip
    stored = journal.Entry(
        sequence=7, at=as_text(at), event=event, operation_id=operation_id, state_digest=digest,
        content=canonical_json(content).decode(), previous="0" * 64, hash="", chain=chain,
    )  # fmt: skip
    assert journal.hash_of(stored) == entry.expected_hash()
