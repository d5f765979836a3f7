"""The ASGI application of the paper exchange: routes, the bearer key, faults, and errors in the API's own shape."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from typing import Any
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Message, Receive, Send

from positions_mcp.paper import control
from positions_mcp.paper.answers import NO_ACCOUNT, Answer, Call, error_response
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.faults import TransportFault
from positions_mcp.paper.handlers import Writes
from positions_mcp.paper.neighbours.handlers import Neighbours
from positions_mcp.paper.openapi import Operation
from positions_mcp.paper.operations import is_known, operations_of
from positions_mcp.paper.reading import Reads
from positions_mcp.paper.requests import Query, account_number
from positions_mcp.paper.striking import Handler, Striking
from positions_mcp.paper.venue import Venue

LARGEST_BODY = 1024 * 1024
_MESSAGES = {404: "no such resource", 405: "method not allowed for this resource"}
_log = logging.getLogger(__name__)


class PaperApp:
    """The application over one exchange."""

    def __init__(self, exchange: Venue) -> None:
        self._exchange = exchange
        self._dialect = exchange.dialect
        self._answering = (Reads(exchange), Writes(exchange), Neighbours(exchange))
        self._striking = Striking(exchange)
        by_path: dict[str, dict[str, Operation]] = {}
        for operation in operations_of(self._dialect):
            by_path.setdefault(operation.path, {})[operation.method] = operation
        routes = [
            Route(path, self._endpoint(each), methods=list(each))
            for path, by_method in by_path.items()
            for each in self._advertised_first(by_method)
        ]
        self._router = Router(routes=[*routes, *control.routes(exchange)], redirect_slashes=False)

    def _advertised_first(self, by_method: Mapping[str, Operation]) -> list[dict[str, Operation]]:
        """The methods of a path; apart from them those that its contract does not know, which no `Allow` names."""
        known = {method: each for method, each in by_method.items() if is_known(each, self._dialect)}
        rest = {method: each for method, each in by_method.items() if method not in known}
        return [each for each in (known, rest) if each]

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serves one request. Raises `TransportFault` where the connection is to fail."""
        if scope["type"] != "http":
            return
        # The router then raises for unknown routes and methods instead of answering in its own words.
        scope["app"] = self
        # A path is divided before its parts are decoded: an encoded slash belongs to a part, and leads nowhere else.
        scope["path"] = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        scope["paper.request_id"] = request_id = self._exchange.request_id()
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._router(scope, receive, watched_send)
        except TransportFault:
            raise
        except ClientDisconnect:
            return  # in the middle of its own request: nobody waits for an answer
        except Exception as error:
            if started:
                raise
            await self._failure(error, request_id)(scope, receive, send)

    def _failure(self, error: Exception, request_id: str) -> Response:
        if isinstance(error, HTTPException):
            refusal = Refusal(error.status_code, _MESSAGES.get(error.status_code, error.detail))
            return error_response(self._dialect, refusal, request_id, headers=error.headers)
        if isinstance(error, Refusal):
            headers = {"www-authenticate": "Bearer"} if error.status == 401 else error.headers
            return error_response(self._dialect, error, request_id, headers=headers)
        _log.error("request %s failed", request_id, exc_info=error)
        return error_response(self._dialect, Refusal(500, "internal error"), request_id)

    def _endpoint(self, by_method: Mapping[str, Operation]) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            operation = by_method["GET" if request.method == "HEAD" else request.method]
            parts = {name: unquote(value) for name, value in request.path_params.items()}
            named = parts.pop("account_id", None)
            target = next(iter(parts.values()), "")
            if operation.name == "close_position" and target == "instructions":
                raise HTTPException(405, headers={"Allow": "GET, POST"})
            access = control.access_of(request, self._exchange)
            account = NO_ACCOUNT if named is None else account_number(named)
            body = await _body(request)
            query = Query(request.scope["query_string"])
            call = Call(operation.name, account, request.scope["paper.request_id"], query, body, target, access=access)
            return await self._striking.serve(call, partial(self._answered, operation), self._authorise)

        return serve

    def _answered(self, operation: Operation, call: Call) -> Answer | Response:
        if operation.known is not None:
            call.query.only(operation.known)
        handler: Handler = next(
            getattr(each, operation.name) for each in self._answering if hasattr(each, operation.name)
        )
        return handler(call)

    def _authorise(self, call: Call) -> None:
        if call.account == NO_ACCOUNT:
            return
        with self._exchange.reading() as moment:
            if call.account not in moment.ledger.accounts or not call.access.to(call.account):
                raise Refusal(403, "The caller does not have permission to execute the specified operation")


async def _body(request: Request) -> bytes:
    too_large = Refusal(413, f"the body is larger than {LARGEST_BODY} bytes")
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > LARGEST_BODY:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise too_large
    return bytes(body)
