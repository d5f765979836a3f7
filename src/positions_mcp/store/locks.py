"""Who may write at the same time. SQLite has one writer for the whole file, who took the lock when it began.

In PostgreSQL whoever writes about an account locks the head of its chain, and shares a lock with those of other
accounts. What concerns all of them takes that lock alone: a halt waits for the requests that are being journalled at
that moment, and no later one is journalled without having seen it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from time import monotonic
from typing import Any

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Integer,
    String,
    cast,
    extract,
    func,
    literal,
    select,
    text,
    union_all,
)

from positions_mcp.store import keeping
from positions_mcp.store.compiled import Compiled, given
from positions_mcp.store.instants import ClockSample
from positions_mcp.store.journal import COMMON, GENESIS, Entry, Head, broken, expect_entries
from positions_mcp.store.known import VALUE_EVENTS
from positions_mcp.store.schema import NUMBERS, chains, journal, meta

_ALL, _PLANS = 7_019_817, 7_019_818
_KEYS = (keeping.JOURNAL_HEAD, keeping.VERSION, *VALUE_EVENTS)
_LOCK_ACCOUNT = Compiled(
    text(
        "WITH shared AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(:all)) "
        "SELECT 1 FROM shared, meta, chains WHERE key = :version AND chain = :chain "
        "FOR KEY SHARE OF meta FOR UPDATE OF chains"
    )
)
_NEW_CHAIN = Compiled(
    text("INSERT INTO chains (chain, sequence, hash, entries) VALUES (:chain, 0, :hash, 0) ON CONFLICT DO NOTHING")
)
_LOCK_PLANS = Compiled(select(func.pg_advisory_xact_lock(_PLANS)))
_LOCK_CALLER = Compiled(select(func.pg_advisory_xact_lock(func.hashtextextended(given("caller", String()), _PLANS))))
_VERSION = select(meta.c.value).where(meta.c.key == keeping.VERSION)
_HEAD, _LAST, _LAST_COMMON = "chain", "last entry of the chain", "last entry of the common chain"
_OF_CHAIN = given("chain", String())
_OF_ALL = union_all(
    select(meta.c.key, meta.c.value).where(meta.c.key.in_(_KEYS)),
    select(literal(_LAST_COMMON), cast(func.max(journal.c.sequence), String)).where(journal.c.chain == COMMON),
)
_OF_ACCOUNT: CompoundSelect[Any] = union_all(
    *_OF_ALL.selects,
    select(meta.c.key, meta.c.value).where(meta.c.key == keeping.FAILURES + _OF_CHAIN),
    select(literal(_LAST), cast(func.max(journal.c.sequence), String)).where(journal.c.chain == _OF_CHAIN),
    select(
        literal(_HEAD), cast(chains.c.sequence, String) + ":" + chains.c.hash + ":" + cast(chains.c.entries, String)
    ).where(chains.c.chain == _OF_CHAIN),
)
_VALUES = Compiled(_OF_ALL)
_ENTRY, _NUMBER, _TIME, _DURABLE = "entry", "number", "time", "durable"
_THESE = tuple(f"entry_{each}" for each in range(8))
_KEEP_HEAD = Compiled(
    text(
        "INSERT INTO chains (chain, sequence, hash, entries) VALUES (:chain, :sequence, :hash, :entries) ON CONFLICT "
        "(chain) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash, entries = excluded.entries"
    )
)


@dataclass(frozen=True, slots=True)
class CurrentState:
    """What a view, or a transaction whose turn it is, shows of the single values and of where chains end."""

    values: Mapping[str, str]
    heads: Mapping[str, Head]
    numbers: Sequence[int] = ()
    """Of the entries that come next."""
    beside: Mapping[str, str | None] = field(default_factory=dict)
    """What stands beside the journal of the account: how many failures it had in a row."""
    told: ClockSample | None = None
    """What time it was by the database's clock, where machines share it."""

    @property
    def version(self) -> str | None:
        return self.values.get(keeping.VERSION)

    @property
    def common(self) -> Head:
        return self.heads[COMMON]


