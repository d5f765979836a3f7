"""The journal: a hash chain over everything that happened, and over the state it left behind.

Each entry's hash covers its content and the hash before it; its `state_digest` covers its subject (an operation with
rows and decision, the halt, the approver) as it was left. So an edit of an entry breaks the chain, and an edit of
anything else disagrees with the last entry about it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.operation.plan import canonical_json
from positions_mcp.domain.operation.supervision import JournalEntry
from positions_mcp.store import keeping
from positions_mcp.store.schema import as_text, journal

GENESIS = "0" * 64
_CHUNK = 1_000


def digest_of(value: Any) -> str:
    """SHA-256 of JSON-able state."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def append(
    connection: Connection,
    *,
    at: datetime,
    event: str,
    operation_id: str | None,
    content: dict[str, Any],
    state_digest: str | None,
) -> JournalEntry:
    """Add an entry at the head. The caller's transaction is the only writer."""
    head = head_of(connection)
    entry = JournalEntry(
        sequence=head[0] + 1,
        at=at.astimezone(UTC),
        event=event,
        operation_id=operation_id,
        content=content,
        state_digest=state_digest,
        previous=head[1],
        hash="",
    )
    entry = entry.model_copy(update={"hash": entry.expected_hash()})
    connection.execute(
        insert(journal).values(
            sequence=entry.sequence,
            at=as_text(entry.at),
            event=entry.event,
            operation_id=operation_id,
            content=canonical_json(content).decode(),
            state_digest=state_digest,
            previous=entry.previous,
            hash=entry.hash,
        )
    )
    keeping.put(connection, "journal_head", f"{entry.sequence}:{entry.hash}")
    return entry


def head_of(connection: Connection) -> tuple[int, str]:
    """Sequence and hash of the last entry, as noted beside the journal."""
    noted = keeping.get(connection, "journal_head")
    if noted is None:
        return 0, GENESIS
    sequence, _, digest = noted.partition(":")
    return int(sequence), digest


def next_sequence(connection: Connection) -> int:
    """The sequence that the entry of this transaction's next change will have."""
    return head_of(connection)[0] + 1


def last_state_digest(connection: Connection, operation_id: str) -> str | None:
    """What the last entry about an operation says it looked like."""
    newest = (
        select(journal.c.state_digest)
        .where(journal.c.operation_id == operation_id)
        .order_by(journal.c.sequence.desc())
        .limit(1)
    )
    return connection.execute(newest).scalar_one_or_none()


def last_digest_of_value(connection: Connection, events: Sequence[str]) -> str | None:
    """What the last entry with one of these events says of its value; None where there is none."""
    newest = (
        select(journal.c.state_digest)
        .where(journal.c.operation_id.is_(None), journal.c.event.in_(events))
        .order_by(journal.c.sequence.desc())
        .limit(1)
    )
    return connection.execute(newest).scalar_one_or_none()


def contents(connection: Connection, events: Sequence[str]) -> list[dict[str, Any]]:
    """What the entries with one of these events say, oldest first, of no operation."""
    wanted = (
        select(journal.c.content)
        .where(journal.c.operation_id.is_(None), journal.c.event.in_(events))
        .order_by(journal.c.sequence)
    )
    try:
        return [json.loads(text) for text in connection.execute(wanted).scalars()]
    except ValueError as error:
        raise broken(f"an entry about {events[0]!r} cannot be read") from error


def last_state_digests(connection: Connection, operation_ids: Sequence[str]) -> dict[str, str | None]:
    """What the last entry about each of some operations says it looked like."""
    last = (
        select(func.max(journal.c.sequence))
        .where(journal.c.operation_id.in_(operation_ids))
        .group_by(journal.c.operation_id)
    )
    wanted = select(journal.c.operation_id, journal.c.state_digest).where(journal.c.sequence.in_(last))
    return {row.operation_id: row.state_digest for row in connection.execute(wanted)}


def _rows(connection: Connection, *, after: int) -> Iterator[Row[Any]]:
    """What is stored of the entries after a sequence, in order. However many there are, only some are in memory."""
    while True:
        wanted = select(journal).where(journal.c.sequence > after).order_by(journal.c.sequence).limit(_CHUNK)
        found = connection.execute(wanted).all()
        yield from found
        if len(found) < _CHUNK:
            return
        after = found[-1].sequence


def read(row: Row[Any]) -> JournalEntry:
    """An entry from its row. Raises StoreUnavailable where it cannot be one."""
    try:
        return JournalEntry(
            sequence=row.sequence,
            at=datetime.fromisoformat(row.at),
            event=row.event,
            operation_id=row.operation_id,
            content=json.loads(row.content),
            state_digest=row.state_digest,
            previous=row.previous,
            hash=row.hash,
        )
    except (ValueError, TypeError) as error:
        raise broken(f"entry {row.sequence} cannot be read") from error


def _hash_of(row: Row[Any]) -> str:
    """`JournalEntry.expected_hash` of what is stored, taken of its text: a long journal is walked many times faster."""
    try:
        at = datetime.fromisoformat(row.at).astimezone(UTC).replace(tzinfo=None).isoformat()
        # The order is that of the names, as in canonical JSON; content is stored as canonical JSON.
        body = (
            f'{{"at":"{at}Z","content":{row.content},"event":{_quoted(row.event)},'
            f'"operation_id":{_quoted(row.operation_id)},"previous":{_quoted(row.previous)},'
            f'"sequence":{row.sequence},"state_digest":{_quoted(row.state_digest)}}}'
        )
        return hashlib.sha256(body.encode()).hexdigest()
    except (ValueError, TypeError, AttributeError) as error:
        raise broken(f"entry {row.sequence} cannot be read") from error


def _quoted(text: str | None) -> str:
    return "null" if text is None else json.dumps(text, ensure_ascii=False)


def follow_chain(
    connection: Connection, start: tuple[int, str], take: Callable[[Row[Any]], None] = lambda _: None
) -> tuple[int, str]:
    """Check the chain from a place known to be good to the head, and hand every entry that holds to `take`.

    Returns the head; raises StoreUnavailable.
    """
    sequence, digest = start
    if sequence and not _stands(connection, sequence, digest):
        raise broken(f"entry {sequence} was altered")
    for row in _rows(connection, after=sequence):
        if row.sequence != sequence + 1 or row.previous != digest:
            raise broken(f"entry {row.sequence} does not follow entry {sequence}")
        if _hash_of(row) != row.hash:
            raise broken(f"entry {row.sequence} was altered")
        take(row)
        sequence, digest = row.sequence, row.hash
    if head_of(connection) != (sequence, digest):
        raise broken(f"it ends at entry {sequence}, not where it was left")
    return sequence, digest


def broken(what: str) -> StoreUnavailable:
    """The error for a journal that does not hold."""
    return StoreUnavailable(
        f"The journal is broken: {what}.",
        hint="Nothing is sent until a person has looked. Run: positions-mcp operations verify.",
    )


def _stands(connection: Connection, sequence: int, digest: str) -> bool:
    count = select(func.count()).where(journal.c.sequence == sequence, journal.c.hash == digest)
    return connection.execute(count).scalar_one() == 1
