"""A desk over the real store and guard, spoken to as its page does, without a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any

import httpx

from guard.desk import PASSPHRASE
from guard.desk import Desk as GuardedDesk
from guard.desk import desk as guarded
from positions_mcp.desk.app import desk_app
from positions_mcp.desk.service import Desk
from positions_mcp.domain.operation.operation import Operation

ORIGIN = "http://localhost:8421"


@dataclass
class Page:
    """One tab of a browser."""

    http: httpx.AsyncClient
    token: str = ""
    sent: dict[str, str] = field(default_factory=lambda: {"origin": ORIGIN})

    async def post(self, path: str, body: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """A request as the page makes it, with headers put otherwise."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {**self.sent, "x-desk-token": self.token, **named}
        return await self.http.post(path, json=body or {}, headers=sent)

    async def read(self, path: str) -> Any:
        """What a signed-in page reads."""
        answer = await self.http.get(path, headers={"x-desk-token": self.token})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def sign_in(self, passphrase: str = PASSPHRASE) -> httpx.Response:
        """Sign in, and keep the token."""
        answer = await self.post("/api/session", {"passphrase": passphrase})
        self.token = answer.json().get("token", "")
        return answer

    async def decide(self, what: str, operation: Operation, **body: Any) -> httpx.Response:
        """Approve or reject what was shown."""
        shown = {"digest": operation.plan.digest, **body}
        return await self.post(f"/api/operations/{operation.operation_id}/{what}", shown)


def on_a_desk(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Runs a test with `desk`: a guard with an approver. It is opened and closed in the task of the test."""

    @wraps(test)
    async def run(tmp_path: Path, **named: Any) -> None:
        async with guarded(tmp_path) as desk:
            await desk.supervisor.set_up_approver(PASSPHRASE)
            await test(desk, **named)

    named = signature(test).parameters.items()
    folder = Parameter("tmp_path", Parameter.POSITIONAL_OR_KEYWORD, annotation=Path)
    seen = [folder, *(each for name, each in named if name != "desk")]
    vars(run)["__signature__"] = Signature(seen)
    return run


@asynccontextmanager
async def page_over(guarded: GuardedDesk, **parts: Any) -> AsyncIterator[Page]:
    """A tab that is not signed in, on a desk whose `parts` may be others than the guard's."""
    transport = httpx.ASGITransport(desk_app(Desk(replace(guarded.parts, **parts)), origins=[ORIGIN]))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as http:
        yield Page(http)


def goes_over(one: Page, two: Page) -> None:
    """The same browser at another desk behind the same address."""
    two.http.cookies.update(one.http.cookies)
    two.token = one.token
