"""What tools are given: the readers and the guard behind the ports, and what the configuration says of them."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import anyio

from positions_mcp.domain.account.listings import Listings, PackedRows
from positions_mcp.domain.account.positions import Holding, Whole
from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.many import in_order
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.guard.guard import Guard
from positions_mcp.guard.planner import Planned
from positions_mcp.ports import (
    Clock,
    Ids,
    InstructionsReader,
    MarketCalendar,
    Neighbours,
    OrdersReader,
    PositionsReader,
)
from positions_mcp.ports.beside import ListingStore
from positions_mcp.tools._forms import Forms
from positions_mcp.tools._listings import KeptListings, ListingsInMemory, ListingsInStore
from positions_mcp.tools._turns import SingleFlight, beside_others
from positions_mcp.tools._updates import Updates

_SWEPT_EVERY_S = 60
KEPT_S = 10.0
_SAME_CLOCK = timedelta(seconds=5)
_HALF_A_SECOND = timedelta(milliseconds=500)
"""Clocks that differ by less are not set: they are read one after the other, or a server tells the time."""


async def _goes_by_itself() -> str:
    return ""


@dataclass(slots=True)
class SymbolCache:
    """Read at most once in ten seconds for each account, because completion asks at every key."""

    _read: dict[AccountId, tuple[float, tuple[str, ...]]] = field(default_factory=dict)

    async def of(self, account: AccountId, positions: PositionsReader) -> tuple[str, ...]:
        """In alphabetical order, options by their compact symbol. Raises UpstreamError."""
        now = anyio.current_time()
        read_at, symbols = self._read.get(account, (now - KEPT_S, ()))
        if now - read_at >= KEPT_S:
            held, _ = await positions.gather_positions(account, Whole[Holding])
            symbols = await beside_others(
                len(held), lambda: tuple(in_order([each.name for each in held if each.symbol], str))
            )
            self._read[account] = (now, symbols)
        return symbols


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Everything a tool may use. One for each server, made by its lifespan."""

    mode: Mode
    accounts: tuple[AccountId, ...]
    """The accounts that may be used, in the configuration's order."""
    positions: PositionsReader
    instructions: InstructionsReader
    guard: Guard
    """The one way to anything destructive."""
    clock: Clock
    """The market's clock, which a paper exchange may set: every time in a conversation is told by it."""
    real_time: Clock
    """What the expiry of a plan goes by."""
    ids: Ids
    calendar: MarketCalendar
    trading_enabled: bool
    contract: str
    """The API dialect the configuration asks for: auto, seed or current."""
    venue: str
    """What answers: the base URL, or the paper exchange and its scenario."""
    follow_clock: Callable[[], Awaitable[str]] = _goes_by_itself
    """Reads the market's clock where it is elsewhere, before each call; says so where it cannot be read."""
    neighbours: Neighbours = field(default_factory=Neighbours)
    """Contracts, market, balances and events, as far as they can be read."""
    orders: OrdersReader | None = None
    """To name what locks a position; None where orders are not read."""
    approval_wait_s: float = 45.0
    """How long a call waits for the desk."""
    heartbeat_s: float = 10.0
    """How often a waiting call says that it still waits; hosts give up a silent call after 60 s."""
    planning: SingleFlight[Planned] = field(default_factory=SingleFlight)
    """Identical requests for a plan at the same time lead to one plan."""
    forms: Forms = field(default_factory=Forms)
    symbols: SymbolCache = field(default_factory=SymbolCache)
    updates: Updates = field(default_factory=Updates)
    updates_every_s: float = 1.0
    """How often the store is looked at for those who want to hear of changes."""
    listing_store: ListingStore | None = None
    """Where the servers of a store keep listings between their pages; None where this process does."""
    listings: KeptListings = field(init=False)

    def __post_init__(self) -> None:
        here = ListingsInMemory(Listings(self.clock.now, self.ids.new, PackedRows.of))
        store = self.listing_store
        shared = ListingsInStore(store, here, self.real_time.now, self.ids.new) if store is not None else here
        object.__setattr__(self, "listings", shared)

    @property
    def is_one_of_several(self) -> bool:
        """Whether other servers of the store go on with what this one began."""
        return self.listing_store is not None

    async def give_memory_back(self) -> None:
        """Give up listings that are kept no longer, also where nobody lists again. Belongs to the server's lifespan."""
        while True:
            await anyio.sleep(_SWEPT_EVERY_S)
            self.listings.sweep()

    def within(self, accounts: Collection[AccountId]) -> ToolContext:
        """The same for a caller who may use these accounts only."""
        narrowed = copy.copy(self)
        object.__setattr__(narrowed, "accounts", tuple(each for each in self.accounts if each in accounts))
        return narrowed

    @property
    def clock_words(self) -> str:
        """That the market's clock is not the real one; empty where it is."""
        return " (the paper clock, which is set)" if self._ahead else ""

    def said(self, instant: datetime) -> str:
        """An instant of the market's clock in words, with its zone, and whether that clock is set."""
        return f"{moment(instant)}{self.clock_words}"

    def on_market_clock(self, instant: datetime) -> datetime:
        """What the market's clock shows, as it goes now, at an instant of real time.

        Of a clock that is set to the nearest second: real time goes on while it stands, which would be a second early.
        """
        ahead = self._ahead
        return (instant + ahead + _HALF_A_SECOND).replace(microsecond=0) if ahead else instant

    @property
    def _ahead(self) -> timedelta:
        ahead = self.clock.now() - self.real_time.now()
        return ahead if abs(ahead) > _SAME_CLOCK else timedelta(0)

    def account(self, wanted: int | None) -> AccountId:
        """The account to use: the one named, or the only one configured.

        Raises InvalidInput where it is not configured, or not named where several are.
        """
        allowed = ", ".join(map(str, self.accounts))
        if wanted is None:
            if len(self.accounts) == 1:
                return self.accounts[0]
            raise InvalidInput("Several accounts are configured.", hint=f"Give account_id, one of: {allowed}.")
        if wanted not in self.accounts:
            raise InvalidInput(
                f"Account {wanted} is not configured for this server.",
                hint=f"Allowed: {allowed}. A person can change `accounts` in its configuration.",
            )
        return AccountId(wanted)
