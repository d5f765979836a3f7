"""What tests of the paper exchange share: a clock they set, identifiers that count, and an HTTP client in process."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.paper import DEFAULT_KEY, PaperExchange

ACCOUNT = f"/v1/accounts/{19816}"
POSITIONS = f"{ACCOUNT}/positions"
INSTRUCTIONS = f"{ACCOUNT}/positions/instructions"
ORDERS = f"{ACCOUNT}/orders"
MONDAY_MORNING = datetime(2026, 11, 23, 11, 0, tzinfo=NEW_YORK)
"""A Monday in session, with Thanksgiving on the Thursday and an early close on the Friday of its week."""


Opening = Callable[..., PaperExchange]
"""Opens an exchange: `opened(scenario, **options of PaperExchange.open)`."""


class SettableClock:
    """A clock that stands where a test puts it."""

    def __init__(self, at: datetime) -> None:
        self.at = at.astimezone(UTC)

    def now(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> None:
        self.at += by


class CountingIds:
    """Identifiers in order: …0001, …0002."""

    def __init__(self) -> None:
        self._last = 0

    def new(self) -> str:
        self._last += 1
        return str(uuid.UUID(int=self._last))


@asynccontextmanager
async def http(exchange: PaperExchange, key: str | None = DEFAULT_KEY) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client over the exchange's application, in process."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    transport = httpx.ASGITransport(exchange.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://paper", headers=headers) as client:
        yield client


def by_symbol(answer: httpx.Response) -> dict[str, dict[str, Any]]:
    """The rows of a listing by their symbol, an option's without spaces."""
    assert answer.status_code == 200, answer.text
    return {row["symbol"].replace(" ", ""): row for row in answer.json()["data"]}


async def delete(client: httpx.AsyncClient, path: str, **body: object) -> httpx.Response:
    """A DELETE with a JSON body, which `AsyncClient.delete` cannot send."""
    return await client.request("DELETE", path, json=body or None)
