"""An agent halts what it asks for itself. What a person halts and resumes is the supervisor's."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from positions_mcp.domain.errors import Refused, StoreUnavailable
from positions_mcp.domain.operation.supervision import Halt, may_be_called
from positions_mcp.domain.text import clean
from positions_mcp.guard.blocking import in_thread
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.ports import OperationStore

_LATEST = 500
"""Operations that are looked at for callers of a name."""


def doubt_about(store: OperationStore, halts: Sequence[Halt]) -> str:
    """A warning where a halt names a caller that nobody is who has asked for anything yet; empty where it does not."""
    name = next((halt.caller for halt in halts if halt.caller), "")
    if not name:
        return ""
    try:
        callers = {operation.plan.caller for operation in store.operations(limit=_LATEST)}
    except Exception:  # it is halted, whatever cannot be read beside
        return ""
    if any(may_be_called(caller, name) for caller in callers):
        return ""
    known = ", ".join(sorted(callers)) or "nobody"
    return f"CHECK THE NAME: no caller {name} has asked for anything here yet. Who has: {known}."


class Halting:
    """What the guard lets an agent stop."""

    _deps: Dependencies

    async def halt(self, reason: str, *, caller: str) -> Halt:
        """Stop what a caller asks for, in every process on the store. Only a person ends it.

        A halt that covers all of that already stays as it is. Returns the halt that stands.

        Raises:
            Refused: nobody is known to call.
            StoreUnavailable: it is not halted.
        """
        if not caller:
            raise Refused("Caller not authenticated.", hint="Over HTTP, what has no token can send nothing anyway.")
        why = clean(reason, 200) or "no reason given"
        mine = Halt(reason=why, by=clean(caller, 60), at=self._deps.clock.now(), caller=caller)
        with suppress(StoreUnavailable):  # what stands cannot be read: then it is halted anew
            for standing in await in_thread(self._deps.store.halts):
                if standing.covers_all_of(caller):
                    return standing
        return await in_thread(self._deps.store.set_halt, mine)
