"""A paper book on disk: its ledger is read once, kept in memory, and read again when another process has changed it."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic

from positions_mcp.paper import database
from positions_mcp.paper.database import Fields, Records, Value
from positions_mcp.paper.faults import Fault, Strikes
from positions_mcp.paper.holdings import Account, Holding, Instrument, Movement
from positions_mcp.paper.ledger import Effect, Facts, Ledger
from positions_mcp.paper.model import Instruction, Order
from positions_mcp.paper.symbols import parse_contract


class Book:
    """The ledger of one SQLite file. All methods block; call them from a worker thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.RLock()
        self._ledger: Ledger | None = None
        self._version = -1
        self._revision = -1

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @property
    def identity(self) -> str:
        """What tells its file from every other one."""
        with self._lock:
            return database.identity(self._connection)

    @property
    def revision(self) -> int:
        """A number that grows with every change of the ledger in memory."""
        return self._revision

    def is_empty(self) -> bool:
        with self._lock:
            return database.state(self._connection, "facts") is None

    @contextmanager
    def reading(self) -> Iterator[Ledger]:
        """The ledger as the last commit of any process left it. Do not change it."""
        with self._lock:
            yield self._current()

    @contextmanager
    def changing(self) -> Iterator[Ledger]:
        """The ledger inside one transaction: what is changed is durable when the block ends, or undone if it raises."""
        with self._lock:
            try:
                with database.transaction(self._connection):
                    ledger = self._current()
                    yield ledger
                    revision = self._store(ledger) if ledger.changed else self._revision
                self._keep(ledger, revision)
            except BaseException:
                if self._ledger is not None and self._ledger.changed:
                    self._ledger = None
                raise

    def begin_again(self, make: Callable[[], Ledger], state: Mapping[str, str], *, only_if_empty: bool = False) -> None:
        """Replaces everything in the book, armed faults included, by what `make` returns and the given state."""
        with self._lock:
            with database.transaction(self._connection):
                if only_if_empty and database.state(self._connection, "facts") is not None:
                    return
                for table in (*(each.name for each in _TABLES.values()), "fault"):
                    self._connection.execute(f"DELETE FROM {table}")  # noqa: S608  # our own names
                self._connection.execute("DELETE FROM state WHERE key != 'revision'")
                for key, body in state.items():
                    database.set_state(self._connection, key, body)
                ledger = make()
                revision = self._store(ledger)
            self._keep(ledger, revision)

    def _current(self) -> Ledger:
        if self._ledger is not None and database.data_version(self._connection) == self._version:
            return self._ledger
        if self._connection.in_transaction:
            return self._refreshed()
        self._connection.execute("BEGIN")
        try:
            return self._refreshed()
        finally:
            self._connection.execute("COMMIT")

    def _refreshed(self) -> Ledger:
        version = database.data_version(self._connection)
        if self._ledger is None or version != self._version:
            revision = int(database.state(self._connection, "revision") or 0)
            if self._ledger is None or revision != self._revision:
                self._ledger = _load(self._connection)
                self._revision = revision
            self._version = version
        return self._ledger

    def _store(self, ledger: Ledger) -> int:
        _save(self._connection, ledger)
        revision = int(database.state(self._connection, "revision") or 0) + 1
        database.set_state(self._connection, "revision", str(revision))
        return revision

    def _keep(self, ledger: Ledger, revision: int) -> None:
        """Keeps in memory what is durable by now."""
        ledger.changed.clear()
        self._ledger, self._revision = ledger, revision

    def process_number(self) -> int:
        """Which process on this book is asking first, counted from 1 since the book began."""
        with self._lock, database.transaction(self._connection):
            number = int(database.state(self._connection, "processes") or 0) + 1
            database.set_state(self._connection, "processes", str(number))
        return number

    def faults(self) -> list[Fault]:
        """Faults that are armed, oldest first."""
        with self._lock:
            rows = self._connection.execute("SELECT key, body FROM fault ORDER BY key").fetchall()
        return [Fault.from_record(key, json.loads(body)) for key, body in rows]

    def arm(self, fault: Fault) -> Fault:
        """Keeps a fault until it has struck as often as it says."""
        with self._lock, database.transaction(self._connection):
            body = json.dumps(fault.as_record())
            key = self._connection.execute("INSERT INTO fault (body) VALUES (?)", (body,)).lastrowid
        return Fault.from_record(int(key or 0), fault.as_record())

    def disarm(self) -> None:
        with self._lock, database.transaction(self._connection):
            self._connection.execute("DELETE FROM fault")

    def has_faults(self) -> bool:
        with self._lock:
            return self._connection.execute("SELECT 1 FROM fault LIMIT 1").fetchone() is not None

    def claim_faults(self, applies: Callable[[Fault], bool], now: datetime) -> Strikes:
        """Takes a strike of every condition that applies, and of the oldest other fault; nobody else gets it."""
        with self._lock:
            applying = [fault for fault in self.faults() if applies(fault)]
            if not any(fault.keeps_count for fault in applying):
                return _struck([(fault, fault) for fault in applying])
            with database.transaction(self._connection):
                met = [(fault, fault.met(now)) for fault in self.faults() if applies(fault)]
                strikes = _struck([(fault, strike) for fault, (_, strike) in met])
                for fault, (left, strike) in met:
                    if strike is None or strike in strikes.faults:
                        self._keep_fault(fault, left)
                return strikes

    def _keep_fault(self, fault: Fault, left: Fault | None) -> None:
        if left is None:
            self._connection.execute("DELETE FROM fault WHERE key = ?", (fault.number,))
        elif left != fault:
            body = json.dumps(left.as_record())
            self._connection.execute("UPDATE fault SET body = ? WHERE key = ?", (body, fault.number))


