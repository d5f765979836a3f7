"""The routes that a page reads: what `service` says into JSON, and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from positions_mcp.desk import pictures
from positions_mcp.desk.answers import account_of, said
from positions_mcp.desk.events import Changes
from positions_mcp.desk.service import Desk, closed_share
from positions_mcp.desk.sessions import Session, Sessions
from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import ZERO

_MOST_BARS = 20


@dataclass(eq=False)
class Routes:
    """Everything that is read, for who is signed in."""

    desk: Desk
    sessions: Sessions
    changes: Changes

    async def queue(self, request: Request, session: Session) -> Response:
        """What waits for a person."""
        del request, session
        return JSONResponse(await self.desk.queue())

    async def history(self, request: Request, session: Session) -> Response:
        """Operations, filtered by `state`, `account`, `kind`, `caller` and `in_doubt`; `after` goes on."""
        del session
        return JSONResponse(await self.desk.history(dict(request.query_params)))

    async def story(self, request: Request, session: Session) -> Response:
        """One operation whole."""
        del session
        return JSONResponse(await self.desk.story(request.path_params["operation_id"]))

    async def followed(self, request: Request, session: Session) -> Response:
        """One operation whole, its account read again first."""
        del session
        return JSONResponse(await self.desk.followed(request.path_params["operation_id"]))

    async def state(self, request: Request, session: Session) -> Response:
        """Limits, halt, store."""
        del request, session
        return JSONResponse(await self.desk.state())

    async def book(self, request: Request, session: Session) -> Response:
        """An account's positions."""
        del session
        book = await self.desk.book(_account(request))
        if book is None:
            return JSONResponse({"readable": False, "positions": []})
        rows = [
            {
                "symbol": position.name,
                "quantity": f"{position.quantity:,f}",
                "value": None if position.value is None else f"{position.value:,f}",
                "pnl": None if position.unrealized_pnl is None else f"{position.unrealized_pnl:+,f}",
            }
            for position in sorted(book.positions, key=_size_of_value, reverse=True)
        ]
        complete = {"readable": True, "complete": book.is_complete, "as_of": book.as_of.isoformat()}
        return JSONResponse(complete | {"positions": rows})

    async def picture_of_book(self, request: Request, session: Session) -> Response:
        """Unrealised profit and loss of the largest positions, as SVG."""
        del session
        book = await self.desk.book(_account(request))
        known = [(p.name, p.unrealized_pnl) for p in book.positions if p.unrealized_pnl] if book else []
        largest = sorted(known, key=lambda named: abs(named[1]), reverse=True)[:_MOST_BARS]
        rows = [pictures.Bar(name, amount, f"{amount:+,f}") for name, amount in largest]
        return _svg(pictures.bars("Unrealised profit and loss by position", rows))

    async def picture_of_share(self, request: Request, session: Session) -> Response:
        """The share of the book that a plan is about, as SVG."""
        del session
        operation = await self.desk.operation(request.path_params["operation_id"])
        book = await self.desk.book_of(operation)
        if book is None:
            return said(503, "The account cannot be read now.")
        part, whole = closed_share(operation, book)
        percent = f"{100 * part / whole:.1f} %" if whole else "none"
        words = f"{percent} of the account's market value: {part:,f} of {whole:,f} dollars"
        return _svg(pictures.share("Share of the account that this plan is about", part, whole, words))

    async def events(self, request: Request, session: Session) -> Response:
        """Server-sent events, as long as the session stands."""
        del request
        stream = self.changes.stream(partial(self.sessions.is_open, session))
        return StreamingResponse(stream, media_type="text/event-stream")


def _size_of_value(position: Position) -> Decimal:
    return abs(position.value or ZERO)


def _svg(text: str) -> Response:
    return Response(text, media_type="image/svg+xml")


def _account(request: Request) -> AccountId:
    return account_of(request.path_params["account"])
