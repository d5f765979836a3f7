"""The tables. Values are kept as canonical text, so that both databases give back exactly what was stored.

A column of `operations` that comes later is nullable, is made by a migration, and says so: `info={"added": "0.2.0"}`.
While it is null it is left out of what the journal's digests cover, so that they hold for what was stored before it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    Text,
)

TABLES = MetaData()

meta = Table("meta", TABLES, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))
"""Schema version, head of the journal's common chain, halt, approver, and outcomes counted in a row."""

operations = Table(
    "operations",
    TABLES,
    Column("id", Text, primary_key=True),
    Column("mode", Text, nullable=False),
    Column("account_id", BigInteger, nullable=False),
    Column("request_key", Text, nullable=False),
    Column("target_key", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Column("due_at", Text),  # when time alone changes the stage; null once nothing will
    Column("unfinished", Boolean, nullable=False),
    Column("planned_entry", BigInteger, nullable=False),  # the journal's entry that made the plan
    Column("sent_entry", BigInteger),  # the latest entry that made a row SENDING
    Column("plan", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("lease", Text),
    Column("caller", Text, info={"added": "0.2.0"}),
    Column("counted_at", Text, info={"added": "0.2.0"}),  # when it first counted: asked for, or taken for sending
    Index("operations_by_request", "request_key"),
    Index("operations_by_target", "target_key", "stage"),
    Index("operations_by_age", "created_at", "id"),
    Index("operations_due", "due_at"),
    Index("operations_unfinished", "mode", "account_id", "unfinished"),
    Index("operations_sent", "mode", "account_id", "sent_entry"),
    Index("operations_by_stage", "stage", "mode", "account_id"),
    Index("operations_counted", "mode", "account_id", "counted_at", "caller"),
)

rows = Table(
    "operation_rows",
    TABLES,
    Column("operation_id", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("mode", Text, nullable=False),
    Column("account_id", BigInteger, nullable=False),
    Column("reserved", Text, nullable=False),
    Column("reserved_on", Text),
    Column("content", Text, nullable=False),
    PrimaryKeyConstraint("operation_id", "position"),
    Index("rows_by_day", "mode", "account_id", "reserved_on"),
)

decisions = Table(
    "decisions",
    TABLES,
    Column("operation_id", Text, primary_key=True),  # one decision an operation, used once
    Column("content", Text, nullable=False),
)

journal = Table(
    "journal",
    TABLES,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("operation_id", Text),
    Column("content", Text, nullable=False),
    Column("state_digest", Text),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("chain", Text, nullable=False, server_default="", info={"added": "0.2.0"}),
    Index("journal_by_operation", "operation_id", "sequence"),
    Index("journal_by_chain", "chain", "sequence"),
)
_OF_NONE = journal.c.operation_id.is_(None)
Index("journal_of_none", journal.c.event, journal.c.sequence, sqlite_where=_OF_NONE, postgresql_where=_OF_NONE)

NUMBERS = Sequence("journal_numbers", metadata=TABLES)
"""PostgreSQL's numbers of entries, for accounts that write at once. SQLite has one writer, who counts."""

chains = Table(
    "chains",
    TABLES,
    Column("chain", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
    Column("entries", BigInteger, nullable=False),
)
"""The head of each account's chain: who writes about an account has locked its row."""

servers = Table(
    "servers",
    TABLES,
    Column("process", Text, primary_key=True),
    Column("until", Text, nullable=False),
    Column("content", Text, nullable=False),
)

desk_sessions = Table(
    "desk_sessions",
    TABLES,
    Column("cookie", Text, primary_key=True),
    Column("token", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("credential", Text, nullable=False),
    Column("opened_at", Text, nullable=False),
    Column("seen_at", Text, nullable=False),
    Column("until", Text, nullable=False),
    Column("entered_by", Text, unique=True),  # the challenge that a passkey answered: once
    Column("wrong", Integer, nullable=False),
)

desk_offers = Table(
    "desk_offers",
    TABLES,
    Column("offer", Text, primary_key=True),
    Column("session", Text, nullable=False, index=True),
    Column("until", Text, nullable=False, index=True),
    Column("content", Text, nullable=False),
)

mandates = Table(
    "mandates",
    TABLES,
    Column("id", Text, primary_key=True),
    Column("drafted_at", Text, nullable=False),
    Column("ends", Text),  # when a signed one ends, or a draft's shadow
    Column("content", Text, nullable=False),
    Index("mandates_by_end", "ends"),
)

mandate_uses = Table(
    "mandate_uses",
    TABLES,
    Column("mandate_id", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("operation_id", Text, nullable=False, unique=True),  # an operation uses one mandate, once
    Column("content", Text, nullable=False),
    PrimaryKeyConstraint("mandate_id", "number"),
)

mandate_shadows = Table(
    "mandate_shadows",
    TABLES,
    Column("mandate_id", Text, nullable=False),
    Column("plan_id", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("content", Text, nullable=False),
    PrimaryKeyConstraint("mandate_id", "plan_id"),
)


OF_SERVERS = MetaData()
"""PostgreSQL's alone: what its servers share for some minutes. A crash of the database empties it."""

listings = Table(
    "listings",
    OF_SERVERS,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("kept_until", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("asked", Text, nullable=False),
    prefixes=["UNLOGGED"],
)

listing_packs = Table(
    "listing_packs",
    OF_SERVERS,
    Column("listing", Text, ForeignKey(listings.c.name, ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("listing", "number"),
    prefixes=["UNLOGGED"],
)


def as_text(instant: datetime) -> str:
    """An instant as text that sorts by time."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")
