"""How long the paper exchange takes to answer, at three sizes of a book, and how long an earlier edition of it took.

The earlier edition is a checkout of the project that `BENCHMARKS_EARLIER` names; without it only this one is measured.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
from benchmarks.processes import KEY, Upstream, upstream
from benchmarks.report import Finding
from benchmarks.timing import taking_turns, timed

_SIZES = (("hundred", 100, 25), ("ten_thousand", 10_000, 9), ("hundred_thousand", 100_000, 3))
"""Scenario, positions, rounds."""
_CLOSES = 9


def findings(_: Path) -> Iterator[Finding]:
    """First page, all pages and one close of each edition, which take turns."""
    earlier = os.environ.get("BENCHMARKS_EARLIER")
    editions = {"": None, ", earlier edition": Path(earlier)} if earlier else {"": None}
    for scenario, positions, rounds in _SIZES:
        with ExitStack() as serving:
            exchanges = [_Exchange(serving.enter_context(upstream(scenario, of))) for of in editions.values()]
            works: tuple[tuple[str, Callable[[_Exchange], Callable[[], float]], int], ...] = (
                ("first page", lambda exchange: timed(exchange.page), rounds),
                ("all pages", lambda exchange: timed(exchange.pages), rounds),
                ("closing one", lambda exchange: timed(exchange.close_next), _CLOSES),
            )
            for what, work, times in works:
                measured = taking_turns(*map(work, exchanges), rounds=times, warm_up=1)
                for edition, found in zip(editions, measured, strict=True):
                    yield Finding(
                        f"paper exchange: {what} of {positions:,} positions{edition}", 1e3 * found.best, "ms", None
                    )
            for exchange in exchanges:
                exchange.end()


class _Exchange:
    """A running exchange, asked over a kept connection."""

    def __init__(self, api: Upstream) -> None:
        self._url = api.positions_url
        self._http = httpx.Client(headers={"Authorization": f"Bearer {KEY}"}, timeout=120, trust_env=False)
        self._held = iter([row["instrument_id"] for row in self._get(None)["data"]])

    def page(self) -> None:
        """The first page."""
        self._get(None)

    def pages(self) -> None:
        """Every page, one after another."""
        token = None
        while token := self._get(token)["metadata"].get("next_page_token"):
            pass

    def close_next(self) -> None:
        """Closes another position, what locks it included."""
        answer = self._http.request("DELETE", f"{self._url}/{next(self._held)}", json={"cancel_orders": True})
        answer.raise_for_status()

    def end(self) -> None:
        """Closes the connection."""
        self._http.close()

    def _get(self, token: str | None) -> dict[str, dict[str, str]]:
        answer = self._http.get(self._url, params={"page_token": token} if token else None)
        document: dict[str, dict[str, str]] = json.loads(answer.raise_for_status().content)
        return document
