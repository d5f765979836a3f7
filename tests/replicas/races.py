"""Races: people and servers decide the same operation at the same moment, in every order, each over a store of its own.

A session of the test holds what every write waits for, lets each of them queue in turn, and then lets go: so the order
in which PostgreSQL serves them is the order that was asked for. What each was told is judged against the journal.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

import anyio
import anyio.to_thread
import psycopg
from mcp import Client
from mcp_types import CallToolResult

from positions_mcp.domain.errors import PositionsError, Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.roster import ANYTHING, FIRST_NAME, Member, Rights
from positions_mcp.domain.operation.statements import TERMINAL
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.enrolling import adding_member, removing_member
from positions_mcp.guard.supervisor import Supervisor
from positions_mcp.signing.keys import new_key
from positions_mcp.store.operations import SqlOperationStore
from replicas.campaign import Campaign, Case, Hear, Way, Work
from trading import ERAS, PASSPHRASE, QUICK

BEN = "the passphrase of Ben"
_ALL = 7_019_817
"""What PostgreSQL calls the turn to write about everything."""
_QUEUED_WITHIN_S = 0.4
_LOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = 'proof'"
Gate = Literal["all", "account", "none"]
GATES: tuple[Gate, ...] = ("all", "account", "none")


@dataclass(frozen=True)
class Race:
    """Who takes part, in the order in which they come."""

    actors: tuple[str, ...]
    gate: Gate
    era: str
    halted: bool = False
    """Whether everything is halted before."""
    after_s: float = 0
    """How long a server has it before the next ones come."""


SETS: tuple[tuple[tuple[str, ...], bool], ...] = (
    (("yes", "yes again", "no", "halt"), False),
    (("form", "yes", "no", "halt"), False),
    (("form", "agent halts", "account halts"), False),
    (("yes", "agent halts", "account halts", "halt"), False),
    (("yes", "expires", "no"), False),
    (("form", "expires", "no"), False),
    (("yes", "resume", "no"), True),
    (("form", "resume", "halt"), True),
    (("yes", "resume", "resume again", "halt"), True),
    (("yes", "new passphrase"), False),
    (("yes of Ben", "Ben goes"), False),
    (("yes of Ben", "yes", "Ben goes"), False),
)
ON_ITS_WAY: tuple[tuple[str, ...], ...] = (
    ("yes", "server", "halt"),
    ("yes", "server", "account halts", "no"),
    ("yes", "server", "agent halts", "resume"),
    ("yes", "server", "lease ends"),
    ("form", "server", "lease ends"),
    ("form", "server", "halt", "resume"),
    ("yes of Ben", "server", "Ben goes"),
    ("yes", "server", "new passphrase"),
)
"""What comes while a server has it, which is at another step each time."""
TIMES = 12
BY_TWO: tuple[tuple[tuple[str, ...], bool], ...] = (
    (("yes", "yes of Ben"), False),
    (("yes", "yes again", "yes of Ben"), False),
    (("yes", "yes of Ben", "no"), False),
    (("yes", "yes of Ben", "halt"), False),
    (("yes", "yes of Ben", "Ben goes"), False),
    (("yes", "yes of Ben", "new passphrase"), False),
)


def races(by_two: bool) -> list[Race]:
    """Every order of each set, at each gate."""
    turn = itertools.count()
    return [
        Race(order, gate, ERAS[next(turn) % 2], halted)
        for actors, halted in (BY_TWO if by_two else SETS)
        for gate in GATES
        for order in itertools.permutations(actors)
    ] + [
        Race(actors, gate, ERAS[next(turn) % 2], after_s=0.012 * time)
        for actors in (() if by_two else ON_ITS_WAY)
        for gate in GATES[::2]
        for time in range(TIMES)
    ]


class Racing(Campaign):
    """One operation after another, each decided by several at once."""

    persons: Sequence[Supervisor] = ()
    stores: Sequence[SqlOperationStore] = ()
    passphrase = PASSPHRASE

    async def begin(self, deps: Dependencies) -> None:
        """Everybody has a store of their own; Ben may approve too."""
        url = self.cluster.database.url
        self.stores = [SqlOperationStore(url) for _ in range(4)]
        self.persons = [Supervisor(replace(deps, store=store), hardness=QUICK) for store in self.stores]
        self.story.by_two = deps.policy.two_persons_above is not None
        await self._ben_comes()

    async def settle(self) -> None:
        """As any campaign; then everybody gives up their store."""
        await super().settle()
        for store in self.stores:
            store.close()

    async def _ben_comes(self) -> None:
        key = new_key(BEN, datetime.now(UTC), hardness=QUICK).key
        ben = Member(name="Ben", credentials=(key,), rights=(Rights(approves=ANYTHING),))
        with suppress(Refused):
            await self.desk.enrolling.with_passphrase(adding_member(ben), FIRST_NAME, self.passphrase, origin=TERMINAL)

    async def race(self, number: int, race: Race) -> None:
        """Ask for one thing, let all of them come, and put everything as it was."""
        self.work, self.now, self.token = next(self._free), race, number % len(self.cluster.tokens)
        way: Way = "form" if "form" in race.actors else "desk"
        async with anyio.create_task_group() as self.tasks:
            await self.ask(self.work, Case("none", era=race.era, way=way, first=number))
        await self._all_resume()
        if "Ben goes" in race.actors:
            await self._ben_comes()

    @asynccontextmanager
    async def client(self, case: Case, *, token: int | None = None, **named: Any) -> AsyncIterator[Client]:
        """The caller of this race."""
        async with super().client(case, token=self.token if token is None else token, **named) as client:
            yield client

    async def thinking(self, operation_id: str) -> None:
        """The others come while the form is open, and the answer when it is its turn."""
        answered = anyio.Event()
        self.tasks.start_soon(self._all_come, operation_id, answered)
        await answered.wait()

    async def _all_resume(self) -> None:
        with suppress(Refused):
            await self.persons[3].resume(self.passphrase, by="race", name=FIRST_NAME)

    async def approve(self, operation_id: str) -> None:
        """All of them, once it waits at the desk."""
        self.tasks.start_soon(self._all_come, operation_id, anyio.Event())

    async def _asking(self, client: Client, work: Work, way: Way, hear: Hear) -> CallToolResult:
        async with anyio.create_task_group() as tasks:
            if way == "desk":
                tasks.start_soon(self._approve, work)
            answer = await client.call_tool(
                work.tool, {"account_id": work.account, **work.arguments}, progress_callback=hear
            )
            tasks.cancel_scope.cancel()
        return answer

    async def _all_come(self, operation_id: str, answered: anyio.Event) -> None:
        race, work = self.now, self.work
        if race.halted:
            await self.persons[3].halt("before", by="race")
        async with anyio.create_task_group() as tasks:
            with psycopg.connect(self.cluster.database.url) as gate:
                await anyio.to_thread.run_sync(hold, gate, race.gate, f"paper:{work.account}")
                for actor in race.actors:
                    waiting = await anyio.to_thread.run_sync(self._queued)
                    if actor == "form":
                        answered.set()
                    elif actor == "server":
                        gate.rollback()
                        await self._until_taken(operation_id)
                        await anyio.sleep(race.after_s)
                        await anyio.to_thread.run_sync(hold, gate, race.gate, f"paper:{work.account}")
                    else:
                        tasks.start_soon(self._act, actor, operation_id, work)
                    if race.gate != "none":
                        await self._until_queued(waiting)
                gate.rollback()

    async def _until_taken(self, operation_id: str) -> None:
        with anyio.move_on_after(3):
            while True:
                operation = await anyio.to_thread.run_sync(self.stores[3].operation, operation_id)
                if operation is not None and not operation.stage.is_open:
                    return
                await anyio.sleep(0.005)

    async def _until_queued(self, before: int) -> None:
        with anyio.move_on_after(_QUEUED_WITHIN_S):
            while await anyio.to_thread.run_sync(self._queued) <= before:  # noqa: ASYNC110 — nobody tells
                await anyio.sleep(0.01)

    def _queued(self) -> int:
        with psycopg.connect(self.cluster.database.url, autocommit=True) as looking:
            return int((looking.execute(_LOCKED).fetchone() or (0,))[0])

    async def _act(self, actor: str, operation_id: str, work: Work) -> None:
        told: dict[str, Any] = {"operation": operation_id, "actor": actor, "began": anyio.current_time()}
        self.story.acts.append(told)
        try:
            told["told"] = str(await self._acting(actor, operation_id, work))[:300]
            told["done"] = True
        except PositionsError as error:
            told |= {"told": error.message, "done": False, "refused": isinstance(error, Refused)}
        told["ended"] = anyio.current_time()

    def _acting(self, actor: str, operation_id: str, work: Work) -> Awaitable[object]:
        one, two, three, four = self.persons
        if actor.startswith("yes"):
            ben = actor == "yes of Ben"
            self.decided(operation_id, "desk", by="Ben" if ben else FIRST_NAME)
            who, passphrase = (one if actor == "yes" else two), (BEN if ben else self.passphrase)
            return who.approve(operation_id, passphrase, name="Ben" if ben else FIRST_NAME)
        acts: dict[str, Callable[[], Awaitable[object]]] = {
            "no": partial(three.reject, operation_id, by=FIRST_NAME),
            "halt": partial(three.halt, "race", by="race"),
            "account halts": partial(two.halt, "race", by="race", account_id=AccountId(work.account)),
            "agent halts": self._agent_halts,
            "resume": partial(four.resume, self.passphrase, by="race", name=FIRST_NAME),
            "resume again": partial(three.resume, self.passphrase, by="race", name=FIRST_NAME),
            "expires": self._time_passes,
            "lease ends": self._time_passes,
            "Ben goes": self._ben_goes,
            "new passphrase": self._changes_passphrase,
        }
        return acts[actor]()

    async def _time_passes(self) -> None:
        """For another server, whose clock is so far ahead."""
        await anyio.to_thread.run_sync(self.stores[3].expire, datetime.now(UTC) + timedelta(minutes=6))

    async def _ben_goes(self) -> None:
        change = self.persons[3].enrolling.with_passphrase
        await change(removing_member("Ben"), FIRST_NAME, self.passphrase, origin=TERMINAL)

    async def _changes_passphrase(self) -> None:
        new = f"{PASSPHRASE} {len(self.story.acts)}"
        await self.persons[3].replace_approver(self.passphrase, new, name=FIRST_NAME)
        self.passphrase = new

    async def _agent_halts(self) -> str:
        case = Case("none", era=ERAS[1], way="desk", first=len(self.story.acts))
        async with self.client(case, token=self.token) as client:
            answer = await client.call_tool("halt_trading", {"reason": "race"})
            if answer.is_error:
                raise Refused(str(answer.content))
            return str(answer.structured_content)


def hold(session: psycopg.Connection[Any], gate: Gate, chain: str) -> None:
    """Keep everybody from writing, or whoever writes about an account."""
    if gate == "all":
        session.execute("SELECT pg_advisory_xact_lock(%s)", (_ALL,))
    elif gate == "account":
        session.execute("SELECT 1 FROM chains WHERE chain = %s FOR UPDATE", (chain,))
