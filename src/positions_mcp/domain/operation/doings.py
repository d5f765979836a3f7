"""What a caller did in an account on a day, in sums, for who looks afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.states import RowState, Stage


@dataclass(frozen=True, slots=True)
class Doings:
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
    def of(cls, account_id: AccountId, caller: str, operations: Sequence[Operation]) -> Doings:
        """The sums of these."""
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