def _struck(met: list[tuple[Fault, Fault | None]]) -> Strikes:
    """Every condition that strikes, and the oldest other fault unless the request is over its rate."""
    striking = [strike for _, strike in met if strike is not None]
    limited = any(fault.kind == "rate_limit" for fault in striking)
    first = None if limited else next((fault for fault in striking if not fault.is_condition), None)
    return Strikes(tuple(fault for fault in striking if fault.is_condition or fault is first))


_FACTS = Records(Facts)


@dataclass(frozen=True, slots=True)
class _Table(Generic[Value]):
    """The table of one kind of value: where a value is found in the ledger, and how it comes into it."""

    name: str
    records: Records[Value]
    found: Callable[[Ledger, Any], Value | None]
    put: Callable[[Ledger, Value], None]
    order: str = "key"

    def load(self, connection: sqlite3.Connection, ledger: Ledger) -> None:
        """Reads every row into the ledger."""
        for row in connection.execute(f"SELECT * FROM {self.name} ORDER BY {self.order}"):  # noqa: S608  # our own names
            self.put(ledger, self.records.value(*row))

    def save(self, connection: sqlite3.Connection, ledger: Ledger, changed: Iterable[Any]) -> None:
        """Writes the rows of what has changed; a value that is not there any more has none."""
        values = [(key, self.found(ledger, key)) for key in changed]
        rows = [self.records.row(value) for _, value in values if value is not None]
        if rows:
            places = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT OR REPLACE INTO {self.name} VALUES ({places})", rows)  # noqa: S608  # as above
        gone = [key for key, value in values if value is None]
        connection.executemany("DELETE FROM holding WHERE account = ? AND symbol = ?", gone)


def _instrument_fields(kept: Fields) -> Fields:
    return kept | {"instrument_id": kept.get("instrument_id") or kept["id"], "contract": parse_contract(kept["symbol"])}


def _movement_fields(kept: Fields) -> Fields:
    before = kept.get("before")
    return kept | {"before": before and {"account": kept["account"], "symbol": kept["symbol"], **before}}


_TABLES: Mapping[str, _Table[Any]] = {
    "account": _Table("account", Records(Account, "number"), lambda of, key: of.accounts[key], Ledger.put_account),
    "instrument": _Table(
        "instrument",
        Records(Instrument, "symbol", earlier=_instrument_fields),
        lambda of, key: of.instruments[key],
        Ledger.put_instrument,
    ),
    "holding": _Table(
        "holding",
        Records(Holding, "account", "symbol"),
        lambda of, key: of.holdings.get(key),
        Ledger.put_holding,
        "account, symbol",
    ),
    "order": _Table(
        "orders", Records(Order, "id", "number"), lambda of, key: of.orders[key], Ledger.put_order, "number"
    ),
    "instruction": _Table(
        "instruction",
        Records(Instruction, "id", "number"),
        lambda of, key: of.instructions[key],
        Ledger.put_instruction,
        "number",
    ),
    "effect": _Table("effect", Records(Effect, "number"), lambda of, number: of.effects[number - 1], Ledger.add_effect),
    "movement": _Table(
        "movement",
        Records(Movement, "number", earlier=_movement_fields),
        lambda of, number: of.movements[number - 1],
        Ledger.add_movement,
    ),
}
"""By what `Ledger.changed` calls a kind of value."""


def _load(connection: sqlite3.Connection) -> Ledger:
    ledger = Ledger(_FACTS.value(database.state(connection, "facts")))
    for table in _TABLES.values():
        table.load(connection, ledger)
    ledger.changed.clear()
    return ledger


def _save(connection: sqlite3.Connection, ledger: Ledger) -> None:
    changed: dict[str, list[Any]] = {}
    for kind, key in ledger.changed:
        changed.setdefault(kind, []).append(key)
    if changed.pop("facts", None):
        database.set_state(connection, "facts", _FACTS.text(ledger.facts))
        database.set_state(connection, "as_of", ledger.facts.as_of.isoformat())
    for kind, keys in changed.items():
        _TABLES[kind].save(connection, ledger, keys)
