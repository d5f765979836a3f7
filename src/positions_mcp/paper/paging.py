"""Pages and their tokens: opaque, signed, and bound to the filters and the order they were given for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from positions_mcp.paper.errors import Refusal

DEFAULT_SIZE = 1000
LARGEST_SIZE = 1000
_SIGNATURE_BYTES = 12
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page:
    """Which page of which listing is asked for. Pages count from 1."""

    number: int
    size: int
    listing: str
    secret: str

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        start = (self.number - 1) * self.size
        return items[start : start + self.size]

    def metadata(self, total: int) -> dict[str, Any]:
        """What the answer's metadata says about paging. The first page's previous token is null."""
        pages = -(-total // self.size)
        found: dict[str, Any] = {"page_number": self.number, "total_items": total, "total_pages": pages}
        found["previous_page_token"] = self._token(self.number - 1) if self.number > 1 else None
        if self.number < pages:
            found["next_page_token"] = self._token(self.number + 1)
        return found

    def _token(self, number: int) -> str:
        body = json.dumps([number, self.size, self.listing], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(_signature(self.secret, body) + body).decode()


def page_of(size: int | None, token: str | None, filters: Mapping[str, object], secret: str) -> Page:
    """The page a request asks for; with a token, `page_size` is ignored.

    Raises Refusal: 400 for a token that is forged, damaged, or was given for other filters or another order.
    """
    listing = hashlib.sha256(json.dumps(filters, sort_keys=True).encode()).hexdigest()[:16]
    if token is None:
        return Page(1, size or DEFAULT_SIZE, listing, secret)
    number, kept_size, kept_listing = _read(token, secret)
    if kept_listing != listing:
        raise Refusal(
            400, "page_token was issued for other filters or another sort order; resend the ones it came with"
        )
    return Page(number, kept_size, listing, secret)


def _read(token: str, secret: str) -> tuple[int, int, str]:
    try:
        raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not body or not hmac.compare_digest(signature, _signature(secret, body)):
        raise Refusal(400, "page_token is not one of this service's")
    number, size, listing = json.loads(body)
    return number, size, listing


def _signature(secret: str, body: bytes) -> bytes:
    return hmac.digest(secret.encode(), body, "sha256")[:_SIGNATURE_BYTES]
