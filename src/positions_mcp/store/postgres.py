"""PostgreSQL: sessions whose every wait has an end, and the one clock that all machines of a store go by."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from selectors import EVENT_READ, DefaultSelector
from time import monotonic
from typing import Any

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.waiting import READY_NONE
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError

from positions_mcp.store.instants import TOLD, ClockSample

SESSION = {
    # Who is frozen or cut off in the middle of a transaction loses it before others have waited too long for it.
    "idle_in_transaction_session_timeout": "4s",
    "lock_timeout": "6s",
    "statement_timeout": "8s",
    "tcp_user_timeout": "4s",
}
LIBPQ = {"connect_timeout": 4, "tcp_user_timeout": 4_000, "keepalives": 1, "keepalives_idle": 2}
LIBPQ |= {"keepalives_interval": 1, "keepalives_count": 2}
_PREPARED_AFTER = 2
"""Executions of a statement in a session before it is kept prepared there."""
ANSWER_S = 10.0
"""After which a server that ends its statements sooner is taken to be out of reach."""
_IS_THERE_S = 2.0
"""The same for one that was left alone and is about to be used again."""
_JUST_USED_S = 0.25
"""Since its last use a session is taken to be there, unless it says that it is not."""
_NOW_AND_DURABLE = b"SELECT clock_timestamp(), set_config('synchronous_commit', 'on', true)"


class Session(psycopg.Connection[Any]):
    """A session that ends where no answer comes, also where something between keeps the connection up."""

    patience_s = ANSWER_S
    """How long it waits for one answer."""
    used_at = float("-inf")
    """When it was given back last."""

    def wait(self, gen: Generator[Any, Any, Any], *arguments: Any, **named: Any) -> Any:
        """Wait for an answer. Raises OperationalError, and the session is over, where none comes."""
        return super().wait(self._bounded(gen), *arguments, **named)

    def commit(self) -> None:
        """Commit. Raises InternalError where a statement has failed: the server would roll back, and call it done."""
        if self.info.transaction_status == TransactionStatus.INERROR:
            raise psycopg.InternalError("a statement of this transaction failed, and nobody said so")
        super().commit()

    def is_there(self) -> bool:
        """Whether it still answers, found out before anything depends on it.

        One that was used just now is not asked, unless something came of itself, as the end of a session does.
        """
        self.patience_s = _IS_THERE_S
        try:
            if monotonic() >= self.used_at + _JUST_USED_S or self._has_news():
                self.execute(b"")
        except psycopg.Error:
            return False
        self.patience_s = ANSWER_S
        return True

    def _has_news(self) -> bool:
        with DefaultSelector() as waiting:
            waiting.register(self.pgconn.socket, EVENT_READ)
            return bool(waiting.select(0))

    def _bounded(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        until, ready = monotonic() + self.patience_s, None
        while True:
            try:
                wanted = gen.send(ready)
            except StopIteration as done:
                return done.value
            ready = yield wanted
            if ready == READY_NONE and monotonic() >= until:
                self.pgconn.finish()
                raise psycopg.OperationalError(f"no answer within {self.patience_s:g} s")


class SharedTime:
    """The database's clock, as it was read last."""

    def __init__(self) -> None:
        self.decides = False
        """Whether it decides in transactions; else it is only read."""
        self.ahead = timedelta(0)
        """How far it is ahead of this machine's."""
        self.sessions = 0
        """How often one has begun: after it, another machine may be the database."""

    def read(self, connection: Connection) -> None:
        """Read it at the beginning of a transaction that is durable where it is committed: one statement for both."""
        before, began = datetime.now(UTC), monotonic()
        row = _session(connection.connection.driver_connection).execute(_NOW_AND_DURABLE).fetchone()
        if row is None:
            raise psycopg.OperationalError("the database does not tell the time")
        self.note(connection, ClockSample(row[0].astimezone(UTC), before, began))

    def note(self, connection: Connection, told: ClockSample) -> None:
        """Take what was read, in a transaction: from then on it tells the time there, where it decides."""
        self._learn(told)
        if self.decides:
            connection.info[TOLD] = told.now, monotonic()

    def take(self, session: Session) -> None:
        """Read it in a session that has only just begun."""
        self.sessions += 1
        before, began = datetime.now(UTC), monotonic()
        limits = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in SESSION.items())
        row = session.execute(f"SELECT clock_timestamp(), {limits}".encode()).fetchone()
        if row is not None:
            self._learn(ClockSample(row[0].astimezone(UTC), before, began))

    def _learn(self, told: ClockSample) -> None:
        self.ahead = told.now - told.before - timedelta(seconds=monotonic() - told.began) / 2


def take_time(connection: Connection) -> None:
    """Let the rest of a transaction, as one that copies a large store, take as long as it takes."""
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    _session(connection.connection.driver_connection).patience_s = float("inf")


def engine_of(url: URL, *, wait_s: float) -> tuple[Engine, SharedTime]:
    """The sessions of a database, and its clock. `wait_s` is how long a transaction waits for one of them.

    Who wants a transaction says so: by itself the driver begins none.
    """
    url, time = url.set(drivername="postgresql+psycopg"), SharedTime()
    engine = create_engine(url, pool_timeout=wait_s, isolation_level="AUTOCOMMIT", pool_reset_on_return=None)

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: object, _record: object, arguments: tuple[Any, ...], named: dict[str, Any]) -> Session:
        session = Session.connect(
            *arguments, **(LIBPQ | {"prepare_threshold": _PREPARED_AFTER, "autocommit": True} | named)
        )
        time.take(session)
        return session

    @event.listens_for(engine, "checkout")
    def _is_there(connection: DBAPIConnection, record: Any, _proxy: object) -> None:
        record.info.pop(TOLD, None)
        if not record.fresh and not _session(connection).is_there():
            raise DisconnectionError("the session is over")

    @event.listens_for(engine, "checkin")
    def _given_back(connection: DBAPIConnection | None, _record: object) -> None:
        if connection is not None:
            session = _session(connection)
            pgconn = session.pgconn
            if pgconn.transaction_status != TransactionStatus.IDLE or pgconn.pipeline_status != PipelineStatus.OFF:
                session.close()  # something broke off in it: whoever took it next would go on with half of that
            session.used_at = monotonic()

    return engine, time


def _session(connection: object) -> Session:
    if not isinstance(connection, Session):
        raise TypeError(f"a session was expected, and not {type(connection).__name__}")
    return connection
