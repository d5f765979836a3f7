"""Reads query strings and paths, strictly: what is wrong is 400 in the API's own words, and nothing is dropped.

Pages have tokens: opaque, signed, and bound to the filters and the order they were given for.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from positions_mcp.paper.dialects import Dialect
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.symbols import as_uuid

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


_MOST_PARAMETERS = 2000
_LONGEST_NAME = 40
IDENTIFIER = r"[A-Za-z0-9._/-]+(?: +[A-Za-z0-9._/-]+)*"
"""An identifier in a list: a UUID, or a symbol in any spacing."""
_IDENTIFIER = re.compile(IDENTIFIER, re.ASCII)
_ITEM = re.compile(r"(?P<name>[^\[\]]+)\[(?P<index>[0-9]{0,6})\]", re.ASCII)
_INSTANT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:[T ](?P<time>\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?P<zone>Z|[+ -]\d\d:\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)


class Query:
    """The query string of a request. A value is given once; a list is comma-joined, or `name[0]=…&name[1]=…`."""

    def __init__(self, query_string: bytes) -> None:
        self._values: dict[str, str] = {}
        self._items: dict[str, list[tuple[int, str]]] = {}
        try:
            text = query_string.decode("ascii")
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS)
        except ValueError as error:
            raise _wrong("it is malformed") from error
        for name, value in pairs:
            item = _ITEM.fullmatch(name)
            if item is None:
                if name in self._values:
                    raise _wrong(f"{_shown(name)} is given twice; join several values with commas")
                self._values[name] = value
            else:
                items = self._items.setdefault(item["name"], [])
                items.append((int(item["index"] or len(items)), value))

    def only(self, known: AbstractSet[str]) -> None:
        """Refuses every parameter that is not among the known ones: a filter is honoured, or it is an error."""
        for name in (*self._values, *self._items):
            if name not in known:
                raise _wrong(f"unknown field `{_shown(name)}`, expected one of {', '.join(sorted(known)) or 'none'}")

    def text(self, name: str) -> str | None:
        if name in self._items:
            raise _wrong(f"{name} is one value, no list")
        return self._values.get(name)

    def whole(self, name: str, least: int, most: int) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        number = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else -1
        if not least <= number <= most:
            raise _wrong(f"{name}: it is a whole number from {least} to {most}")
        return number

    def one_of(self, name: str, allowed: Sequence[str]) -> str | None:
        value = self.text(name)
        if value is not None and value not in allowed:
            raise _wrong(f"{name}: it is one of {', '.join(allowed)}")
        return value

    def several(self, name: str, allowed: Sequence[str] | None = None) -> list[str] | None:
        """The parts of a list; all of them are identifiers, and among the allowed ones where there are such."""
        value, items = self._values.get(name), self._items.get(name)
        if value is not None and items is not None:
            raise _wrong(f"{name} is given in two ways")
        if items is not None:
            if len({index for index, _ in items}) < len(items):
                raise _wrong(f"{name} has two values in one place")
            value = ",".join(text for _, text in sorted(items))
        if value is None:
            return None
        parts = [part.strip() for part in value.split(",")]
        for part in parts:
            if not _IDENTIFIER.fullmatch(part):
                raise _wrong(f"{name}: '{_shown(part)}' is no identifier")
        if allowed is not None and not set(parts) <= set(allowed):
            raise _wrong(f"{name}: it is one or more of {', '.join(allowed)}")
        return parts

    def between(self) -> Span:
        """The instants from `from` to `to`, both inclusive; a bare date is a whole day."""
        span = Span(since=self.instant("from"), until=self.instant("to", end_of_day=True))
        if span.is_inverted:
            raise _wrong("from is not after to")
        return span

    def span(self, name: str) -> Span:
        """A range filter: `name[gt]`, `[gte]`, `[lt]` and `[lte]`; no bound falls into the middle of a bare date."""
        span = Span(
            after=self.instant(f"{name}[gt]", end_of_day=True),
            since=self.instant(f"{name}[gte]"),
            before=self.instant(f"{name}[lt]"),
            until=self.instant(f"{name}[lte]", end_of_day=True),
        )
        if span.is_inverted:
            raise _wrong(f"{name}: the range is inverted")
        return span

    def page(self) -> tuple[int | None, str | None]:
        """The parameters of paging: `page_size` (ignored beside a token) and `page_token`."""
        token = self.text("page_token")
        return (None if token is not None else self.whole("page_size", 1, LARGEST_SIZE)), token

    def instant(self, name: str, *, end_of_day: bool = False) -> datetime | None:
        """An instant; a bare date is the beginning of its day (UTC), or its end."""
        value = self.text(name)
        if value is None:
            return None
        if (match := _INSTANT.fullmatch(value)) is not None:
            with suppress(ValueError, OverflowError):
                if match["time"] is None:
                    day = datetime.fromisoformat(match["day"]).replace(tzinfo=UTC)
                    return day + timedelta(days=1, microseconds=-1) if end_of_day else day
                # A plus sign in a query string is a space.
                zone = (match["zone"] or "Z").upper().replace(" ", "+")
                return datetime.fromisoformat(f"{match['day']}T{match['time']}{zone}").astimezone(UTC)
        expected = "expected YYYY-MM-DD or RFC3339 (e.g. 2025-01-30T14:30:00Z)"
        raise _wrong(f"{name}: invalid date or datetime '{_shown(value)}': {expected}")


@dataclass(frozen=True, slots=True)
class Span:
    """Instants strictly `after` and `before`, and from `since` to `until` inclusive. None is no bound."""

    after: datetime | None = None
    since: datetime | None = None
    before: datetime | None = None
    until: datetime | None = None

    @property
    def is_inverted(self) -> bool:
        earliest = max((bound for bound in (self.after, self.since) if bound), default=None)
        latest = min((bound for bound in (self.before, self.until) if bound), default=None)
        return earliest is not None and latest is not None and earliest > latest

    def has(self, instant: datetime) -> bool:
        return (
            (self.after is None or instant > self.after)
            and (self.since is None or instant >= self.since)
            and (self.before is None or instant < self.before)
            and (self.until is None or instant <= self.until)
        )


def account_number(text: str) -> int:
    """The account of a path. Raises Refusal: 400 if it is no account number."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Refusal(400, f"Cannot parse `account_id` with value `{_shown(text)}`: it is a whole number")
    return int(text)


def wanted_positions(query: Query, dialect: Dialect) -> Sequence[str] | None:
    """Positions are filtered by UUID; by symbol as well only in the current contract. None is no filter."""
    wanted = query.several("instrument_ids")
    if wanted and not dialect.is_current and not all(as_uuid(value) for value in wanted):
        raise _wrong("instrument_ids: instrument UUIDs, joined by commas")
    return wanted


def _wrong(what: str) -> Refusal:
    return Refusal(400, f"Failed to deserialize query string: {what}")


def _shown(text: str) -> str:
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"
