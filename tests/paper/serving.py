"""`positions-mcp paper serve` as a process of its own, for tests that need a real socket."""

from __future__ import annotations

import io
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import httpx

from data_dirs import PROGRAM
from positions_mcp.cli import main
from positions_mcp.paper import DEFAULT_KEY

COMMAND = (*PROGRAM, "paper")


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: where it listens, and its process."""

    url: str
    process: subprocess.Popen[str]
    data_dir: Path

    @classmethod
    def of(cls, process: subprocess.Popen[str], data_dir: Path) -> Served:
        """A process that was started, once it listens."""
        return cls(_address(process), process, data_dir)

    def client(self) -> httpx.Client:
        """An HTTP client with the right key."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {DEFAULT_KEY}"}, timeout=10)

    def set_clock(self, **body: object) -> None:
        """Moves the book's clock through the control endpoint."""
        httpx.put(f"{self.url}/paper/clock", json=body).raise_for_status()

    def begin_again(self, scenario: str) -> None:
        """Begins its book again, from outside."""
        assert command("reset", "--scenario", scenario, data_dir=self.data_dir).returncode == 0

    def kill(self) -> None:
        """Ends the process without any chance to tidy up."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(data_dir: Path, scenario: str = "demo", contract: str = "current") -> Iterator[Served]:
    """Serves a book on a free port of loopback until the block ends."""
    with started("--scenario", scenario, "--contract", contract, "--data-dir", str(data_dir)) as process:
        yield Served(_address(process), process, data_dir)


@contextmanager
def serving_twice(data_dir: Path) -> Iterator[list[Served]]:
    """Serves one book from two processes, which start at the same time."""
    with started("--data-dir", str(data_dir)) as one, started("--data-dir", str(data_dir)) as other:
        yield [Served(_address(process), process, data_dir) for process in (one, other)]


@contextmanager
def started(*options: str) -> Iterator[subprocess.Popen[str]]:
    """A server with these options, on a free port, until the block ends."""
    arguments = ("serve", "--port", "0", *options)
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.stdout.close()  # type: ignore[union-attr]  # a pipe was asked for
            process.wait(timeout=10)


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith("Paper exchange listening on http://"), first
    return first.split()[-1]


@dataclass(frozen=True, slots=True)
class Done:
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments: str, data_dir: Path) -> Done:
    """Runs a `paper` subcommand to its end, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["paper", *arguments, "--data-dir", str(data_dir)])
    return Done(code, out.getvalue(), err.getvalue())
