"""One installation of the program: a paper book, a store, and the processes that run on it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal

from data_dirs import CLEAN, PROGRAM, DataDir
from positions_mcp.cli.assembly.composition import guard_dependencies, open_venue
from positions_mcp.cli.assembly.stores import open_operations
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.roster import FIRST_NAME
from positions_mcp.domain.operation.statements import TERMINAL
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.enrolling import Change
from positions_mcp.guard.guard import Guard
from positions_mcp.guard.supervisor import Supervisor
from positions_mcp.paper import DEFAULT_ACCOUNT, DEFAULT_KEY
from positions_mcp.ports import Clock
from positions_mcp.settings import Settings, load
from positions_mcp.signing.keys import ScryptCost
from signing.people import new_approver

PASSPHRASE = "correct horse battery staple"
QUICK = ScryptCost(n=2**4)
"""scrypt that a test does not wait for; what is measured takes the program's own."""


def furnish(data_dir: Path) -> None:
    """A paper book, one and a half hours into the session of Monday, November 23, 2026, with a clock that runs."""
    for words in ("reset --day 2026-11-23 --seed 7", "clock set 2026-11-23T11:00 --running"):
        command = [*PROGRAM, "paper", *words.split(), "--data-dir", str(data_dir)]
        subprocess.run(command, env=CLEAN, check=True, capture_output=True)


@dataclass(slots=True)
class Running:
    """A process that has said where it listens."""

    process: subprocess.Popen[str]
    url: str

    def stop(self) -> None:
        """Told to, as a person or a host does; what it said meanwhile has to be nothing."""
        self.process.terminate()
        assert self.process.wait(10) == 0
        assert self.process.stdout is not None
        said = self.process.stdout.read()
        assert said == "", said


