"""What to look for among the operations of a store, and what was found."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.plan import Kind, Mode
from positions_mcp.domain.operation.states import OperationState, Stage

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
