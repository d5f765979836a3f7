"""What the inner rooms need from the outer ones, as Protocols.

Tools and guard depend on these and on `domain`, never on HTTP or a database. `cli` chooses who implements them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime
from typing import Protocol

from positions_mcp.domain.ids import AccountId, InstructionId, InstrumentId, OrderId
from positions_mcp.domain.instructions import Instruction, InstructionRequest
from positions_mcp.domain.orders import Order
from positions_mcp.domain.positions import Book
from positions_mcp.domain.records import Response
from positions_mcp.domain.sessions import MarketState, Session

OnPage = Callable[[int, int | None], Awaitable[None]]
"""Told (rows read so far, total rows or None) after each page of a listing."""


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...


class Ids(Protocol):
    """Makes identifiers."""

    def new(self) -> str:
        """A new UUID in its canonical lower-case form."""
        ...


class MarketCalendar(Protocol):
    """Knows the New York trading sessions."""

    def session_on(self, day: date) -> Session | None:
        """The regular session of `day`, or None on a weekend or holiday."""
        ...

    def next_session(self, day: date) -> Session:
        """The first session on `day` or after it."""
        ...

    def previous_session(self, day: date) -> Session:
        """The last session strictly before `day`."""
        ...

    def state_at(self, instant: datetime) -> MarketState:
        """Whether the market is in its regular session at `instant`, and which session comes next."""
        ...


class PositionsReader(Protocol):
    """Reads what an account holds."""

    async def read_book(
        self,
        account_id: AccountId,
        *,
        instrument_ids: Sequence[InstrumentId] = (),
        on_page: OnPage | None = None,
    ) -> Book:
        """All positions of the account, or those of the named instruments, over every page.

        Duplicates are dropped; the listing is read again once if its total changes under it, and is marked
        inconsistent if it still disagrees. `on_page` is told (rows read, total rows or None) after each page.

        Raises:
            UpstreamError: the API did not answer usably.
        """
        ...


class OrdersReader(Protocol):
    """Reads orders. An account or a deployment may refuse this: callers carry on without."""

    async def read_orders(
        self,
        account_id: AccountId,
        *,
        order_ids: Sequence[OrderId] = (),
        instrument_ids: Sequence[InstrumentId] = (),
        since: datetime | None = None,
    ) -> tuple[Order, ...]:
        """The account's orders over every page, filtered by whatever is given. Raises UpstreamError."""
        ...


class OrderWriter(Protocol):
    """Sends closes. Each call is at most one request and is never repeated by the implementation.

    Raises, by what is known of the effect: NothingSent (nothing left), RequestRejected (sent, no effect),
    OutcomeUnknown (sent, effect not known).
    """

    async def close_position(
        self, account_id: AccountId, instrument_id: InstrumentId, cancel_orders: bool | None = None
    ) -> Response[list[Order]]:
        """Close one position. Answers the orders generated: a list even for one."""
        ...

    async def close_positions(self, account_id: AccountId, cancel_orders: bool | None = None) -> Response[list[Order]]:
        """Close every position of the account. Answers the orders generated."""
        ...


class InstructionsReader(Protocol):
    """Reads exercise instructions."""

    async def get_position_instructions(
        self, account_id: AccountId, instrument_id: str | None = None
    ) -> Response[list[Instruction]]:
        """The account's instructions, or those of one contract (UUID or OSI symbol). Raises UpstreamError."""
        ...


class InstructionWriter(Protocol):
    """Sends instructions and cancels. One request a call, never repeated; raises as OrderWriter does."""

    async def submit_position_instructions(
        self, account_id: AccountId, instructions: Sequence[InstructionRequest]
    ) -> Response[list[Instruction]]:
        """Submit a batch. 200 and 207 answer rows; so does a refusal that carries rows (`status` tells)."""
        ...

    async def cancel_position_instruction(
        self, account_id: AccountId, instruction_id: InstructionId
    ) -> Response[Instruction]:
        """Ask for one instruction, by the server's id, to be cancelled. Answers it as CANCEL_REQUESTED."""
        ...
