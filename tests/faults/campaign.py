"""One run of the fault campaign: an approved plan, a fault at the exchange, a crash of the program; then the truth.

The exchange is the real paper exchange behind the real client, and the store is real SQLite. What the exchange has
done is counted on its own side. After the crash everything is opened again from the disk, time passes, and the same
plan is tried once more.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn, cast

import anyio
import httpx

from beginnings import begin_book, begin_with, contents_of, store_in
from faults.promises import closed_again, contradictions
from positions_mcp.api import PositionsClient
from positions_mcp.cli.assembly.paper_transport import PaperTransport
from positions_mcp.clock import RandomIds
from positions_mcp.domain.errors import PositionsError
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.dependencies import Checkpoint, Dependencies, no_checkpoint
from positions_mcp.guard.guard import Guard
from positions_mcp.guard.supervisor import Supervisor
from positions_mcp.market_calendar import NewYorkCalendar
from positions_mcp.paper import DEFAULT_ACCOUNT, DEFAULT_KEY, PaperExchange
from positions_mcp.signing.keys import ScryptCost

ACCOUNT = AccountId(DEFAULT_ACCOUNT)
TESTS = Path(__file__).parents[1]
CALLER = "the campaign"
PASSPHRASE = "correct horse battery staple"
FRIDAY = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
"""10:30 in New York, the market open."""
LATER = timedelta(minutes=4)
"""Longer than any lease: what a dead process had in flight is then known to be unknown."""
TRADEABLE = ("AMZN", "GOOG", "JPM", "KO", "XOM")
"""Long positions of the demo scenario that cover nothing."""

FAULTS = (
    "none", "refuse", "delay", "delay_before_effect", "drop_before_effect", "drop_after_effect", "truncated_body",
    "non_json_body", "empty_204", "missing_order", "changed_quantity", "unknown_fields", "status_301", "status_400",
    "status_403", "status_408", "status_409", "status_429", "status_500", "status_502", "status_503",
    "repeated_row", "foreign_row", "contradicting_side", "reject_order", "reject_order_later", "partial_fills",
    "stale_positions", "stale_orders", "unlisted_orders", "delisted_orders",
)  # fmt: skip
STANDING = {
    "stale_positions": "get_positions",
    "stale_orders": "get_orders",
    "unlisted_orders": "get_orders",
    "delisted_orders": "get_orders",
}
"""Faults of what is read, by the operation they strike: they stand until a new close has been tried too."""
UNREADABLE_AFTER_EFFECT = ("status_301", "status_408", "status_500", "status_502", "status_503")
"""Statuses that leave open whether there was an effect. An exchange that refuses readably has had none."""
CRASHES = ("none", "claimed", "read again", "sending journalled", "answered", "outcome journalled")
KINDS = ("close_positions", "close_all_positions")


@dataclass(frozen=True)
class Case:
    """What one run goes through. `crash_at` counts from 1: at which passing of the crash point the program dies."""

    kind: str
    fault: str
    crash: str
    crash_at: int = 1
    instruments: tuple[str, ...] = ("KO", "XOM")
    cancel_orders: bool = True
    after_effect: bool = False

    @classmethod
    def read(cls, text: str) -> Case:
        """A case from what `written` gave."""
        fields = json.loads(text)
        return cls(**{**fields, "instruments": tuple(fields["instruments"])})

    @property
    def written(self) -> str:
        """The case as JSON, for another process."""
        return json.dumps(asdict(self))

    @property
    def endpoint(self) -> str:
        """The operation of the API that the plan's kind uses."""
        return "close_position" if self.kind == "close_positions" else "close_positions"

    @classmethod
    def drawn(cls, draw: random.Random) -> Case:
        """A case at random."""
        fault = draw.choice(FAULTS)
        return cls(
            kind=draw.choice(KINDS),
            fault=fault,
            crash=draw.choice(CRASHES),
            crash_at=draw.randint(1, 2),
            instruments=tuple(draw.sample(TRADEABLE, draw.randint(1, 4))),
            cancel_orders=draw.random() < 0.5,
            after_effect=fault in UNREADABLE_AFTER_EFFECT and draw.random() < 0.5,
        )


