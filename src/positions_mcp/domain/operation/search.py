"""What to look for among the operations of a store, for whom, what was found, and what a caller did in sums."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Kind, Mode, Plan
from positions_mcp.domain.operation.states import OperationState, RowState, Stage
from positions_mcp.domain.operation.supervision import Halt, may_be_called


@dataclass(frozen=True, slots=True)
class Viewer:
    """A caller that sees its own operations only; None sees those of everybody."""

    caller: str | None = None
    accounts: frozenset[AccountId] | None = None
    """Those that it may know of; None where that is every account that may be used."""

    def knows(self, account_id: AccountId) -> bool:
        """Whether it may know what is in an account."""
        return self.accounts is None or account_id in self.accounts

    def sees(self, plan: Plan) -> bool:
        """Whether it may know of an operation."""
        return self.caller in (None, plan.caller) and self.knows(plan.account_id)

    def is_stopped_by(self, halt: Halt) -> bool:
        """Whether a halt covers anything of what it may do; it hears of no other."""
        mine = self.caller is None or not halt.caller or may_be_called(self.caller, halt.caller)
        return mine and (halt.account_id is None or self.knows(halt.account_id))


EVERYBODY = Viewer()


_MORE_STAGES = {
    OperationState.EXPIRED: (Stage.PLANNED, Stage.AWAITING_APPROVAL, Stage.EXPIRED),
    OperationState.LAPSED: (Stage.APPROVED, Stage.CLAIMED, Stage.FINISHED, Stage.LAPSED),
    OperationState.SENDING: (Stage.CLAIMED,),
}
_SENT = (Stage.CLAIMED, Stage.FINISHED)


@dataclass(frozen=True, slots=True)
class Search:
    """Every part that is given must hold."""

    account_id: AccountId | None = None
    accounts: frozenset[AccountId] | None = None
    """Only in these, where they are said: those that who looks may see."""
    mode: Mode | None = None
    state: OperationState | None = None
    kind: Kind | None = None
    caller: str = ""
    """Part of the caller's name, in any case."""
    asked_by: str | None = None
    """The caller, exactly."""
    in_doubt: bool = False

    @property
    def stages(self) -> Collection[Stage] | None:
        """The stored stages that may be in the state that is looked for; None for all."""
        if self.state is None:
            return None
        if self.state in _MORE_STAGES:
            return _MORE_STAGES[self.state]
        return (Stage(self.state.value),) if self.state.value in Stage.__members__ else _SENT

    def fits(self, operation: Operation, now: datetime) -> bool:
        """Whether what is derived of an operation, and not stored, is what is looked for."""
        if self.in_doubt and not any(row.is_in_doubt for row in operation.rows):
            return False
        return self.state in (None, operation.state(now))


@dataclass(frozen=True, slots=True)
class Found:
    """Some operations, newest first. `after` is where to go on, where there may be more."""

    operations: tuple[Operation, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class CallerActivity:
    """Of the operations that count for a caller: how many, what was sent, in dollars, declined, and in doubt."""

    account_id: AccountId
    caller: str
    operations: int
    rows_sent: int
    notional: Decimal
    """Dollars that count against the limits: what was rejected gave its own back."""
    declined: int
    in_doubt: int
    """Operations with an outcome that is not known."""

    @classmethod
    def of(cls, account_id: AccountId, caller: str, operations: Sequence[Operation]) -> CallerActivity:
        rows = [row for operation in operations for row in operation.rows]
        return cls(
            account_id=account_id,
            caller=caller,
            operations=len(operations),
            rows_sent=sum(row.state is not RowState.NOT_SENT for row in rows),
            notional=exact_sum(row.reserved for row in rows),
            declined=sum(operation.stage is Stage.DECLINED for operation in operations),
            in_doubt=sum(any(row.is_in_doubt for row in operation.rows) for operation in operations),
        )
