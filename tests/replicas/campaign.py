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
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
import anyio.to_thread
import httpx2
import psycopg
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, ElicitResult

from positions_mcp.cli.assembly.composition import guard_dependencies, open_venue
from positions_mcp.cli.assembly.stores import open_operations
from positions_mcp.domain.errors import PositionsError
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.supervisor import Supervisor
from positions_mcp.settings import load
from positions_mcp.store.migrations import MIGRATIONS
from positions_mcp.store.operations import SqlOperationStore
from replicas.cluster import KEY, Cluster, records_of
from replicas.later.sitecustomize import schemas
from replicas.links import Step, Trap
from replicas.rotation import Rotation
from trading import ERAS, PASSPHRASE, QUICK

Fault = Literal[
    "kill", "cut", "block", "database", "schema", "older", "broker cut", "broker torn", "broker gone", "none"
]
Way = Literal["form", "desk"]
Hear = Callable[[float, float | None, str | None], Awaitable[None]]
"""Told of progress."""
FAULTS: tuple[Fault, ...] = ("kill", "cut", "block", "database")
STEPS: tuple[Step, ...] = ("commit asked", "commit done", "request asked", "request answered")
LONGEST_CALL_S = 45.0
_LONGEST_SETTLING_S = 120.0
_MOST_WAITING = 100
_OPERATION = re.compile(r"op-[a-z0-9]{10}")


@dataclass(frozen=True)
class Case:
    """One call, and what breaks at the n-th passing of a step."""

    fault: Fault
    step: Step = "commit asked"
    nth: int = 1
    era: str = ERAS[0]
    way: Way = "form"
    first: int = 0
    """Which replica is asked first."""


@dataclass(frozen=True)
class Work:
    """What a client asks for, once and, after a fault, once more."""

    tool: str
    account: int
    target: str
    """What is closed: the id of an instrument, or how `checker` calls something else."""
    arguments: dict[str, Any]

    def is_of(self, plan: Plan) -> bool:
        """Whether this was asked for by a plan."""
        one = self.arguments.get("instruments", [target.symbol for target in plan.targets])
        same = plan.kind.value == self.tool and plan.account_id == self.account
        return same and [target.symbol for target in plan.targets] == one


@dataclass
class Story:
    """What the clients and the persons saw."""

    clients: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    acts: list[dict[str, Any]] = field(default_factory=list)
    """What people did past the clients, and what they were told."""
    mandates: list[dict[str, Any]] = field(default_factory=list)
    """What a person has signed: of which account and instruments, and how often at most."""
    by_two: bool = False
    """Whether two people have to say yes before a whole account is closed."""


