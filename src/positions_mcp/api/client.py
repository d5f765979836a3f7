"""The client: one method for each operation of the API, under the API's own names."""

from __future__ import annotations

import random as random_module
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from operator import attrgetter
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypeVar, get_args

import anyio

from positions_mcp.api import _requests
from positions_mcp.api._book import gather
from positions_mcp.api._calls import Calls
from positions_mcp.api._endpoint import Endpoint
from positions_mcp.api._http import Connection, Request
from positions_mcp.api._listing import Listing, Pages
from positions_mcp.api._ordinary import OrdinaryPositions, read_holdings
from positions_mcp.api._retry import ReadBudget
from positions_mcp.api._wire import RowReader
from positions_mcp.clock import SystemClock
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Book, Holding, Position, Reading, Whole
from positions_mcp.domain.enums import OrderStatus, PositionSortKey, SortDirection
from positions_mcp.domain.errors import ConfigurationError, InconsistentListing
from positions_mcp.domain.exercise.instructions import Instruction, InstructionRequest
from positions_mcp.domain.ids import AccountId, InstructionId, InstrumentId, OrderId
from positions_mcp.domain.operation.records import Record, Response

if TYPE_CHECKING:
    import httpx

    from positions_mcp import ports

Contract = Literal["auto", "seed", "current"]
"""Which name the caller's key of an instruction is written under: both, `instruction_id`, `client_instruction_id`."""

RecordT = TypeVar("RecordT", bound=Record | Holding)

_instrument = attrgetter("instrument_id")
_ORDERS = RowReader(Order)
_INSTRUCTIONS = RowReader(Instruction)


