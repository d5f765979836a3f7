"""`/healthz` says that the process lives, `/readyz` whether it should be asked now, and why not.

Looking takes a moment of the store: several balancers that ask at once share one look, and a look is good for a second.
Nothing secret is in either answer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send

from positions_mcp.asgi import NOT_KEPT, answer_json

_FRESH_S = 1.0
_LONGEST_S = 10.0
"""A store that takes longer is out of reach for who asks."""
OK = "ok"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """What one check found, in words without names, addresses or amounts."""

    words: str = OK
    blocks: bool = False
    """Whether the replica should not be asked for it; otherwise it is only said."""


Check = Callable[[], Awaitable[Mapping[str, Found]]]
"""One look, which may find several things."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Every check by name."""

    found: Mapping[str, Found]

    @property
    def is_ready(self) -> bool:
        return not any(each.blocks for each in self.found.values())

    @property
    def shown(self) -> dict[str, Any]:
        return {"ready": self.is_ready, "checks": {name: each.words for name, each in self.found.items()}}


@dataclass(eq=False)
class Watch:
    """Makes the checks, and logs when the answer changes. `draining` is asked anew each time: it waits for nothing."""

    checks: dict[str, Check]
    draining: Callable[[], bool]
    now: Callable[[], float] = time.monotonic
    _looking: anyio.Lock = field(default_factory=anyio.Lock)
    _seen: tuple[float, Readiness] | None = None
    _said: dict[str, Any] = field(default_factory=dict)

    async def look(self) -> Readiness:
        if self.draining():  # at once: a balancer must not wait for the store to hear of it
            return self._told(Readiness({"draining": Found("this replica is ending", blocks=True)}))
        async with self._looking:
            if self._seen is None or self.now() - self._seen[0] >= _FRESH_S:
                found: dict[str, Found] = {}
                for name, check in self.checks.items():
                    found |= await _made(name, check)
                self._seen = self.now(), Readiness(found)
        return self._told(self._seen[1])

    def _told(self, readiness: Readiness) -> Readiness:
        if readiness.shown != self._said:
            self._said = readiness.shown
            words = "; ".join(f"{name}: {each.words}" for name, each in readiness.found.items())
            _log.log(logging.INFO if readiness.is_ready else logging.WARNING, "readiness: %s", words)
        return readiness


async def _made(name: str, check: Check) -> Mapping[str, Found]:
    """What a check finds; one that takes too long or breaks has found that."""
    with anyio.move_on_after(_LONGEST_S):
        try:
            return await check()
        except Exception:
            _log.exception("a check of readiness failed: %s", name)
            return {name: Found("the check failed; the log says why", blocks=True)}
    return {name: Found("no answer in time", blocks=True)}


HEALTH, READY = "/healthz", "/readyz"
_RETRY_S = 5


class Health:
    """An ASGI application around all others, for balancers: it needs no token, no name of a host and no store."""

    def __init__(self, app: ASGIApp, look: Callable[[], Awaitable[Readiness]]) -> None:
        self._app = app
        self._look = look

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in (HEALTH, READY):
            await self._app(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await answer_json(send, HTTPStatus.METHOD_NOT_ALLOWED, {"error": "GET only"}, *NOT_KEPT)
        elif scope["path"] == HEALTH:
            await answer_json(send, HTTPStatus.OK, {"alive": True}, *NOT_KEPT)
        else:
            found = await self._look()
            status = HTTPStatus.OK if found.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
            again_in = () if found.is_ready else (("retry-after", str(_RETRY_S)),)
            await answer_json(send, status, found.shown, *NOT_KEPT, *again_in)