@dataclass
class Truth:
    """What was found after one run. `broken` names every promise that did not hold: none is the aim."""

    state: str = ""
    crashed: bool = False
    effects: int = 0
    broken: list[str] = field(default_factory=list)


class Crash(BaseException):
    """The program dies here."""


@dataclass
class Clock:
    at: datetime = FRIDAY

    def now(self) -> datetime:
        return self.at


class MortalStore:
    """A store that a dead program no longer reaches."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        if self.dead:
            raise Crash
        return getattr(self._store, name)


class Reaper:
    """A checkpoint at which the program dies, at its n-th passing."""

    def __init__(self, case: Case, store: MortalStore) -> None:
        self._case, self._store, self._passed = case, store, 0

    async def __call__(self, name: str, _operation_id: str) -> None:
        self._passed += name == self._case.crash
        if self._passed == self._case.crash_at and name == self._case.crash:
            self.die()

    def die(self) -> NoReturn:
        self._store.dead = True
        raise Crash


async def no_pause(_seconds: float) -> None:
    """Waiting takes no time here."""


@asynccontextmanager
async def exchange_in(folder: Path, clock: Clock) -> AsyncIterator[PaperExchange]:
    """The paper exchange of a run. A delay at it is longer than the client waits."""

    async def endless(_seconds: float) -> None:
        await anyio.sleep_forever()

    begin_book(folder / "paper", "demo", clock)
    exchange = PaperExchange.open(folder / "paper", scenario="demo", clock=clock, sleeper=endless)
    try:
        yield exchange
    finally:
        exchange.close()


def parts_of(
    exchange: PaperExchange, client: PositionsClient, store: Any, clock: Clock, checkpoint: Checkpoint = no_checkpoint
) -> Dependencies:
    """A guard's parts over one exchange and store."""
    return Dependencies(
        mode=Mode.PAPER,
        policy=Policy(trading_enabled=True, accounts=frozenset({ACCOUNT}), halt_after=None),
        store=store,
        positions=client,
        orders=client,
        order_writer=client,
        instructions=client,
        clock=clock,
        market_clock=exchange.clock,
        calendar=NewYorkCalendar(),
        ids=RandomIds(),
        write_timeout=timedelta(seconds=0.3),
        sleep=no_pause,
        checkpoint=checkpoint,
    )


def client_of(exchange: PaperExchange) -> PositionsClient:
    """The production client on the exchange."""
    transport = cast("httpx.AsyncBaseTransport", PaperTransport(exchange))
    return PositionsClient(
        "http://localhost",
        DEFAULT_KEY,
        transport=transport,
        clock=exchange.clock,
        sleep=no_pause,
        write_timeout_s=0.2,
    )


_APPROVED: dict[tuple[Any, ...], tuple[str, dict[Path, bytes]]] = {}
"""What `approved_plan` left behind: cases that ask for the same begin with a copy of it."""


async def approved_plan(case: Case, folder: Path, clock: Clock) -> str:
    """Plan, and approve as the supervisor. Returns the operation's id."""
    asked = (case.kind, case.instruments, case.cancel_orders, clock.at)
    if asked not in _APPROVED:
        _APPROVED[asked] = await _approve_plan(case, folder, clock), contents_of(folder)
    operation_id, left = _APPROVED[asked]
    for file, contents in left.items():
        begin_with(folder / file, contents)
    return operation_id


