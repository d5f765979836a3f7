"""A person at a terminal, a program without one, and a server's guard that waits for a decision: three processes."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import anyio
import pexpect
from pexpect.fdpexpect import fdspawn

from data_dirs import CLEAN, PROGRAM, DataDir
from positions_mcp.cli.assembly.composition import guard_dependencies, open_venue
from positions_mcp.cli.assembly.stores import open_operations
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.states import Stage
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.guard import Guard
from positions_mcp.paper.exchange import PaperExchange
from positions_mcp.settings import load
from positions_mcp.signing.keys import ScryptCost
from signing.people import new_approver

ACCOUNT = AccountId(19816)
PASSPHRASE = "correct horse battery staple"
FRIDAY = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
"""10:30 in New York, the market open."""
TIMEOUT_S = 40
TESTS = Path(__file__).parents[1]


@dataclass(slots=True)
class StandingClock:
    """Tells the time it was set to."""

    at: datetime = FRIDAY

    def now(self) -> datetime:
        return self.at


@dataclass(slots=True)
class Typing:
    """A command that runs in a pseudo-terminal, and the person who types there."""

    process: subprocess.Popen[bytes]
    screen: fdspawn
    seen: str = ""
    code: int | None = None

    def sees(self, *words: str) -> None:
        """Wait until each of the words has been shown, in this order."""
        for word in words:
            self.screen.expect_exact(word)
            self.seen += self.screen.before + self.screen.after

    def types(self, line: str) -> None:
        self.screen.sendline(line)

    def interrupts(self) -> None:
        self.screen.send("\x03")

    def answers(self, prompt: str, line: str) -> None:
        """Type a line at a prompt."""
        self.sees(prompt)
        self.types(line)

    def ends(self) -> tuple[int, str]:
        """Exit code and everything that was shown."""
        self.screen.expect(pexpect.EOF)
        self.seen += self.screen.before
        self.code = self.process.wait(TIMEOUT_S)
        return self.code, self.seen.replace("\r\n", "\n")

    def leave(self) -> None:
        """Close the terminal: a command that still runs is hung up."""
        self.screen.close()
        self.code = self.process.wait(TIMEOUT_S)


@dataclass(slots=True)
class Place(DataDir):
    """A data directory with a paper book, and everything a test does to it."""

    data_dir: Path
    environment: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def at_terminal(self, *words: str, columns: int = 100) -> Iterator[Typing]:
        """A command of the person's own, in a terminal that shows no colours unless `environment` names another."""
        screen, terminal = os.openpty()
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
        controlling = partial(fcntl.ioctl, terminal, termios.TIOCSCTTY, 0)
        process = subprocess.Popen(
            [*PROGRAM, *words],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=self._environment,
            start_new_session=True,
            preexec_fn=None if sys.platform == "linux" else controlling,  # noqa: PLW1509 - no other thread runs here
        )
        os.close(terminal)
        typing = Typing(process, fdspawn(screen, encoding="utf-8", timeout=TIMEOUT_S))
        try:
            yield typing
        finally:
            typing.leave()

    def shows(self, *words: str, columns: int = 100) -> tuple[int, str]:
        """Exit code and screen of a command at which the person types nothing."""
        with self.at_terminal(*words, columns=columns) as person:
            return person.ends()

    def without_terminal(self, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """The same command from a program: no controlling terminal, and standard input that offers `typed`."""
        return subprocess.run(
            [*PROGRAM, *words],
            input=typed,
            capture_output=True,
            encoding="utf-8",
            env=self._environment,
            start_new_session=True,
            check=False,
        )

    @contextmanager
    def asking(self, *symbols: str, wait_s: float = 30) -> Iterator[Asking]:
        """Another process, as a server's call: plans a close, asks, waits for the desk, and sends."""
        with subprocess.Popen(
            [sys.executable, "-m", "cli.asking", str(self.data_dir), str(wait_s), *symbols],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=self._environment,
            cwd=TESTS,
        ) as process:
            assert process.stdout
            try:
                yield Asking(process.stdout, process.stdout.readline().strip())
            finally:
                process.kill()

    def planned(
        self, *symbols: str, asked: bool = True, caller: str = "test", clock: StandingClock | None = None
    ) -> Operation:
        """A plan that nobody waits for. With `clock`, made at another time."""

        async def plan() -> Operation:
            with open_venue(self.settings) as venue, open_operations(self.settings) as store:
                async with venue.connect() as client:
                    guard = Guard(guard_dependencies(self.settings, client, venue.clock, store, real_time=clock))
                    request = CloseRequest(account_id=ACCOUNT, instruments=tuple(symbols))
                    planned = await guard.plan(request, caller=caller)
                    return await guard.ask(planned.operation) if asked else planned.operation

        return anyio.run(plan)

    def sent(self, *symbols: str) -> str:
        """An operation that was approved at the terminal and sent by a call."""
        with self.asking(*symbols) as call, self.at_terminal("approve", call.operation_id) as person:
            person.answers("Passphrase to APPROVE", PASSPHRASE)
            person.ends()
            return call.operation_id

    def lapses(self, operation_id: str) -> None:
        """What a call does that ends between yes and sending."""
        with self.store() as store:
            expected, now = (Stage.APPROVED,), datetime.now(UTC)
            store.move(operation_id, expected=expected, to=Stage.LAPSED, reason="the call ended", now=now)

    @property
    def _environment(self) -> dict[str, str]:
        return {**CLEAN, "POSITIONS_MCP_DATA_DIR": str(self.data_dir), "TERM": "dumb", **self.environment}


@dataclass(slots=True)
class Asking:
    """A call that waits in another process."""

    lines: TextIO
    operation_id: str

    def report(self) -> dict[str, Any]:
        """What the call answered."""
        answer: dict[str, Any] = json.loads(self.lines.readline())
        return answer


def furnish(data_dir: Path) -> None:
    """A paper book on a Friday morning whose clock runs, and an approver whose passphrase is quick to check."""
    PaperExchange.open(data_dir, clock=StandingClock()).close()
    exchange = PaperExchange.open(data_dir)
    exchange.clock.set(FRIDAY + timedelta(seconds=1), running=True)
    exchange.close()
    now = datetime.now(UTC)
    with open_operations(load({"mode": "paper", "data_dir": data_dir})) as store:
        store.set_approver(new_approver(PASSPHRASE, now, hardness=ScryptCost(n=2**4)), replacing=None, now=now)
