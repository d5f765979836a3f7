"""The one place that turns what came back, or did not, into the error tree of `positions_mcp.domain.errors`.

What a write's answer means:

| answer | error |
|---|---|
| provably nothing left | NothingSent |
| 400, 401, 403, 404, 409, 422, 429 with a readable body | RequestRejected and its kinds |
| close: the same, but with data beside the error | OutcomeUnknown: orders may have been made |
| submit: 503 with a code and a message, the documented refusal while clearing is unavailable | RequestRejected |
| everything else that is not a readable 2xx | OutcomeUnknown |

`who` is what the API there is called at the beginning of a sentence.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from positions_mcp.api._exchange import Failure
from positions_mcp.api._retry import RetryResult, retry_after_seconds
from positions_mcp.api._wire import Reply
from positions_mcp.domain.errors import (
    AnsweredForAnother,
    Forbidden,
    NotFound,
    NothingSent,
    OutcomeUnknown,
    RateLimited,
    ReadFailed,
    RequestRejected,
    Sent,
    Unauthenticated,
    UpstreamError,
)
from positions_mcp.domain.text import clean, quoted

_REFUSALS = frozenset({400, 401, 403, 404, 409, 422, 429})
_CLEARING_UNAVAILABLE = 503
_MOST_DETAILS = 50
_MOST_SAID = 5

_KINDS: dict[int, tuple[type[RequestRejected], str]] = {
    401: (Unauthenticated, "Check the API key."),
    403: (Forbidden, "Check which accounts and operations the API key is for."),
    404: (NotFound, ""),
    429: (RateLimited, ""),
}
_ASK_AGAIN = "Reading changes nothing: ask again."
_DO_NOT_RESEND = "Do not send it again. Read the positions and the orders to see what happened."


class _Facts(TypedDict):
    sent: Sent
    status: int | None
    request_id: str | None
    code: str | int | None
    details: tuple[object, ...]
    said: str


def read_failure(who: str, asked: RetryResult, failure: Failure) -> ReadFailed:
    """A read that got no complete answer."""
    message = f"{who} could not be read: {failure.reason}{_after(asked)}."
    return ReadFailed(message, hint=_ASK_AGAIN, sent=failure.left, status=failure.status)


def read_refusal(who: str, asked: RetryResult, reply: Reply, now: datetime) -> UpstreamError:
    """A read whose answer is not a usable success: refused, failed, redirected or unreadable."""
    if reply.status in _REFUSALS:
        return _refusal(who, reply, now, after=_waited(asked))
    if reply.is_success:
        message = f"{who} answered {reply.status}, but {reply.flaw or 'without data'}{_said(reply)}."
    else:
        message = f"{who} answered {_named(reply.status)}{_said(reply)}{_after(asked)}{_waited(asked)}."
    return ReadFailed(message, hint=_ASK_AGAIN, **_facts(reply))


def write_failure(failure: Failure) -> UpstreamError:
    """A write that got no complete answer."""
    if failure.left is Sent.NO:
        return NothingSent(f"Nothing was sent: {failure.reason}.")
    left = "was" if failure.left is Sent.YES else "may have been"
    return OutcomeUnknown(
        f"The request {left} sent and its outcome is not known: {failure.reason}.",
        hint=_DO_NOT_RESEND,
        sent=failure.left,
        status=failure.status,
    )


def write_refusal(
    who: str, reply: Reply, now: datetime, *, clearing_may_be_unavailable: bool = False, has_no_effect: bool = True
) -> UpstreamError:
    """A write whose answer carries nothing that could be read as its result. `has_no_effect`: if it is a refusal."""
    if has_no_effect and reply.status in _REFUSALS and reply.error is not None:
        return _refusal(who, reply, now)
    # A gateway says `{"message": …}` without a code, and has no knowledge.
    is_documented = reply.error is not None and reply.error.code is not None and bool(reply.error.message)
    if clearing_may_be_unavailable and reply.status == _CLEARING_UNAVAILABLE and is_documented:
        return _refusal(who, reply, now)
    answered = f"{who} answered {_named(reply.status)}{_said(reply)}"
    flaw = f", but {reply.flaw or 'without data'}" if reply.is_success else ""
    if not has_no_effect and not reply.is_success:
        flaw = ", but with data beside it: orders may have been made"
    message = f"The request was sent and its outcome is not known: {answered}{flaw}."
    return OutcomeUnknown(message, hint=_DO_NOT_RESEND, **_facts(reply))


def rows_left_out(unreadable: int, of_others: int, request_id: str | None) -> ReadFailed:
    """A listing that is complete but for rows that are not what the contract says, or are of another account."""
    counted = [f"{unreadable} rows of the listing cannot be read"] if unreadable else []
    counted += [f"{of_others} rows of the listing are of another account"] if of_others else []
    return ReadFailed(f"{' and '.join(counted)}.", hint=_ASK_AGAIN, sent=Sent.YES, status=200, request_id=request_id)


def another(what: str, request_id: str | None) -> ReadFailed:
    """An answer about something else than what was asked for."""
    return ReadFailed(
        f"The answer is about another {what} than the one asked for.",
        hint=_ASK_AGAIN,
        sent=Sent.YES,
        status=200,
        request_id=request_id,
    )


def answered_another(account_id: int, request_id: str | None) -> AnsweredForAnother:
    """A write whose answer is about another account."""
    return AnsweredForAnother(
        f"The request was sent and its outcome is not known: the answer is about account {account_id}.",
        hint=_DO_NOT_RESEND,
        sent=Sent.YES,
        status=200,
        request_id=request_id,
    )


def _refusal(who: str, reply: Reply, now: datetime, after: str = "") -> RequestRejected:
    kind, hint = _KINDS.get(reply.status, (RequestRejected, ""))
    error = kind(f"{who} refused the request with {reply.status}{_said(reply)}{after}.", hint=hint, **_facts(reply))
    if isinstance(error, RateLimited):
        error.retry_after_s = retry_after_seconds(reply.retry_after, now)
    return error


def _facts(reply: Reply) -> _Facts:
    error = reply.error
    return {
        "sent": Sent.YES,
        "status": reply.status,
        "request_id": None if reply.metadata.request_id is None else clean(reply.metadata.request_id, 100),
        "code": _code(error.code if error else None),
        "details": tuple((error.details or ())[:_MOST_DETAILS]) if error else (),
        "said": clean(error.said) if error else "",
    }


def _code(code: int | str | None) -> int | str | None:
    return clean(code, 100) if isinstance(code, str) else code


def _said(reply: Reply) -> str:
    reasons = reply.error.reasons[:_MOST_SAID] if reply.error else []
    return f": {', '.join(map(quoted, reasons))}" if reasons else ""


def _named(status: int) -> str:
    return f"{status}, a redirect, which is never followed" if 300 <= status < 400 else str(status)


def _after(asked: RetryResult) -> str:
    return f" (after {asked.attempts} attempts)" if asked.attempts > 1 else ""


def _waited(asked: RetryResult) -> str:
    return (
        ""
        if asked.refused_wait_s is None
        else f"; it asks to wait {asked.refused_wait_s:g} s, longer than a read may take"
    )
