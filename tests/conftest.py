"""How all tests run: in which order, and what is computed once instead of for each."""

from __future__ import annotations

import gc
import importlib
import itertools
import os
import re
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from jsonschema import Draft202012Validator

from databases import place, postgres_url
from forking import forked

__all__ = ["place", "postgres_url"]
"""Of one PostgreSQL for all tests of a process, which starts when the first of them asks for it."""

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

FOLDERS = itertools.count(1)

collect_ignore = ["e2e", "toolkits"]
"""They need a browser: `make e2e` names them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--replicas`: servers of tests are three processes over PostgreSQL, and clients alternate between them."""
    parser.addoption("--replicas", action="store_true", help="serve by three replicas over PostgreSQL")


def pytest_configure(config: pytest.Config) -> None:
    """What only such a run needs is imported for it alone."""
    if config.getoption("--replicas"):
        from replicas.suite import OverReplicas

        config.pluginmanager.register(OverReplicas())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among what stays to the end: all modules and all tests. A look takes a fifth of a second."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The tests of a file run in one process, so that what a file shares is made once; a group stays together too."""
    from xdist.scheduler import LoadGroupScheduling

    class ByFile(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            group_or_test = super()._split_scope(nodeid)
            return group_or_test.split("::", 1)[0]

    return ByFile(config, log) if config.getoption("dist") == "loadgroup" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the groups: each takes half a minute in one process, while the others go through the rest."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.fixture(scope="session", autouse=True)
def _programs_are_forks() -> Iterator[None]:
    """Most tests of a process of its own are not about its start."""
    with forked():
        yield


@pytest.fixture(scope="session", autouse=True)
def _schemas_are_checked_once() -> Iterator[None]:
    """Every client of every test checks the same published schemas before it validates an answer against them."""
    check, checked = Draft202012Validator.check_schema, set()

    def check_once(schema: Any, *arguments: Any, **named: Any) -> None:
        if (text := repr(schema)) not in checked:
            check(schema, *arguments, **named)
            checked.add(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draft202012Validator, "check_schema", check_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def _authorities_are_read_once() -> Iterator[None]:
    """Each client reads the certificates of all authorities, for 50 milliseconds, and nearly all speak plain HTTP."""
    with pytest.MonkeyPatch.context() as patch:
        for library in ("httpx", "httpx2"):
            transports = importlib.import_module(f"{library}._transports.default")
            patch.setattr(transports, "create_ssl_context", _once_where_nothing_is_said(transports.create_ssl_context))
        yield


def _once_where_nothing_is_said(create: Any) -> Any:
    @cache
    def of(_named: tuple[str | None, ...], **said: Any) -> Any:
        return create(**said)

    def context(**said: Any) -> Any:
        if said["verify"] is not True:
            return create(**said)
        return of(tuple(map(os.environ.get, ("SSL_CERT_FILE", "SSL_CERT_DIR"))), **said)

    return context


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the test's own. pytest's fixture looks through all the others for a number that is free."""
    name = re.sub(r"\W", "_", request.node.name)[:30]
    folder = tmp_path_factory.getbasetemp() / f"{name}{next(FOLDERS)}"
    folder.mkdir(mode=0o700)
    return folder