@dataclass
class Installation(DataDir):
    """A data directory with a paper book, and an operation store in either database."""

    data_dir: Path
    portal: BlockingPortal
    store_url: str | None = None
    said: dict[str, str] = field(default_factory=dict)
    """Settings of every process, as environment variables."""

    def set_up_approver(self, hardness: ScryptCost = QUICK) -> None:
        """The supervisor's passphrase. The program's own `Hardness()` takes as long as it does for everybody."""
        now = datetime.now(UTC)
        with self.store() as store:
            store.set_approver(new_approver(PASSPHRASE, now, hardness=hardness), replacing=None, now=now)

    @classmethod
    def copied(cls, furnished: Path, data_dir: Path, *rest: Any, **named: Any) -> Installation:
        """One of its own, with the book of another."""
        shutil.copytree(furnished, data_dir)
        return cls(data_dir, *rest, **named)

    @property
    def environment(self) -> Mapping[str, str]:
        """What its processes are started with."""
        store = {"POSITIONS_MCP_STORE__URL": self.store_url} if self.store_url else {}
        return {
            **CLEAN,
            "POSITIONS_MCP_DATA_DIR": str(self.data_dir),
            "POSITIONS_MCP_DESK__PORT": "0",
            "POSITIONS_MCP_TRADING__MAX_OPERATIONS_PER_MINUTE": "none",
            **store,
            **self.said,
        }

    @property
    def settings(self) -> Settings:
        """The same for what runs in this process, always in paper."""
        store = {"store": {"url": self.store_url}} if self.store_url else {}
        trading = {"max_operations_per_minute": "none"}
        return load({"mode": "paper", "data_dir": self.data_dir, "trading": trading, **store})

    # --- processes

    @contextmanager
    def running(self, *words: str, says: str) -> Iterator[Running]:
        """A command that goes on; `says` is how the line begins that ends with its address."""
        said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with subprocess.Popen([*PROGRAM, *words], env=self.environment, text=True, **said) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                found = re.search(rf"{says} (http://[^\s,]+)", line)
                assert found, line
                yield Running(process, found[1])
            finally:
                process.kill()

    @contextmanager
    def desk(self, port: int = 0, *words: str) -> Iterator[Running]:
        """`positions-mcp desk`."""
        with self.running("desk", "--port", str(port), *words, says=r"\w+ desk at") as desk:
            yield desk

    @contextmanager
    def server(self) -> Iterator[Running]:
        """`positions-mcp serve --transport http`."""
        with self.running("serve", "--transport", "http", "--port", "0", says=r"\w+ MCP server at") as server:
            yield server

    def goes_live(self, broker: str, *, desk_above: str) -> None:
        """From now on its servers trade for real, as far as they know: on a paper exchange that runs elsewhere."""
        self.said |= {
            "CLEAR_STREET_BASE_URL": broker,
            "CLEAR_STREET_API_KEY": DEFAULT_KEY,
            "POSITIONS_MCP_MODE": "live",
            "POSITIONS_MCP_ACCOUNTS": str(DEFAULT_ACCOUNT),
            "POSITIONS_MCP_TRADING__ENABLED": "true",
            "POSITIONS_MCP_TRADING__MAX_NOTIONAL": "100000",
            "POSITIONS_MCP_TRADING__MAX_DAILY_NOTIONAL": "none",
            "POSITIONS_MCP_TRADING__MAX_POSITIONS": "20",
            "POSITIONS_MCP_APPROVAL__DESK_ABOVE": desk_above,
        }

    # --- the store, and what stands behind

    def sending_at(self, operation_id: str) -> float:
        """When its first request was about to leave, in seconds."""
        with self.store() as store:
            return next(entry.at.timestamp() for entry in store.journal(operation_id) if entry.event == "sending")

    def events(self, operation_id: str | None = None) -> list[str]:
        """What the journal has, in order."""
        with self.store() as store:
            return [entry.event for entry in store.journal(operation_id, limit=1000)]

    def planned(self, *plans: str, caller: str = "an agent", clock: Clock | None = None) -> list[Operation]:
        """One plan for each line of symbols, asked for by a call that is over. `clock` tells when."""
        with self.planning(caller, clock) as plan:
            return [plan(symbols) for symbols in plans]

    @contextmanager
    def planning(self, caller: str = "an agent", clock: Clock | None = None) -> Iterator[Callable[[str], Operation]]:
        """Makes plans as a server does, one at a time."""

        @asynccontextmanager
        async def opened() -> AsyncIterator[Guard]:
            with open_venue(self.settings) as venue, open_operations(self.settings) as store:
                async with venue.connect() as client:
                    parts = guard_dependencies(self.settings, client, venue.clock, store, real_time=clock)
                    yield Guard(parts)

        async def plan(guard: Guard, symbols: str) -> Operation:
            request = CloseRequest(account_id=AccountId(DEFAULT_ACCOUNT), instruments=tuple(symbols.split(",")))
            return await guard.ask((await guard.plan(request, caller=caller)).operation)

        with self.portal.wrap_async_context_manager(opened()) as guard:
            yield partial(self.portal.call, plan, guard)

    def approves(self, operation_id: str) -> None:
        """A signed yes, from another terminal."""

        async def approve() -> None:
            with open_venue(self.settings) as venue, open_operations(self.settings) as store:
                async with venue.connect() as client:
                    await Supervisor(guard_dependencies(self.settings, client, venue.clock, store)).approve(
                        operation_id, PASSPHRASE
                    )

        self.portal.call(approve)

    def changes_approvers(self, change: Change, name: str = FIRST_NAME) -> None:
        """A signed change of who may decide, from another terminal."""

        async def sign() -> None:
            with open_venue(self.settings) as venue, open_operations(self.settings) as store:
                async with venue.connect() as client:
                    person = Supervisor(guard_dependencies(self.settings, client, venue.clock, store))
                    await person.enrolling.with_passphrase(change, name, PASSPHRASE, origin=TERMINAL)

        self.portal.call(sign)

    def drafts_a_mandate(self) -> str:
        """A draft that names KO, written in a terminal."""
        terms = "--account 19816 --underlying KO --per-operation 50000 --in-all 60000 --operations 3"
        command = [*PROGRAM, "mandate", "draft", *terms.split()]
        said = subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout
        found = re.search(r"ma-[0-9a-z]{10}", said)
        assert found, said
        return found[0]

    # --- the exchange

    def held(self, symbol: str) -> Decimal:
        """What the exchange says is held."""
        with self.exchange() as exchange, exchange.reading() as moment:
            held = {each.symbol: each.quantity for each in moment.ledger.holdings_of(DEFAULT_ACCOUNT)}
        return held.get(symbol, Decimal(0))
