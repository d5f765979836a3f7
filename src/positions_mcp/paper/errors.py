"""What can go wrong on the paper exchange; transport faults that are injected on purpose are not errors of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class PaperError(Exception):
    """Anything the paper exchange says about itself."""


class ScenarioError(PaperError):
    """A scenario cannot be loaded; the message names the value, the allowed ones and the place."""


class BookError(PaperError):
    """The stored book cannot be used as asked; the message says what to run."""


class Refusal(PaperError):
    """A request the exchange refuses, with the HTTP status and message its answer carries."""

    def __init__(
        self,
        status: int,
        message: str,
        details: Sequence[Mapping[str, object]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = tuple(details)
        self.headers = dict(headers or {})
