"""The desk as a Starlette application: its protection, the routes that a page reads, and all the others."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import anyio
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from positions_mcp.addresses import authority, origin
from positions_mcp.desk import accounts
from positions_mcp.desk.answers import account_of, failed, page_of, said
from positions_mcp.desk.approvers import Approvers
from positions_mcp.desk.deciding import Deciding
from positions_mcp.desk.door import Door
from positions_mcp.desk.events import Changes
from positions_mcp.desk.mandates import MandateRoutes
from positions_mcp.desk.service import Desk
from positions_mcp.desk.sessions import Session, Sessions
from positions_mcp.desk.shapes import closed_share
from positions_mcp.desk.withdrawing import WithdrawingRoutes
from positions_mcp.domain.errors import PositionsError, Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.guard.threads import in_thread

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "manifest-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cache-Control": "no-store",
}
_SAFE = ("GET", "HEAD")
_LARGEST_BODY = 64 * 1024


class Protection:
    """ASGI middleware. `origins` are this desk's own, such as `http://localhost:8421`.

    Requests come for this desk's own name (against DNS rebinding) and, where they change anything, from its own pages.
    Answers allow nothing inline, nothing from elsewhere, and no frame around them.

    `foreign` is told the path of a request that would have changed something and was refused.
    """

    def __init__(self, app: ASGIApp, *, origins: Collection[str], foreign: Callable[[str], Awaitable[None]]) -> None:
        self._app = app
        self._foreign = foreign
        self._origins = frozenset(map(origin, origins))
        self._scheme = next(iter(origins)).partition("://")[0]
        self._hosts = frozenset(each.partition("://")[2] for each in self._origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope["method"], Headers(scope=scope))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        if refusal:
            if scope["method"] not in _SAFE:
                await self._foreign(scope["path"])
            await JSONResponse({"error": refusal}, status_code=403)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _refusal(self, method: str, headers: Headers) -> str:
        hosts = [authority(each, self._scheme) for each in headers.getlist("host")]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return "This desk goes by another address."
        if method in _SAFE:
            return ""
        is_own = origin(headers.get("origin", "")) in self._origins
        if not is_own or headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return "This request does not come from the desk's own page."
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return "A request to the desk is JSON."
        length = headers.get("content-length", "")
        if not length.isdigit() or int(length) > _LARGEST_BODY:
            return "A request to the desk states its length, at most 64 KiB."
        return ""


@dataclass(eq=False)
class Routes:
    """Everything that is read, for who is signed in."""

    desk: Desk
    door: Door
    changes: Changes

    async def queue(self, request: Request, session: Session) -> Response:
        mine = await self.desk.passkeys_of(session.name, page_of(request))
        return JSONResponse(await self.desk.queue(session.member) | {"passkeys": mine})

    async def history(self, request: Request, session: Session) -> Response:
        """Operations, filtered by `state`, `account`, `kind`, `caller` and `in_doubt`; `after` goes on."""
        return JSONResponse(await self.desk.history(dict(request.query_params), session.member))

    async def story(self, request: Request, session: Session) -> Response:
        return JSONResponse(await self.desk.story(request.path_params["operation_id"], session.member))

    async def followed(self, request: Request, session: Session) -> Response:
        return JSONResponse(await self.desk.followed(request.path_params["operation_id"], session.member))

    async def state(self, _: Request, session: Session) -> Response:
        return JSONResponse(await self.desk.state(session.member))

    async def book(self, request: Request, session: Session) -> Response:
        book = await self.desk.book(_account(request, session))
        if book is None:
            return JSONResponse({"readable": False, "positions": []})
        return JSONResponse(await in_thread(accounts.listed, book))

    async def pictures(self, request: Request, session: Session) -> Response:
        """What an account comes to, drawn as SVG, with the same in words."""
        return JSONResponse(await self.desk.pictures(_account(request, session)))

    async def picture_of_share(self, request: Request, session: Session) -> Response:
        """The share of the book that a plan is about, as SVG."""
        operation = await self.desk.seen(request.path_params["operation_id"], session.member)
        book = await self.desk.book_of(operation)
        if book is None:
            return said(503, "The account cannot be read now.")
        part, whole = await in_thread(closed_share, operation, book)
        percent = f"{100 * part / whole:.1f} %" if whole else "none"
        words = f"{percent} of the account's market value: {part:,f} of {whole:,f} dollars"
        drawn = accounts.share("Share of the account that this plan is about", part, whole, words)
        return Response(drawn, media_type="image/svg+xml")

    async def events(self, _: Request, session: Session) -> Response:
        """Server-sent events, as long as the session stands."""
        stream = self.changes.stream(partial(self.door.stands, session))
        return StreamingResponse(stream, media_type="text/event-stream")


def _account(request: Request, session: Session) -> AccountId:
    account = account_of(request.path_params["account"])
    if not session.member.sees(account):
        raise Refused(f"{session.name} does not see account {account}.", hint="Nothing was read.")
    return account


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
