"""An id for each request, given back to its client, and one line in the log: who, what, how it ended, how long."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
import uuid
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from positions_mcp.operating.logs import ABOUT

REQUEST_ID = b"x-request-id"
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_NAME = re.compile(r"[A-Za-z0-9_./-]{1,64}")
_NOTED = "noted for the log"

_log = logging.getLogger(__name__)


def outside(app: ASGIApp) -> ASGIApp:
    """Around everything else: the id, which is the balancer's where it has given one, and the line."""

    async def logged(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        request_id, began, status = _id_of(scope), time.monotonic(), 0
        noted: dict[str, Any] = {"request": request_id}
        scope.setdefault("state", {})[_NOTED] = noted
        token = ABOUT.set(noted)

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (REQUEST_ID, request_id.encode())]}
            await send(message)

        try:
            await app(scope, receive, named)
        finally:
            took = round((time.monotonic() - began) * 1000, 1)
            _log.info("request", extra={"said": {"path": _named(scope["path"]), "status": status, "ms": took}})
            ABOUT.reset(token)

    return logged


def inside(app: ASGIApp) -> ASGIApp:
    """Where the caller is known and the body is whole: whose it is, and what it asks for."""

    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        about = scope["state"].get(_NOTED, {})
        about["caller"] = caller_hash(scope["user"].username)

        async def read() -> Message:
            message = await receive()
            if message["type"] == "http.request" and "method" not in about:
                about.update(_asked(message.get("body", b"")))
            return message

        await app(scope, read, send)

    return noted


def caller_hash(name: str) -> str:
    """What stands for a caller in the log: the same one always, and no name."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _asked(body: bytes) -> dict[str, str]:
    """The method, and the tool: names only, never an argument."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(message, dict):
        return {}
    method, params = message.get("method"), message.get("params")
    found = {"method": _named(method)} if isinstance(method, str) else {}
    if method == "tools/call" and isinstance(params, dict) and isinstance(params.get("name"), str):
        found["tool"] = _named(params["name"])
    return found


def _id_of(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name.lower() == REQUEST_ID), b"")
    return given.decode() if _ID.fullmatch(given) else uuid.uuid4().hex


def _named(text: str) -> str:
    return text if _NAME.fullmatch(text) else "other"
