"""The journal: hash chains over everything that happened, and over the state it left behind.

Each entry's hash covers its content and the hash before it in its chain; its `state_digest` covers its subject (an
operation with rows and decision, the halt, the approver) as it was left. So an edit of an entry breaks its chain, and
an edit of anything else disagrees with the last entry about it. Every account has a chain; what is about none stands in
the common chain, which also holds everything of 0.1.0 and anchors the others (`store.anchors`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, Row, func, insert, select

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Mode, canonical_json
from positions_mcp.domain.operation.supervision import JournalEntry
from positions_mcp.store.compiled import Compiled, asking_ahead, given
from positions_mcp.store.schema import NUMBERS, as_text, journal

COMMON = ""
"""The chain of what is about no account."""
GENESIS = "0" * 64
_CHUNK = 1_000
_WHOLE_SECOND, _UTC = ".000000+00:00", "+00:00"
_AS_TEXT = len("2026-11-20T15:30:00.000000+00:00")
_quoted = json.encoder.encode_basestring
_MOST_AT_ONCE = 4
"""Entries that one statement adds."""
_INSERT = tuple(
    Compiled(
        insert(journal).values([{each.name: given(f"{each.name}_{place}") for each in journal.c} for place in range(n)])
    )
    for n in range(1, _MOST_AT_ONCE + 1)
)
_NEXT_SHARED = Compiled(select(NUMBERS.next_value()))
_NEXT = Compiled(select(func.coalesce(func.max(journal.c.sequence), 0) + 1))
_MOST = given("most", Integer())
_AFTER_IT = select(journal).where(journal.c.sequence > given("after")).order_by(journal.c.sequence).limit(_MOST)
_AFTER, _AFTER_OF_CHAIN = Compiled(_AFTER_IT), Compiled(_AFTER_IT.where(journal.c.chain == given("chain")))


class Entry(NamedTuple):
    """An entry as it stands in the table."""

    sequence: int
    at: str
    event: str
    operation_id: str | None
    content: str
    state_digest: str | None
    previous: str
    hash: str
    chain: str


class Head(NamedTuple):
    """Where a chain ends."""

    sequence: int = 0
    hash: str = GENESIS
    entries: int = 0

    @property
    def told(self) -> str:
        """As it is noted beside the journal."""
        return f"{self.sequence}:{self.hash}:{self.entries}"

    @classmethod
    def read(cls, noted: str | None) -> Head:
        """From what is noted. 0.1.0 did not say how many entries there are: as many as the last one's number."""
        if noted is None:
            return cls()
        sequence, digest, entries = (*noted.split(":"), "")[:3]
        return cls(int(sequence), digest, int(entries or sequence))

    def then(self, entry: Entry) -> Head:
        """The head with one entry more. Raises StoreUnavailable where that does not follow, or was altered."""
        if entry.previous != self.hash or entry.sequence <= self.sequence:
            raise broken(f"entry {entry.sequence} does not follow entry {self.sequence}")
        if hash_of(entry) != entry.hash:
            raise broken(f"entry {entry.sequence} was altered")
        return Head(entry.sequence, entry.hash, self.entries + 1)


def chain_of(mode: Mode, account_id: AccountId | int) -> str:
    return f"{mode.value}:{account_id}"


def digest_of(value: Any) -> str:
    """SHA-256 of JSON-able state."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def next_number(connection: Connection) -> int:
    """The number of the next entry. Whoever asks has locked the chain that it goes to."""
    is_shared = connection.dialect.name == "postgresql"
    ((number,),) = (_NEXT_SHARED if is_shared else _NEXT).all(connection)
    return int(number)


def written(
    chain: str,
    head: Head,
    number: int,
    *,
    at: datetime,
    event: str,
    operation_id: str | None,
    content: dict[str, Any],
    state_digest: str | None,
) -> Entry:
    """The entry that follows a chain's head."""
    entry = Entry(
        sequence=number,
        at=as_text(at),
        event=event,
        operation_id=operation_id,
        content=canonical_json(content).decode(),
        state_digest=state_digest,
        previous=head.hash,
        hash="",
        chain=chain,
    )
    return entry._replace(hash=hash_of(entry))


def insert_entries(connection: Connection, entries: Sequence[Entry]) -> None:
    for start in range(0, len(entries), _MOST_AT_ONCE):
        some = entries[start : start + _MOST_AT_ONCE]
        told = {f"{name}_{at}": value for at, entry in enumerate(some) for name, value in entry._asdict().items()}
        _INSERT[len(some) - 1].run(connection, **told)


def count(connection: Connection, event: str, operation_id: str | None, *, after: datetime | None = None) -> int:
    """How many entries with an event are about an operation, or about none; of those after an instant."""
    of_it = select(func.count()).where(journal.c.operation_id == operation_id, journal.c.event == event)
    return connection.execute(of_it if after is None else of_it.where(journal.c.at > as_text(after))).scalar_one()