class Campaign:
    """All that happens to one cluster."""

    def __init__(
        self,
        cluster: Cluster,
        instruments: dict[str, str],
        desk: Supervisor,
        waiting: Callable[[], Sequence[Operation]],
    ) -> None:
        self.cluster = cluster
        self.desk = desk
        self._waiting = waiting
        self._free = self.works(instruments)
        self._tokens = itertools.cycle(cluster.tokens)
        self.story = Story()

    def works(self, instruments: dict[str, str]) -> Iterator[Work]:
        """Everything that may be asked for, none of it twice; by symbol and id of what an account holds."""
        for symbol, instrument in instruments.items():
            for account in self.cluster.accounts:
                yield Work("close_positions", account, instrument, {"instruments": [symbol]})

    async def begin(self, deps: Dependencies) -> None:
        """What a person does before anybody asks for anything."""

    async def run(self, case: Case) -> None:
        """Ask for one thing, let something break, put it right, and ask for the same once more."""
        work = next(self._free)
        trap = Trap(case.step, case.nth, self.breaking(case))
        links = [link for replica in self.cluster.replicas for link in (replica.database, replica.exchange)]
        if case.fault != "none":
            for link in links:
                link.trap = trap
        try:
            await self.ask(work, case)
        finally:
            for link in links:
                link.trap = None
            if trap.sprung.is_set():
                await trap.over.wait()
            await self.put_right()
        if case.fault != "none":
            sprung = trap.sprung.is_set()
            self.story.faults.append({**vars(case), "sprung": sprung, "tool": work.tool, "account": work.account})
            await self.ask(work, Case("none", era=case.era, way=self.way_after(case), first=case.first + 1))

    def way_after(self, _: Case) -> Way:
        """How the same is decided when it is asked for once more."""
        return "form"

    async def ask_next(self, case: Case) -> None:
        """Ask for something that nobody has asked for."""
        await self.ask(next(self._free), case)

    async def ask(self, work: Work, case: Case) -> None:
        """One call, and what came back, if anything did."""
        call: dict[str, Any] = {"number": len(self.story.clients)}
        call |= {"account": work.account, "instrument": work.target}
        self.story.clients.append(call)
        call |= {"era": case.era, "way": case.way, "began": anyio.current_time()}
        heard = [call["began"]]

        async def hear(*_: object) -> None:
            heard.append(anyio.current_time())

        try:
            with anyio.fail_after(LONGEST_CALL_S):
                async with self.client(case, call=call["number"]) as client:
                    answer = await self._asking(client, work, case.way, hear)
                    call |= {"told": _text(answer), **_data(answer)}
        except* (MCPError, httpx2.HTTPError, OSError, TimeoutError) as errors:
            call["error"] = repr(errors.exceptions)[:300]
        finally:
            call["ended"] = anyio.current_time()
            call["silence"] = max(until - since for since, until in pairwise([*heard, call["ended"]]))

    async def _asking(self, client: Client, work: Work, way: Way, hear: Hear) -> CallToolResult:
        arguments = {"account_id": work.account, **work.arguments}
        if way == "form":
            return await client.call_tool(work.tool, arguments, progress_callback=hear)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._approve, work)
            answer = await client.call_tool(work.tool, arguments, progress_callback=hear)
            tasks.cancel_scope.cancel()
        return answer

    async def _approve(self, work: Work) -> None:
        """At the desk, once it waits there."""
        while True:
            with suppress(PositionsError):
                for operation in await anyio.to_thread.run_sync(self._waiting):
                    if work.is_of(operation.plan):
                        await self.approve(operation.operation_id)
                        return
            await anyio.sleep(0.1)

    async def approve(self, operation_id: str) -> None:
        """A person's yes at the desk."""
        # Noted first: whether it was taken may stay unknown.
        self.decided(operation_id, "desk")
        await self.desk.approve(operation_id, PASSPHRASE)

    @asynccontextmanager
    async def client(
        self, case: Case, *, token: int | None = None, says: bool = True, call: int | None = None
    ) -> AsyncIterator[Client]:
        """A client whose every request goes to another replica; a session of the older era stays where it is.

        It is a caller that has not called for long, or the one of a `token`. Its person `says` yes or no, in the
        `call` that it is opened for.
        """

        async def person(_: object, asked: Any) -> ElicitResult:
            operation_id = _OPERATION.findall(asked.message)[0]
            self.decided(operation_id, "form", approved=says, call=call)
            await self.thinking(operation_id)
            return ElicitResult(action="accept", content={"approve": True}) if says else ElicitResult(action="decline")

        rotation = Rotation(self.cluster.ports, case.first, affinity=case.era == ERAS[0])
        secret = next(self._tokens) if token is None else self.cluster.tokens[token]
        headers = {"Authorization": f"Bearer {secret}"}
        async with httpx2.AsyncClient(transport=rotation, headers=headers, timeout=LONGEST_CALL_S) as http:
            transport = streamable_http_client("http://127.0.0.1/mcp", http_client=http)
            asks = person if case.way == "form" else None
            async with Client(transport, mode=case.era, elicitation_callback=asks) as client:
                yield client

    async def thinking(self, operation_id: str) -> None:
        """What happens while a person has the form before them."""

    def decided(
        self, operation_id: str, how: str, *, approved: bool = True, call: int | None = None, by: str = ""
    ) -> None:
        """Write down what a person said."""
        decision = {"operation_id": operation_id, "approved": approved, "how": how, "call": call, "by": by}
        self.story.decisions.append(decision)

    def breaking(self, case: Case) -> Callable[[int], Awaitable[object]]:
        """What happens at a step, to the replica of a number."""

        async def broken(number: int) -> None:
            replica = self.cluster.replicas[number]
            match case.fault:
                case "kill":
                    await anyio.to_thread.run_sync(replica.kill)
                case "cut":
                    await replica.database.cut()
                case "block":
                    replica.database.block()
                case "broker cut":
                    await replica.exchange.cut()
                case "broker torn":
                    replica.exchange.tear()
                case "broker gone":
                    replica.exchange.block()
                case "database":
                    await anyio.to_thread.run_sync(self.cluster.database.stop)

        return broken

    async def put_right(self) -> None:
        """Everything runs again."""
        await anyio.to_thread.run_sync(self.cluster.database.start)
        for replica in self.cluster.replicas:
            for link in (replica.database, replica.exchange):
                await link.unblock()
            if not replica.is_up:
                await anyio.to_thread.run_sync(replica.start)

    async def rolling_restart(self) -> None:
        """Every replica is told to stop and begins again, one after another."""
        for replica in self.cluster.replicas:
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
                    await client.call_tool("list_operations", {"account_id": self.cluster.accounts[0]})
            await anyio.sleep(1)
        for replica in self.cluster.replicas:
            await anyio.to_thread.run_sync(replica.stop)

    def _in_flight(self) -> bool:
        with psycopg.connect(self.cluster.database.url) as connection:
            found = connection.execute("SELECT count(*) FROM operation_rows WHERE content LIKE '%\"SENDING\"%'")
            return bool((found.fetchone() or (0,))[0])


