"""The client: one method for each operation of the API, under the API's own names."""

from __future__ import annotations

import random as random_module
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, get_args

import anyio

from positions_mcp.api._calls import Calls
from positions_mcp.api._deferred import DeferredPositions
from positions_mcp.api._endpoint import Endpoint
from positions_mcp.api._http import Connection
from positions_mcp.api._instruction_operations import InstructionOperations
from positions_mcp.api._neighbour_operations import ContractsOfTheDay, NeighbourOperations
from positions_mcp.api._ordinary import OrdinaryPositions
from positions_mcp.api._position_operations import OrderOperations, PositionOperations
from positions_mcp.api._requests import Contract
from positions_mcp.api._retry import ReadBudget, seconds
from positions_mcp.api._wire import RowReader
from positions_mcp.clock import SystemClock
from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx

    from positions_mcp import ports
    from positions_mcp.api.recording import Recording


class PositionsClient(PositionOperations, InstructionOperations, OrderOperations, NeighbourOperations):
    """An asynchronous client of the positions operations, and of the reads around them.

    Orders, option contracts, market data, balances and events are read only; an account may refuse any of them.

    Operations of an account take its number first. Each takes `timeout_s`, which replaces the limits below for one
    call: seconds for the whole read, or seconds after which a write that has left counts as unknown.

    Reads are retried after a failure to connect, a time-out, 429, 502, 503 and 504, with full jitter and honouring
    Retry-After, while `read_budget_s` lasts; the log `positions_mcp.api` says so. Writes are sent once, on a
    connection of their own, and never again: what is known of their effect is in the error.

    Raises, besides what a method names:
        InvalidInput: an argument was refused before any request; UnsafeIdentifier where an identifier could have
            changed the path.
        Reads: RequestRejected and its kinds (401, 403, 404, 429), or ReadFailed. Reading has no effect.
        Writes: NothingSent (nothing left this machine), RequestRejected (a readable refusal, no effect), or
            OutcomeUnknown (it left, the effect is not known; do not send it again). A write whose task is cancelled
            raises only the cancellation: it has to be treated as OutcomeUnknown, so shield it.

    Args:
        base_url: where the API is; https unless it is this machine, or `plain_http`.
        api_key: `<id>.<secret>`, sent as a bearer token and never shown.
        contract: which dialect to write. Both are always read.
        read_budget_s: seconds that one read may take with all its attempts.
        read_timeout_s: seconds that one attempt of a read may take.
        write_timeout_s: seconds after which a write that has left counts as unknown.
        connect_timeout_s: seconds that connecting may take.
        max_requests: how many reads may be under way at once, and as many writes; more wait within their own limits.
        plain_http: whether http will do, as for a paper exchange in a container: its key is worth nothing.
        name: what the API there is called in errors; Clear Street, or the API at its address, if left out.
        transport: replaces the network, as for a service in the same process. Its connections are its own matter.
        http_client: sends the requests instead of clients made here, by its proxies, certificates and limits; nothing
            else of its settings counts. Whoever made it closes it.
        recording: takes note of every exchange; whoever made it closes it.
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
        max_requests: int = 16,
        plain_http: bool = False,
        name: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
        http_client: httpx.AsyncClient | None = None,
        recording: Recording | None = None,
        clock: ports.Clock | None = None,
        monotonic: Callable[[], float] = anyio.current_time,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        if contract not in get_args(Contract):
            raise ConfigurationError(f"The contract is {contract!r}.", hint="It is auto, seed or current.")
        if transport is not None and http_client is not None:
            raise ConfigurationError("A client takes a transport or an http_client, not both.")
        _check_has(transport, "transport", "handle_async_request", "an httpx.AsyncBaseTransport")
        _check_has(http_client, "http_client", "aclose", "an httpx.AsyncClient")
        _check_has(clock, "clock", "now", "a clock with now()")
        self._endpoint = Endpoint.checked(base_url, api_key, plain_http=plain_http)
        self._contract = contract
        self._clock = clock or SystemClock()
        self._connection = Connection(
            self._endpoint,
            connect_timeout_s=seconds(connect_timeout_s, "connect_timeout_s"),
            most_at_once=_at_least_one(max_requests),
            transport=transport,
            http_client=http_client,
            keep=None if recording is None else recording.keep,
        )
        total, attempt = seconds(read_budget_s, "read_budget_s"), seconds(read_timeout_s, "read_timeout_s")
        budget = ReadBudget(total, attempt, monotonic, sleep, random, self._clock.now)
        limit = seconds(write_timeout_s, "write_timeout_s")
        who = name or self._endpoint.name
        self._calls = Calls(f"{who[0].upper()}{who[1:]}", self._connection, budget, limit, self._clock.now)
        ordinary = OrdinaryPositions()
        self._positions = RowReader(Position, ordinary.read)
        self._book_rows = RowReader(Position, DeferredPositions(ordinary).read)
        self._facts = ContractsOfTheDay(self._clock)
        self._busy = set()

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


def _check_has(given: object, name: str, method: str, what: str) -> None:
    if given is not None and not callable(getattr(given, method, None)):
        raise ConfigurationError(f"The {name} is {given!r:.40}.", hint=f"It is {what}.")


def _at_least_one(count: object) -> int:
    if isinstance(count, int) and not isinstance(count, bool) and count >= 1:
        return count
    raise ConfigurationError(f"max_requests is {count!r:.40}.", hint="It is a whole number, 1 or more.")


if TYPE_CHECKING:

    def _keeps_the_ports(
        client: PositionsClient,
    ) -> tuple[
        ports.PositionsReader,
        ports.OrdersReader,
        ports.OrderWriter,
        ports.InstructionsReader,
        ports.InstructionWriter,
        ports.Neighbours,
    ]:
        neighbours = ports.Neighbours(contracts=client, market_data=client, balances=client, events=client)
        return client, client, client, client, client, neighbours
