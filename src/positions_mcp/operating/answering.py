"""Answers that are made before the server itself is asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from positions_mcp.http_sessions import Send


async def answer(send: Send, status: HTTPStatus, body: Mapping[str, Any], *, retry_after_s: int | None = None) -> None:
    """A small JSON answer that nobody keeps."""
    content = json.dumps(body).encode() + b"\n"
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if retry_after_s is not None:
        headers.append((b"retry-after", str(retry_after_s).encode()))
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def refuse(send: Send, status: HTTPStatus, words: str, *, retry_after_s: int) -> None:
    """A refusal that an MCP client shows in these words: an error of the protocol that names no request."""
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32603, "message": words}}
    await answer(send, status, error, retry_after_s=retry_after_s)
