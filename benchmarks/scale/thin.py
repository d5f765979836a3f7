"""The thin upstream as a process, and positions-mcp as its production client on it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime

import httpx
from benchmarks.processes import ACCOUNT, HERE, POSITIONS_MCP, McpProcess, Upstream, environment, result_of
from benchmarks.scale.stores import Store

_NO_LIMITS = {
    "POSITIONS_MCP_TRADING__MAX_OPERATIONS_PER_MINUTE": "none",
    "POSITIONS_MCP_TRADING__MAX_OPERATIONS_PER_DAY": "none",
    "POSITIONS_MCP_DESK__ENABLED": "false",
}


@dataclass(frozen=True, slots=True)
class Thin(Upstream):
    """A thin upstream that runs."""

    @staticmethod
    def instrument(number: int) -> str:
        """The id of one of its positions."""
        return f"{number:08x}-5ca1-4000-8000-000000000000"

    @property
    def market_day(self) -> date:
        """The day of its clock."""
        return datetime.fromisoformat(httpx.get(f"{self.url}/paper/clock", trust_env=False).json()["now"]).date()

    def counted(self) -> Counter[str]:
        """What it was asked for so far, by method and path."""
        return Counter(httpx.get(f"{self.url}/counted", trust_env=False).json())

    def asked(self) -> int:
        """How many requests came so far."""
        return self.counted().total()


@contextmanager
def thin_upstream(
    positions: int = 1000,
    *,
    accounts: Mapping[int, int] | None = None,
    orders: int = 0,
    order_days: float = 100,
    delay_ms: float = 0,
    fills: bool = True,
) -> Iterator[Thin]:
    """An upstream whose accounts have so many positions, and orders from so many days; `accounts` have others."""
    command = [sys.executable, str(HERE / "scale" / "thin_server.py"), "--positions", str(positions)]
    command += ["--orders", str(orders), "--order-days", str(order_days), "--delay-ms", str(delay_ms)]
    command += [] if fills else ["--unfilled"]
    for number, size in (accounts or {}).items():
        command += ["--account", f"{number}={size}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        try:
            assert process.stdout
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError("the thin upstream did not start")
            yield Thin(url)
        finally:
            process.terminate()


def settings(api: Thin, store: Store, accounts: tuple[int, ...] = (ACCOUNT,)) -> dict[str, str]:
    """The environment of a server that may close in these accounts.

    It takes the upstream for a paper exchange, whose clock stands within a session: by a closed market, or for much
    money, a form is not enough, whenever it is measured.
    """
    named = {"POSITIONS_MCP_ACCOUNTS": json.dumps(accounts), "POSITIONS_MCP_PAPER__URL": api.url}
    return _NO_LIMITS | store.settings | named


def server(
    api: Thin, store: Store, accounts: tuple[int, ...] = (ACCOUNT,), *, client: str = "benchmarks"
) -> McpProcess:
    """A server over standard input and output, whose client approves what it is asked."""
    command = [*POSITIONS_MCP, "serve", *store.options]
    return McpProcess(command, settings(api, store, accounts), says_yes=True, client=client)


def close(process: McpProcess, instruments: list[str], account: int = ACCOUNT) -> str:
    """One close, asked for, approved, sent and followed. Returns its id; raises RuntimeError where it was not sent."""
    line = process.call("close_positions", {"account_id": account, "instruments": instruments})
    if b'"sent":"yes"' not in line:
        raise RuntimeError(f"close_positions answered {line[:1500].decode(errors='replace')}")
    operation_id: str = result_of(line)["structuredContent"]["operation_id"]
    return operation_id


def share(number: int) -> str:
    """The symbol of one of an account's shares, which are the first half of its positions."""
    letters = ""
    for _ in range(4):
        number, letter = divmod(number, 26)
        letters = chr(65 + letter) + letters
    return f"Q{letters}"
