"""Closes over three replicas while things break: who asks, who decides, what breaks where, and what is written down.

Nothing here judges. What the clients and the persons saw is kept beside what the exchange, the wire and the journal
say, and `checker` decides over that.
"""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.to_thread
import httpx2
import psycopg
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ElicitResult

from positions_mcp.cli.composition import guard_dependencies, open_operations, open_venue
from positions_mcp.domain.errors import PositionsError
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.guard.supervisor import Supervisor
from positions_mcp.settings import load
from replicas.cluster import ACCOUNTS, KEY, Cluster, records_of
from replicas.links import Step, Trap
from replicas.rotation import Rotation
from trading import ERAS, PASSPHRASE, QUICK

Fault = Literal["kill", "cut", "block", "database", "none"]
Way = Literal["form", "desk"]
FAULTS: tuple[Fault, ...] = ("kill", "cut", "block", "database")
STEPS: tuple[Step, ...] = ("commit asked", "commit done", "request asked", "request answered")
_BLOCKED_S = 8.0
"""Longer than PostgreSQL keeps a transaction of somebody who says nothing."""
_LONGEST_CALL_S = 45.0
_LONGEST_SETTLING_S = 120.0
_MOST_WAITING = 100
_OPERATION = re.compile(r"op-[a-z0-9]{10}")


@dataclass(frozen=True)
class Case:
    """One close, and what breaks at the n-th passing of a step."""

    fault: Fault
    step: Step = "commit asked"
    nth: int = 1
    era: str = ERAS[0]
    way: Way = "form"
    first: int = 0
    """Which replica is asked first."""


@dataclass
class Story:
    """What the clients and the persons saw."""

    clients: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)


class Campaign:
    """All that happens to one cluster."""

    def __init__(
        self,
        cluster: Cluster,
        instruments: dict[str, str],
        desk: Supervisor,
        waiting: Callable[[], Sequence[Operation]],
    ) -> None:
        self._cluster = cluster
        self._desk = desk
        self._waiting = waiting
        self._free = self._pairs(instruments)
        self._tokens = itertools.cycle(cluster.tokens)
        self.story = Story()

    @staticmethod
    def _pairs(instruments: dict[str, str]) -> Iterator[tuple[int, str, str]]:
        for symbol, instrument in instruments.items():
            for account in ACCOUNTS:
                yield account, symbol, instrument

    async def run(self, case: Case) -> None:
        """Close one position, let something break, put it right, and ask for the same once more."""
        account, symbol, instrument = next(self._free)
        trap = Trap(case.step, case.nth, self._breaking(case.fault))
        links = [link for replica in self._cluster.replicas for link in (replica.database, replica.exchange)]
        if case.fault != "none":
            for link in links:
                link.trap = trap
        try:
            await self.close(account, symbol, instrument, case)
        finally:
            for link in links:
                link.trap = None
            await self._put_right()
        if case.fault != "none":
            sprung = trap.sprung.is_set()
            self.story.faults.append({**vars(case), "sprung": sprung, "account": account, "symbol": symbol})
            await self.close(account, symbol, instrument, Case("none", era=case.era, first=case.first + 1))

    def untouched(self) -> tuple[int, str, str]:
        """Account, symbol and instrument of a position that nobody has touched."""
        return next(self._free)

    async def noted(self, client: Client, account: int, instrument: str, arguments: dict[str, Any]) -> CallToolResult:
        """A close of a client that is written down as every other."""
        call: dict[str, Any] = {"number": len(self.story.clients), "account": account, "instrument": instrument}
        self.story.clients.append(call)
        call["began"] = anyio.current_time()
        answer = await client.call_tool("close_positions", arguments)
        call |= {"told": _text(answer), **_data(answer), "ended": anyio.current_time()}
        return answer

    async def close_next(self, case: Case) -> None:
        """Close a position that nobody has touched."""
        await self.close(*next(self._free), case)

    async def close(self, account: int, symbol: str, instrument: str, case: Case) -> None:
        """One call, and what came back, if anything did."""
        call: dict[str, Any] = {"number": len(self.story.clients), "account": account, "instrument": instrument}
        self.story.clients.append(call)
        call |= {"era": case.era, "way": case.way, "began": anyio.current_time()}
        try:
            with anyio.fail_after(_LONGEST_CALL_S):
                async with self.client(case, call=call["number"]) as client:
                    arguments = {"account_id": account, "instruments": [symbol]}
                    answer = await self._asking(client, arguments, case.way)
                    call |= {"told": _text(answer), **_data(answer)}
        except* (MCPError, httpx2.HTTPError, OSError, TimeoutError) as errors:
            call["error"] = repr(errors.exceptions)[:300]
        finally:
            call["ended"] = anyio.current_time()

    async def _asking(self, client: Client, arguments: dict[str, Any], way: Way) -> CallToolResult:
        if way == "form":
            return await client.call_tool("close_positions", arguments)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._approve, arguments)
            answer = await client.call_tool("close_positions", arguments)
            tasks.cancel_scope.cancel()
        return answer

    async def _approve(self, arguments: dict[str, Any]) -> None:
        """At the desk, once it waits there."""
        while True:
            with suppress(PositionsError):
                for operation in await anyio.to_thread.run_sync(self._waiting):
                    plan = operation.plan
                    names = [target.symbol for target in plan.targets]
                    if plan.account_id == arguments["account_id"] and names == arguments["instruments"]:
                        # Noted first: whether it was taken may stay unknown.
                        self._decided(operation.operation_id, "desk")
                        await self._desk.approve(operation.operation_id, PASSPHRASE)
                        return
            await anyio.sleep(0.1)

    @asynccontextmanager
    async def client(
        self, case: Case, *, token: int | None = None, says: bool = True, call: int | None = None
    ) -> AsyncIterator[Client]:
        """A client whose every request goes to another replica; a session of the older era stays where it is.

        It is a caller that has not called for long, or the one of a `token`. Its person `says` yes or no, in the
        `call` that it is opened for.
        """

        async def person(_: object, asked: Any) -> ElicitResult:
            self._decided(_OPERATION.findall(asked.message)[0], "form", approved=says, call=call)
            return ElicitResult(action="accept", content={"approve": True}) if says else ElicitResult(action="decline")

        rotation = Rotation(self._cluster.ports, case.first, affinity=case.era == ERAS[0])
        secret = next(self._tokens) if token is None else self._cluster.tokens[token]
        headers = {"Authorization": f"Bearer {secret}"}
        async with httpx2.AsyncClient(transport=rotation, headers=headers, timeout=_LONGEST_CALL_S) as http:
            transport = streamable_http_client("http://127.0.0.1/mcp", http_client=http)
            asks = person if case.way == "form" else None
            async with Client(transport, mode=case.era, elicitation_callback=asks) as client:
                yield client

    def _decided(self, operation_id: str, how: str, *, approved: bool = True, call: int | None = None) -> None:
        decision = {"operation_id": operation_id, "approved": approved, "how": how, "call": call}
        self.story.decisions.append(decision)

    def _breaking(self, fault: Fault) -> Callable[[int], Awaitable[object]]:
        async def broken(number: int) -> None:
            replica = self._cluster.replicas[number]
            match fault:
                case "kill":
                    await anyio.to_thread.run_sync(replica.kill)
                case "cut":
                    await replica.database.cut()
                case "block":
                    replica.database.block()
                case "database":
                    await anyio.to_thread.run_sync(self._cluster.database.stop)

        return broken

    async def _put_right(self) -> None:
        """Everything runs again."""
        await anyio.to_thread.run_sync(self._cluster.database.start)
        for replica in self._cluster.replicas:
            await replica.database.unblock()
            if not replica.is_up:
                await anyio.to_thread.run_sync(replica.start)

    async def rolling_restart(self) -> None:
        """Every replica is told to stop and begins again, one after another."""
        for replica in self._cluster.replicas:
            code = await anyio.to_thread.run_sync(replica.stop)
            self.story.faults.append({"fault": "restart", "replica": replica.number, "code": code})
            await anyio.to_thread.run_sync(replica.start)

    async def settle(self) -> None:
        """Wait until servers have said what became of the sendings of the dead; then end them all.

        What the desk approved is sent whether or not a call waits: only without servers do the witnesses say one thing.
        """
        began = time.monotonic()
        while self._in_flight() and time.monotonic() - began < _LONGEST_SETTLING_S:
            with suppress(Exception):
                async with self.client(Case("none", era=ERAS[1])) as client:
                    await client.call_tool("list_operations", {"account_id": ACCOUNTS[0]})
            await anyio.sleep(1)
        for replica in self._cluster.replicas:
            await anyio.to_thread.run_sync(replica.stop)

    def _in_flight(self) -> bool:
        with psycopg.connect(self._cluster.database.url) as connection:
            found = connection.execute("SELECT count(*) FROM operation_rows WHERE content LIKE '%\"SENDING\"%'")
            return bool((found.fetchone() or (0,))[0])


