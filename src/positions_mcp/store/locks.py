"""Who may write at the same time. SQLite has one writer for the whole file, who took the lock when it began.

In PostgreSQL whoever writes about an account locks the head of its chain, and shares a lock with those of other
accounts. What concerns all of them takes that lock alone: a halt waits for the requests that are being journalled at
that moment, and no later one is journalled without having seen it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import (
    Connection,
    String,
    cast,
    func,
    literal,
    select,
    text,
    union_all,
)

from positions_mcp.store import keeping
from positions_mcp.store.compiled import Compiled, given
from positions_mcp.store.journal import COMMON, GENESIS, Head, broken
from positions_mcp.store.known import VALUE_EVENTS
from positions_mcp.store.schema import chains, journal, meta

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
_VERSION = select(meta.c.value).where(meta.c.key == keeping.VERSION)
_HEAD, _LAST, _LAST_COMMON = "chain", "last entry of the chain", "last entry of the common chain"
_OF_CHAIN = given("chain", String())
_OF_ALL = union_all(
    select(meta.c.key, meta.c.value).where(meta.c.key.in_(_KEYS)),
    select(literal(_LAST_COMMON), cast(func.max(journal.c.sequence), String)).where(journal.c.chain == COMMON),
)
_VALUES = Compiled(_OF_ALL)
_VALUES_AND_CHAIN = Compiled(
    union_all(
        *_OF_ALL.selects,
        select(literal(_LAST), cast(func.max(journal.c.sequence), String)).where(journal.c.chain == _OF_CHAIN),
        select(
            literal(_HEAD), cast(chains.c.sequence, String) + ":" + chains.c.hash + ":" + cast(chains.c.entries, String)
        ).where(chains.c.chain == _OF_CHAIN),
    )
)
_KEEP_HEAD = Compiled(
    text(
        "INSERT INTO chains (chain, sequence, hash, entries) VALUES (:chain, :sequence, :hash, :entries) ON CONFLICT "
        "(chain) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash, entries = excluded.entries"
    )
)


@dataclass(frozen=True, slots=True)
class Stand:
    """What a view, or a transaction whose turn it is, shows of the single values and of where chains end."""

    values: Mapping[str, str]
    heads: Mapping[str, Head]

    @property
    def version(self) -> str | None:
        """The schema's."""
        return self.values.get(keeping.VERSION)

    @property
    def common(self) -> Head:
        """Where the common chain ends."""
        return self.heads[COMMON]


def lock(connection: Connection, chain: str) -> Stand:
    """Wait for the turn to write about an account, or about everything where the chain is the common one.

    Raises StoreUnavailable where a chain goes on behind its end.
    """
    if chain == COMMON:
        lock_all(connection)
    elif connection.dialect.name == "postgresql":
        account = {"chain": chain, "all": _ALL, "version": keeping.VERSION}
        if _LOCK_ACCOUNT.first(connection, **account) is None:
            _NEW_CHAIN.run(connection, chain=chain, hash=GENESIS)
            _LOCK_ACCOUNT.first(connection, **account)
    return stand(connection, chain)


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
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(caller, _PLANS))))


def keep_head(connection: Connection, chain: str, head: Head) -> None:
    """Note where a chain ends."""
    if chain == COMMON:
        keeping.put(connection, keeping.JOURNAL_HEAD, head.told)
    else:
        _KEEP_HEAD.run(connection, chain=chain, **head._asdict())


def stand(connection: Connection, chain: str = COMMON) -> Stand:
    """What a view shows, also of an account's chain. Raises StoreUnavailable where a chain goes on behind its end."""
    found = _VALUES.all(connection) if chain == COMMON else _VALUES_AND_CHAIN.all(connection, chain=chain)
    values: dict[str, str] = {name: value for name, value in found if value is not None}
    heads = {COMMON: Head.read(values.get(keeping.JOURNAL_HEAD))}
    if chain != COMMON:
        heads[chain] = Head.read(values.get(_HEAD))
    for name, last in ((COMMON, _LAST_COMMON), (chain, _LAST)):
        if last in values and int(values[last] or 0) > heads[name].sequence:
            raise broken(f"it goes on to entry {values[last]}, behind where it was left")
    return Stand(values, heads)
