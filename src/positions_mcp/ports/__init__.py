"""What the inner layers need from the outer ones, as Protocols.

Tools and guard depend on these and on `domain`, never on HTTP or a database. `cli` chooses who implements them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from positions_mcp.domain.exercise.cutoffs import TradingDays
from positions_mcp.ports.beside import SessionStore
from positions_mcp.ports.ledger import Ending as Ending
from positions_mcp.ports.ledger import Ledger as Ledger
from positions_mcp.ports.ledger import MandateStore, RosterStore
from positions_mcp.ports.ledger import Permitting as Permitting
from positions_mcp.ports.ledger import Rationing as Rationing
from positions_mcp.ports.ledger import Refusing as Refusing
from positions_mcp.ports.ledger import Signing as Signing
from positions_mcp.ports.ledger import Taking as Taking
from positions_mcp.ports.upstream import BalancesReader as BalancesReader
from positions_mcp.ports.upstream import Neighbours as Neighbours
from positions_mcp.ports.upstream import OrderCanceller as OrderCanceller
from positions_mcp.ports.upstream import OrdersReader as OrdersReader
from positions_mcp.ports.upstream import OrderWriter as OrderWriter

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from positions_mcp.domain.account.positions import Book, Holding
    from positions_mcp.domain.account.readings import Reading
    from positions_mcp.domain.account.sessions import MarketState
    from positions_mcp.domain.exercise.instructions import Instruction, InstructionRequest
    from positions_mcp.domain.ids import AccountId, InstructionId, InstrumentId, OrderId
    from positions_mcp.domain.operation.operation import Decision, Lease, Operation, Reservation, Row
    from positions_mcp.domain.operation.plan import Mode, Plan
    from positions_mcp.domain.operation.records import Response
    from positions_mcp.domain.operation.search import CallerActivity, Found, Search
    from positions_mcp.domain.operation.servers import Server
    from positions_mcp.domain.operation.states import Stage
    from positions_mcp.domain.operation.supervision import Halt, JournalEntry, StoreStatus, Verification


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""


class Ids(Protocol):
    """Makes identifiers."""

    def new(self) -> str:
        """A new UUID in its canonical lower-case form."""


class MarketCalendar(TradingDays, Protocol):
    """Knows the New York trading sessions."""

    def state_at(self, instant: datetime) -> MarketState:
        """Whether the market is in its regular session at `instant`, and which session comes next."""


OnPage = Callable[[int, int | None], Awaitable[None]]
"""Told (rows read so far, total rows or None) after each page of a listing."""


class Gathering(Protocol):
    """Takes in the positions of a listing, in brief, page by page."""

    def add(self, positions: Sequence[Holding]) -> None:
        """Take in the positions of one more page."""


GatheringT = TypeVar("GatheringT", bound=Gathering)


class PositionsReader(Protocol):
    """Reads what an account holds."""

    async def read_book(
        self, account_id: AccountId, *, instrument_ids: Sequence[InstrumentId] = (), on_page: OnPage | None = None
    ) -> Book:
        """All positions of the account, or those of the named instruments, over every page.

        Duplicates are dropped; the listing is read again once if its total changes under it, and is marked inconsistent
        if it still disagrees. `on_page` is told (rows read, total rows or None) after each page. Raises UpstreamError.
        """

    async def gather_positions(
        self, account_id: AccountId, begin: Callable[[], GatheringT], *, on_page: OnPage | None = None
    ) -> tuple[GatheringT, Reading]:
        """Hand all positions of the account in brief, page by page, to what `begin` makes: quicker than a whole book.

        Returns that, and how it was read. `begin` is called again where that is done again. Otherwise as `read_book`.
        """


class InstructionsReader(Protocol):
    """Reads exercise instructions."""

    async def get_position_instructions(
        self, account_id: AccountId, instrument_id: str | None = None
    ) -> Response[list[Instruction]]:
        """The account's instructions, or those of one contract (UUID or OSI symbol). Raises UpstreamError."""


