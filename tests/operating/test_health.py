"""What balancers ask: whether the process lives, and whether it should be asked now."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import psycopg
import pytest

from databases import new_database
from over_http.serving import Served, http_server
from positions_mcp.cli.serving.replica import replica_of
from positions_mcp.clock import SystemClock
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.servers import Server
from positions_mcp.guard.dependencies import process_name
from positions_mcp.operating.readiness import Found, Watch
from positions_mcp.settings import load
from positions_mcp.store import DEFAULT_FILE, open_store
from positions_mcp.store.fitness import NEWEST, Inspector


@asynccontextmanager
async def asking(served: Served) -> AsyncIterator[httpx2.AsyncClient]:
    """A balancer, which has no token."""
    place = urlsplit(served.url)
    async with httpx2.AsyncClient(base_url=f"http://{place.hostname}:{place.port}") as http:
        yield http


async def test_a_replica_says_that_it_lives_and_may_be_asked_to_anybody_and_under_any_name(tmp_path: Path) -> None:
    async with http_server(tmp_path) as served, asking(served) as http:
        alive = await http.get("/healthz", headers={"Host": "replica-1"})
        ready = await http.get("/readyz", headers={"Host": "replica-1"})
        assert (alive.status_code, alive.json()) == (200, {"alive": True})
        assert ready.status_code == 200
        assert ready.json() == {"ready": True, "checks": {"store": "ok", "policy": "ok", "broker": "ok"}}
        assert ready.headers["cache-control"] == "no-store"
        assert (await http.post("/readyz")).status_code == 405
        assert (await http.get("/readyz/")).status_code == 404
        assert not (tmp_path / DEFAULT_FILE).exists(), "looking makes nothing"


async def test_one_that_ends_lives_and_is_not_to_be_asked_and_a_new_session_is_refused_at_its_end(
    tmp_path: Path,
) -> None:
    async with http_server(tmp_path, grace_s=0.1) as served, asking(served) as http:
        release, token = anyio.Event(), served.token("alice")
        served.replica.drain.settled = release.wait
        os.kill(os.getpid(), signal.SIGTERM)
        with anyio.fail_after(60):
            while (ready := await http.get("/readyz")).status_code == 200:
                await anyio.lowlevel.checkpoint()
            assert ready.json() == {"ready": False, "checks": {"draining": "this replica is ending"}}
            while (answer := await served.post(Authorization=f"Bearer {token}")).status_code == 200:
                await anyio.lowlevel.checkpoint()
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert "Nothing was sent" in answer.json()["error"]["message"]
        assert (await http.get("/healthz")).status_code == 200
        # What it waits for never comes: the second signal, which ends every server of these tests, ends the waiting.


@pytest.mark.parametrize("start", ["~", "."])
async def test_a_store_that_is_newer_or_out_of_reach_is_said_without_its_place(
    start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path.parent)
    (tmp_path / DEFAULT_FILE).write_text("this is no database, and the password is hunter2")
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    monkeypatch.setenv("USERPROFILE", str(tmp_path.parent))
    settings = load({"data_dir": f"{start}/{tmp_path.name}"})
    with replica_of(settings) as replica:
        found = await replica.watch.look()
    assert not found.is_ready
    assert found.shown["checks"]["store"] == "it cannot be reached"


async def test_an_exchange_that_cannot_be_reached_is_said_and_no_reason_to_ask_another_replica(tmp_path: Path) -> None:
    settings = load({"data_dir": tmp_path, "paper": {"url": "http://127.0.0.1:9"}})
    with replica_of(settings) as replica:
        found = await replica.watch.look()
    assert found.is_ready
    assert found.shown["checks"]["broker"] == "it cannot be reached"


@pytest.mark.parametrize(
    ("other", "ready"),
    [
        ({}, False),
        ({"since": +60}, True),
        ({"policy": "same"}, True),
        ({"mode": Mode.LIVE}, True),
        ({"sends": False}, True),
        ({"policy": ""}, True),
    ],
    ids=["earlier", "later", "same limits", "other mode", "a desk alone", "an earlier release"],
)
async def test_a_replica_with_other_limits_than_those_before_it_is_not_asked(
    tmp_path: Path, other: dict[str, Any], ready: bool
) -> None:
    settings, now = load({"data_dir": tmp_path}), SystemClock().now()
    store = open_store(tmp_path / DEFAULT_FILE)
    mine = {
        "process": process_name(),
        "mode": Mode.PAPER,
        "accounts": (AccountId(19816),),
        "sends": True,
        "until": now + timedelta(minutes=5),
        "policy": settings.policy.fingerprint,
        "since": now,
    }
    theirs = mine | {"process": "elsewhere:1:boot", "policy": "another"} | other
    theirs["since"] = now + timedelta(seconds=other.get("since", -60))
    theirs["policy"] = mine["policy"] if theirs["policy"] == "same" else theirs["policy"]
    for said in (mine, theirs):
        store.announce(Server.model_validate(said), now)
    store.close()
    with replica_of(settings) as replica:
        found = await replica.watch.look()
    assert found.is_ready is ready
    assert found.shown["checks"]["policy"] == (
        "ok" if ready else "others that were there before (1) go by other limits, accounts or rights"
    )


TRADERS = {"claim": "groups", "value": "desk", "accounts": [19816]}
SIGN_IN: dict[str, Any] = {"issuer": "https://login.example.com", "rights": {"traders": TRADERS}}


@pytest.mark.parametrize(
    ("change", "agrees"),
    [
        ({}, True),
        ({"rights": {"traders": TRADERS | {"accounts": ["19816"]}}}, True),
        ({"leeway_s": 5, "jwks_url": "https://login.example.com/keys"}, True),
        ({"issuer": "https://login.example.org"}, False),
        ({"audience": "another"}, False),
        ({"rights": {"traders": TRADERS | {"value": "desk-7"}}}, False),
        ({"rights": {"traders": TRADERS | {"claim": "roles"}}}, False),
        ({"rights": {"traders": TRADERS | {"accounts": [19816, 19817]}}}, False),
        ({"rights": {"traders": TRADERS | {"scopes": ["positions:read"]}}}, False),
        ({"rights": {"others": TRADERS}}, False),
    ],
)
def test_replicas_agree_on_who_may_come_in_and_for_which_accounts(change: dict[str, Any], agrees: bool) -> None:
    said = {"accounts": [19816, 19817], "http": {"public_url": "https://trading.example.com/mcp"}}
    mine, theirs = (load(said | {"oauth": SIGN_IN | other}).policy for other in ({}, change))
    assert (mine.fingerprint == theirs.fingerprint) is agrees
    judged = [each.within(AccountId(19816), "alice").fingerprint for each in (mine, theirs)]
    assert judged[0] == judged[1], "what is judged by is the same"


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_store_of_a_newer_program_is_not_traded_on(database: str, tmp_path: Path, request: object) -> None:
    place: Path | str = tmp_path / DEFAULT_FILE
    if database == "postgresql":
        place = new_database(request.getfixturevalue("postgres_url"))  # type: ignore[attr-defined]
    inspector = Inspector(place)
    assert inspector.look().why_not == "", "none is there yet"
    store = open_store(place)
    try:
        assert inspector.look().why_not == ""
        with store._database.writing() as connection:
            connection.exec_driver_sql(f"UPDATE meta SET value = '{NEWEST + 1}' WHERE key = 'schema_version'")
        words = f"its schema is version {NEWEST + 1}, and this program knows {NEWEST}"
        assert inspector.look().why_not == words
    finally:
        inspector.close()
        store.close()


def read_only_by_default(connection: psycopg.Connection, name: str) -> str:
    """As providers set it when a disk is full."""
    connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    return "postgres"


def without_a_right_to_write(connection: psycopg.Connection, name: str) -> str:
    role = f"reader_of_{name}"
    connection.execute(f"CREATE ROLE {role} LOGIN IN ROLE pg_read_all_data")
    return role


@pytest.mark.parametrize("happens", [read_only_by_default, without_a_right_to_write])
def test_a_database_that_takes_no_writes_is_not_traded_on(
    postgres_url: str, happens: Callable[[psycopg.Connection, str], str]
) -> None:
    url = new_database(postgres_url)
    open_store(url).close()
    before = Inspector(url)
    assert before.look().why_not == ""
    before.close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        user = happens(connection, url.partition("?")[0].rpartition("/")[2])
    inspector = Inspector(url.replace("//postgres:", f"//{user}:"))
    try:
        assert inspector.look().why_not == "it can only be read"
    finally:
        inspector.close()


async def test_balancers_that_ask_at_once_share_one_look_and_a_look_that_breaks_is_not_ready() -> None:
    looks, time = 0, 0.0

    async def slow() -> dict[str, Found]:
        nonlocal looks
        looks += 1
        await anyio.sleep(0.01)
        if looks == 2:
            raise ValueError
        return {"store": Found()}

    watch = Watch({"store": slow}, lambda: False, now=lambda: time)
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(watch.look)
    assert looks == 1
    time += 1.0
    found = await watch.look()
    assert not found.is_ready
    assert found.shown["checks"] == {"store": "the check failed; the log says why"}
