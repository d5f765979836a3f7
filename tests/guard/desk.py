"""A guard over the small exchange and a real store, with what tests need to look behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from beginnings import store_in
from guard.exchange import ACCOUNT, CountingIds, Exchange, StandingClock, held
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.guard.asking import CanShow
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.dependencies import Checkpoint, Dependencies, no_checkpoint
from positions_mcp.guard.guard import Guard
from positions_mcp.guard.planner import Planned
from positions_mcp.guard.reports import OperationReport
from positions_mcp.guard.supervisor import Supervisor
from positions_mcp.market_calendar import NewYorkCalendar
from positions_mcp.signing.keys import ScryptCost
from positions_mcp.store import open_store
from positions_mcp.store.operations import SqlOperationStore

CALLER = "stdio root Claude"
FORM = CanShow(form=True, link=False)
PASSPHRASE = "correct horse battery staple"
QUICK = ScryptCost(n=2**4)
"""scrypt that a test does not wait for."""

AAPL, TSLA, MSFT = 1, 2, 3


def usual_positions() -> tuple[Any, ...]:
    return (
        held("AAPL", 100, price="150.50", number=AAPL),
        held("TSLA", -50, price="180.00", number=TSLA),
        held("MSFT", 10, price="400.00", number=MSFT),
    )


@dataclass(slots=True)
class Desk:
    """Everything about one guard."""

    guard: Guard
    supervisor: Supervisor
    exchange: Exchange
    store: SqlOperationStore
    clock: StandingClock
    parts: Dependencies
    pauses: list[float] = field(default_factory=list)

    async def plan(
        self,
        *instruments: str,
        cancel_orders: bool = False,
        caller: str = CALLER,
        create: bool = True,
        rights: tuple[str, ...] = (),
    ) -> Planned:
        """Plan to close the named instruments; none named means everything."""
        request = self.request(*instruments, cancel_orders=cancel_orders)
        return await self.guard.plan(request, caller=caller, create=create, rights=rights)

    @staticmethod
    def request(*instruments: str, cancel_orders: bool = False) -> CloseRequest:
        """The arguments of a close; no name means everything."""
        return CloseRequest(
            account_id=ACCOUNT,
            instruments=instruments or None,
            everything=not instruments,
            cancel_orders=cancel_orders,
        )

    async def asked(self, *instruments: str, **options: Any) -> Operation:
        """A plan that has been put before a person."""
        planned = await self.plan(*instruments, **options)
        return await self.guard.ask(planned.operation)

    async def close(self, *instruments: str, **options: Any) -> OperationReport:
        """Plan, ask, and a yes in the client."""
        operation = await self.asked(*instruments, **options)
        return await self.guard.send_elicited(operation, caller=CALLER, client="Claude")

    async def approved_at_desk(self, *instruments: str, **options: Any) -> Operation:
        """Plan, ask, and a signed yes at the desk."""
        if self.store.rosters().roster is None:
            await self.supervisor.set_up_approver(PASSPHRASE)
        operation = await self.asked(*instruments, **options)
        await self.supervisor.approve(operation.operation_id, PASSPHRASE)
        return operation

    def events(self) -> list[str]:
        return [entry.event for entry in self.store.journal()]


POLICY = Policy(trading_enabled=True, accounts=frozenset({ACCOUNT}))


@asynccontextmanager
async def desk(
    folder: Path,
    *,
    policy: Policy = POLICY,
    positions: Sequence[Any] | None = None,
    exchange: Exchange | None = None,
    clock: StandingClock | None = None,
    mode: Mode = Mode.PAPER,
    checkpoint: Checkpoint = no_checkpoint,
    place: Path | str | None = None,
    **options: Any,
) -> AsyncIterator[Desk]:
    """Open a guard; closing it drains the executor."""
    clock = clock or StandingClock()
    if exchange is None:
        exchange = Exchange(clock)
        exchange.hold(*(usual_positions() if positions is None else positions))
    store = open_store(place) if place else store_in(folder / "operations.sqlite")
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.advance(timedelta(seconds=seconds))

    parts = Dependencies(
        **{
            "mode": mode,
            "policy": policy,
            "store": store,
            "positions": exchange,
            "orders": exchange,
            "order_writer": exchange,
            "order_canceller": exchange,
            "instructions": exchange,
            "clock": clock,
            "market_clock": clock,
            "calendar": NewYorkCalendar(),
            "ids": CountingIds(),
            "sleep": sleep,
            "checkpoint": checkpoint,
            **options,
        }
    )
    try:
        async with Guard(parts) as guard:
            yield Desk(guard, Supervisor(parts, hardness=QUICK), exchange, store, clock, parts, pauses)
    finally:
        store.close()


def dollars(text: str) -> Decimal:
    return Decimal(text)
