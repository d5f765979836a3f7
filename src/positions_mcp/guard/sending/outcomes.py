"""What an answer says of the rows that were asked for, and whether anything may be sent after it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import anyio

from positions_mcp.domain.errors import NothingSent, OutcomeUnknown, RequestRejected
from positions_mcp.domain.operation.operation import Row
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.domain.operation.states import RowState
from positions_mcp.guard.kind import Answer, Request, RowAnswer

_GRACE = timedelta(seconds=1)
"""What a writer gets beyond its own time-out: it knows whether anything had left by then, and the guard does not."""


async def answer_to(
    request: Request, send: Callable[[], Awaitable[Answer]], time_out: timedelta
) -> tuple[Answer, NothingSent | None]:
    """Send once. Whatever happens, every row has an outcome; and why nothing was sent, where that is provable."""
    with anyio.move_on_after((time_out + _GRACE).total_seconds(), shield=True):
        try:
            return await send(), None
        except NothingSent as error:
            return _same_for_all(request, RowAnswer(RowState.NOT_SENT, f"Not sent: {error.message}")), error
        except RequestRejected as error:
            detail = f"The API refused it: {error.message}"
            outcome = RowAnswer(RowState.REJECTED, detail, request_id=error.request_id, ended=True)
            return _same_for_all(request, outcome), None
        except OutcomeUnknown as error:
            return _same_for_all(request, RowAnswer(RowState.UNKNOWN, error.message, request_id=error.request_id)), None
        except Exception as error:  # after SENDING every failure is an unknown outcome
            detail = f"It may have been sent and its outcome is not known: {type(error).__name__}."
            return _same_for_all(request, RowAnswer(RowState.UNKNOWN, detail)), None
    detail = f"No answer within {time_out.total_seconds():g} seconds."
    return _same_for_all(request, RowAnswer(RowState.UNKNOWN, detail)), None


def _same_for_all(request: Request, outcome: RowAnswer) -> Answer:
    return Answer(dict.fromkeys(request.rows, outcome))


def outcome_of(row: Row, said: RowAnswer | None, note: str) -> Row:
    """A row with what the answer says of it, if anything, and what there is to note of it."""
    found = said or RowAnswer(RowState.UNKNOWN, "The answer says nothing of it.")
    told: dict[str, Any] = {
        "state": found.state,
        "detail": " ".join(filter(None, [found.detail, note])),
        "lease": None,
        "orders": found.orders,
        "instruction_id": found.instruction_id,
        "answered": found.answered,
        "unexpected": found.unexpected,
        "unreadable": found.unreadable,
        "request_id": found.request_id,
        "ended": found.ended,
    }
    if found.state in (RowState.NOT_SENT, RowState.REJECTED):
        told |= {"reserved": 0, "reserved_on": None}
    if found.state is RowState.NOT_SENT:
        told |= {"sent_at": None, "sent_at_market": None}
    return row.changed(**told)


def why_ends(plan: Plan, answer: Answer) -> str:
    """Why nothing is sent after an answer; empty where something may be. A person who flattens goes on."""
    if plan.flatten:
        return ""
    states = {outcome.state for outcome in answer.outcomes.values()}
    if RowState.UNKNOWN in states:
        return "An outcome is unknown, so nothing more was sent."
    if RowState.DEVIATED in states or (answer.unexpected and plan.kind.is_close):
        return "The answer deviated from the plan, so nothing more was sent."
    return ""
