"""Asking again: which outcomes of a read are worth another attempt, after how long, and when to stop.

Only reads come here. No part of this program asks for a write to be sent again.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio

from positions_mcp.api._exchange import Answer, Failure
from positions_mcp.domain.errors import InvalidInput

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
_log = logging.getLogger("positions_mcp.api")
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 4.0
_TIME_TO_SAY_WHY_S = 0.1
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RetryResult:
    """How asking ended: the last outcome, after how many attempts, and the wait that was too long, if one was."""

    outcome: Answer | Failure
    attempts: int
    refused_wait_s: float | None = None


@dataclass(frozen=True, slots=True)
class ReadBudget:
    """How long one read may take in all (`total_s`) and one attempt at most (`attempt_s`), in seconds.

    Pauses have full jitter: uniform from 0 to 0.25 s doubled with every attempt, at most 4 s, and never less than the
    API's Retry-After.
    """

    total_s: float
    attempt_s: float
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    random: Callable[[], float]
    now: Callable[[], datetime]

    async def spend(
        self, what: str, ask: Callable[[float], Awaitable[Answer | Failure]], within_s: float | None = None
    ) -> RetryResult:
        """Call `ask` with the seconds it may take until it brings something final or the budget allows no more.

        `what` is asked stands in the log. `within_s` replaces both limits. A caller that has less time, as the cancel
        scope around the call says, is answered just before it is over, and so hears why.
        """
        total_s, attempt_s = (self.total_s, self.attempt_s) if within_s is None else (within_s, within_s)
        total_s = max(min(total_s, anyio.current_effective_deadline() - anyio.current_time() - _TIME_TO_SAY_WHY_S), 0)
        deadline = self.monotonic() + total_s
        attempts = 0
        while True:
            outcome = await ask(max(min(attempt_s, deadline - self.monotonic()), 0))
            attempts += 1
            if not (outcome.may_ask_again if isinstance(outcome, Failure) else outcome.status in RETRIED_STATUSES):
                return RetryResult(outcome, attempts)
            told = outcome.retry_after if isinstance(outcome, Answer) else None
            asked_to_wait = retry_after_seconds(told, self.now())
            # The exponent is capped only so that it cannot overflow.
            jitter = self.random() * min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 10))
            pause = max(asked_to_wait or 0.0, jitter)
            if self.monotonic() + pause >= deadline:
                return RetryResult(outcome, attempts, asked_to_wait)
            why = outcome.reason if isinstance(outcome, Failure) else f"the answer was {outcome.status}"
            _log.warning("%s: %s; asking again in %.2f s (attempt %d)", what, why, pause, attempts + 1)
            await self.sleep(pause)
            if self.monotonic() >= deadline:  # a busy machine wakes up late
                return RetryResult(outcome, attempts)


def seconds(value: object, name: str) -> float:
    """A time-out that can be kept. Raises InvalidInput."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max:
        return float(value)
    raise InvalidInput(f"{name} is {value!r:.40}.", hint="It is a number of seconds, 0 or more.")


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """The seconds a Retry-After header asks for, given as seconds or as an HTTP date; None where it says neither."""
    from email.utils import parsedate_to_datetime  # slow to import, and rarely needed

    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        instant = parsedate_to_datetime(text)
        aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        return max((aware - now).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
