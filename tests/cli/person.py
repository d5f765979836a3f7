"""A person at a terminal, a program without one, and a server's guard that waits for a decision: three processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pexpect

from positions_mcp.cli.composition import guard_parts, open_operations, open_venue
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operations import Operation
from positions_mcp.domain.states import OperationState, Stage
from positions_mcp.guard.service import Guard
from positions_mcp.guard.signatures import Hardness, new_approver
from positions_mcp.paper.exchange import PaperExchange
from positions_mcp.settings import Settings, load
from positions_mcp.store.operations import SqlOperationStore

ACCOUNT = AccountId(19816)
PASSPHRASE = "correct horse battery staple"
FRIDAY = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
"""10:30 in New York, the market open."""
TIMEOUT_S = 40
COMMAND = [sys.executable, "-m", "positions_mcp"]
ASKING = Path(__file__).with_name("asking.py")


@dataclass(slots=True)
class StandingClock:
    """Tells the time it was set to."""

    at: datetime = FRIDAY

    def now(self) -> datetime:
        return self.at


@dataclass(slots=True)
class Typing:
    """A command that runs in a pseudo-terminal, and the person who types there."""

    process: pexpect.spawn[str]
    seen: str = ""

    def sees(self, *words: str) -> None:
        """Wait until each of the words has been shown, in this order."""
        for word in words:
            self.process.expect_exact(word)
            self.seen += self.process.before + self.process.after

    def types(self, line: str) -> None:
        self.process.sendline(line)

    def interrupts(self) -> None:
        self.process.sendintr()

    def ends(self) -> tuple[int | None, str]:
        """Exit code and everything that was shown."""
        self.process.expect(pexpect.EOF)
        self.seen += self.process.before
        self.process.close()
        return self.process.exitstatus, self.seen.replace("\r\n", "\n")

    def answers(self, prompt: str, line: str) -> None:
        """Type a line at a prompt."""
        self.sees(prompt)
        self.types(line)


@dataclass(slots=True)
class Place:
    """A data directory with a paper book, and everything a test does to it."""

    data_dir: Path
    environment: dict[str, str] = field(default_factory=dict)
    mode: str = "paper"

    @property
    def settings(self) -> Settings:
        return load({"mode": "paper", "data_dir": self.data_dir})

    @contextmanager
    def at_terminal(self, *words: str) -> Iterator[Typing]:
        """A command of the person's own, in a terminal of 100 columns."""
        process = pexpect.spawn(
            COMMAND[0],
            [*COMMAND[1:], *words],
            env=self._environment(),
            encoding="utf-8",
            timeout=TIMEOUT_S,
            dimensions=(60, 100),
        )
        try:
            yield Typing(process)
        finally:
            process.close(force=True)

    def without_terminal(self, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """The same command from a program: no controlling terminal, and a pipe that offers `typed`."""
        return subprocess.run(
            [*COMMAND, *words],
            input=typed,
            capture_output=True,
            text=True,
            env=self._environment(),
            timeout=TIMEOUT_S,
            start_new_session=True,
            check=False,
        )

    @contextmanager
    def asking(self, *symbols: str, wait_s: float = 30) -> Iterator[Asking]:
        """Another process, as a server's call: plans a close, asks, waits for the desk, and sends."""
        process = subprocess.Popen(
            [sys.executable, str(ASKING), str(self.data_dir), str(wait_s), *symbols],
            stdout=subprocess.PIPE,
            text=True,
            env=self._environment(),
        )
        assert process.stdout
        try:
            yield Asking(process, process.stdout.readline().strip())
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    @contextmanager
    def store(self) -> Iterator[SqlOperationStore]:
        with open_operations(self.settings) as store:
            yield store

    def operation(self, operation_id: str) -> Operation:
        with self.store() as store:
            found = store.operation(operation_id)
        assert found is not None
        return found

    def newest(self) -> Operation:
        with self.store() as store:
            return store.operations(limit=1)[0]

    def state(self, operation_id: str) -> OperationState:
        return self.operation(operation_id).state(datetime.now(UTC))

    def planned(
        self, *symbols: str, asked: bool = True, caller: str = "test", clock: StandingClock | None = None
    ) -> Operation:
        """A plan that nobody waits for. With `clock`, made at another time."""

        async def plan() -> Operation:
            with open_venue(self.settings) as venue, open_operations(self.settings) as store:
                async with venue.connect() as client:
                    guard = Guard(guard_parts(self.settings, client, venue.clock, store, real_time=clock))
                    planned = await guard.plan_close(
                        account_id=ACCOUNT, instruments=symbols, cancel_orders=False, caller=caller
                    )
                    return await guard.ask(planned.operation) if asked else planned.operation

        return anyio.run(plan)

    def lapses(self, operation_id: str) -> None:
        """What a call does that ends between yes and sending."""
        with self.store() as store:
            expected, now = (Stage.APPROVED,), datetime.now(UTC)
            store.move(operation_id, expected=expected, to=Stage.LAPSED, reason="the call ended", now=now)

    @contextmanager
    def exchange(self) -> Iterator[PaperExchange]:
        exchange = PaperExchange.open(self.data_dir, accounts=None)
        try:
            yield exchange
        finally:
            exchange.close()

    def effects(self) -> dict[str, int]:
        """How many requests have changed the book, counted by the exchange."""
        with self.exchange() as exchange:
            return exchange.effect_counts()

    def _environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("POSITIONS_", "CLEAR_"))}
        return {**clean, "POSITIONS_MCP_DATA_DIR": str(self.data_dir), **self.environment}


@dataclass(slots=True)
class Asking:
    """A call that waits in another process."""

    process: subprocess.Popen[str]
    operation_id: str

    def report(self) -> dict[str, Any]:
        """What the call answered."""
        assert self.process.stdout
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


def furnish(data_dir: Path) -> None:
    """A paper book on a Friday morning whose clock runs, and an approver whose passphrase is quick to check."""
    PaperExchange.open(data_dir, clock=StandingClock()).close()
    exchange = PaperExchange.open(data_dir)
    exchange.clock.set(FRIDAY + timedelta(seconds=1), running=True)
    exchange.close()
    now = datetime.now(UTC)
    with open_operations(load({"mode": "paper", "data_dir": data_dir})) as store:
        store.set_approver(new_approver(PASSPHRASE, now, hardness=Hardness(n=2**4)), replacing=None, now=now)
