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
        self._told: dict[str, str] = {}
        """What became of each test."""

    @pytest.fixture(scope="session", autouse=True)
    def _of_modules(self) -> Iterator[None]:
        """Servers that a module shares are there too, and end with the session."""
        with postgresql(durable=False) as url, ExitStack() as stack:
            self._children, self._end = Children(url), stack
            self._serve_until(stack)
            yield

    @pytest.fixture(autouse=True)
    def _of_one_test(self, _of_modules: None, request: pytest.FixtureRequest) -> Iterator[None]:
        """Servers of a test end with it."""
        if mark := request.node.get_closest_marker("one_process"):
            pytest.skip(f"it {mark.args[0]}")
        with ExitStack() as stack:
            self._children.asked = False
            stack.callback(self._serve_until, self._end)
            stack.callback(self._children.forget, set(self._children.made))
            self._serve_until(stack)
            yield
            request.node.user_properties.append(("over replicas", self._children.asked))

    def _serve_until(self, end: ExitStack) -> None:
        """Servers that are made from now on live until then."""
        children = self._children

        def over_broker(broker: StubBroker, **said: Any) -> Balanced:
            folder = end.enter_context(tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True))
            return end.enter_context(broker_over_replicas(children, Path(folder), broker, **said))

        ELSEWHERE.over_broker = over_broker
        ELSEWHERE.on_paper = partial(paper_over_replicas, children)
        ELSEWHERE.floor = partial(floor_over_replicas, children)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """What became of it: the last that is told of a test, unless it failed before."""
        before = self._told.get(report.nodeid, "")
        if report.failed:
            self._told[report.nodeid] = "failed"
        elif report.skipped and isinstance(report.longrepr, tuple):
            self._told[report.nodeid] = f"not over replicas: {report.longrepr[2].removeprefix('Skipped: ')}"
        elif not before:
            served = dict(report.user_properties).get("over replicas")
            if report.when == "teardown":
                self._told[report.nodeid] = f"passed, {'over three replicas' if served else 'and called none of them'}"

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """How many of each."""
        terminalreporter.section("over three replicas")
        for what, times in Counter(self._told.values()).most_common():
            terminalreporter.line(f"{times:>5} {what}")
