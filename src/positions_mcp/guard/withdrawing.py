"""A person withdraws: what the halts cover of the program's own closes and is not filled is cancelled, order by order.

Cancelling leaves positions open that somebody wanted closed, and it is a request to the broker: an approver signs it,
which the halt before it does not take. What is cancelled is what was shown and nothing beside; orders of others, and
those of a person who flattens, are never touched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import anyio

from positions_mcp.domain.errors import PositionsError, Refused
from positions_mcp.domain.ids import OrderId
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Frozen, key_of
from positions_mcp.domain.operation.roster import Member
from positions_mcp.domain.operation.statements import Credential, Purpose, SignedStatement, Statement
from positions_mcp.domain.operation.supervision import Halt, covering
from positions_mcp.guard.approval.check import may_withdraw, signing
from positions_mcp.guard.cancelling import NO_MORE_AFTER, OwnOrder, Withdrawn, cancel_own
from positions_mcp.guard.deciding import digest_of_halts
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.reconcile import Reconciler
from positions_mcp.guard.threads import in_thread
from positions_mcp.guard.touches import Person, Told, Touch, Touches
from positions_mcp.signing.keys import Unlocked
from positions_mcp.signing.statements import sign

WITHDRAW = "withdraw"
"""The decision of the statement that signs a withdrawal."""
_AT_ONCE = 4


class ShownOrder(Frozen):
    """One order as it was shown to the person who withdraws; None where a row has none that is known."""

    operation_id: str
    row: int
    order_id: OrderId | None


def digest_of(halts: Sequence[Halt], shown: Sequence[ShownOrder]) -> str:
    """Tells what is to be withdrawn from anything else: the halts that stand, and each order."""
    return key_of(WITHDRAW, digest_of_halts(halts), *sorted(each.canonical.decode() for each in shown))


def shown_of(own: OwnOrder) -> ShownOrder:
    order_id = own.order.order_id if own.order else None
    return ShownOrder(operation_id=own.operation.operation_id, row=own.row.position, order_id=order_id)


@dataclass(frozen=True, slots=True)
class Offer:
    """What somebody could withdraw now, and by what digest it was shown."""

    digest: str
    own: tuple[OwnOrder, ...]
    others: int
    """Orders in accounts in which that person may not."""


@dataclass(frozen=True, slots=True)
class Withdrawing:
    """The means of a person to withdraw, in one mode and its accounts."""

    deps: Dependencies
    touches: Touches

    async def open_now(self, halts: Sequence[Halt], name: str) -> Offer:
        """The program's own orders that the halts cover and that may still fill, as they were last seen.

        Raises StoreUnavailable where that cannot be read, and Refused where nobody of that name approves.
        """
        member = await self.touches.member(name)
        accounts = sorted(self.deps.policy.accounts)
        unfinished = [await in_thread(self.deps.store.unfinished, self.deps.mode, account) for account in accounts]
        covered = [each for of_account in unfinished for each in of_account if self._is_covered(each, halts)]
        found = [own for operation in covered for own in _orders_of(operation)]
        own = tuple(each for each in found if may_withdraw(member, each.operation.account_id))
        return Offer(digest_of(halts, [shown_of(each) for each in own]), own, len(found) - len(own))

    async def signing(self, halts: Sequence[Halt], shown: Sequence[ShownOrder], who: Person) -> PendingWithdrawal:
        """What was shown as something to sign, and what is then done. The halts are those that stand.

        Raises InvalidInput where it is none of the program's; Refused where nothing was shown, it is not halted, that
        person may not, or orders cannot be cancelled here.
        """
        if self.deps.order_canceller is None:
            raise Refused("Orders cannot be cancelled here.", hint="Nothing was cancelled.")
        if not shown:
            raise Refused("No order was shown that could be cancelled.", hint="Nothing was cancelled.")
        own = await self._meant(halts, shown)
        member = await self.touches.member(who.name)
        for each in own:
            if not may_withdraw(member, each.operation.account_id):
                raise Refused(
                    f"{member.name} may not withdraw in account {each.operation.account_id}: that takes the right to "
                    "approve there.",
                    hint="Nothing was cancelled.",
                )
        now = self.deps.clock.now()
        said = who.says(Purpose.WITHDRAWAL, WITHDRAW, digest_of(halts, shown), now, mode=self.deps.mode)
        return PendingWithdrawal(self.deps, own, said, await self.touches.credential(who))

    async def _meant(self, halts: Sequence[Halt], shown: Sequence[ShownOrder]) -> tuple[OwnOrder, ...]:
        orders: dict[str, list[ShownOrder]] = defaultdict(list)
        for each in shown:
            orders[each.operation_id].append(each)
        found: list[OwnOrder] = []
        for operation_id, of_it in orders.items():
            operation = await self.deps.usable_operation(operation_id)
            if not self._is_covered(operation, halts):
                raise Refused(f"No halt covers operation {operation_id}.", hint="Nothing was cancelled. Look again.")
            found += [_named(operation, each) for each in of_it]
        return tuple(found)

    @staticmethod
    def _is_covered(operation: Operation, halts: Sequence[Halt]) -> bool:
        plan = operation.plan
        return plan.kind.is_close and not plan.flatten and bool(covering(halts, plan))


@dataclass(frozen=True, slots=True)
class PendingWithdrawal:
    """What a person is about to withdraw: once it is signed, the orders are cancelled."""

    deps: Dependencies
    own: tuple[OwnOrder, ...]
    statement: Statement
    credential: Credential

    @property
    def touch(self) -> Touch:
        """All of it, for who signs with a passkey."""
        return Touch(self.statement, self.credential, self._sign_and_run)

    async def sign(self, key: Unlocked) -> None:
        """Write down that it is signed with a passphrase's key. Raises StoreUnavailable."""
        await self._authorise(sign(self.statement, key))

    async def run(self) -> tuple[Withdrawn, ...]:
        """Cancel what is signed, each once. What became of each stands in the order in which they were shown."""
        by, reports = f"{self.statement.name} {self.statement.credential}", dict[int, Withdrawn]()
        room, last_start = anyio.CapacityLimiter(_AT_ONCE), anyio.current_time() + NO_MORE_AFTER.total_seconds()

        async def one(number: int, each: OwnOrder) -> None:
            async with room:
                reports[number] = await cancel_own(self.deps, each, by, in_time=anyio.current_time() < last_start)

        async with anyio.create_task_group() as tasks:
            for number, each in enumerate(self.own):
                tasks.start_soon(partial(one, number, each))
        await self._follow()
        return tuple(reports[number] for number in sorted(reports))

    async def _sign_and_run(self, signed: SignedStatement) -> Told:
        await self._authorise(signed)
        return told(await self.run())

    async def _authorise(self, signed: SignedStatement) -> None:
        orders = [shown_of(each).model_dump(mode="json") for each in self.own]
        may = signing(signed, self._expect_may_withdraw)
        await in_thread(self.deps.store.sign_withdrawal, may, {"orders": orders}, self.deps.clock.now())

    def _expect_may_withdraw(self, member: Member) -> None:
        for account in {each.operation.account_id for each in self.own}:
            if not may_withdraw(member, account):
                raise Refused(f"{member.name} may not withdraw in account {account}.", hint="Nothing was cancelled.")

    async def _follow(self) -> None:
        """What is shown from now on is what the account shows, as far as it can be read soon."""
        reconciler = Reconciler(self.deps)
        with anyio.move_on_after(self.deps.reading.total_seconds()):
            for operation_id in dict.fromkeys(each.operation.operation_id for each in self.own):
                with suppress(PositionsError):
                    await reconciler.follow(await self.deps.operation(operation_id))


def told(report: Sequence[Withdrawn]) -> Told:
    """The report as a page is told it."""
    return {"report": [each.model_dump(mode="json") | {"is_over": each.outcome.is_over} for each in report]}


def _orders_of(operation: Operation) -> Iterator[OwnOrder]:
    for row in operation.rows:
        if not row.is_unfinished:
            continue
        yield from (OwnOrder(operation, row, order) for order in row.orders if order.is_open)
        if not row.orders and row.is_not_known:
            yield OwnOrder(operation, row, None)


def _named(operation: Operation, shown: ShownOrder) -> OwnOrder:
    """An order of the operation that was shown. Raises Refused where it is none of it."""
    if 0 <= shown.row < len(operation.rows):
        row = operation.rows[shown.row]
        if shown.order_id is None:
            return OwnOrder(operation, row, None)
        for order in row.orders:
            if order.order_id == shown.order_id:
                return OwnOrder(operation, row, order)
    raise Refused(f"That order is none of operation {operation.operation_id}.", hint="Nothing was cancelled.")
