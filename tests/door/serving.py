"""A server that really listens, whose callers sign in with an issuer in the test's own process."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp import Client
from pydantic import BaseModel

from door.signing import EVERYBODY_OF_DESK, ISSUER, Issuer
from over_http.serving import INITIALIZE, calling
from positions_mcp.cli.assembly.composition import open_deps, open_venue
from positions_mcp.cli.commands import NAMED
from positions_mcp.cli.serving.connections import Connections
from positions_mcp.cli.serving.entrance import ON_THIS_MACHINE, Entrance, listening_socket
from positions_mcp.cli.serving.over_http import serve_over_http
from positions_mcp.cli.serving.replica import replica_of
from positions_mcp.cli.serving.sign_in import SignIn
from positions_mcp.door.app import Streams
from positions_mcp.door.challenges import Challenges
from positions_mcp.door.keys import Keys
from positions_mcp.door.rights import Right
from positions_mcp.server import build_server
from positions_mcp.settings import load
from positions_mcp.settings.model import LimitsSettings, OverrideSettings
from positions_mcp.settings.oauth import OAuthSettings, RightSettings
from positions_mcp.tools.context import ToolContext

MODERN = {"MCP-Protocol-Version": "2026-07-28"}


def calls(tool: Any, arguments: Any = None) -> dict[str, Any]:
    """The body of a raw call."""
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool, "arguments": arguments or {}}}


@dataclass
class Behind:
    """A server behind the door, and who issues its callers' tokens."""

    url: str
    issuer: Issuer
    keys: Keys
    store: Path
    seen: list[str] = field(default_factory=list)

    def token(self, *scopes: str, **said: Any) -> str:
        """A token for this server, for all there is unless scopes are named."""
        scope = " ".join(f"positions:{each}" for each in scopes or ("read", "plan", "ask"))
        return self.issuer.token(aud=self.url, **{"scope": scope, **said})

    def client(self, era: str, *scopes: str, person: Any = None, **said: Any) -> AbstractAsyncContextManager[Client]:
        """A client that has signed in."""
        return calling(self.url, self.token(*scopes, **said), era, person)

    async def send(
        self, body: Any = INITIALIZE, token: str | None = None, method: str = "POST", path: str = "", **headers: str
    ) -> httpx2.Response:
        """One raw request."""
        said = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        said |= {} if token is None else {"Authorization": f"Bearer {token}"}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        url = self.url if not path else str(httpx2.URL(self.url).copy_with(raw_path=path.encode()))
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        async with httpx2.AsyncClient(timeout=30) as http:
            return await http.request(method, url, headers=said, **(content if method == "POST" else {}))


@asynccontextmanager
async def behind_the_door(
    data_dir: Path,
    *,
    rights: Sequence[Right] = (EVERYBODY_OF_DESK,),
    accounts: Sequence[int] = (19816,),
    first_is_all: bool = True,
    path: str = "/mcp",
    limits: dict[str, dict[str, Any]] | None = None,
    wait_s: int = 0,
) -> AsyncIterator[Behind]:
    """The server as `serve` composes it for callers who sign in, on a paper exchange whose clock stands."""
    issuer = Issuer()
    settings = load(
        {
            "accounts": list(accounts),
            "data_dir": data_dir,
            "paper": {"scenario": "demo"},
            "approval": {"wait_s": wait_s},
        }
    )
    settings = settings.model_copy(update=_by_rights(rights, limits or {}))
    listening = anyio.Event()
    with (
        open_venue(settings, real_time=issuer.clock) as venue,
        listening_socket(ON_THIS_MACHINE.address, 0) as listener,
        replica_of(settings) as replica,
    ):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}{path}"
        keys = issuer.cache()

        @asynccontextmanager
        async def parts() -> AsyncIterator[ToolContext]:
            async with open_deps(settings, venue, command=NAMED) as deps:
                yield replace(deps, updates_every_s=0.01)

        checker = issuer.checker(keys)
        checker._audience = url
        serve = partial(
            serve_over_http,
            build_server(parts, mode=settings.mode, accounts=settings.allowed_accounts, signs_in=True),
            listener,
            announce=listening.set,
            on_signal=lambda: None,
            sessions_per_caller=settings.http.max_sessions_per_caller,
            entrance=Entrance(public_url=url),
            replica=replica,
            sign_in=SignIn(
                keys,
                checker,
                Streams(issuer.clock),
                Challenges(url, ISSUER, first_is_all=first_is_all),
                tuple(rights),
                settings.allowed_accounts,
            ),
            connections=Connections(),
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            await listening.wait()
            yield Behind(url, issuer, keys, data_dir)
            os.kill(os.getpid(), signal.SIGTERM)  # received by the server, which has said that it listens


def _by_rights(rights: Sequence[Right], limits: dict[str, dict[str, Any]]) -> dict[str, BaseModel]:
    """The rights, and the limits of some of them, as the settings have them."""
    written = {each.name: RightSettings(claim=each.claim, value=each.value, accounts=each.accounts) for each in rights}
    narrower = {name: OverrideSettings(**each) for name, each in limits.items()}
    return {"oauth": OAuthSettings(rights=written), "limits": LimitsSettings(rights=narrower)}
