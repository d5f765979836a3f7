"""Which scopes a request needs, by its body: what is not known here needs all of them."""

from __future__ import annotations

import json
from typing import Any

from positions_mcp.tools._scopes import ASKING, READING, Scope, needed_for

_READS = frozenset(
    {
        "initialize",
        "ping",
        "server/discover",
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "resources/subscribe",
        "resources/unsubscribe",
        "subscriptions/listen",
        "prompts/list",
        "prompts/get",
        "completion/complete",
        "logging/setLevel",
    }
)
_NOTIFIES = "notifications/"
LISTENS = "subscriptions/listen"


def needed_by(body: bytes) -> frozenset[Scope]:
    """The scopes that everything in a body needs together. Where it cannot be read nothing is done with it."""
    message = parsed(body)
    messages = message if isinstance(message, list) else [message]
    return READING.union(*map(_needed_by_one, messages))


def listens(body: bytes) -> bool:
    """Whether what is asked for is a stream of updates."""
    message = parsed(body)
    return isinstance(message, dict) and message.get("method") == LISTENS


def parsed(body: bytes) -> Any:
    """The message, or the batch of them; None where it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _needed_by_one(message: Any) -> frozenset[Scope]:
    if not isinstance(message, dict):
        return READING
    method, params = message.get("method"), message.get("params")
    if method == "tools/call":
        name = params.get("name") if isinstance(params, dict) else None
        return needed_for(name) if isinstance(name, str) else ASKING
    if isinstance(method, str) and (method in _READS or method.startswith(_NOTIFIES)):
        return READING
    return ASKING  # an answer to a question of the server's, or a method of another protocol
