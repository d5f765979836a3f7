"""What the ASGI applications around the server share: whole answers of their own, and a message that is given back."""

from __future__ import annotations

import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOT_KEPT = (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))
"""Headers of an answer that nobody keeps or takes for something else."""
_INTERNAL_ERROR = -32603
"""The code of an error of the protocol, as JSON-RPC has it."""
_SAID_ONCE = ("host", "origin", "authorization", "mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name")
"""Headers that decide who asks, from where and for what."""


def unambiguous(app: ASGIApp) -> ASGIApp:
    """An application that no request reaches in which such a header stands twice: readers differ in which counts."""

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        names = [name.decode("latin-1").lower() for name, _ in scope.get("headers", ())]
        if twice := next((name for name in _SAID_ONCE if names.count(name) > 1), None):
            await refuse(send, 400, f"This request has more than one {twice} header. Nothing was done. Send one.")
        else:
            await app(scope, receive, send)

    return inside


async def answer(
    send: Send, status: int, body: bytes, *headers: tuple[str, str], kind: str, is_head: bool = False
) -> None:
    said = [("content-type", kind), ("content-length", str(len(body))), *headers]
    encoded = [(name.encode(), value.encode()) for name, value in said]
    await send({"type": "http.response.start", "status": int(status), "headers": encoded})
    await send({"type": "http.response.body", "body": b"" if is_head else body})


async def answer_json(send: Send, status: int, about: object, *headers: tuple[str, str], is_head: bool = False) -> None:
    await answer(send, status, json.dumps(about).encode(), *headers, kind="application/json", is_head=is_head)


async def refuse(send: Send, status: int, words: str, *headers: tuple[str, str]) -> None:
    """A refusal that an MCP client shows in these words: an error of the protocol that names no request."""
    error = {"code": _INTERNAL_ERROR, "message": words}
    await answer_json(send, status, {"jsonrpc": "2.0", "id": None, "error": error}, *NOT_KEPT, *headers)


def again(first: Message | None, receive: Receive) -> Receive:
    """What a client has sent: the message that was already received, then the rest."""

    async def heard() -> Message:
        nonlocal first
        message, first = first, None
        return message if message is not None else await receive()

    return heard
