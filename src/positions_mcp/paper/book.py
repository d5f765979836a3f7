"""A paper book on disk: its ledger is read once, kept in memory, and read again when another process has changed it."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from positions_mcp.paper import database
from positions_mcp.paper.faults import Fault, Strikes
from positions_mcp.paper.holdings import Account, Holding, Instrument, Record
from positions_mcp.paper.ledger import Delays, Effect, Facts, Ledger
from positions_mcp.paper.model import Instruction, Order
from positions_mcp.paper.movements import Movement

_MICROSECOND = timedelta(microseconds=1)
_EMPTYING = (
    "DELETE FROM account",
    "DELETE FROM instrument",
    "DELETE FROM holding",
    "DELETE FROM orders",
    "DELETE FROM instruction",
    "DELETE FROM effect",
    "DELETE FROM movement",
    "DELETE FROM fault",
    "DELETE FROM state WHERE key != 'revision'",
)


class Book:
    """The ledger of one SQLite file. All methods block; call them from a worker thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.RLock()
        self._ledger: Ledger | None = None
        self._version = -1
        self._revision = -1

    def close(self) -> None:
        """Closes the file."""
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
        """Whether no scenario has been loaded yet."""
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
                for statement in _EMPTYING:
                    self._connection.execute(statement)
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
        """Forgets every fault."""
        with self._lock, database.transaction(self._connection):
            self._connection.execute("DELETE FROM fault")

    def has_faults(self) -> bool:
        """Whether any fault is armed."""
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


def _load(connection: sqlite3.Connection) -> Ledger:
    ledger = Ledger(_facts_from(json.loads(database.state(connection, "facts") or "{}")))
    for number, body in connection.execute("SELECT key, body FROM account"):
        record = json.loads(body)
        ledger.put_account(Account(number, Decimal(record["cash"]), Decimal(record["realized"])))
    for symbol, body in connection.execute("SELECT key, body FROM instrument"):
        ledger.put_instrument(Instrument.from_record(symbol, json.loads(body)))
    for account, symbol, body in connection.execute("SELECT account, symbol, body FROM holding"):
        ledger.put_holding(Holding.from_record(account, symbol, json.loads(body)))
    for key, body in connection.execute("SELECT key, body FROM orders ORDER BY number"):
        ledger.put_order(Order.from_record(key, json.loads(body)))
    for key, body in connection.execute("SELECT key, body FROM instruction ORDER BY number"):
        ledger.put_instruction(Instruction.from_record(key, json.loads(body)))
    for number, body in connection.execute("SELECT key, body FROM effect ORDER BY key"):
        ledger.effects.append(_effect_from(number, json.loads(body)))
    for number, body in connection.execute("SELECT key, body FROM movement ORDER BY key"):
        ledger.movements.append(Movement.from_record(number, json.loads(body)))
    ledger.changed.clear()
    return ledger


def _save(connection: sqlite3.Connection, ledger: Ledger) -> None:
    changed: dict[str, list[Any]] = {}
    for kind, key in ledger.changed:
        changed.setdefault(kind, []).append(key)
    if "facts" in changed:
        database.set_state(connection, "facts", json.dumps(_facts_record(ledger.facts)))
        database.set_state(connection, "as_of", ledger.facts.as_of.isoformat())
    accounts = (ledger.accounts[key] for key in changed.get("account", ()))
    connection.executemany(
        "INSERT OR REPLACE INTO account VALUES (?, ?)",
        ((a.number, json.dumps({"cash": str(a.cash), "realized": str(a.realized)})) for a in accounts),
    )
    instruments = (ledger.instruments[key] for key in changed.get("instrument", ()))
    connection.executemany(
        "INSERT OR REPLACE INTO instrument VALUES (?, ?)", ((i.symbol, json.dumps(i.as_record())) for i in instruments)
    )
    orders = (ledger.orders[key] for key in changed.get("order", ()))
    connection.executemany(
        "INSERT OR REPLACE INTO orders VALUES (?, ?, ?)", ((o.id, o.number, json.dumps(o.as_record())) for o in orders)
    )
    instructions = (ledger.instructions[key] for key in changed.get("instruction", ()))
    connection.executemany(
        "INSERT OR REPLACE INTO instruction VALUES (?, ?, ?)",
        ((i.id, i.number, json.dumps(i.as_record())) for i in instructions),
    )
    effects = (ledger.effects[number - 1] for number in changed.get("effect", ()))
    connection.executemany(
        "INSERT OR REPLACE INTO effect VALUES (?, ?)", ((e.number, json.dumps(_effect_record(e))) for e in effects)
    )
    movements = (ledger.movements[number - 1] for number in changed.get("movement", ()))
    connection.executemany(
        "INSERT OR REPLACE INTO movement VALUES (?, ?)", ((m.number, json.dumps(m.as_record())) for m in movements)
    )
    _save_holdings(connection, ledger, changed.get("holding", ()))


def _save_holdings(connection: sqlite3.Connection, ledger: Ledger, keys: Iterable[tuple[int, str]]) -> None:
    held, gone = [], []
    for account, symbol in keys:
        holding = ledger.holdings.get((account, symbol))
        if holding is None:
            gone.append((account, symbol))
        else:
            held.append((account, symbol, json.dumps(holding.as_record())))
    connection.executemany("INSERT OR REPLACE INTO holding VALUES (?, ?, ?)", held)
    connection.executemany("DELETE FROM holding WHERE account = ? AND symbol = ?", gone)


def _facts_record(facts: Facts) -> dict[str, object]:
    return {
        "scenario": facts.scenario,
        "title": facts.title,
        "loaded_at": facts.loaded_at.isoformat(),
        "anchor": facts.anchor.isoformat(),
        "as_of": facts.as_of.isoformat(),
        "token_secret": facts.token_secret,
        "seed": facts.seed,
        "digest": facts.digest,
        "born": facts.born,
        "ids_made": facts.ids_made,
        "delays": {name: value // _MICROSECOND for name, value in asdict(facts.delays).items()},
    }


def _facts_from(record: Record) -> Facts:
    return Facts(
        scenario=record["scenario"],
        title=record["title"],
        loaded_at=datetime.fromisoformat(record["loaded_at"]),
        anchor=datetime.fromisoformat(record["anchor"]),
        as_of=datetime.fromisoformat(record["as_of"]),
        token_secret=record["token_secret"],
        seed=record.get("seed", ""),
        digest=record.get("digest", ""),
        born=record.get("born", ""),
        ids_made=record.get("ids_made", 0),
        delays=Delays(**{name: value * _MICROSECOND for name, value in record["delays"].items()}),
    )


def _effect_record(effect: Effect) -> dict[str, object]:
    return {
        "at": effect.at.isoformat(),
        "operation": effect.operation,
        "account": effect.account,
        "request_id": effect.request_id,
        "made": list(effect.made),
    }


def _effect_from(number: int, record: Record) -> Effect:
    return Effect(
        number=number,
        at=datetime.fromisoformat(record["at"]),
        operation=record["operation"],
        account=record["account"],
        request_id=record["request_id"],
        made=tuple(record["made"]),
    )
