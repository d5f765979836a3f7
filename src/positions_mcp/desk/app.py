"""The desk as a Starlette application."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from positions_mcp.desk.answers import failed
from positions_mcp.desk.approvers import Approvers
from positions_mcp.desk.deciding import Deciding
from positions_mcp.desk.door import Door
from positions_mcp.desk.events import Changes
from positions_mcp.desk.mandates import MandateRoutes
from positions_mcp.desk.protection import Protection
from positions_mcp.desk.routes import Routes
from positions_mcp.desk.service import Desk
from positions_mcp.desk.sessions import Sessions
from positions_mcp.desk.withdrawing import WithdrawingRoutes
from positions_mcp.domain.errors import PositionsError

_STATIC = {
    **dict.fromkeys(
        (
            *("approvers.js", "desk.js", "dom.js", "drafts.js", "forms.js", "keys.js", "mandates.js"),
            *("notice.js", "passkeys.js", "requests.js", "session.js", "views.js", "withdrawal.js"),
        ),
        "text/javascript",
    ),
    "desk.css": "text/css",
    "icon.svg": "image/svg+xml",
}
_DECIDED = re.compile(r"/api/operations/(?P<operation_id>[^/]+)/[a-z]+")
_PAGES = ("/", "/op/{operation_id}", "/history", "/book", "/book/{account}", "/mandates", "/state")


def desk_app(desk: Desk, *, origins: Collection[str]) -> Starlette:
    """The application. `origins` are the addresses it answers at, the first of them the one to use."""
    changes = Changes(desk.newest, anyio.sleep)
    port = urlsplit(next(iter(origins))).port or 0
    sessions = Sessions(desk.session_store, desk.clock)
    door = Door(desk, sessions, changes, cookie=f"positions_desk_{port}")
    routes, deciding = Routes(desk, door, changes), Deciding(desk, door)
    approvers, delegated, withdrawing = Approvers(desk, door), MandateRoutes(desk, door), WithdrawingRoutes(desk, door)
    inside = door.signed_in

    async def foreign(path: str) -> None:
        if named := _DECIDED.fullmatch(path):
            await door.note_attempt(named["operation_id"], "a request from elsewhere than the desk's own page")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(changes.run)
            yield
            tasks.cancel_scope.cancel()

    operation = "/api/operations/{operation_id}"
    return Starlette(
        routes=[
            *(Route(path, _page, methods=["GET"]) for path in _PAGES),
            *(Route(f"/static/{name}", _static(name), methods=["GET"]) for name in _STATIC),
            Route("/api/door", door.look, methods=["GET"]),
            Route("/api/session", door.sign_in, methods=["POST"]),
            Route("/api/session/passkey", door.ask_passkey, methods=["POST"]),
            Route("/api/session", inside(door.sign_out), methods=["DELETE"]),
            Route("/api/queue", inside(routes.queue), methods=["GET"]),
            Route("/api/events", inside(routes.events), methods=["GET"]),
            Route("/api/operations", inside(routes.history), methods=["GET"]),
            Route(operation, inside(routes.story), methods=["GET"]),
            Route(f"{operation}/follow", inside(routes.followed), methods=["GET"]),
            Route(f"{operation}/share.svg", inside(routes.picture_of_share), methods=["GET"]),
            Route(f"{operation}/approve", inside(deciding.approve), methods=["POST"]),
            Route(f"{operation}/reject", inside(deciding.reject), methods=["POST"]),
            Route(f"{operation}/settle", inside(deciding.settle), methods=["POST"]),
            Route("/api/accounts/{account}/book", inside(routes.book), methods=["GET"]),
            Route("/api/accounts/{account}/pictures", inside(routes.pictures), methods=["GET"]),
            Route("/api/state", inside(routes.state), methods=["GET"]),
            Route("/api/mandates", inside(delegated.list), methods=["GET"]),
            Route("/api/mandates", inside(delegated.draft), methods=["POST"]),
            Route("/api/mandates/{mandate_id}/sign", inside(delegated.sign), methods=["POST"]),
            Route("/api/mandates/{mandate_id}/revoke", inside(delegated.revoke), methods=["POST"]),
            Route("/api/halt", inside(deciding.halt), methods=["POST"]),
            Route("/api/withdrawal", inside(withdrawing.look), methods=["GET"]),
            Route("/api/withdrawal", inside(withdrawing.withdraw), methods=["POST"]),
            Route("/api/resume", inside(deciding.resume), methods=["POST"]),
            Route("/api/approvers", inside(approvers.listed), methods=["GET"]),
            Route("/api/approvers/passkeys", inside(approvers.make), methods=["POST"]),
            Route("/api/approvers/passkeys/add", inside(approvers.add), methods=["POST"]),
            Route("/api/approvers/passkeys/remove", inside(approvers.remove), methods=["POST"]),
        ],
        exception_handlers={PositionsError: failed},
        middleware=[Middleware(Protection, origins=origins, foreign=foreign)],
        lifespan=lifespan,
    )


async def _page(_: Request) -> Response:
    """Every page is the same shell without any data: what it shows is asked for once somebody is signed in."""
    return Response(_read("index.html"), media_type="text/html")


def _static(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(_: Request) -> Response:
        return Response(_read(name), media_type=_STATIC[name])

    return serve


def _read(name: str) -> bytes:
    return importlib.resources.files("positions_mcp.desk").joinpath("static", name).read_bytes()
