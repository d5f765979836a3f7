"""One answer of HTTP/1.1, as its bytes arrive; `httptools` reads them, as strictly as it can."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from http import HTTPStatus

import httptools

from positions_mcp.api import _exchange
from positions_mcp.api._exchange import ENDED, NOT_DECODED, Received, TooLarge, Unanswered

_LARGEST_HEAD = 2**17
"""Bytes that may come before a head is complete."""
_MOST_ENCODINGS = 4
"""Nobody needs more, and each may take as long as the largest body does."""
_WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Incoming:
    """Takes what arrives until the answer is complete, and tells it. To be closed: the parser refers to it."""

    def __init__(self) -> None:
        self.is_complete = False
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._status, self._version = 0, ""
        self._headers: dict[str, str] = {}
        self._has_head = False
        self._chunks: list[bytes] = []
        self._size = self._received = 0
        self._has_more = False

    def close(self) -> None:
        """Let the parser go, and with it what it refers to."""
        self._parser = None

    def feed(self, content: bytes) -> None:
        """Take the next bytes. Raises Unanswered where they are no answer, TooLarge where they are too many."""
        self._received += len(content)
        try:
            if self._parser is not None:
                self._parser.feed_data(content)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            # What follows a complete answer is nobody's.
            self._has_more = True
            if not self.is_complete:
                raise Unanswered(ENDED) from None
        if not self._has_head and self._received > _LARGEST_HEAD:
            raise Unanswered(ENDED)
        if max(self._size, self._received // 2) > _exchange.LARGEST_BODY:
            raise TooLarge(self._status)

    def end(self) -> None:
        """Nothing comes any more. Raises Unanswered unless it is just that which completes the answer."""
        framed = {"content-length", "transfer-encoding"} & self._headers.keys()
        if not self._has_head or framed or self._status < HTTPStatus.OK:
            raise Unanswered(ENDED)
        self.is_complete, self._has_more = True, True

    def received(self) -> Received:
        """The complete answer. Raises Unanswered where its body cannot be decoded, TooLarge where it is too large."""
        encodings = [each.strip().lower() for each in self._headers.get("content-encoding", "").split(",")]
        if len(encodings) > _MOST_ENCODINGS:
            raise Unanswered(NOT_DECODED)
        body = b"".join(self._chunks)
        for encoding in reversed(encodings):
            body = self._decoded(encoding, body)
        return Received(self._status, self._headers, body)

    @property
    def may_be_followed(self) -> bool:
        """Whether another exchange may use the connection."""
        framed = {"content-length", "transfer-encoding"} & self._headers.keys()
        ends = "close" in self._headers.get("connection", "").lower()
        return not self._has_more and not ends and self._version == "1.1" and bool(framed or self._is_without_body)

    @property
    def _is_without_body(self) -> bool:
        return self._status in _WITHOUT_BODY

    def _decoded(self, encoding: str, body: bytes) -> bytes:
        for window in _windows(encoding):
            decoder = zlib.decompressobj(window)
            try:
                found = decoder.decompress(body, _exchange.LARGEST_BODY + 1)
            except zlib.error:
                continue
            if len(found) > _exchange.LARGEST_BODY:
                raise TooLarge(self._status)
            if decoder.eof:
                return found
        if any(_windows(encoding)) and body:
            raise Unanswered(NOT_DECODED)
        return body

    # What the parser calls, for each message in turn. An answer may be preceded by informational ones.

    def on_message_begin(self) -> None:
        """A message begins."""
        self._has_more = self.is_complete

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the head or, which does not count, behind the body."""
        if not self._has_head:
            key, text = name.decode("latin-1").lower(), value.decode("utf-8", "replace")
            self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        """The head is there."""
        if self._parser is None or self.is_complete:
            return
        self._status, self._version = self._parser.get_status_code(), self._parser.get_http_version()
        if self._status < HTTPStatus.CONTINUE:
            raise Unanswered(ENDED)
        self._has_head = True

    def on_body(self, content: bytes) -> None:
        """More of the body."""
        if self._status < HTTPStatus.OK:
            # What only precedes an answer has none, and this is no part of the answer's.
            raise Unanswered(ENDED)
        if not self.is_complete:
            self._chunks.append(content)
            self._size += len(content)

    def on_message_complete(self) -> None:
        """A message ends: the answer, or one that only precedes it."""
        if self._status < HTTPStatus.OK and self._status != HTTPStatus.SWITCHING_PROTOCOLS:
            self._has_head, self._headers = False, {}
        else:
            self.is_complete = True


def _windows(encoding: str) -> Iterable[int]:
    """How zlib may undo an encoding; not at all where it is none of ours."""
    if encoding in ("gzip", "x-gzip"):
        return (16 + zlib.MAX_WBITS,)
    # Some call the bare stream so, without what is around it.
    return (zlib.MAX_WBITS, -zlib.MAX_WBITS) if encoding == "deflate" else ()
