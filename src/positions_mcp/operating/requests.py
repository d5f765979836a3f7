"""An id for each request, given back to its client, and one line in the log: who, what, how it ended, how long.

And how much one caller may ask of one replica: requests at once, and in a minute. Streams of updates count once.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from positions_mcp.asgi import refuse
from positions_mcp.operating.logs import ABOUT

REQUEST_ID = b"x-request-id"
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_NAME = re.compile(r"[A-Za-z0-9_./-]{1,64}")
_NOTED = "noted for the log"

_log = logging.getLogger(__name__)


def outside(app: ASGIApp) -> ASGIApp:
    """Around everything else: the id, which is the balancer's where it has given one, and the line."""

    async def logged(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        request_id, began, status = _id_of(scope), time.monotonic(), 0
        noted: dict[str, Any] = {"request": request_id}
        scope.setdefault("state", {})[_NOTED] = noted
        token = ABOUT.set(noted)

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (REQUEST_ID, request_id.encode())]}
            await send(message)

        try:
            await app(scope, receive, named)
        finally:
            took = round((time.monotonic() - began) * 1000, 1)
            _log.info("request", extra={"said": {"path": _named(scope["path"]), "status": status, "ms": took}})
            ABOUT.reset(token)

    return logged


def inside(app: ASGIApp) -> ASGIApp:
    """Where the caller is known and the body is whole: whose it is, and what it asks for."""

    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        about = scope["state"].get(_NOTED, {})
        about["caller"] = caller_hash(scope["user"].username)

        async def read() -> Message:
            message = await receive()
            if message["type"] == "http.request" and "method" not in about:
                about.update(_asked(message.get("body", b"")))
            return message

        await app(scope, read, send)

    return noted


def caller_hash(name: str) -> str:
    """What stands for a caller in the log: the same one always, and no name."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _asked(body: bytes) -> dict[str, str]:
    """The method, and the tool: names only, never an argument."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(message, dict):
        return {}
    method, params = message.get("method"), message.get("params")
    found = {"method": _named(method)} if isinstance(method, str) else {}
    if method == "tools/call" and isinstance(params, dict) and isinstance(params.get("name"), str):
        found["tool"] = _named(params["name"])
    return found


def _id_of(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name.lower() == REQUEST_ID), b"")
    return given.decode() if _ID.fullmatch(given) else uuid.uuid4().hex


def _named(text: str) -> str:
    return text if _NAME.fullmatch(text) else "other"


_MINUTE_S = 60.0
_UNSENT = "Nothing was sent by this call."
_MOST_KEPT = 10_000
"""Callers whose last minute is remembered; the one that has not asked for longest is forgotten."""


class Limits:
    """One for a server. `now` is in seconds, from any beginning."""

    def __init__(self, at_once: int, a_minute: int | None, now: Callable[[], float] = time.monotonic) -> None:
        self._at_once = at_once
        self._a_minute = a_minute
        self._now = now
        self._under_way: Counter[str] = Counter()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """For each caller how many requests it had left, and when: they come back evenly, all within a minute."""

    def around(self, app: ASGIApp) -> ASGIApp:
        """For requests whose caller is known: 429 with Retry-After where it asks too much. Nothing was done then."""

        async def limited(scope: Scope, receive: Receive, send: Send) -> None:
            caller: str = scope["user"].username
            if self._under_way[caller] >= self._at_once:
                words = (
                    f"This caller has {self._at_once} requests under way, and may have no more. Wait for one to end."
                )
                await refuse(send, HTTPStatus.TOO_MANY_REQUESTS, f"{words} {_UNSENT}", ("retry-after", "1"))
                return
            if wait_s := self._wait_s(caller):
                words = f"This caller may make {self._a_minute} requests a minute. Wait {wait_s} s. {_UNSENT}"
                await refuse(send, HTTPStatus.TOO_MANY_REQUESTS, words, ("retry-after", str(wait_s)))
                return
            self._under_way[caller] += 1
            try:
                await app(scope, receive, send)
            finally:
                self._under_way[caller] -= 1
                if not self._under_way[caller]:
                    del self._under_way[caller]

        return limited

    def _wait_s(self, caller: str) -> int:
        """Take one of its requests; 0, or the seconds until there is one."""
        if self._a_minute is None:
            return 0
        now = self._now()
        left, since = self._left.pop(caller, (float(self._a_minute), now))
        left = min(left + (now - since) * self._a_minute / _MINUTE_S, self._a_minute)
        taken = left >= 1
        self._left[caller] = (left - taken, now)
        if len(self._left) > _MOST_KEPT:
            self._left.popitem(last=False)
        return 0 if taken else max(1, math.ceil((1 - left) * _MINUTE_S / self._a_minute))
