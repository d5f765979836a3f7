"""The processes that are measured: the paper exchange as the upstream, and MCP servers over their standard streams."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ACCOUNT = 19816
KEY = "paper.key"
POSITIONS_MCP = (sys.executable, "-m", "positions_mcp")
EMPTY_SERVER = (sys.executable, str(HERE / "empty_server.py"))

_SECONDS_TO_END = 20
_CLIENT = {"name": "benchmarks", "version": "1"}
_WHO_ASKS = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": _CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Conversation(Enum):
    """The two forms of the protocol, by the name of a version."""

    SESSION = "2025-11-25"
    """It begins with `initialize`."""
    STATELESS = "2026-07-28"
    """Every request says who asks; a client begins with discovery."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A paper exchange that serves the API on loopback in a process of its own."""

    url: str

    @property
    def positions_url(self) -> str:
        """Where its account's positions are."""
        return f"{self.url}/v1/accounts/{ACCOUNT}/positions"

    @property
    def live_settings(self) -> dict[str, str]:
        """The environment by which positions-mcp uses it as it would use Clear Street."""
        return {
            "POSITIONS_MCP_MODE": "live",
            "POSITIONS_MCP_ACCOUNTS": f"[{ACCOUNT}]",
            "CLEAR_STREET_API_KEY": KEY,
            "CLEAR_STREET_BASE_URL": self.url,
        }


@contextmanager
def upstream(scenario: str, edition: Path | None = None) -> Iterator[Upstream]:
    """The API over the book of `scenarios/SCENARIO.toml`, served by this edition or that of another checkout."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*POSITIONS_MCP, "paper", "serve", "--scenario", str(scenario_file(scenario)), "--data-dir", folder]
        env = environment({"PYTHONPATH": str(edition / "src")} if edition else None)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
        try:
            assert process.stdout
            address = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            if address is None:
                raise RuntimeError(f"the paper exchange did not start with the scenario {scenario}")
            yield Upstream(address[0])
        finally:
            process.terminate()
            process.wait(_SECONDS_TO_END)


def scenario_file(name: str) -> Path:
    """The file of a scenario of the benchmarks."""
    return HERE / "scenarios" / f"{name}.toml"


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This environment without settings of the program, and `extra`."""
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(("POSITIONS_MCP_", "CLEAR_STREET_"))
    }
    return own | dict(extra or {})


class McpProcess:
    """An MCP server in a process of its own, spoken to line by line.

    There is no client library in between, so that what is measured is the server and the pipe, for every server alike.
    One that `says_yes` shows forms in a session, and approves whatever it is asked.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        conversation: Conversation = Conversation.SESSION,
        *,
        says_yes: bool = False,
        client: str = _CLIENT["name"],
    ) -> None:
        self._conversation = conversation
        self._client = {**_CLIENT, "name": client}
        self._says_yes = says_yes
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(env),
            cwd=ROOT,
        )
        self._next_id = 0

    def __enter__(self) -> Self:
        """Ask for the first answer."""
        if self._conversation is Conversation.STATELESS:
            result_of(self.request("server/discover"))
            return self
        able = {"elicitation": {"form": {}}} if self._says_yes else {}
        said = {"protocolVersion": self._conversation.value, "capabilities": able, "clientInfo": self._client}
        result_of(self.request("initialize", said))
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdout, self._process.stderr):
            assert stream
            stream.close()

    def request(self, method: str, params: Mapping[str, Any] | None = None) -> bytes:
        """The line that answers a request, not parsed. Raises RuntimeError if the server ends before."""
        self._next_id += 1
        given = {**(params or {}), **({"_meta": _WHO_ASKS} if self._conversation is Conversation.STATELESS else {})}
        self._send({"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": given})
        assert self._process.stdout
        while line := self._process.stdout.readline():
            if b'"method"' not in line[:60]:
                return line
            if self._says_yes and b'"elicitation/create"' in line[:120]:
                yes = {"action": "accept", "content": {"approve": True, "account_number": str(ACCOUNT)}}
                self._send({"jsonrpc": "2.0", "id": json.loads(line)["id"], "result": yes})
        assert self._process.stderr
        said = self._process.stderr.read().decode(errors="replace")
        raise RuntimeError(f"the server ended while it was asked for {method}:\n{said[-2000:]}")

    def call(self, tool: str, arguments: Mapping[str, Any] | None = None) -> bytes:
        """The line that answers a tool call."""
        return self.request("tools/call", {"name": tool, "arguments": dict(arguments or {})})

    def tools(self) -> list[dict[str, Any]]:
        """The definitions of its tools, without what is for the host alone: no model reads that."""
        tools: list[dict[str, Any]] = json.loads(self.request("tools/list"))["result"]["tools"]
        return [{name: part for name, part in tool.items() if name != "_meta"} for tool in tools]

    @property
    def processor_s(self) -> float:
        """How long it has been on a processor, in seconds. Linux only."""
        return processor_s(self.pid)

    @property
    def pid(self) -> int:
        """By which the operating system knows it."""
        return self._process.pid

    @property
    def peak_memory_mb(self) -> float:
        """The most that has been resident, in 10⁶ bytes. Linux only."""
        return memory_mb(self.pid, "VmHWM")

    @property
    def memory_mb(self) -> float:
        """What is resident now, in 10⁶ bytes. Linux only."""
        return memory_mb(self.pid, "VmRSS")

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()


def processor_s(pid: int) -> float:
    """How long a process has been on a processor, in seconds: threads that have ended too. Linux only."""
    _, _, told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")
    in_user, in_system = map(int, told.split()[11:13])
    return (in_user + in_system) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int, which: str) -> float:
    """A size of a process's memory, `VmRSS` as it is or `VmHWM` at its most, in 10⁶ bytes. Linux only."""
    match = re.search(rf"{which}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert match
    return int(match[1]) * 1024 / 1e6


def result_of(line: bytes) -> dict[str, Any]:
    """The result in an answer's line. Raises RuntimeError for an error of the protocol or of the tool."""
    answer = json.loads(line)
    if "error" in answer:
        raise RuntimeError(f"the server answered {answer['error']}")
    result: dict[str, Any] = answer["result"]
    return result
