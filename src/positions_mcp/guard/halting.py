"""An agent halts what it asks for itself. What a person halts and resumes is the supervisor's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from positions_mcp.domain.errors import Refused, StoreUnavailable
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.domain.operation.supervision import Halt, may_be_called
from positions_mcp.domain.text import clean
from positions_mcp.guard.dependencies import Dependencies, in_thread
from positions_mcp.ports import OperationStore

_LATEST = 500
"""Operations that are looked at for callers of a name."""


def doubt_about(store: OperationStore, halts: Sequence[Halt], known: frozenset[AccountId]) -> str:
    """A warning where halts name a caller or an account of which nothing is known here; empty where they do not."""
    names = {halt.caller for halt in halts if halt.caller}
    accounts = {halt.account_id for halt in halts if halt.account_id is not None} - known
    if not (names or accounts):
        return ""
    try:
        seen = [operation.plan for operation in store.operations(limit=_LATEST)]
    except Exception:  # it is halted, whatever cannot be read beside
        return ""
    return " ".join([*_about_callers(names, seen), *_about_accounts(accounts, known, seen)])


def _about_callers(names: Collection[str], seen: Sequence[Plan]) -> Iterator[str]:
    callers = sorted({plan.caller for plan in seen})
    for name in sorted(names):
        if not any(may_be_called(caller, name) for caller in callers):
            who = ", ".join(callers) or "nobody"
            yield f"CHECK THE NAME: no caller {name} has asked for anything here yet. Who has: {who}."


def _about_accounts(
    accounts: Collection[AccountId], known: Collection[AccountId], seen: Sequence[Plan]
) -> Iterator[str]:
    those = {plan.account_id for plan in seen} | set(known)
    for account in sorted(set(accounts) - those):
        which = ", ".join(map(str, sorted(those))) or "none"
        yield f"CHECK THE ACCOUNT: nothing is known here of account {account}. Known: {which}."


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
