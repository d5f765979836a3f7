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

from replicas.floors import (
    NOT_OVER_REPLICAS,
    Balanced,
    Children,
    broker_over_replicas,
    floor_over_replicas,
    paper_over_replicas,
)
from tools.serving import ELSEWHERE, StubBroker


class OverReplicas:
    """Puts three replicas where a test would serve in its own process."""

    def __init__(self) -> None:
        self._served = Counter[str]()

    @pytest.fixture(scope="session")
    def children(self) -> Iterator[Children]:
        """What replicas are forked from, and PostgreSQL."""
        with postgresql(durable=False) as url:
            yield Children(url)

    @pytest.fixture(autouse=True)
    def _elsewhere(self, children: Children, request: pytest.FixtureRequest) -> Iterator[None]:
        """Servers of a test are there, and end with it."""
        if mark := request.node.get_closest_marker("one_process"):
            pytest.skip(f"{NOT_OVER_REPLICAS}it {mark.args[0]}")
        with ExitStack() as stack:
            stack.callback(children.forget)

            def over_broker(broker: StubBroker, **said: Any) -> Balanced:
                folder = stack.enter_context(tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True))
                return stack.enter_context(broker_over_replicas(children, Path(folder), broker, **said))

            ELSEWHERE.over_broker = over_broker
            ELSEWHERE.on_paper = partial(paper_over_replicas, children)
            ELSEWHERE.floor = partial(floor_over_replicas, children)
            yield
            request.node.user_properties.append(("stores", len(children.made)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Sort it: served by replicas, or why not."""
        if report.skipped and isinstance(report.longrepr, tuple):
            self._served[report.longrepr[2].removeprefix("Skipped: ")] += 1
        elif report.failed:
            self._served["failed"] += 1
        elif report.when == "teardown":
            served = dict(report.user_properties).get("stores", 0)
            self._served["passed, over three replicas" if served else "passed, and called no server"] += 1

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """How many of each."""
        terminalreporter.section("over three replicas")
        for what, times in self._served.most_common():
            terminalreporter.line(f"{times:>5} {what}")