class PositionsClient:
    """An asynchronous client of the positions operations, and of the order reads that follow what they did.

    Every operation takes the account number first. Reads are retried after a failure to connect, a time-out, 429,
    502, 503 and 504, with full jitter and honouring Retry-After, while `read_budget_s` lasts. Writes are sent once,
    on a connection of their own, and never again: what is known of their effect is in the error.

    Raises, besides what a method names:
        InvalidInput: an argument was refused before any request; UnsafeIdentifier where an identifier could have
            changed the path.
        Reads: RequestRejected and its kinds (401, 403, 404, 429), or ReadFailed. Reading has no effect.
        Writes: NothingSent (nothing left this machine), RequestRejected (a readable refusal, no effect), or
            OutcomeUnknown (it left, the effect is not known; do not send it again). A write whose task is cancelled
            raises only the cancellation: it has to be treated as OutcomeUnknown, so shield it.

    Args:
        base_url: where the API is; https unless it is this machine.
        api_key: `<id>.<secret>`, sent as a bearer token and never shown.
        contract: which dialect to write. Both are always read.
        read_budget_s: seconds that one read may take with all its attempts.
        read_timeout_s: seconds that one attempt of a read may take.
        write_timeout_s: seconds after which a write that has left counts as unknown.
        connect_timeout_s: seconds that connecting may take.
        transport: replaces the network, as for a service in the same process. Its connections are its own matter.
        clock: the time for `Book.as_of` and dates in Retry-After.
        monotonic: seconds by which the read budget is measured.
        sleep: waits between attempts.
        random: from 0 to 1, for the jitter.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        contract: Contract = "auto",
        read_budget_s: float = 15.0,
        read_timeout_s: float = 10.0,
        write_timeout_s: float = 30.0,
        connect_timeout_s: float = 5.0,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: ports.Clock | None = None,
        monotonic: Callable[[], float] = anyio.current_time,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        if contract not in get_args(Contract):
            raise ConfigurationError(f"The contract is {contract!r}.", hint="It is auto, seed or current.")
        self._endpoint = Endpoint.checked(base_url, api_key)
        self._contract = contract
        self._clock = clock or SystemClock()
        self._connection = Connection(self._endpoint, connect_timeout_s=connect_timeout_s, transport=transport)
        budget = ReadBudget(read_budget_s, read_timeout_s, monotonic, sleep, random, self._clock.now)
        self._calls = Calls(self._connection, budget, write_timeout_s, self._clock.now)
        self._positions = RowReader(Position, OrdinaryPositions().read)
        self._holdings: RowReader[Holding] = RowReader(Position, read_holdings)

    def __repr__(self) -> str:
        return f"PositionsClient(base_url={self._endpoint.base_url!r}, contract={self._contract!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; what `async with` does at its end."""
        await self._connection.aclose()

    # Positions

    async def get_positions(
        self,
        account_id: int,
        *,
        instrument_ids: Sequence[str] = (),
        sort_by: PositionSortKey | str | None = None,
        sort_direction: SortDirection | str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> Response[list[Position]]:
        """One page of the account's positions: GET `/v1/accounts/{account_id}/positions`.

        `metadata.next_page_token` names the next page; the same filters and sort have to be given with it.
        `page_size` is 1 to 1000, by default 1000. Rows that are no positions are in `unreadable`.
        """
        request = _requests.positions(
            account_id,
            instrument_ids=instrument_ids,
            sort_by=sort_by,
            sort_direction=sort_direction,
            page_size=page_size,
            page_token=page_token,
        )
        return await self._calls.read_rows(request, self._positions)

    def iter_positions(
        self,
        account_id: int,
        *,
        instrument_ids: Sequence[str] = (),
        sort_by: PositionSortKey | str | None = None,
        sort_direction: SortDirection | str | None = None,
        page_size: int | None = None,
    ) -> Listing[Position]:
        """All positions, over every page, with the filters and the sort sent for each.

        ```python
        async with client.iter_positions(19816) as positions:  # reads one page ahead
            async for position in positions: ...
        ```

        `async for position in client.iter_positions(19816)` works as well, one page after another; `.pages` has the
        pages. See `Listing` and `Pages` for what they raise.
        """

        def request(token: str | None) -> Request:
            return _requests.positions(
                account_id,
                instrument_ids=instrument_ids,
                sort_by=sort_by,
                sort_direction=sort_direction,
                page_size=page_size,
                page_token=token,
            )

        return Listing(self._pages(request, self._positions, _instrument))

    async def read_book(
        self,
        account_id: AccountId,
        *,
        instrument_ids: Sequence[InstrumentId] = (),
        on_page: ports.OnPage | None = None,
    ) -> Book:
        """All positions of the account, or those of the named instruments, as one book.

        If its pages contradict each other the listing is read once more; if they still do, the book is not
        `consistent`. `on_page` is told (rows so far, total or None) after every page.
        """

        def listing() -> Pages[Position]:
            return self.iter_positions(account_id, instrument_ids=instrument_ids).pages

        whole, reading = await gather(listing, Whole[Position], self._clock.now, on_page)
        return Book(account_id=account_id, positions=tuple(whole.positions), **vars(reading))

    async def gather_positions(
        self, account_id: AccountId, begin: Callable[[], ports.GatheringT], *, on_page: ports.OnPage | None = None
    ) -> tuple[ports.GatheringT, Reading]:
        """Hand all positions of the account in brief, page by page, to what `begin` makes: quicker than a whole book.

        Returns that, and how the listing was read. If its pages contradict each other, `begin` is called again for a
        second reading, as in `read_book`.
        """

        def listing() -> Pages[Holding]:
            return self._pages(
                lambda token: _requests.positions(account_id, page_token=token), self._holdings, _instrument
            )

        return await gather(listing, begin, self._clock.now, on_page)

    async def close_position(
        self, account_id: AccountId, instrument_id: InstrumentId, cancel_orders: bool | None = None
    ) -> Response[list[Order]]:
        """Close one position: DELETE `/v1/accounts/{account_id}/positions/{instrument_id}`.

        `instrument_id` is a UUID and nothing else. `cancel_orders` says whether open orders of the position are
        cancelled first; None leaves it to the API. Answers the orders generated, a list even for one. There is no
        quantity and no key against doing it twice.
        """
        request = _requests.close_one(account_id, instrument_id, cancel_orders)
        return await self._calls.write_rows(request, _ORDERS)

    async def close_positions(self, account_id: AccountId, cancel_orders: bool | None = None) -> Response[list[Order]]:
        """Close every position of the account: DELETE `/v1/accounts/{account_id}/positions`. See `close_position`."""
        return await self._calls.write_rows(_requests.close_all(account_id, cancel_orders), _ORDERS)

    # Instructions

    async def get_position_instructions(
        self, account_id: AccountId, instrument_id: str | None = None
    ) -> Response[list[Instruction]]:
        """The account's exercise instructions: GET `/v1/accounts/{account_id}/positions/instructions`.

        Of one contract where `instrument_id` (UUID or OSI symbol) is given. Rows refused before acceptance are
        never listed.
        """
        request = _requests.instructions(account_id, instrument_id)
        return await self._calls.read_rows(request, _INSTRUCTIONS)

    async def submit_position_instructions(
        self, account_id: AccountId, instructions: Sequence[InstructionRequest]
    ) -> Response[list[Instruction]]:
        """Submit a batch of instructions: POST `/v1/accounts/{account_id}/positions/instructions`.

        Whenever rows come they are the answer, whatever the `status` (200 all sent, 207 some refused, 4xx or 5xx
        all refused) and whatever `error` says: read each row's own status. A refusal without rows raises
        RequestRejected, also for 503 where the body is the API's own (clearing is unavailable).
        """
        request = _requests.submit(account_id, instructions, self._contract)
        return await self._calls.submit_rows(request, _INSTRUCTIONS)

    async def cancel_position_instruction(
        self, account_id: AccountId, instruction_id: InstructionId
    ) -> Response[Instruction]:
        """Ask for one instruction to be cancelled: DELETE `…/positions/instructions/{instruction_id}`.

        `instruction_id` is the server's `id`, not the caller's key. Answers the instruction as CANCEL_REQUESTED;
        the end, CANCELLED or CANCEL_FAILED, is read later.
        """
        return await self._calls.write_one(_requests.cancel(account_id, instruction_id), Instruction)

    # Orders

    async def get_orders(
        self,
        account_id: int,
        *,
        order_ids: Sequence[str] = (),
        statuses: Sequence[OrderStatus | str] = (),
        instrument_ids: Sequence[str] = (),
        underlying_instrument_ids: Sequence[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
    ) -> Response[list[Order]]:
        """One page of the account's orders: GET `/v1/accounts/{account_id}/orders`.

        `since` and `until` are inclusive, and their time zone is needed.
        """
        request = _requests.orders(
            account_id,
            order_ids=order_ids,
            statuses=statuses,
            instrument_ids=instrument_ids,
            underlying_instrument_ids=underlying_instrument_ids,
            since=since,
            until=until,
            page_size=page_size,
            page_token=page_token,
        )
        return await self._calls.read_rows(request, _ORDERS)

    async def get_order(self, account_id: AccountId, order_id: OrderId) -> Response[Order]:
        """One order: GET `/v1/accounts/{account_id}/orders/{order_id}`."""
        return await self._calls.read_one(_requests.order(account_id, order_id), Order)

    async def read_orders(
        self,
        account_id: AccountId,
        *,
        order_ids: Sequence[OrderId] = (),
        instrument_ids: Sequence[InstrumentId] = (),
        since: datetime | None = None,
    ) -> tuple[Order, ...]:
        """The account's orders over every page, filtered by whatever is given.

        Raises InconsistentListing where its pages contradict each other twice, and ReadFailed where rows cannot be
        read.
        """

        def request(token: str | None) -> Request:
            return _requests.orders(
                account_id, order_ids=order_ids, instrument_ids=instrument_ids, since=since, page_token=token
            )

        async def read_once() -> tuple[Order, ...]:
            async with Listing(self._pages(request, _ORDERS, lambda order: order.id)) as orders:
                return tuple([order async for order in orders])

        try:
            return await read_once()
        except InconsistentListing:
            return await read_once()

    # What they share

    def _pages(
        self, request: Callable[[str | None], Request], rows: RowReader[RecordT], identity: Callable[[RecordT], str]
    ) -> Pages[RecordT]:
        request(None)  # what is wrong with the arguments is said here, not at the first page
        return Pages(lambda token: self._calls.read_page(request(token), rows), rows, identity)


if TYPE_CHECKING:

    def _keeps_the_ports(
        client: PositionsClient,
    ) -> tuple[
        ports.PositionsReader,
        ports.OrdersReader,
        ports.OrderWriter,
        ports.InstructionsReader,
        ports.InstructionWriter,
    ]:
        return client, client, client, client, client
