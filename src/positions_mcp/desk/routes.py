"""The desk's routes: a request into a decision of `guard.supervisor`, and what it says into JSON."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from positions_mcp.desk import pictures
from positions_mcp.desk.events import Changes
from positions_mcp.desk.service import Desk, closed_share
from positions_mcp.desk.sessions import LONGEST, Session, Sessions
from positions_mcp.domain.errors import InvalidInput, Overtaken, PositionsError, Refused, StoreUnavailable
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import ZERO
from positions_mcp.domain.operation.operation import Conclusion, Operation
from positions_mcp.guard.approval.statements import WrongPassphrase

SESSION_HEADER = "x-desk-token"
PERSON_HEADER = "x-desk-person"
"""Says that a person moved: what a page reads by itself keeps nobody signed in."""
_MOST_SIGNING_IN = 8
_MOST_BARS = 20
_BY = "the supervisor's page"
Handler = Callable[[Request, Session], Awaitable[Response]]


@dataclass(eq=False)
class Routes:
    """Every route, over one desk."""

    desk: Desk
    sessions: Sessions
    changes: Changes
    cookie: str
    """The cookie's name: with the port, because a browser sends cookies to every port of a host."""

    def __post_init__(self) -> None:
        """One passphrase is tried at a time by who is not signed in: scrypt is slow on purpose."""
        self._signing_in = anyio.Lock()

    # --- signing in and out

    async def sign_in(self, request: Request) -> Response:
        """`{passphrase}` → `{token, seconds}` and a cookie."""
        try:
            passphrase = _text(await _body(request), "passphrase")
        except PositionsError as error:
            return _failed(error)
        if self._signing_in.statistics().tasks_waiting >= _MOST_SIGNING_IN:
            return _error(429, "Too many are signing in at once. Try again in some seconds.")
        try:
            async with self._signing_in:
                await self.desk.supervisor.check_passphrase(passphrase)
        except PositionsError as error:
            return _failed(error)
        session = self.sessions.open()
        answer = JSONResponse({"token": session.token, "seconds": int(LONGEST.total_seconds())})
        answer.set_cookie(
            self.cookie,
            session.cookie,
            httponly=True,
            samesite="strict",
            path="/",
            secure=request.url.scheme == "https",
        )
        return answer

    async def sign_out(self, request: Request, session: Session) -> Response:
        """End the session everywhere."""
        del request
        self.sessions.end(session)
        answer = JSONResponse({})
        answer.delete_cookie(self.cookie, path="/")
        return answer

    async def door(self, request: Request) -> Response:
        """What a page may know before anybody is signed in: the mode, and whether there is an approver at all."""
        del request
        try:
            approver = await self.desk.supervisor.has_approver()
        except PositionsError as error:
            return _failed(error)
        return JSONResponse({"mode": self.desk.mode.shown, "approver": approver})

    # --- reading

    async def queue(self, request: Request, session: Session) -> Response:
        """What waits for a person."""
        del request, session
        return JSONResponse(await self.desk.queue())

    async def history(self, request: Request, session: Session) -> Response:
        """Operations, filtered by `state` and `account`."""
        del session
        wanted = request.query_params
        return JSONResponse(await self.desk.history(state=wanted.get("state", ""), account=wanted.get("account", "")))

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
            for position in sorted(book.positions, key=lambda each: abs(each.value or ZERO), reverse=True)
        ]
        complete = {"readable": True, "complete": book.is_complete, "as_of": book.as_of.isoformat()}
        return JSONResponse(complete | {"positions": rows})

    async def picture_of_book(self, request: Request, session: Session) -> Response:
        """Unrealised profit and loss of the largest positions, as SVG."""
        del session
        book = await self.desk.book(_account(request))
        known = [(p.name, p.unrealized_pnl) for p in book.positions if p.unrealized_pnl] if book else []
        largest = sorted(known, key=_size, reverse=True)[:_MOST_BARS]
        rows = [pictures.Bar(name, amount, f"{amount:+,f}") for name, amount in largest]
        return _svg(pictures.bars("Unrealised profit and loss by position", rows))

    async def picture_of_share(self, request: Request, session: Session) -> Response:
        """The share of the book that a plan is about, as SVG."""
        del session
        operation = await self.desk.operation(request.path_params["operation_id"])
        book = await self.desk.book(operation.account_id)
        if book is None:
            return _error(503, "The account cannot be read now.")
        part, whole = closed_share(operation, book)
        percent = f"{100 * part / whole:.1f} %" if whole else "none"
        said = f"{percent} of the account's market value: {part:,f} of {whole:,f} dollars"
        return _svg(pictures.share("Share of the account that this plan is about", part, whole, said))

    async def events(self, request: Request, session: Session) -> Response:
        """Server-sent events, as long as the session stands."""
        del request
        stream = self.changes.stream(partial(self.sessions.is_open, session))
        return StreamingResponse(stream, media_type="text/event-stream")

    # --- deciding

    async def approve(self, request: Request, session: Session) -> Response:
        """`{digest, passphrase, note}`: a signed yes to the plan that was shown."""
        body = await _body(request)
        return await self._decide(
            request,
            session,
            lambda operation: self.desk.supervisor_of(operation).approve(
                operation.operation_id,
                _text(body, "passphrase"),
                digest=_text(body, "digest"),
                note=_text(body, "note", ""),
                origin=self._origin(request),
            ),
        )

    async def reject(self, request: Request, session: Session) -> Response:
        """`{digest, reason}`: a no."""
        body = await _body(request)
        return await self._decide(
            request,
            session,
            lambda operation: self.desk.supervisor_of(operation).reject(
                operation.operation_id,
                by=_BY,
                digest=_text(body, "digest"),
                note=_text(body, "reason", ""),
                origin=self._origin(request),
            ),
        )

    async def settle(self, request: Request, session: Session) -> Response:
        """`{symbol, took_effect, evidence, passphrase}`: what became of an unknown outcome."""
        body = await _body(request)
        took_effect = body.get("took_effect")
        if not isinstance(took_effect, bool):
            raise InvalidInput("took_effect is true or false.")
        return await self._decide(
            request,
            session,
            lambda operation: self.desk.supervisor_of(operation).settle(
                operation.operation_id,
                _text(body, "symbol"),
                Conclusion.TOOK_EFFECT if took_effect else Conclusion.DID_NOT,
                _text(body, "passphrase"),
                by=_BY,
                evidence=_text(body, "evidence"),
            ),
        )

    async def halt(self, request: Request, session: Session) -> Response:
        """`{reason}`: stop everything destructive."""
        del session
        reason = _text(await _body(request), "reason", "")
        await self.desk.supervisor.halt(reason, by=_BY)
        return JSONResponse({})

    async def resume(self, request: Request, session: Session) -> Response:
        """`{passphrase}`: end the halt."""
        passphrase = _text(await _body(request), "passphrase")
        return await self._with_passphrase(session, lambda: self.desk.supervisor.resume(passphrase, by=_BY), None)

    async def _decide(
        self, request: Request, session: Session, act: Callable[[Operation], Awaitable[object]]
    ) -> Response:
        operation = await self.desk.operation(request.path_params["operation_id"])
        return await self._with_passphrase(session, lambda: act(operation), operation)

    async def _with_passphrase(
        self, session: Session, act: Callable[[], Awaitable[object]], operation: Operation | None
    ) -> Response:
        """One guess of a session at a time: what is wrong is counted before the next one is tried."""
        async with session.guessing:
            if not self.sessions.is_open(session):
                await self._note(operation, "a signed-out page")
                return _error(401, "Signed out after too many wrong passphrases: sign in again. Nothing was decided.")
            try:
                await act()
            except WrongPassphrase as error:
                await self._note(operation, "a wrong passphrase")
                self.sessions.wrong_passphrase(session)
                return _failed(error)
            except PositionsError as error:
                await self._note(operation, error.message)
                return _failed(error)
        return JSONResponse({})

    async def _note(self, operation: Operation | None, why: str) -> None:
        if operation is not None:
            await self.desk.supervisor_of(operation).note_refusal(operation.operation_id, why, by=_BY)

    def _origin(self, request: Request) -> str:
        return f"{request.url.scheme}://{request.headers['host']}"

    # --- what stands around every route

    def signed_in(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """The route for who is signed in, with errors as JSON."""

        async def route(request: Request) -> Response:
            token = request.headers.get(SESSION_HEADER, "")
            touch = request.method != "GET" or request.headers.get(PERSON_HEADER) == "1"
            session = self.sessions.find(request.cookies.get(self.cookie, ""), token, touch=touch)
            if session is None:
                return await self._not_signed_in(request)
            try:
                return await handler(request, session)
            except PositionsError as error:
                return _failed(error)

        return route

    async def _not_signed_in(self, request: Request) -> Response:
        operation_id = request.path_params.get("operation_id")
        if request.method == "POST" and operation_id:
            try:
                await self._note(await self.desk.operation(operation_id), "a page that is not signed in")
            except PositionsError:
                return _error(401, "Sign in first.")
        return _error(401, "Sign in first.")


def _size(named: tuple[str, Decimal]) -> Decimal:
    return abs(named[1])


def _svg(text: str) -> Response:
    return Response(text, media_type="image/svg+xml")


def _account(request: Request) -> AccountId:
    text = request.path_params["account"]
    if not text.isdigit():
        raise InvalidInput("An account is a number.")
    return AccountId(int(text))


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise InvalidInput("The request is not a JSON object.", hint="Nothing was decided.")
    return body


def _text(body: dict[str, Any], name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str) or (default is None and not value):
        raise InvalidInput(f"{name} is missing.", hint="Nothing was decided.")
    return value


def _failed(error: PositionsError) -> Response:
    if isinstance(error, Overtaken):
        status = 409
    elif isinstance(error, StoreUnavailable):
        status = 503
    else:
        status = 403 if isinstance(error, Refused) else 400
    return _error(status, f"{error.message} {error.hint}".strip())


def _error(status: int, words: str) -> Response:
    return JSONResponse({"error": words}, status_code=status)
