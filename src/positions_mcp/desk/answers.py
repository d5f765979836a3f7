"""Requests and answers of the desk as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from positions_mcp.domain.errors import InvalidInput, Overtaken, PositionsError, Refused, StoreUnavailable
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Kind
from positions_mcp.domain.operation.search import Search
from positions_mcp.domain.operation.states import OperationState


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that was sent. Raises InvalidInput for anything else."""
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise InvalidInput("The request is not a JSON object.", hint="Nothing was decided.")
    return body


def text_of(body: dict[str, Any], name: str, default: str | None = None) -> str:
    """A text of the body; it may be empty only where it has a default."""
    value = body.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise InvalidInput(f"{name} is missing.", hint="Nothing was decided.")
    return value


def mapping_of(body: dict[str, Any], name: str) -> dict[str, Any]:
    """An object of the body."""
    value = body.get(name)
    if not isinstance(value, dict):
        raise InvalidInput(f"{name} is missing.", hint="Nothing was decided.")
    return value


def page_of(request: Request) -> str:
    """The address that the page has in the browser: `Protection` has checked that it is one of the desk's own."""
    return f"{request.url.scheme}://{request.headers['host']}"


def account_of(text: str) -> AccountId:
    """An account by its number. Raises InvalidInput."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidInput("An account is a number.")
    return AccountId(int(text))


def failed(_: Request, error: Exception) -> Response:
    """What went wrong with a request, with a status that says whose doing it was."""
    assert isinstance(error, PositionsError)
    statuses = ((Overtaken, 409), (StoreUnavailable, 503), (Refused, 403))
    status = next((status for kind, status in statuses if isinstance(error, kind)), 400)
    return said(status, f"{error.message} {error.hint}".strip())


def said(status: int, words: str) -> Response:
    return JSONResponse({"error": words}, status_code=status)


def search_of(wanted: Mapping[str, str]) -> Search:
    """What a page asks for. Raises InvalidInput for a state, kind or account that there is not."""
    state, kind, account = (wanted.get(name, "") for name in ("state", "kind", "account"))
    if state not in ("", *OperationState) or kind not in ("", *Kind):
        raise InvalidInput("There is no such state or kind.")
    return Search(
        account_id=account_of(account) if account else None,
        state=OperationState(state) if state else None,
        kind=Kind(kind) if kind else None,
        caller=wanted.get("caller", ""),
        in_doubt=wanted.get("in_doubt", "") == "1",
    )
