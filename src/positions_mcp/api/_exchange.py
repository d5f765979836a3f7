"""One HTTP exchange as values: what is asked, what came back, or why nothing did and whether anything had left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from positions_mcp import __version__
from positions_mcp.api._endpoint import Endpoint
from positions_mcp.domain.errors import Sent

LARGEST_BODY = 32 * 2**20
"""Bytes of a decoded body that are read at most. A page of 1,000 positions has about half a megabyte."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request under the base URL. `json` is the body; None sends none."""

    method: str
    path: str
    query: Mapping[str, str] | None = None
    json: object = None

    @property
    def body(self) -> bytes | None:
        """What is sent as the body."""
        if self.json is None:
            return None
        return json.dumps(self.json, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()

    def headers(self, endpoint: Endpoint) -> dict[str, str]:
        """What is sent before the body, apart from where it goes; nothing of it comes from an HTTP library."""
        of_body = {} if self.json is None else {"Content-Type": "application/json"}
        return {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "Authorization": f"Bearer {endpoint.key.get_secret_value()}",
            "User-Agent": f"positions-mcp/{__version__}",
            **of_body,
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer: status, decoded body, and the two headers that matter."""

    status: int
    body: bytes
    request_id: str | None
    retry_after: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """No complete answer. `left` says whether any byte of the request left; YES comes with the answer's status."""

    reason: str
    left: Sent
    status: int | None = None
    may_ask_again: bool = True


@dataclass(frozen=True, slots=True)
class Received:
    """A complete answer as it came: its headers by their names in lower case, its body without its encodings."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TooLarge(Exception):
    """An answer, of this status, whose body is larger than is read."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the answer is larger than {LARGEST_BODY // 2**20} MiB")
        self.status = status


class Unanswered(Exception):
    """Why there is no complete answer, in words, and what the system says of it."""

    def __init__(self, reason: str, detail: str = "", *, nothing_left: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.detail, self.nothing_left = reason, detail, nothing_left


BROKE = "the connection broke before the answer was complete"
CLOSED = "this client is closed"
ENDED = "the connection ended before the answer was complete"
NOT_DECODED = "the answer is compressed in a way that cannot be undone"
NOT_IN_TIME = "connecting took too long"
NOT_MADE = "no connection could be made"


@dataclass(slots=True)
class Departure:
    """Whether provably no byte of a request has been written, as whoever writes it knows."""

    excluded: bool = True


class Way(Protocol):
    """One way to the API, over which reads share kept connections and each write has one of its own."""

    async def send(self, request: Request, departure: Departure, *, timeout_s: float, fresh: bool) -> Received:
        """Send once and read the answer wholly; `fresh` on a new connection.

        Raises Unanswered or TooLarge, or whatever else the way meets; UnsafeIdentifier where another path than the
        one asked for would be sent; ConfigurationError where the way cannot be used.
        """

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""

    async def aclose(self) -> None:
        """Close the connections."""