def last_digest_of_value(connection: Connection, events: Sequence[str]) -> str | None:
    """What the last entry with one of these events says of its value; None where there is none."""
    newest = (
        select(journal.c.state_digest)
        .where(journal.c.operation_id.is_(None), journal.c.event.in_(events))
        .order_by(journal.c.sequence.desc())
        .limit(1)
    )
    return connection.execute(newest).scalar_one_or_none()


def contents(connection: Connection, events: Sequence[str], up_to: int | None = None) -> dict[str, list[str]]:
    """What the entries of no operation with these events say, by event, oldest first."""
    wanted = (
        select(journal.c.event, journal.c.content)
        .where(journal.c.operation_id.is_(None), journal.c.event.in_(events))
        .order_by(journal.c.sequence)
    )
    if up_to is not None:
        wanted = wanted.where(journal.c.sequence <= up_to)
    found: dict[str, list[str]] = {event: [] for event in events}
    for event, content in connection.execute(wanted):
        found[event].append(content)
    return found


def rows_after(connection: Connection, sequence: int, chain: str) -> Iterator[Entry]:
    """What is stored of a chain's entries after a number, in order. However many they are, only some are in memory."""
    yield from _rows(lambda after: _AFTER_OF_CHAIN.ask(connection, after=after, most=_CHUNK, chain=chain), sequence)


def every_row(connection: Connection) -> Iterator[Entry]:
    """What is stored of all entries, in order. Nobody else uses the connection meanwhile."""
    with asking_ahead(connection):
        yield from _rows(lambda after: _AFTER.ask(connection, after=after, most=_CHUNK), 0)


def _rows(ask: Callable[[int], Any], after: int) -> Iterator[Entry]:
    coming = ask(after)
    while len(found := coming.fetchall()) == _CHUNK:
        coming = ask(found[-1][0])
        yield from map(Entry._make, found)
    yield from map(Entry._make, found)


def entry_at(connection: Connection, sequence: int) -> Entry | None:
    found = connection.execute(select(journal).where(journal.c.sequence == sequence)).one_or_none()
    return None if found is None else Entry(*found)


def expect_entry(connection: Connection, sequence: int) -> None:
    """Raise StoreUnavailable unless an entry is unaltered and the next one of its chain follows it.

    For one that this process has not walked past: it began at a later checkpoint.
    """
    row = entry_at(connection, sequence)
    if row is None or hash_of(row) != row.hash:
        raise broken(f"entry {sequence} was altered")
    after = (
        select(journal.c.previous)
        .where(journal.c.chain == row.chain, journal.c.sequence > sequence)
        .order_by(journal.c.sequence)
        .limit(1)
    )
    if connection.execute(after).scalar_one_or_none() not in (None, row.hash):
        raise broken(f"the entry after entry {sequence} does not follow it")


def expect_entries(found: Iterable[Entry], hashes: Mapping[int, str]) -> None:
    """Raise StoreUnavailable unless the entries of these numbers were found, unaltered, with these hashes."""
    stand = {entry.sequence: hash_of(entry) for entry in found}
    if altered := [sequence for sequence, digest in hashes.items() if stand.get(sequence) != digest]:
        raise broken(f"entry {altered[0]} was altered")


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
            chain=row.chain,
        )
    except (ValueError, TypeError) as error:
        raise broken(f"entry {row.sequence} cannot be read") from error


def hash_of(row: Entry) -> str:
    """`JournalEntry.expected_hash` of what is stored, taken of its text: a long journal is walked many times faster."""
    operation, state, chain = row.operation_id, row.state_digest, row.chain
    try:
        # The order is that of the names, as in canonical JSON; content is stored as canonical JSON.
        body = (
            f'{{"at":"{_json_time(row.at)}",{f""""chain":{_quoted(chain)},""" if chain else ""}"content":{row.content},'
            f'"event":{_quoted(row.event)},"operation_id":{"null" if operation is None else _quoted(operation)},'
            f'"previous":{_quoted(row.previous)},"sequence":{row.sequence},'
            f'"state_digest":{"null" if state is None else _quoted(state)}}}'
        )
        return hashlib.sha256(body.encode()).hexdigest()
    except (ValueError, TypeError, AttributeError) as error:
        raise broken(f"entry {row.sequence} cannot be read") from error


def _json_time(at: str) -> str:
    """An instant as it stands in canonical JSON."""
    if len(at) == _AS_TEXT and at.endswith(_UTC):  # as `as_text` writes it
        return f"{at[: -len(_WHOLE_SECOND)] if at.endswith(_WHOLE_SECOND) else at[: -len(_UTC)]}Z"
    return f"{datetime.fromisoformat(at).astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def broken(what: str) -> StoreUnavailable:
    """The error for a journal that does not hold."""
    return StoreUnavailable(
        f"The journal is broken: {what}.",
        hint="Nothing is sent until a person has looked. Run: `positions-mcp operations verify`.",
    )
