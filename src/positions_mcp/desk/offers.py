"""What waits for a browser's answer: frozen when it is asked for, answered within a minute, and done once."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from positions_mcp.domain.errors import Refused
from positions_mcp.guard.touches import Told, Touch

PATIENCE = timedelta(seconds=60)
"""How long a person may take for the touch; the browser is told the same."""
_MOST = 20

Finish = Callable[[dict[str, Any]], Awaitable[Touch | Told | None]]
"""Takes what the page sends back. Answers what is still to be signed, or what the page is told of what was done."""


@dataclass(frozen=True, slots=True)
class _Offer:
    path: str
    finish: Finish
    until: datetime


@dataclass(slots=True)
class Offers:
    """Those of one session: they end with it, and another session's answer finds none of them."""

    _open: dict[str, _Offer] = field(default_factory=dict)

    def make(self, path: str, finish: Finish, now: datetime) -> str:
        """The name under which the answer is to come back to a route. Of too many the oldest is forgotten."""
        while len(self._open) >= _MOST:
            del self._open[next(iter(self._open))]
        name = secrets.token_urlsafe(16)
        self._open[name] = _Offer(path, finish, now + PATIENCE)
        return name

    def find(self, name: str, path: str, now: datetime) -> Finish:
        """What was offered there. Raises Refused."""
        offer = self._open.get(name)
        if offer is None or offer.path != path or now >= offer.until:
            raise Refused(
                "What was to be answered is no longer waiting for it.",
                hint="Nothing was decided. Try again: it has to be answered within a minute, and only once.",
            )
        return offer.finish

    def take(self, name: str, path: str, now: datetime) -> Finish:
        """The same for the only time: it is gone afterwards, whatever the answer is worth. Raises Refused."""
        found = self.find(name, path, now)
        self.drop(name)
        return found

    def drop(self, name: str) -> None:
        """Forget it."""
        self._open.pop(name, None)
