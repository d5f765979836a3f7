"""Why a position cannot be closed now: everything of it is locked."""

from __future__ import annotations

from dataclasses import dataclass

from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.money import plain
from positions_mcp.domain.portfolio.locks import Locks
from positions_mcp.domain.text import label
from positions_mcp.guard.account import Account
from positions_mcp.guard.closing.targets import locks_of


@dataclass(frozen=True, slots=True)
class Stuck:
    """Why no order can close a position now, and the way that is left; empty where there is none."""

    name: str
    why: str
    way: str = ""

    @property
    def reason(self) -> str:
        """As a refusal says it, without a full stop."""
        return f"{self.name} cannot be closed now: {self.why}"

    @property
    def left_out(self) -> str:
        """As a plan for everything says it."""
        return f"{self.name} is left out: {self.why}.{f' {self.way}' if self.way else ''}"


def why_stuck(position: Position, account: Account, cancel_orders: bool) -> Stuck | None:
    """Why it cannot be closed now; None where it can, of it at least what is free."""
    held, locks = abs(position.quantity), locks_of(position, account)
    if not held or locks.stays(cancel_orders=cancel_orders) < held:
        return None
    return Stuck(label(position.name), f"all {plain(held)} are locked, {locks.said}", _way_to_free(locks))


def _way_to_free(locks: Locks) -> str:
    if locks.by_orders:
        return "cancel_orders=true cancels the orders first and closes what they lock."
    if locks.by_instructions:
        return "cancel_instruction withdraws an instruction, as long as it is not final."
    return "list_instructions shows what is instructed. Ask again when it is free."
