"""The one place where errors become words for the model: what was wrong, what to do next, whether anything was sent."""

from __future__ import annotations

from positions_mcp.domain.errors import (
    OutcomeUnknown,
    Overtaken,
    PositionsError,
    RateLimited,
    Sent,
    StoreUnavailable,
    UpstreamError,
)
from positions_mcp.domain.text import clean, label

_LONGEST_MESSAGE = 700

_READ_ONLY = "Nothing was sent: this tool only reads."
_BY_THIS_CALL = "Nothing was sent by this call"
"""An error knows of its own call alone: another call or server may have sent the same meanwhile."""
_SENT = {
    Sent.NO: f"{_BY_THIS_CALL}.",
    Sent.YES: "The request was sent.",
    Sent.UNKNOWN: "Whether the request took effect is not known. Do not repeat it.",
}


def failure_text(error: PositionsError, *, reads: bool) -> str:
    """An error of the program's own tree, in words. `reads` says that the tool cannot have sent anything."""
    # A command or an address has no full stop, which would be taken for a part of it: it stands at the end.
    hint, at_the_end = (error.hint, "") if error.hint.endswith((".", ")")) else ("", error.hint)
    parts = [hint]
    if isinstance(error, RateLimited) and error.retry_after_s is not None:
        parts.append(f"Wait {error.retry_after_s:g} s before asking again.")
    # What becomes of a write stands in its operation: another error of the API is one of reading, which sends nothing.
    of_reading = isinstance(error, UpstreamError) and not isinstance(error, OutcomeUnknown)
    sent = Sent.NO if of_reading else error.sent
    already_said = sent is Sent.NO and "othing was sent" in " ".join([error.message, *parts, at_the_end])
    if not reads and sent is Sent.NO and isinstance(error, Overtaken | StoreUnavailable | UpstreamError):
        parts.append(f"{_BY_THIS_CALL}; get_operation says what became of a plan under way.")
    elif not already_said:
        parts.append(_READ_ONLY if reads else _SENT[sent])
    if isinstance(error, UpstreamError) and error.request_id:
        parts.append(f"Request id {label(error.request_id, 64)}.")
    rest = " ".join(part for part in [*parts, at_the_end] if part)
    message = clean(error.message, max(_LONGEST_MESSAGE - len(rest) - 1, _LONGEST_MESSAGE // 2))
    return clean(f"{message} {rest}", _LONGEST_MESSAGE)


def crash_text(*, reads: bool) -> str:
    """A defect of the program: its details stay in the log."""
    if reads:
        return f"An internal error; its details are in the server's log. {_READ_ONLY}"
    return (
        "An internal error; its details are in the server's log. Whether anything was sent is not known: "
        "do not repeat this, look at list_operations first."
    )
