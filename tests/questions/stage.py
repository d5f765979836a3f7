"""Where questions are asked: a book at a time, behind a server as `serve` composes it, on a clock that stands."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
from mcp import Client

from positions_mcp.api import PositionsClient
from positions_mcp.cli.assembly.composition import Venue, open_deps
from positions_mcp.cli.assembly.paper_transport import paper_transport
from positions_mcp.paper import DEFAULT_ACCOUNT, DEFAULT_KEY, PaperExchange
from positions_mcp.server import build_server
from positions_mcp.settings import load
from positions_mcp.tools._forms import Forms
from questions.arithmetic import Figures, Row
from tools.serving import StandingClock
from trading import Person

_TWO = (DEFAULT_ACCOUNT, 20000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A book at a time; `said` are settings of the server."""

    scenario: str
    at: datetime
    accounts: Sequence[int] = (DEFAULT_ACCOUNT,)
    said: Mapping[str, Any] = field(default_factory=dict)


def _new_york(day: int, hour: int, minute: int = 0, month: int = 11) -> datetime:
    """An hour of New York's winter time in 2026."""
    return datetime(2026, month, day, hour, minute, tzinfo=UTC) + timedelta(hours=5)


_LIMITS = {"trading": {"max_notional": 50_000, "max_daily_notional": 100_000, "max_positions": 10}}
STAGES: Mapping[str, Setting] = {
    "friday": Setting(scenario="demo", at=_new_york(20, 10, 30)),
    "closing": Setting(scenario="demo", at=_new_york(20, 11)),
    "evening": Setting(scenario="demo", at=_new_york(19, 19)),
    "saturday": Setting(scenario="demo", at=_new_york(21, 12)),
    "early close": Setting(scenario="demo", at=_new_york(27, 11)),
    "expiry": Setting(scenario="expiry", at=_new_york(20, 14, 30)),
    "instructing": Setting(scenario="expiry", at=_new_york(20, 14, 45)),
    "rough": Setting(scenario="rough", at=_new_york(20, 10, 30)),
    "large": Setting(scenario="large", at=_new_york(20, 10, 30)),
    "empty": Setting(scenario="empty", at=_new_york(20, 10, 30)),
    "two accounts": Setting(scenario="demo", at=_new_york(20, 10, 30), accounts=_TWO),
    "limits": Setting(scenario="demo", at=_new_york(20, 10, 30), said=_LIMITS),
    "reading only": Setting(scenario="demo", at=_new_york(20, 10, 30), said={"trading": {"enabled": False}}),
}


@dataclass
class Stage:
    """A client of the server, the exchange behind it, and the person in front."""

    client: Client
    exchange: PaperExchange
    clock: StandingClock
    person: Person
    instructions: str
    definitions: list[dict[str, Any]]
    _http: httpx.AsyncClient
    _figures: tuple[object, Figures] | None = None

    def later(self, seconds: float) -> None:
        """Time passes."""
        self.clock.advance(timedelta(seconds=seconds))

    async def figures(self) -> Figures:
        """What the exchange itself says is held, of its first account; read once until something changes."""
        now = (self.clock.at, tuple(self.exchange.effect_counts().values()))
        if self._figures is None or self._figures[0] != now:
            self._figures = now, Figures(await self._rows())
        return self._figures[1]

    async def _rows(self) -> list[Row]:
        rows: list[Row] = []
        query: dict[str, str] = {"page_size": "1000"}
        while True:
            answer = await self._http.get(f"/v1/accounts/{DEFAULT_ACCOUNT}/positions", params=query)
            page = answer.raise_for_status().json()
            rows += map(Row.of, page["data"])
            if not (token := page["metadata"].get("next_page_token")):
                return rows
            query["page_token"] = token


@asynccontextmanager
async def stage(name: str, data_dir: Path) -> AsyncIterator[Stage]:
    """The stage of that name, opened anew in `data_dir`."""
    setting = STAGES[name]
    clock = StandingClock(setting.at)
    exchange = PaperExchange.open(data_dir, scenario=setting.scenario, clock=clock, accounts=setting.accounts)
    settings = load(
        {
            "mode": "paper",
            "accounts": list(setting.accounts),
            "data_dir": data_dir,
            "approval": {"wait_s": 0},
            "desk": {"enabled": False},
            **setting.said,
        }
    )
    transport = paper_transport(exchange)
    connect = partial(PositionsClient, "http://localhost", DEFAULT_KEY, transport=transport, clock=exchange.clock)
    venue = Venue(connect, exchange.clock, "the embedded paper exchange", clock)
    person = Person()
    seconds = itertools.count()
    try:
        async with open_deps(settings, venue) as opened:
            parts = replace(opened, heartbeat_s=0.01, updates_every_s=0.01, forms=Forms(clock=lambda: next(seconds)))

            @asynccontextmanager
            async def context() -> AsyncIterator[Any]:
                yield parts

            server = build_server(context, mode=settings.mode, accounts=settings.allowed_accounts)
            headers = {"Authorization": f"Bearer {DEFAULT_KEY}"}
            async with (
                httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as plain,
                Client(server, mode="auto", elicitation_callback=cast("Any", person)) as client,
            ):
                listed = await client.list_tools()
                # No model is told of `_meta`: it is for hosts that draw.
                model_sees = {"mode": "json", "by_alias": True, "exclude_none": True, "exclude": {"meta"}}
                tools = [tool.model_dump(**model_sees) for tool in listed.tools]
                told = client.instructions or ""
                yield Stage(client, exchange, clock, person, told, tools, plain)
    finally:
        exchange.close()
