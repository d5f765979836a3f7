"""Against a real authorization server, over TLS: official clients discover, register, sign in and step up."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from door.authorization_server import DOCUMENT, AuthorizationServer, Person, authorization_server
from door.test_entrance import certificate
from over_http.serving import INITIALIZE
from positions_mcp.cli.assembly.composition import open_deps, open_venue
from positions_mcp.cli.commands import NAMED
from positions_mcp.cli.serving.entrance import Entrance, listening_socket
from positions_mcp.cli.serving.over_http import serve_over_http
from positions_mcp.cli.serving.replica import replica_of
from positions_mcp.cli.serving.sign_in import signing_in
from positions_mcp.clock import SystemClock
from positions_mcp.server import build_server
from positions_mcp.settings import load
from tools.serving import ERAS, data_of, text_of

pytestmark = pytest.mark.xdist_group("authorization server")

CONFIG = """
accounts = [19816]
[http]
public_url = "https://localhost:{port}/mcp"
[oauth]
issuer = "{issuer}"
first_challenge = "{first}"
[oauth.rights.desk]
claim = "groups"
value = "desk"
accounts = [19816]
"""


@pytest.fixture(scope="module")
def issuer() -> Iterator[AuthorizationServer]:
    with authorization_server() as server:
        yield server


@dataclass
class Firm:
    """A server with a certificate of its own, and how a client trusts it."""

    url: str
    trusts: ssl.SSLContext

    @asynccontextmanager
    async def signed_in(self, person: Person, era: str, *, has_document: bool = False) -> AsyncIterator[Client]:
        """An official client whose person signs in when it is asked to."""
        auth = person.client(self.url, has_document=has_document)
        async with (
            httpx2.AsyncClient(auth=auth, verify=self.trusts, timeout=30) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=era) as client,
        ):
            yield client

    async def shown(self, token: str) -> httpx2.Response:
        """What a token opens."""
        said = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(verify=self.trusts) as http:
            return await http.post(self.url, json=INITIALIZE, headers=said)


@asynccontextmanager
async def firm(folder: Path, issuer: str, first: str = "all") -> AsyncIterator[Firm]:
    """The server as `serve --tls-cert --tls-key` composes it, at a free port."""
    cert, key = certificate(folder)
    clock, listening = SystemClock(), anyio.Event()
    with listening_socket(Entrance().address, 0) as listener:
        file = folder / "firm.toml"
        file.write_text(CONFIG.format(port=listener.getsockname()[1], issuer=issuer, first=first))
        settings = load({"data_dir": folder / "data", "paper": {"scenario": "demo"}}, config=file, environment={})
        entrance = Entrance.of(None, tls_cert=cert, tls_key=key).for_callers(settings)
        assert entrance.public_url
        with open_venue(settings, real_time=clock) as venue, replica_of(settings) as replica:
            server = build_server(
                partial(open_deps, settings, venue, command=NAMED),
                mode=settings.mode,
                accounts=settings.allowed_accounts,
                signs_in=True,
            )
            async with (
                signing_in(settings, entrance.public_url, clock) as sign_in,
                anyio.create_task_group() as tasks,
            ):
                serve = partial(
                    serve_over_http,
                    server,
                    listener,
                    announce=listening.set,
                    on_signal=lambda: None,
                    sessions_per_caller=20,
                    entrance=entrance,
                    replica=replica,
                    sign_in=sign_in,
                )
                tasks.start_soon(serve)
                await listening.wait()
                yield Firm(entrance.public_url, ssl.create_default_context(cafile=str(cert)))
                tasks.cancel_scope.cancel()


@pytest.mark.requirement("O-01", "O-02")
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("has_document", [False, True], ids=["registers", "has a document"])
async def test_an_official_client_finds_its_way_in_by_itself(
    has_document: bool, era: str, issuer: AuthorizationServer, tmp_path: Path
) -> None:
    person = Person()
    issuer.does("asked")
    async with (
        firm(tmp_path, issuer.issuer) as server,
        server.signed_in(person, era, has_document=has_document) as client,
    ):
        assert data_of(await client.call_tool("list_positions", {}))["held"] == 25
        assert "19816" in text_of(await client.call_tool("get_trading_status", {}))
    assert ("/reg" in issuer.does("asked")) is not has_document
    assert person.kept.client
    assert (person.kept.client.client_id == DOCUMENT["client_id"]) is has_document
    assert person.asked_for == ["positions:read positions:plan positions:ask"]


@pytest.mark.requirement("O-02")
async def test_a_client_that_was_told_little_asks_for_more_once_when_it_needs_it(
    issuer: AuthorizationServer, tmp_path: Path
) -> None:
    person = Person()
    async with (
        firm(tmp_path, issuer.issuer, first="needed") as server,
        server.signed_in(person, ERAS[1], has_document=True) as client,
    ):
        assert data_of(await client.call_tool("list_positions", {}))["held"] == 25
        assert person.asked_for == ["positions:read"]
        plan = data_of(await client.call_tool("preview_close", {"instruments": ["KO"]}))["plan_id"]
        await client.call_tool("close_positions", {"plan_id": plan})
        await client.call_tool("preview_close", {"instruments": ["KO"]})
    assert person.asked_for == [
        "positions:read",
        "positions:read positions:plan",
        "positions:read positions:plan positions:ask",
    ]


async def test_one_that_registered_for_little_gets_no_more_which_is_why_the_first_challenge_is_everything(
    issuer: AuthorizationServer, tmp_path: Path
) -> None:
    """When this fails, `first_challenge` may become `needed` by default."""
    person = Person()
    async with firm(tmp_path, issuer.issuer, first="needed") as server:

        async def reads_and_plans() -> None:
            async with server.signed_in(person, ERAS[1]) as client:
                await client.call_tool("list_positions", {})
                await client.call_tool("preview_close", {"instruments": ["KO"]})

        with pytest.raises(BaseExceptionGroup):
            await reads_and_plans()
    assert person.refused == ["invalid_scope"]


@pytest.mark.requirement("O-01", "O-03")
async def test_a_token_opens_the_server_that_it_is_for_and_none_beside_it_through_rotation_and_outage(
    issuer: AuthorizationServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("positions_mcp.door.keys.COOL_DOWN_S", 0.0)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    async with firm(tmp_path / "one", issuer.issuer) as one, firm(tmp_path / "two", issuer.issuer) as two:
        first = await _token(one)
        assert (await one.shown(first)).status_code == 200
        replayed = await two.shown(first)
        assert (replayed.status_code, replayed.json()["error_description"]) == (401, "The token is for another server.")
        issuer.does("rotate")
        second = await _token(one)
        assert (await one.shown(second)).status_code == 200
        assert (await one.shown(first)).status_code == 401, "its key was withdrawn"
        issuer.does("down")
        try:
            assert (await one.shown(second)).status_code == 200
        finally:
            issuer.does("up")


async def _token(server: Firm) -> str:
    person = Person()
    async with server.signed_in(person, ERAS[1]) as client:
        await client.list_tools()
    assert person.kept.tokens
    return person.kept.tokens.access_token
