"""`pytest --replicas tests/tools tests/self_approval`: the same tests, over three replicas and PostgreSQL.

What is said at the end: how many were served so, and which could not be, with the reason.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from benchmarks.databases import postgresql

from replicas.floors import Balanced, Children, broker_over_replicas, floor_over_replicas, paper_over_replicas
from tools.serving import ELSEWHERE, StubBroker


class OverReplicas:
    """Puts three replicas where a test would serve in its own process."""

    def __init__(self) -> None:
        self._served = Counter[str]()
        self._children: Children | None = None

    @pytest.fixture(scope="session")
    def children(self) -> Iterator[Children]:
        """What replicas are forked from, and PostgreSQL."""
        with postgresql(durable=False) as url:
            yield Children(url)

    @pytest.fixture(autouse=True)
    def _elsewhere(self, children: Children) -> Iterator[None]:
        """Servers of a test are there, and end with it."""
        with ExitStack() as stack:

            def over_broker(broker: StubBroker, **said: Any) -> Balanced:
                folder = stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True))
                return stack.enter_context(broker_over_replicas(children, Path(folder), broker, **said))

            ELSEWHERE.over_broker = over_broker
            ELSEWHERE.on_paper = partial(paper_over_replicas, children)
            ELSEWHERE.floor = partial(floor_over_replicas, children)
            yield

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            self._served[reason.removeprefix("Skipped: ") or report.outcome] += 1

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.section("over three replicas")
        for what, times in self._served.most_common():
            terminalreporter.line(f"{times:>5} {what}")