def lock(connection: Connection, chain: str, expected: Mapping[int, str], *, numbers: int = 1) -> CurrentState:
    """Wait for the turn to write about an account, or about everything where the chain is the common one.

    All that a change begins with is asked for then, in one statement: what stands, so many numbers for new entries, and
    the time. `expected` are the hashes of entries, by their numbers. Raises StoreUnavailable where they do not stand
    so, or a chain goes on behind its end.
    """
    dialect, of_account = connection.dialect.name, chain != COMMON
    if not of_account:
        lock_all(connection)
    elif dialect == "postgresql":
        account = {"chain": chain, "all": _ALL, "version": keeping.VERSION}
        if _LOCK_ACCOUNT.first(connection, **account) is None:
            _NEW_CHAIN.run(connection, chain=chain, hash=GENESIS)
            _LOCK_ACCOUNT.first(connection, **account)
    these = dict.fromkeys(_THESE, 0) | dict(zip(_THESE, expected, strict=False))
    before, began = datetime.now(UTC), monotonic()
    found = _of_change(dialect, of_account).all(connection, chain=chain, numbers=numbers, **these)
    expect_entries([Entry._make(json.loads(value)) for name, value in found if name == _ENTRY], expected)
    told = [
        ClockSample(datetime.fromtimestamp(float(value), UTC), before, began) for name, value in found if name == _TIME
    ]
    next_ones = sorted(int(value) for name, value in found if name == _NUMBER)
    return _stand(found, chain, next_ones, next(iter(told), None))


def is_free(connection: Connection, chain: str) -> bool:
    """Whether nobody holds the turn to write about an account, or about everything, in PostgreSQL."""
    held = select(func.pg_try_advisory_xact_lock_shared(_ALL))
    there = select(func.count()).select_from(chains).where(chains.c.chain == chain)
    free = select(chains.c.chain).where(chains.c.chain == chain).with_for_update(skip_locked=True)
    if not connection.execute(held).scalar_one():
        return False
    return connection.execute(free).first() is not None or not connection.execute(there).scalar_one()


def lock_all(connection: Connection) -> None:
    """Wait until nobody else writes, whatever about.

    Who waits is served in turn: a halt is not overtaken by requests that come after it. The row is what 0.1.0 locks.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_ALL)))
        keeping.lock(connection)


def lock_beside(connection: Connection) -> None:
    """Wait until nobody changes what concerns all, for who writes what stands in no journal."""
    if connection.dialect.name == "postgresql":
        connection.execute(_VERSION.with_for_update(key_share=True, read=True))


def lock_plans(connection: Connection) -> None:
    """Wait until nobody else adds a plan: of how many wait for a decision all accounts count."""
    if connection.dialect.name == "postgresql":
        _LOCK_PLANS.first(connection)


def lock_caller(connection: Connection, caller: str) -> None:
    """Wait until nobody else puts a question of a caller to a person, in whatever account."""
    if connection.dialect.name == "postgresql":
        _LOCK_CALLER.first(connection, caller=caller)


def keep_head(connection: Connection, chain: str, head: Head) -> None:
    if chain == COMMON:
        keeping.put(connection, keeping.JOURNAL_HEAD, head.told)
    else:
        _KEEP_HEAD.run(connection, chain=chain, **head._asdict())


def stand(connection: Connection) -> CurrentState:
    """What a view shows. Raises StoreUnavailable where the common chain goes on behind its end."""
    return _stand(_VALUES.all(connection), COMMON)


def _stand(
    found: Sequence[Sequence[str | None]], chain: str, numbers: Sequence[int] = (), told: ClockSample | None = None
) -> CurrentState:
    values = {str(name): value for name, value in found if value is not None}
    heads = {COMMON: Head.read(values.get(keeping.JOURNAL_HEAD))}
    if chain != COMMON:
        heads[chain] = Head.read(values.get(_HEAD))
    for name, last in ((COMMON, _LAST_COMMON), (chain, _LAST)):
        if last in values and int(values[last] or 0) > heads[name].sequence:
            raise broken(f"it goes on to entry {values[last]}, behind where it was left")
    failures = f"{keeping.FAILURES}{chain}"
    return CurrentState(values, heads, numbers, {failures: values.get(failures)} if chain != COMMON else {}, told)


@cache
def _of_change(dialect: str, of_account: bool) -> Compiled:
    """What a change begins with, once it is its turn. PostgreSQL's is durable where it is committed."""
    parts = [*(_OF_ACCOUNT if of_account else _OF_ALL).selects]
    these = select(*journal.c).where(journal.c.sequence.in_([given(each) for each in _THESE])).subquery()
    if dialect != "postgresql":
        number = func.coalesce(func.max(journal.c.sequence), 0) + 1
        whole = select(literal(_ENTRY), func.json_array(*these.c))
        return Compiled(union_all(*parts, whole, select(literal(_NUMBER), number)))
    so_many = func.generate_series(1, given("numbers", Integer())).table_valued("number")
    parts += [
        select(literal(_ENTRY), cast(func.json_build_array(*these.c), String)),
        select(literal(_NUMBER), cast(NUMBERS.next_value(), String)).select_from(so_many),
        select(literal(_TIME), cast(extract("epoch", func.clock_timestamp()), String)),
        select(literal(_DURABLE), func.set_config("synchronous_commit", "on", True)),
    ]
    return Compiled(union_all(*parts))
