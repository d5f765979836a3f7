"""What a caller has asked for, as a store finds it, however much else is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from positions_mcp.domain.ids import AccountId
    from positions_mcp.domain.operation.operation import Decision, Operation
    from positions_mcp.domain.operation.plan import Mode


class CallerStore(Protocol):
    """Plans and decisions of one caller."""

    def decided_for(
        self, mode: Mode, accounts: Collection[AccountId], caller: str, since: datetime, *, declined: bool
    ) -> tuple[Decision, ...]:
        """What people said to what a caller asked for in these accounts after an instant: the noes, or the yeses."""

    def open_forms(self, mode: Mode, caller: str, now: datetime, *, asking: str = "") -> Mapping[str, frozenset[str]]:
        """The undecided operations of a caller whose question is open in a form, the first one asked first.

        With each the servers that show it; "" where any server of the store takes its answer. Who is `asking` is alive,
        whatever its last word says: its machine may have slept.
        """

    def open_plans_for(self, mode: Mode, account_id: AccountId, caller: str, now: datetime) -> tuple[Operation, ...]:
        """A caller's plans in an account that may still be decided at `now`, the newest first."""
