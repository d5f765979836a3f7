"""For whom something is shown: whose operations, and of which accounts."""

from __future__ import annotations

from dataclasses import dataclass

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Plan
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
