"""The one error tree of the program.

Every error says in words what was wrong, what to do next (`hint`), and whether anything was sent (`sent`).

Nothing secret is ever put into an error: no key, no header.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum


class Sent(StrEnum):
    """Whether a destructive request, or any request that the error is about, left this machine."""

    NO = "no"
    YES = "yes"
    UNKNOWN = "unknown"


class PositionsError(Exception):
    """The root: `message` says what was wrong, `hint` what to do next, `sent` whether anything left."""

    sent: Sent = Sent.NO

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class ConfigurationError(PositionsError):
    """The program cannot start as configured; the message names the value, the allowed ones and the place."""


class InvalidInput(PositionsError):
    """An argument was refused before any request."""


class UnsafeIdentifier(InvalidInput):
    """An identifier that is not of its form, and so could have changed the path of a request."""


class UnknownInstrument(InvalidInput):
    """Nothing held goes by that name.

    Attributes:
        nearest: symbols held that resemble it, best first; may be empty.
        is_doubted: whether it may be held all the same, because not everything held could be read.
    """

    def __init__(self, message: str, *, nearest: Sequence[str] = (), hint: str = "", is_doubted: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.nearest = tuple(nearest)
        self.is_doubted = is_doubted


class InvalidBatch(InvalidInput):
    """A batch that may not be sent.

    Attributes:
        reasons: why, by the row's place from 0; empty where it is about the batch as a whole.
    """

    def __init__(self, message: str, *, reasons: Mapping[int, Sequence[str]], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reasons = {place: tuple(each) for place, each in reasons.items()}


class CursorExpired(InvalidInput):
    """A cursor whose snapshot this process no longer keeps."""


class UpstreamError(PositionsError):
    """The API did not give the answer asked for.

    Attributes:
        status: HTTP status, or None when no response arrived.
        request_id: the API's own id of the request, or None when it did not say.
        code: the API's error code, or None.
        details: the API's `details`, as it sent them; empty when there were none.
        said: the API's own words, cleaned; empty when there were none.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        sent: Sent = Sent.UNKNOWN,
        status: int | None = None,
        request_id: str | None = None,
        code: str | int | None = None,
        details: Sequence[object] = (),
        said: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.sent = sent
        self.status = status
        self.request_id = request_id
        self.code = code
        self.details = tuple(details)
        self.said = said


class NothingSent(UpstreamError):
    """Name lookup, connecting or the pool failed: provably not one byte of the request left."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint, sent=Sent.NO)


class RequestRejected(UpstreamError):
    """The API refused the request, with a body that could be read."""


class Unauthenticated(RequestRejected):
    """401: the API does not accept the key."""


class Forbidden(RequestRejected):
    """403: the key may not do this, or not with this account."""


class NotFound(RequestRejected):
    """404: no such account, instrument, order or instruction."""


class RateLimited(RequestRejected):
    """429.

    Attributes:
        retry_after_s: seconds to wait as the API asked, or None when it did not say.
    """

    retry_after_s: float | None = None


class ReadFailed(UpstreamError):
    """A read got no usable answer. Reads have no effect, so asking again is safe."""


class OutcomeUnknown(UpstreamError):
    """A write left this machine and whether it took effect is not known. It must not be sent again."""


class AnsweredForAnother(OutcomeUnknown):
    """A write was answered for another account. What became of the own is not known."""


class InconsistentListing(UpstreamError):
    """Pages of one listing contradict each other even after reading again."""


class Refused(PositionsError):
    """The guard decided against sending; the message names the rule."""


class Overtaken(Refused):
    """Another call or process moved the operation first: read it again to see what became of it."""


class StoreUnavailable(PositionsError):
    """The operation store cannot be used for what was asked."""
