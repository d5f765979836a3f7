"""What the guard works with: the ports, the limits, and the clocks; the store, which blocks, from worker threads."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Mode, Plan
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.states import RowState
from positions_mcp.domain.text import quoted
from positions_mcp.guard.threads import in_thread
from positions_mcp.ports import (
    Clock,
    Ids,
    InstructionsReader,
    InstructionWriter,
    MarketCalendar,
    Neighbours,
    OperationStore,
    OrderCanceller,
    OrdersReader,
    OrderWriter,
    PositionsReader,
)

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_LIFE = secrets.token_hex(4)
"""Tells a process from an earlier one with its number: the first of a container has the same one always."""

Checkpoint = Callable[[str, str], Awaitable[None]]
"""Told (name, operation id) between any two steps a process may die between. Tests let it die there."""


async def no_checkpoint(_name: str, _operation_id: str) -> None:
    """Nothing happens between two steps."""


def process_name() -> str:
    """This process for others to see: host, process id with what is its alone, and the machine's boot where known."""
    boot = _BOOT_ID.read_text(encoding="ascii").strip()[:8] if _BOOT_ID.exists() else "-"
    return f"{socket.gethostname()}:{os.getpid()}.{_LIFE}:{boot}"


class DeskAddress(Protocol):
    """Where the supervisor's page is. It is opened when somebody first needs it."""

    @property
    def own_url(self) -> str | None:
        """The address of the page that this process serves; None while it serves none."""

    async def open(self) -> str | None:
        """The address of a page on this store, opened here if there is none; None where it cannot be."""


class Decided:
    """Tells this process at once that a decision was stored here; of those elsewhere it learns by looking."""

    def __init__(self) -> None:
        self._next = anyio.Event()

    def tell(self) -> None:
        told, self._next = self._next, anyio.Event()
        told.set()

    @property
    def next(self) -> anyio.Event:
        """Set by the next decision. Taken before looking, so that none is missed in between."""
        return self._next


@dataclass(slots=True)
class OrderFilters:
    """What the API has shown that orders can be asked for by."""

    by_status: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """One for a guard. `clock` is real time (expiry, leases); `market_clock` is the exchange's (days, sessions)."""

    mode: Mode
    policy: Policy
    store: OperationStore
    positions: PositionsReader
    orders: OrdersReader | None
    """None where a deployment refuses them: the guard says so and carries on with the book."""
    order_writer: OrderWriter
    order_canceller: OrderCanceller | None = None
    """None where orders cannot be cancelled."""
    instructions: InstructionsReader | None
    instruction_writer: InstructionWriter | None = None
    """None where instructions are only read."""
    neighbours: Neighbours = field(default_factory=Neighbours)
    """Contracts, market, balances and events, as far as they can be read."""
    clock: Clock
    market_clock: Clock
    calendar: MarketCalendar
    ids: Ids
    process: str = field(default_factory=process_name)
    write_timeout: timedelta = timedelta(seconds=30)
    reading: timedelta = timedelta(seconds=15)
    """How long one reading of an account may take a call that only looks, with every request and retry of it."""
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    checkpoint: Checkpoint = no_checkpoint
    order_filters: OrderFilters = field(default_factory=OrderFilters)
    decided: Decided = field(default_factory=Decided)
    taken: dict[str, Operation] = field(default_factory=dict)
    """What a form approved here, by its id, while its account is read again: the yes is stored with the request."""
    unrecorded: dict[str, Operation] = field(default_factory=dict)
    """What was sent here and is over, by its id, while the store does not take what became of it."""
    desk: DeskAddress | None = None
    """The supervisor's page; None where none may be opened."""
    command: Callable[[str], str] = "positions-mcp {}".format
    """Words a command for a person, such as `approver init`, as it is pasted into a terminal."""

    def policy_of(self, plan: Plan) -> Policy:
        """The limits in force for a plan: of the common ones and its account's, caller's and rights' the narrowest."""
        return self.policy.of(plan)

    def check_account(self, account_id: AccountId) -> None:
        """Raise InvalidInput unless the account may be used."""
        if account_id not in self.policy.accounts:
            allowed = ", ".join(str(account) for account in sorted(self.policy.accounts)) or "none"
            raise InvalidInput(f"Account {account_id} may not be used.", hint=f"Allowed: {allowed}.")

    async def operation(self, operation_id: str) -> Operation:
        return await in_thread(self.stored_operation, operation_id)

    def stored_operation(self, operation_id: str) -> Operation:
        """The same. Blocking."""
        operation = self.store.operation(operation_id)
        if operation is None or operation.plan.mode is not self.mode:
            raise self._no_operation(operation_id)
        return self.as_known(operation)

    def as_known(self, operation: Operation) -> Operation:
        """An operation as it is stored; or as this process knows it, while nobody else has decided or settled it."""
        if operation.stage.is_open:
            return self.taken.get(operation.operation_id, operation)
        ended = self.unrecorded.get(operation.operation_id)
        if ended is None or not any(row.is_not_known for row in operation.rows):
            return operation
        is_stored = [not row.is_not_known and row.state is not RowState.NOT_SENT for row in operation.rows]
        both = zip(is_stored, operation.rows, ended.rows, strict=True)
        return ended.changed(rows=tuple(stored if known else mine for known, stored, mine in both))

    async def usable_operation(self, operation_id: str) -> Operation:
        """A stored operation of an account that may be used. Of others a caller learns no more than of none."""
        operation = await self.operation(operation_id)
        if operation.plan.account_id not in self.policy.accounts:
            raise self._no_operation(operation_id)
        return operation

    def _no_operation(self, operation_id: str) -> InvalidInput:
        return InvalidInput(
            f"There is no {self.mode} operation {quoted(operation_id, 40)}.",
            hint="list_operations names the recent ones.",
        )
