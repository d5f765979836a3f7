"""A firm's servers, processes of their own: replicas over one PostgreSQL and one paper exchange, and their callers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from databases import new_database
from paper.serving import Served
from paper.serving import serving as serving_paper
from positions_mcp.cli.token_file import FILE_NAME, TokenFile
from positions_mcp.clock import SystemClock
from positions_mcp.market_calendar import NewYorkCalendar
from positions_mcp.paper import PaperExchange
from positions_mcp.store.operations import SqlOperationStore

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("POSITIONS_MCP_", "CLEAR_"))}
COMMAND = (sys.executable, "-m", "positions_mcp", "serve", "--transport", "http", "--port", "0")
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
    environment: dict[str, str] = field(default_factory=dict)
    """What all replicas are started with, beside the store and the exchange."""

    def token(self, name: str) -> str:
        """A new caller's token, known to the replicas that are started after it."""
        return TokenFile(self.folder).issue(name, SystemClock().now())

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


@contextmanager
def firm_in(folder: Path, postgres_url: str) -> Iterator[Firm]:
    """A firm in the middle of a trading day."""
    book = folder / "paper"
    exchange = PaperExchange.open(book, scenario="demo", clock=SystemClock())
    session = NewYorkCalendar().state_at(SystemClock().now()).next
    exchange.clock.set(session.opens + timedelta(hours=1), running=True)
    try:
        with serving_paper(book) as paper:
            yield Firm(folder, new_database(postgres_url), paper, exchange)
    finally:
        exchange.close()


@asynccontextmanager
async def calling(replica: Replica, token: str, era: str, person: Any = None, **said: Any) -> AsyncIterator[Client]:
    """A client of one replica; without a person it cannot show a form."""
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http:
        transport = streamable_http_client(replica.url, http_client=http)
        async with Client(transport, mode=era, elicitation_callback=person, **said) as client:
            yield client