CampaignT = TypeVar("CampaignT", bound=Campaign)


@asynccontextmanager
async def campaigning(cluster: Cluster, made: type[CampaignT], **said: Any) -> AsyncIterator[CampaignT]:
    """A campaign with an approver at the desk, who goes past every link and has these settings."""
    settings = load(
        {
            "data_dir": cluster.folder / "desk",
            "accounts": list(cluster.accounts),
            "store": {"url": cluster.database.url},
            "paper": {"url": cluster.exchange_url, "key": KEY},
            **said,
        }
    )
    with open_venue(settings) as venue, open_operations(settings) as store:
        async with venue.connect() as client:
            await venue.follow()
            deps = guard_dependencies(settings, client, venue.clock, store)
            desk = Supervisor(deps, hardness=QUICK)
            await desk.set_up_approver(PASSPHRASE)
            instruments = await cluster.instruments(cluster.accounts[0])
            campaign = made(cluster, instruments, desk, lambda: store.waiting(venue.real_time.now(), _MOST_WAITING))
            await campaign.begin(deps)
            yield campaign


async def history(cluster: Cluster, story: Story) -> dict[str, Any]:
    """What every witness saw, for the checker."""
    orders = [order for account in cluster.accounts for order in await cluster.orders(account)]
    effects = (await cluster.asked("/paper/effects"))["effects"]
    verified = await anyio.to_thread.run_sync(_verified, cluster)
    record = await anyio.to_thread.run_sync(records_of, cluster.database)
    return {
        **record,
        "exchange": {"effects": effects, "orders": orders},
        "wire": cluster.wire,
        "arrived": cluster.arrived,
        **vars(story),
        "verified": verified,
    }


def kept(record: dict[str, Any], file: Path) -> Path:
    """The history as a file, for the checker."""
    file.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return file


def _verified(cluster: Cluster) -> dict[str, Any]:
    with closing(SqlOperationStore(cluster.database.url, migrations=(*MIGRATIONS, *schemas(cluster.later)))) as store:
        found = store.verify()
    return {"intact": found.intact, "problem": found.problem}


def _text(answer: CallToolResult) -> str:
    return "\n".join(getattr(each, "text", "") for each in answer.content)


def _data(answer: CallToolResult) -> dict[str, Any]:
    data = answer.structured_content or {}
    return {name: data[name] for name in ("operation_id", "state", "sent") if name in data}