@asynccontextmanager
async def campaigning(cluster: Cluster) -> AsyncIterator[Campaign]:
    """A campaign with an approver at the desk, who goes past every link."""
    settings = load(
        {
            "data_dir": cluster.folder / "desk",
            "accounts": list(ACCOUNTS),
            "store": {"url": cluster.database.url},
            "paper": {"url": cluster.exchange_url, "key": KEY},
        }
    )
    with open_venue(settings) as venue, open_operations(settings) as store:
        async with venue.connect() as client:
            desk = Supervisor(guard_dependencies(settings, client, venue.clock, store), hardness=QUICK)
            await desk.set_up_approver(PASSPHRASE)
            yield Campaign(
                cluster,
                await cluster.instruments(ACCOUNTS[0]),
                desk,
                lambda: store.waiting(venue.real_time.now(), _MOST_WAITING),
            )


async def history(cluster: Cluster, story: Story) -> dict[str, Any]:
    """What every witness saw, for the checker."""
    orders = [order for account in ACCOUNTS for order in await cluster.orders(account)]
    effects = (await cluster.asked("/paper/effects"))["effects"]
    verified = await anyio.to_thread.run_sync(_verified, cluster)
    record = await anyio.to_thread.run_sync(records_of, cluster.database)
    return {
        **record,
        "exchange": {"effects": effects, "orders": orders},
        "wire": cluster.wire,
        **vars(story),
        "verified": verified,
    }


def kept(record: dict[str, Any], file: Path) -> Path:
    """The history as a file, for the checker."""
    file.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return file


def _verified(cluster: Cluster) -> dict[str, Any]:
    settings = load({"data_dir": cluster.folder / "desk", "store": {"url": cluster.database.url}})
    with open_operations(settings) as store:
        found = store.verify()
    return {"intact": found.intact, "problem": found.problem}


def _text(answer: CallToolResult) -> str:
    return "\n".join(getattr(each, "text", "") for each in answer.content)


def _data(answer: CallToolResult) -> dict[str, Any]:
    data = answer.structured_content or {}
    return {name: data[name] for name in ("operation_id", "state", "sent") if name in data}


def matrix() -> list[Case]:
    """Every fault at every step, by either way and in either era."""
    turn = itertools.count()
    return [
        Case(fault, step, nth, era, way, next(turn))
        for way in ("form", "desk")
        for era in ERAS
        for step in STEPS
        for nth in ((1,) if "request" in step else (1, 2, 3, 4, 5, 6))
        for fault in FAULTS
    ]
