"""The clock of a paper exchange that is served elsewhere, where somebody may have set it to another day."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any

from anyio.to_thread import run_sync

from positions_mcp.api._endpoint import Endpoint
from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.text import clean
from positions_mcp.ports import Clock

if TYPE_CHECKING:
    import httpx

_FRESH_S = 2.0
"""A reading that is older is renewed behind whoever asks for the time."""
_PAUSE_S = 5.0
"""After a failure nobody waits for another for so long."""
_TIMEOUT_S = 2.0
_SAME = timedelta(seconds=1)
"""Clocks that differ by less go together: the rest is the way of the answer."""


class RemoteClock:
    """Implements `positions_mcp.ports.Clock` with the time of the exchange at `url`, as it was last read there.

    It goes by `base` until it has been read, and on as last read while it cannot be. `now` never waits.
    """

    def __init__(self, url: str, key: str, base: Clock) -> None:
        self._endpoint = Endpoint.checked(url, key, plain_http=True)
        self._base = base
        self._reading = threading.Lock()
        self._client: httpx.Client | None = None
        self._going: tuple[datetime | None, timedelta] = (None, timedelta(0))  # stands at, or is ahead by
        self._read = False
        self._asked_at = float("-inf")
        self._problem = ""
        self._exchange, self._answered = "", False

    def now(self) -> datetime:
        if monotonic() - self._asked_at > (_PAUSE_S if self._problem else _FRESH_S) and not self._reading.locked():
            threading.Thread(target=self.read, daemon=True).start()
        stands_at, ahead = self._going
        return stands_at or self._base.now() + ahead

    async def follow(self) -> str:
        """Read the clock there now. Says by what the time goes where it cannot be read; otherwise nothing."""
        if not self._problem or monotonic() - self._asked_at > _PAUSE_S:
            await run_sync(self.read)
        if not self._problem:
            return ""
        instead = "it goes on as last read" if self._read else "real time is used"
        return f"its clock cannot be read ({self._problem}): {instead}"

    def exchange(self) -> str:
        """What tells that exchange from every other one; empty where it does not say: of 0.1.0, or a replay. Blocking.

        Raises StoreUnavailable where it was never reached: nobody knows then whether a store is its own.
        """
        if not self._answered:
            self.read()
        if not self._answered:
            raise StoreUnavailable(
                f"The paper exchange cannot be asked which one it is ({self._problem}), so its store is not used.",
                hint="Start it with `positions-mcp paper serve`, or set paper.url.",
            )
        return self._exchange

    def read(self) -> None:
        """Read the clock there, within seconds. Blocking."""
        with self._reading:
            self._problem = self._ask()
            self._asked_at = monotonic()

    def close(self) -> None:
        with self._reading:
            if self._client is not None:
                self._client.close()

    def _ask(self) -> str:
        import httpx

        try:
            if self._client is None:
                self._client = httpx.Client(timeout=_TIMEOUT_S, trust_env=not self._endpoint.is_loopback)
            headers = {"Authorization": f"Bearer {self._endpoint.key.get_secret_value()}"}
            answer = self._client.get(f"{self._endpoint.base_url}/paper/clock", headers=headers)
            self._answered = True
            if answer.status_code != HTTPStatus.OK:
                return f"it answers {answer.status_code}"
            self._take(answer.json())
        except httpx.HTTPError as error:
            return clean(str(error), 80) or type(error).__name__
        except (KeyError, TypeError, ValueError, OverflowError):
            return "the answer is no clock"
        return ""

    def _take(self, clock: dict[str, Any]) -> None:
        there = datetime.fromisoformat(clock["now"])
        self._exchange = str(clock.get("exchange", ""))
        if there.tzinfo is None:
            raise ValueError("no zone")
        there = there.astimezone(UTC)
        if clock["mode"] == "set":
            self._going = there, timedelta(0)
        else:
            stands_at, ahead = self._going
            found = there - self._base.now()
            self._going = None, ahead if stands_at is None and abs(found - ahead) < _SAME else found
        self._read = True
