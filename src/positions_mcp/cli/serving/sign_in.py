"""Putting the door together that the settings ask for: whose tokens are taken, and what their claims give."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import anyio
from starlette.types import ASGIApp

from positions_mcp.domain.ids import AccountId
from positions_mcp.door.app import Door, Streams
from positions_mcp.door.challenges import Challenges
from positions_mcp.door.keys import Issuer, Keys
from positions_mcp.door.rights import Right
from positions_mcp.door.tokens import TokenChecker
from positions_mcp.operating.readiness import Found
from positions_mcp.ports import Clock
from positions_mcp.settings import Settings
from positions_mcp.settings.oauth import RightSettings
from positions_mcp.tools._caller import Scope


@dataclass(frozen=True, slots=True)
class SignIn:
    """Who may come in, as it is made sure of."""

    keys: Keys
    tokens: TokenChecker
    streams: Streams
    challenges: Challenges
    rights: tuple[Right, ...]
    accounts: Collection[AccountId]

    def door(self, app: ASGIApp) -> ASGIApp:
        return Door(
            app,
            tokens=self.tokens,
            rights=self.rights,
            accounts=self.accounts,
            challenges=self.challenges,
            streams=self.streams,
        )

    async def look(self) -> Mapping[str, Found]:
        """Whether anybody can be let in: another replica may have read the keys that this one has not."""
        if not self.keys.are_known:
            return {"sign-in": Found("the authorization server's keys have not been read yet", blocks=True)}
        fresh = self.keys.are_fresh
        return {
            "sign-in": Found() if fresh else Found("the authorization server cannot be reached; its keys are known")
        }


@asynccontextmanager
async def signing_in(settings: Settings, public_url: str, clock: Clock) -> AsyncIterator[SignIn]:
    """The door of one server, and the issuer's keys kept fresh behind it."""
    oauth = settings.oauth
    assert oauth.issuer is not None
    issuer = Issuer(oauth.issuer, oauth.jwks_url)
    keys = Keys(issuer.read_keys, oauth.algorithms)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keys.keep_fresh)
        try:
            yield SignIn(
                keys,
                TokenChecker(
                    keys,
                    issuer=oauth.issuer,
                    audience=oauth.audience or public_url,
                    algorithms=oauth.algorithms,
                    leeway=timedelta(seconds=oauth.leeway_s),
                    clock=clock,
                ),
                Streams(clock),
                Challenges(public_url, oauth.issuer, first_is_all=oauth.first_challenge == "all"),
                tuple(_right(name, each) for name, each in oauth.rights.items()),
                settings.allowed_accounts,
            )
        finally:
            tasks.cancel_scope.cancel()
            await issuer.aclose()


def _right(name: str, written: RightSettings) -> Right:
    accounts, scopes = map(AccountId, written.accounts), map(Scope, written.scopes)
    return Right(name, written.claim, written.value, frozenset(accounts), frozenset(scopes))
