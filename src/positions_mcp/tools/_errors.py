"""The one place where errors become words for the model: what was wrong, what to do next, whether anything was sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from positions_mcp.domain.errors import PositionsError, RateLimited, Sent, UpstreamError
from positions_mcp.domain.portfolio.resolve import similar
from positions_mcp.domain.text import clean, label, quoted

_LONGEST_MESSAGE = 700
_MOST_MISTAKES = 5

_READ_ONLY = "Nothing was sent: this tool only reads."
_SENT = {
    Sent.NO: "Nothing was sent.",
    Sent.YES: "The request was sent.",
    Sent.UNKNOWN: "Whether the request took effect is not known. Do not repeat it.",
}


def failure_text(error: PositionsError, *, reads: bool) -> str:
    """An error of the program's own tree, in words. `reads` says that the tool cannot have sent anything."""
    parts = [error.message, error.hint]
    if isinstance(error, RateLimited) and error.retry_after_s is not None:
        parts.append(f"Wait {error.retry_after_s:g} s before asking again.")
    if not (error.sent is Sent.NO and "othing was sent" in " ".join(parts)):
        parts.append(_READ_ONLY if reads else _SENT[error.sent])
    if isinstance(error, UpstreamError) and error.request_id:
        parts.append(f"Request id {label(error.request_id, 64)}.")
    return clean(" ".join(part for part in parts if part), _LONGEST_MESSAGE)


def argument_text(error: ValidationError, allowed: Sequence[str]) -> str:
    """Arguments that do not fit the input schema, each with what would. Nothing was requested because of them."""
    mistakes = [_mistake(each, allowed) for each in error.errors(include_url=False)]
    shown = mistakes[:_MOST_MISTAKES]
    if len(mistakes) > len(shown):
        shown.append(f"and {len(mistakes) - len(shown)} more.")
    return f"Invalid arguments. {' '.join(shown)} Nothing was sent."


def crash_text(*, reads: bool) -> str:
    """A defect of the program: its details stay in the log."""
    if reads:
        return f"An internal error; its details are in the server's log. {_READ_ONLY}"
    return (
        "An internal error; its details are in the server's log. Whether anything was sent is not known: "
        "do not repeat this, look at list_operations first."
    )


def _mistake(error: Any, allowed: Sequence[str]) -> str:
    place = ".".join(str(part) for part in error["loc"]) or "arguments"
    if error["type"] == "extra_forbidden":
        near = similar(place, allowed)
        known = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(allowed) or 'none'}."
        return f"{label(place)} is not an argument of this tool. {known}"
    given = error["input"]
    if error["type"] == "missing":
        return f"{label(place)} is required."
    said = quoted(given, 40) if isinstance(given, str) else clean(repr(given), 40)
    return f"{label(place)}: {said} was given. {clean(error['msg'])}."
