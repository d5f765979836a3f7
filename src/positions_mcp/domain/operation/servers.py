"""Servers alive on a store: who can send what is approved, and where a supervisor's page is."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import AwareDatetime, Field

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Frozen, Mode, Plan


class Server(Frozen):
    """One process on the store, as it said last. It counts as alive until `until`. A label, not evidence."""

    process: str = Field(min_length=1)
    mode: Mode
    accounts: tuple[AccountId, ...]
    sends: bool
    """Whether it sends what is approved; a desk alone does not."""
    desk_url: str | None = None
    """The address of the page it serves, if it serves one."""
    until: AwareDatetime

    def can_send(self, plan: Plan) -> bool:
        """Whether it would send this plan once it is approved."""
        return self.sends and self.mode is plan.mode and plan.account_id in self.accounts


def desk_of(servers: Iterable[Server]) -> str | None:
    """The address of a page on this store, or None."""
    return next((server.desk_url for server in servers if server.desk_url), None)