async def _approve_plan(case: Case, folder: Path, clock: Clock) -> str:
    async with exchange_in(folder, clock) as exchange, client_of(exchange) as client:
        store = store_in(folder / "operations.sqlite")
        try:
            parts = parts_of(exchange, client, store, clock)
            async with Guard(parts) as guard:
                everything = case.kind != "close_positions"
                request = CloseRequest(
                    account_id=ACCOUNT,
                    instruments=None if everything else tuple(case.instruments),
                    everything=everything,
                    cancel_orders=case.cancel_orders,
                )
                planned = await guard.plan(request, caller=CALLER)
                operation = await guard.ask(planned.operation)
            supervisor = Supervisor(parts, hardness=ScryptCost(n=2**4))
            await supervisor.set_up_approver(PASSPHRASE)
            await supervisor.approve(operation.operation_id, PASSPHRASE)
            return operation.operation_id
        finally:
            store.close()


async def run(case: Case, folder: Path) -> Truth:
    """One run in this process, from plan to truth."""
    clock, truth = Clock(), Truth()
    operation_id = await approved_plan(case, folder, clock)
    async with exchange_in(folder, clock) as exchange, client_of(exchange) as client:
        arm(exchange, case)
        store = store_in(folder / "operations.sqlite")
        mortal = MortalStore(store)
        try:
            async with Guard(parts_of(exchange, client, mortal, clock, Reaper(case, mortal))) as guard:
                await guard.send_approved(operation_id, caller=CALLER)
        except (Crash, BaseExceptionGroup):
            truth.crashed = mortal.dead
            if not mortal.dead:
                raise
        except PositionsError:
            pass
        finally:
            store.close()
    await find_out(operation_id, folder, clock, truth)
    return truth


def arm(exchange: PaperExchange, case: Case) -> None:
    """Arm the fault of a case for the next request that would close something."""
    if case.fault in STANDING:
        exchange.arm(case.fault, STANDING[case.fault], **({"seconds": 3600} if "stale" in case.fault else {}))
    elif case.fault != "none":
        exchange.arm(case.fault, case.endpoint, **({"after_effect": True} if case.after_effect else {}))


async def run_killed(case: Case, folder: Path, *, after_s: float | None = None) -> Truth:
    """One run in a process of its own that ends by SIGKILL: at the crash point, or `after_s` seconds into sending."""
    clock, truth = Clock(), Truth()
    operation_id = await approved_plan(case, folder, clock)
    command = [sys.executable, "-m", "faults.victim", str(folder), operation_id, case.written]
    async with await anyio.open_process(command, cwd=TESTS, stdout=subprocess.PIPE) as victim:
        assert victim.stdout is not None
        await victim.stdout.receive()
        if after_s is not None:
            await anyio.sleep(after_s)
            with suppress(ProcessLookupError):  # it was done before
                victim.kill()
        truth.crashed = await victim.wait() == -signal.SIGKILL
    await find_out(operation_id, folder, clock, truth)
    return truth


async def find_out(operation_id: str, folder: Path, clock: Clock, truth: Truth) -> None:
    """Open everything anew, let time pass, try the plan again, and compare both sides' records."""
    async with exchange_in(folder, clock) as exchange, client_of(exchange) as client:
        before = Counter(exchange.effect_counts())
        clock.at += LATER
        store = store_in(folder / "operations.sqlite")
        try:
            async with Guard(parts_of(exchange, client, store, clock)) as guard:
                truth.broken += await closed_again(operation_id, guard, store, exchange, caller=f"{CALLER}, again")
                exchange.disarm()
                try:
                    await guard.send_approved(operation_id, caller=CALLER)
                    truth.broken.append("an operation that was over was sent again")
                except PositionsError:
                    pass
                report = await guard.operation(operation_id)
            operation = store.operation(operation_id)
            assert operation is not None
            truth.state = report.state
            truth.effects = sum(before.values())
            if Counter(exchange.effect_counts()) != before:
                truth.broken.append("trying again had an effect")
            truth.broken += contradictions(operation, exchange)
            if not store.verify().intact:
                truth.broken.append("the journal does not verify")
        finally:
            store.close()
