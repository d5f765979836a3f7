"""How often a caller may ask a person by a form: one question at a time, and none after three noes (G-22)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial

from positions_mcp.domain.operation.operation import Decision, Operation
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.guard.dependencies import Dependencies

NOES = 3
WITHIN = timedelta(minutes=10)
REMEMBERED = timedelta(days=1)
_ASKED_WITHIN = REMEMBERED + timedelta(hours=1)
"""What was decided within the time remembered was asked for within this one."""


class Questions:
    """The forms that are open in this server's clients, and the noes in the store."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._open: dict[str, Operation] = {}

    def why_not(self, operation: Operation) -> str:
        """Why its caller may not ask by a form now; empty if it may. Blocking."""
        caller, now = operation.plan.caller, self._deps.clock.now()
        asked = self._open.get(caller)
        if asked is not None and asked.operation_id != operation.operation_id and not asked.plan.is_expired(now):
            return f"A question of this caller is still open with a person: plan {asked.operation_id}."
        if self._rests(caller, now):
            return (
                f"A person said no to this caller {NOES} times within {int(WITHIN.total_seconds() // 60)} minutes, so "
                "it asks by a form no more until a supervisor approves one of its plans."
            )
        return ""

    def _rests(self, caller: str, now: datetime) -> bool:
        """Whether the caller has had its noes. Yeses are looked for only then."""
        deps = self._deps
        decided = partial(deps.store.decided_for, deps.mode, deps.policy.accounts, caller, now - _ASKED_WITHIN)
        noes = decided(declined=True)
        return rests(noes, now) and rests((*noes, *decided(declined=False)), now)

    def is_open(self, operation: Operation) -> bool:
        """Whether a form with its question is shown now."""
        asked = self._open.get(operation.plan.caller)
        return asked is not None and asked.operation_id == operation.operation_id

    def opened(self, operation: Operation) -> None:
        """A form with its question is shown."""
        self._open[operation.plan.caller] = operation

    def closed(self, operation: Operation) -> None:
        """The form came back."""
        if self.is_open(operation):
            del self._open[operation.plan.caller]


def rests(decisions: Iterable[Decision], now: datetime) -> bool:
    """Whether there were three noes to forms within ten minutes, and no yes from the desk since."""
    recent = sorted((d for d in decisions if d.decided_at > now - REMEMBERED), key=lambda each: each.decided_at)
    noes: list[datetime] = []
    resting = False
    for decision in recent:
        if decision.approved and decision.channel is Channel.DESK:
            noes, resting = [], False
        elif not decision.approved and decision.channel is Channel.ELICITATION:
            noes = [*(at for at in noes if at > decision.decided_at - WITHIN), decision.decided_at]
            resting = resting or len(noes) >= NOES
    return resting
