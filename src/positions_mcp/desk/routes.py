"""The routes that a page reads: what `service` says into JSON, and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from positions_mcp.desk import accounts, pictures
from positions_mcp.desk.answers import account_of, page_of, said
from positions_mcp.desk.door import Door
from positions_mcp.desk.events import Changes
from positions_mcp.desk.service import Desk
from positions_mcp.desk.sessions import Session
from positions_mcp.desk.shapes import closed_share
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.guard.threads import in_thread


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
        """One operation whole, its account read again first."""
        return JSONResponse(await self.desk.followed(request.path_params["operation_id"], session.member))

    async def state(self, _: Request, session: Session) -> Response:
        """Limits, halt, store."""
        return JSONResponse(await self.desk.state(session.member))

    async def book(self, request: Request, session: Session) -> Response:
        """An account's positions."""
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
        drawn = pictures.share("Share of the account that this plan is about", part, whole, words)
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
