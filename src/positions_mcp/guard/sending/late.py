"""What the store did not take when it happened: it is kept, and offered again for as long as this process lives."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import anyio

from positions_mcp.domain.errors import Refused, StoreUnavailable
from positions_mcp.domain.operation.operation import Decision, Operation
from positions_mcp.domain.operation.states import RowState
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.threads import in_thread

PAUSES_S = (0.5, 1.0, 2.0, 5.0)
"""Between one offer and the next; the last one from then on."""
LAST_OFFERS, LAST_PAUSE_S = 3, 1.0
"""How often it is still offered once the process is told to end."""
AGAIN = "It is tried again for as long as this process runs."
_IN_DOUBT = (RowState.SENDING, RowState.UNKNOWN)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FinishedOperation:
    """An operation as this process knows it to have ended."""

    operation: Operation
    token: str
    """Of the claim that it is to be ended for."""
    decided: Decision | None = None
    """The yes that is not known to be in the store."""


class LateRecords:
    """Offers them to the store. `is_ending` says whether the process has been told to end."""

    def __init__(self, deps: Dependencies, is_ending: Callable[[], bool]) -> None:
        self._deps = deps
        self._is_ending = is_ending

    async def keep(self, ended: FinishedOperation) -> None:
        """Offer it until it is taken. Never raises."""
        name, last_offers, pauses = ended.operation.operation_id, LAST_OFFERS, iter(PAUSES_S)
        _log.warning("what became of %s is not in the store yet: %s", name, _in_words(ended.operation))
        with anyio.CancelScope(shield=True):
            while last_offers:
                last_offers -= self._is_ending()
                await self._deps.sleep(LAST_PAUSE_S if self._is_ending() else next(pauses, PAUSES_S[-1]))
                try:
                    await self._offer(ended)
                except StoreUnavailable as error:
                    _log.debug("what became of %s is not taken: %s", name, error.message)
                    continue
                except Exception:  # a defect here must not end a server that may be sending
                    _log.exception("what became of %s cannot be offered to the store", name)
                    break
                self._deps.unrecorded.pop(name, None)
                _log.warning("what became of %s is in the store now", name)
                return
        _log.error("what became of %s never came into the store: %s", name, _in_words(ended.operation))

    async def _offer(self, ended: FinishedOperation) -> None:
        """Write down what is missing. What came into the store although nobody heard so is left as it is."""
        store, end, name = self._deps.store, ended.operation, ended.operation.operation_id
        known = [row for row in end.rows if row.state is not RowState.SENDING]
        with suppress(Refused):
            stored = await in_thread(store.operation, name)
            if stored is None:
                raise StoreUnavailable("The store knows nothing of it, as after a failover that lost entries.")
            if missing := [row for row in known if stored.rows[row.position].state in _IN_DOUBT]:
                after = self._deps.policy.halt_after
                await in_thread(store.record, name, ended.token, missing, self._deps.clock.now(), halt_after=after)
        with suppress(Refused):  # its claim ran out meanwhile
            unsent = [row for row in known if row.state is RowState.NOT_SENT]
            ending = partial(store.finish, name, ended.token, stage=end.stage, reason=end.reason, rows=unsent)
            await in_thread(ending, now=self._deps.clock.now(), decided=ended.decided)


def _in_words(operation: Operation) -> str:
    """Enough to settle it by hand."""
    told = []
    for row in operation.rows:
        orders = ", ".join(order.order_id for order in row.orders)
        told.append(f"row {row.position + 1} {row.state}{f' as {orders}' if orders else ''}")
    return "; ".join(told)
