"""`halt` and `flatten` answer a person in time, whoever holds PostgreSQL's locks and never gives them back."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from cli.person import PASSPHRASE, Place, furnish
from data_dirs import PROGRAM
from databases import new_database
from positions_mcp.cli.assembly.stores import open_operations
from positions_mcp.settings import load
from positions_mcp.signing.keys import ScryptCost
from signing.people import new_approver
from store.test_waiting import IDLE, LONGEST_S

pytestmark = pytest.mark.requirement("G-21")

LOCKS = {
    "a row": "SELECT value FROM meta FOR UPDATE",
    "the journal": "LOCK TABLE journal IN EXCLUSIVE MODE",
    "everything": "LOCK TABLE operations, operation_rows, decisions, journal, servers, meta IN ACCESS EXCLUSIVE MODE",
}
OPERATIONS = "LOCK TABLE operations IN ACCESS EXCLUSIVE MODE"


@pytest.fixture(scope="module", autouse=True)
def _commands_are_ready() -> None:
    """The process that they are forks of begins with the first of them."""
    subprocess.run([*PROGRAM, "--help"], stdout=subprocess.DEVNULL, check=True)


@pytest.fixture
def desk(tmp_path: Path, postgres_url: str) -> Place:
    """A data directory with a paper book, whose operations and approver are in PostgreSQL."""
    furnish(tmp_path / "data")
    url = new_database(postgres_url)
    settings = load({"mode": "paper", "data_dir": tmp_path / "data", "store": {"url": url}})
    now = datetime.now(UTC)
    with open_operations(settings) as store:
        store.set_approver(new_approver(PASSPHRASE, now, hardness=ScryptCost(n=2**4)), replacing=None, now=now)
    return Place(tmp_path / "data", {"POSITIONS_MCP_STORE__URL": url})


@contextmanager
def frozen(place: Place, lock: str, idle: str = "0") -> Iterator[None]:
    """Another session in the middle of a transaction, whose process does nothing any more."""
    with psycopg.connect(place.environment["POSITIONS_MCP_STORE__URL"]) as other:
        other.execute(f"SET {IDLE} = '{idle}'")
        other.execute(lock)
        yield
        other.close()


@contextmanager
def answered_in_time() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < LONGEST_S


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS.keys())
def test_a_halt_halts_or_says_in_time_that_it_did_not(desk: Place, lock: str) -> None:
    with frozen(desk, lock), answered_in_time():
        done = desk.without_terminal("halt", "news")
    assert (done.returncode, "It is NOT halted" in done.stderr) == (1, True), done.stdout
    done = desk.without_terminal("halt", "news")
    assert (done.returncode, "HALTED by" in done.stdout) == (0, True), done.stderr


def test_a_halt_goes_through_once_a_frozen_session_of_this_program_has_lost_its_lock(desk: Place) -> None:
    with frozen(desk, LOCKS["a row"], idle="4s"), answered_in_time():
        done = desk.without_terminal("halt", "news")
    assert (done.returncode, "HALTED by" in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize("lock", [*LOCKS.values(), OPERATIONS], ids=[*LOCKS, "the operations"])
def test_a_person_flattens_on_a_record_elsewhere_and_is_asked_in_time(desk: Place, lock: str) -> None:
    with frozen(desk, lock), desk.at_terminal("flatten", "19816", "KO", "--follow", "0") as person:
        with answered_in_time():
            person.sees("THE OPERATION STORE CANNOT BE USED")
        if lock == LOCKS["everything"]:
            person.sees("The approver cannot be relied on either")
            person.answers("New passphrase:", PASSPHRASE)
            person.answers("The same again:", PASSPHRASE)
        person.answers("Type the account number to flatten it", "19816")
        with answered_in_time():
            person.answers("Passphrase to SEND now:", PASSPHRASE)
            code, shown = person.ends()
    assert code == 0, shown
    assert desk.effects == {"close_position": 1}


@pytest.mark.parametrize("words", [("halt", "news"), ("flatten", "19816", "KO")], ids=["halt", "flatten"])
def test_a_database_that_takes_connections_and_says_nothing_is_not_waited_for(
    desk: Place, words: tuple[str, ...]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        desk.environment["POSITIONS_MCP_STORE__URL"] = f"postgresql://ana@127.0.0.1:{silent.getsockname()[1]}/store"
        with answered_in_time(), desk.at_terminal(*words) as person:
            person.sees("It is NOT halted" if words[0] == "halt" else "THE OPERATION STORE CANNOT BE USED")