class InstructionWriter(Protocol):
    """Sends instructions and cancels. One request a call, never repeated; raises as OrderWriter does."""

    async def submit_position_instructions(
        self, account_id: AccountId, instructions: Sequence[InstructionRequest]
    ) -> Response[list[Instruction]]:
        """Submit a batch. 200 and 207 answer rows; so does a refusal that carries rows (`status` tells)."""

    async def cancel_position_instruction(
        self, account_id: AccountId, instruction_id: InstructionId
    ) -> Response[Instruction]:
        """Ask for one instruction, by the server's id, to be cancelled. Answers it as CANCEL_REQUESTED."""


class OperationStore(Ledger, MandateStore, RosterStore, SessionStore, Protocol):
    """Durable operations. Blocking: call it in a worker thread.

    Every write is one transaction, exclusive among all processes on the store, that also appends to the journal.
    Every change names what it expects to find and raises Overtaken where another got there first.

    Raises StoreUnavailable: reading failed, or writing is not possible (disk full, read-only, a newer schema, a broken
    journal). A failed write has changed nothing.
    """

    def by_caller(self, mode: Mode, account_id: AccountId, since: datetime) -> tuple[CallerActivity, ...]:
        """What each caller has asked for in an account after an instant, in sums."""

    def at_once(self) -> AbstractContextManager[None]:
        """Whatever this thread reads within it reads in one consistent view."""

    def status(self) -> StoreStatus:
        """Whether it can be written."""

    def verify(self) -> Verification:
        """Walk the whole journal and compare what it describes."""

    def journal(self, operation_id: str | None = None, *, limit: int = 1000) -> tuple[JournalEntry, ...]:
        """The last entries, oldest first; of one operation, or of all."""

    def newest(self) -> int:
        """How many entries the journal has: cheap, for who looks for changes."""

    def ends(self) -> Mapping[str, int]:
        """The number of the last entry of each of its chains."""

    def changed_since(self, ends: Mapping[str, int], *, most: int) -> tuple[Mapping[str, int], tuple[str, ...]]:
        """Where its chains end now, and the operations with entries behind `ends`; of too many those changed last."""

    def operation(self, operation_id: str) -> Operation | None:
        """One operation, or None."""

    def operations(self, *, account_id: AccountId | None = None, limit: int = 50) -> tuple[Operation, ...]:
        """The latest operations, newest first."""

    def waiting(self, now: datetime, limit: int) -> tuple[Operation, ...]:
        """Plans that nobody has decided and that have not expired by `now`, nearest expiry first."""

    def search(self, wanted: Search, now: datetime, *, after: str = "", limit: int) -> Found:
        """The latest operations that are `wanted`, newest first; with `after` those that come after that one."""

    def in_stages(self, stages: Sequence[Stage], limit: int) -> tuple[Operation, ...]:
        """The latest operations that are in one of these stages, newest first."""

    def latest(self, request_key: str) -> Operation | None:
        """The newest operation planned for these arguments by this caller, in any stage."""

    def decided_for(
        self, mode: Mode, accounts: Collection[AccountId], caller: str, since: datetime, *, declined: bool
    ) -> tuple[Decision, ...]:
        """What people said to what a caller asked for in these accounts after an instant: the noes, or the yeses."""

    def open_plans_for(self, mode: Mode, account_id: AccountId, caller: str, now: datetime) -> tuple[Operation, ...]:
        """A caller's plans in an account that may still be decided at `now`, the newest first."""

    def declined_at(self, target_key: str) -> datetime | None:
        """When this set of targets was last declined, or None."""

    def add_plan(
        self,
        plan: Plan,
        request_key: str,
        now: datetime,
        *,
        supersede: str | None = None,
        check: Refusing | None = None,
        ask: Rationing | None = None,
        content: Mapping[str, str] | None = None,
    ) -> Operation:
        """Store a plan, or answer the open one that the same arguments from the same caller already have.

        `supersede` names an open plan that no longer fits the book, or nearly runs out: it expires in the same
        transaction. `check` is called within it before a new plan is written; what it raises prevents that. With `ask`
        a new plan is put before a person as in `move`, by a form, in it; where that is refused the plan is stored.
        """

    def move(
        self,
        operation_id: str,
        *,
        expected: Sequence[Stage],
        to: Stage,
        reason: str,
        now: datetime,
        ration: Rationing | None = None,
        content: Mapping[str, str] | None = None,
    ) -> Operation:
        """Change the stage before anything is sent. What is asked for counts for its caller; `ration` may refuse it."""

    def decide(self, decision: Decision, now: datetime) -> Operation:
        """Record a person's decision about a plan that still awaits one."""

    def note(self, event: str, operation_id: str | None, content: dict[str, str], now: datetime) -> None:
        """Write down what happened, about an operation or none, without changing it; of a flood only the beginning."""

    def claim(
        self, operation_id: str, lease: Lease, now: datetime, *, check: Permitting, ration: Rationing | None = None
    ) -> Operation:
        """Take an approved operation for sending: one process, once. `check` may raise Refused to prevent it.

        One that was never asked for counts for its caller now; `ration` may refuse it then.
        """

    def begin(
        self,
        operation_id: str,
        lease: Lease,
        *,
        reserving: Mapping[int, Reservation],
        now: datetime,
        market_now: datetime,
        check: Refusing,
        taking: Taking | None = None,
        outcome: Sequence[Row] = (),
    ) -> Operation:
        """Make rows SENDING and reserve their notional, durably, before their request leaves.

        What `check` raises within the transaction prevents the request. With `taking` it is also decided and claimed,
        by the rules of `decide` and `claim`. The `outcome` of the request before, which took effect, is written as by
        `record`, also where this one is refused.
        """

    def record(
        self,
        operation_id: str,
        token: str,
        rows: Sequence[Row],
        now: datetime,
        *,
        halt_after: int | None,
        ending: Ending | None = None,
    ) -> Operation:
        """Write the outcomes of rows that are SENDING, or became UNKNOWN when their lease of that token ran out.

        An answer overrides what somebody settled; one that is there already changes nothing. Counts failures in a row,
        for each mode and account, and halts at `halt_after`. With `ending` the claim ends with it, where it is held.
        """

    def finish(
        self,
        operation_id: str,
        token: str,
        *,
        stage: Stage,
        reason: str,
        rows: Sequence[Row],
        now: datetime,
        decided: Decision | None = None,
    ) -> Operation:
        """End a claim; `rows` say why what was not sent was not.

        With `decided` an operation that nobody has taken is decided in the same transaction, and ends without a claim.
        """

    def observe(
        self, before: Operation, rows: Sequence[Row], now: datetime, *, event: str, signed: Signing | None = ...
    ) -> Operation:
        """Write what following has seen, unless the rows have changed since `before` was read."""

    def expire(self, now: datetime, *, halt_after: int | None = None) -> tuple[Operation, ...]:
        """Write down expired plans, lapsed approvals, and leases that ran out: unknown outcomes, as in `record`."""

    def announce(self, server: Server, now: datetime) -> None:
        """Note that a server is alive on this store until it says."""

    def servers(self, now: datetime) -> tuple[Server, ...]:
        """The servers that are alive on this store."""

    def withdraw(self, process: str) -> None:
        """Forget a server that ends."""

    def sign_withdrawal(self, signing: Signing, content: dict[str, object], now: datetime) -> None:
        """Journal who signed that orders are cancelled, and which. Raises Refused where that was signed before."""

    def begin_withdrawal(self, operation_id: str, order_id: OrderId, by: str, now: datetime) -> None:
        """Journal that the cancel of one of an operation's own orders is about to leave: once for each order.

        Raises Refused where it is none of its orders, Overtaken where a cancel of it may have left before.
        """

    def end_withdrawal(self, operation_id: str, order_id: OrderId, outcome: str, *, sent: bool, now: datetime) -> None:
        """Journal what came of it. Where provably nothing was `sent` it may be tried again."""

    def set_halt(self, halt: Halt) -> Halt:
        """Stop what it covers. Returns the halt that now stands: of everything, where others could not be read."""

    def clear_halts(self, by: str, now: datetime, *, expected: Sequence[Halt], signed: Signing | None = None) -> None:
        """Let a person resume from these halts, and forget the failures in a row where one of them is of everything.

        Raises Overtaken unless each of them stands.
        """
