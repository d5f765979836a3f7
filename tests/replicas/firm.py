"""A firm's servers, processes of their own: replicas over one PostgreSQL and one paper exchange, and their callers."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from data_dirs import CLEAN, PROGRAM
from databases import new_database
from paper.serving import Served
from paper.serving import serving as serving_paper
from positions_mcp.cli.serving.token_file import FILE_NAME, TokenFile
from positions_mcp.clock import SystemClock
from positions_mcp.market_calendar import NewYorkCalendar
from positions_mcp.paper import PaperExchange
from positions_mcp.store.operations import SqlOperationStore

COMMAND = (*PROGRAM, "serve", "--transport", "http", "--port", "0")
SYMBOLS = tuple(f"{first}{second}Q" for first in "ABCDEFGH" for second in "KLMNP")
_SAYS = re.compile(r"MCP server at (http://\S+/mcp)")


@dataclass(frozen=True, slots=True)
class Replica:
    """One server process, and where it listens."""

    url: str
    process: subprocess.Popen[str]
    data_dir: Path


@dataclass
class Firm:
    """One store, one paper exchange, and callers whose tokens every replica knows."""

    folder: Path
    store_url: str
    paper: Served
    exchange: PaperExchange
    _symbols: Iterator[str] = field(default_factory=lambda: iter(SYMBOLS))
    tokens: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    """What all replicas are started with, beside the store and the exchange."""

    def token(self, name: str) -> str:
        """A new caller's token, known to the replicas that are started after it."""
        self.tokens[name] = TokenFile(self.folder).issue(name, SystemClock().now())
        return self.tokens[name]

    @contextmanager
    def replica(
        self, name: str, environment: Mapping[str, str] | None = None, *, before: tuple[str, ...] = ()
    ) -> Iterator[Replica]:
        """A replica with a data directory of its own; `before` its command, as in `faketime`."""
        data_dir = self.folder / name
        data_dir.mkdir(exist_ok=True)
        if (self.folder / FILE_NAME).exists():
            shutil.copy(self.folder / FILE_NAME, data_dir / FILE_NAME)
        said = {
            "POSITIONS_MCP_DATA_DIR": str(data_dir),
            "POSITIONS_MCP_STORE__URL": self.store_url,
            "POSITIONS_MCP_PAPER__URL": self.paper.url,
            "POSITIONS_MCP_DESK__ENABLED": "false",
            **self.environment,
            **(environment or {}),
        }
        with subprocess.Popen(
            [*before, *COMMAND], env=CLEAN | said, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            assert process.stderr is not None
            try:
                line = process.stderr.readline()
                address = _SAYS.search(line)
                assert address, line + process.stderr.read()
                yield Replica(address[1], process, data_dir)
            finally:
                process.kill()

    def symbol(self) -> str:
        """One of the shares that no test has closed."""
        return next(self._symbols)

    @contextmanager
    def store(self) -> Iterator[SqlOperationStore]:
        """What the replicas have in common, as the test looks at it."""
        store = SqlOperationStore(self.store_url)
        try:
            yield store
        finally:
            store.close()

    @property
    def sent(self) -> dict[str, int]:
        """Requests that changed the exchange's book, by operation."""
        return self.exchange.effect_counts()


def _book(folder: Path) -> Path:
    """A scenario with many shares that nothing hangs on."""
    lines = ['title = "Shares to close"', "cash = 100_000"]
    for number, symbol in enumerate(SYMBOLS):
        lines += ["[[underlyings]]", f'symbol = "{symbol}"', f"price = {10 + number}"]
        lines += ["[[positions]]", f'symbol = "{symbol}"', "quantity = 100", f"average_price = {9 + number}"]
    path = folder / "shares.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@contextmanager
def firm_in(folder: Path, postgres_url: str) -> Iterator[Firm]:
    """A firm in the middle of a trading day."""
    book = folder / "paper"
    exchange = PaperExchange.open(book, scenario=str(_book(folder)), clock=SystemClock())
    session = NewYorkCalendar().state_at(SystemClock().now()).next
    exchange.clock.set(session.opens + timedelta(hours=1), running=True)
    try:
        with serving_paper(book, str(folder / "shares.toml")) as paper:
            yield Firm(folder, new_database(postgres_url), paper, exchange)
    finally:
        exchange.close()


class Balancer(httpx2.AsyncHTTPTransport):
    """Sends each request to the next replica, whatever the one before was about."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        super().__init__()
        self._replicas = replicas
        self._turns = itertools.count()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        to = httpx2.URL(self._replicas[next(self._turns) % len(self._replicas)].url)
        request.url, request.headers["Host"] = to, f"{to.host}:{to.port}"
        return await super().handle_async_request(request)


@asynccontextmanager
async def balanced(
    replicas: Sequence[Replica], token: str, person: Any = None, *, mode: str = "2026-07-28", **said: Any
) -> AsyncIterator[Client]:
    """A client whose every request goes to another replica."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60, transport=Balancer(replicas)) as http:
        transport = streamable_http_client(replicas[0].url, http_client=http)
        async with Client(transport, mode=mode, elicitation_callback=person, **said) as client:
            yield client


@asynccontextmanager
async def calling(replica: Replica, token: str, era: str, person: Any = None, **said: Any) -> AsyncIterator[Client]:
    """A client of one replica; without a person it cannot show a form."""
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http:
        transport = streamable_http_client(replica.url, http_client=http)
        async with Client(transport, mode=era, elicitation_callback=person, **said) as client:
            yield client
