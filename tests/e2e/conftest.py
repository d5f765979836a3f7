"""A real browser, and installations on both databases. `make e2e` runs these tests; `make test` does not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from playwright.sync_api import Browser, sync_playwright

from databases import new_database
from e2e.installation import QUICK, Installation, furnish
from e2e.people import Person, person
from positions_mcp.signing.keys import ScryptCost

PICTURES = Path(__file__).parents[2] / "docs" / "images"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--write` keeps pictures and measures in docs."""
    parser.addoption("--write", action="store_true", help="write pictures and measures into docs")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The machine's own Chromium, or the one that CHROMIUM names."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert path, "There is no chromium: `make e2e` installs it."
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """Where agents live: the browser has the main thread."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a paper book in an open market."""
    data_dir = tmp_path_factory.mktemp("furnished")
    furnish(data_dir)
    return data_dir


@pytest.fixture
def database() -> str:
    """SQLite, unless a test is run on both."""
    return "sqlite"


@pytest.fixture
def hardness() -> ScryptCost:
    """What a passphrase costs: next to nothing, unless a test is about that."""
    return QUICK


@pytest.fixture
def installation(
    request: pytest.FixtureRequest,
    furnished: Path,
    tmp_path: Path,
    portal: BlockingPortal,
    *,
    database: str,
    hardness: ScryptCost,
) -> Installation:
    """An installation of the test's own, with an approver."""
    url = new_database(request.getfixturevalue("postgres_url")) if database == "postgresql" else None
    made = Installation.copied(furnished, tmp_path / "data", portal, url)
    made.set_up_approver(hardness)
    return made


@pytest.fixture
def somebody(browser: Browser) -> Callable[..., AbstractContextManager[Person]]:
    """Makes people, each with a browser of their own."""
    return partial(person, browser)


@pytest.fixture
def ana(somebody: Callable[..., AbstractContextManager[Person]]) -> Iterator[Person]:
    """The supervisor."""
    with somebody() as ana:
        yield ana


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Callable[[Person, str], None]:
    """Keeps what is shown for the manual, with `--write`."""

    def keep(person: Person, name: str) -> None:
        if request.config.getoption("--write"):
            PICTURES.mkdir(exist_ok=True)
            person.page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")

    return keep
