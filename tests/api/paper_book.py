"""The paper exchange behind the production client, in process, with a count of what was sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx

from beginnings import begin_book
from positions_mcp.api import PositionsClient
from positions_mcp.cli.assembly.paper_transport import PaperTransport
from positions_mcp.domain.account.positions import Position
from positions_mcp.paper import DEFAULT_ACCOUNT, DEFAULT_KEY, PaperExchange

ACCOUNT = DEFAULT_ACCOUNT
Dialect = Literal["seed", "current"]


class FridayAfternoon:
    """A clock that stands at 14:30 in New York on a trading day on which options expire."""

    def now(self) -> datetime:
        return datetime(2026, 11, 20, 19, 30, tzinfo=UTC)


class CountingTransport(httpx.AsyncBaseTransport):
    """Passes everything on and remembers it."""

    def __init__(self, inner: PaperTransport) -> None:
        self._inner = inner
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return await self._inner.handle_async_request(request)


@dataclass
class PaperDesk:
    """An exchange, the client on it, and the requests between them."""

    exchange: PaperExchange
    client: PositionsClient
    transport: CountingTransport
    pauses: list[float] = field(default_factory=list)

    async def held(self, symbol: str) -> Position:
        book = await self.client.read_book(ACCOUNT)
        return next(position for position in book.positions if symbol in (position.name, position.symbol))

    async def option(self) -> Position:
        """A long option of at least two contracts of which nothing has been instructed yet."""
        book = await self.client.read_book(ACCOUNT)
        instructed = {each.instrument_id for each in (await self.client.get_position_instructions(ACCOUNT)).data}
        return next(
            position
            for position in book.positions
            if position.is_option and position.quantity >= 2 and position.instrument_id not in instructed
        )

    @property
    def writes(self) -> list[httpx.Request]:
        return [request for request in self.transport.requests if request.method != "GET"]


@asynccontextmanager
async def paper_desk(
    folder: Path, dialect: Dialect = "current", scenario: str = "demo", key: str = DEFAULT_KEY, **options: Any
) -> AsyncIterator[PaperDesk]:
    begin_book(folder, scenario, FridayAfternoon())
    exchange = PaperExchange.open(folder, scenario=scenario, contract=dialect, clock=FridayAfternoon())
    transport = CountingTransport(PaperTransport(exchange))
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    options = {"sleep": sleep, "random": lambda: 1.0, **options}
    try:
        async with PositionsClient("http://localhost", key, transport=transport, **options) as client:
            yield PaperDesk(exchange, client, transport, pauses)
    finally:
        exchange.close()
