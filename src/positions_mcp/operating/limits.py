"""How much one caller may ask of one replica: requests at once, and in a minute. Streams of updates count once."""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from positions_mcp.asgi import refuse

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
