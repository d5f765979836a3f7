"""A person's answer to a question of a session counts for the rights by which was asked, and for no other ones.

In the older protocol it is a request of its own, with a token of its own: by then its caller may have other rights, and
the connection may be gone over which was asked. So every question is noted when it goes out.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from starlette.types import Message, Scope, Send

from positions_mcp.door.rights import Granted
from positions_mcp.door.scopes import parsed

_SESSION = b"mcp-session-id"
_ASKS = b'"elicitation/create"'
_DATA = b"data:"
_MOST_REMEMBERED = 10_000
"""The answer to an older one is not taken: its person is asked again."""


class Asking:
    """By which rights the questions of each session were asked."""

    def __init__(self) -> None:
        self._asked: OrderedDict[tuple[bytes, str], object] = OrderedDict()

    def noting(self, scope: Scope, given: Granted, send: Send) -> Send:
        """What sends the answer to a request, and notes the questions in it. Each is a whole message to the server."""
        session = _session_of(scope)
        if session is None:
            return send

        async def noted(message: Message) -> None:
            body: bytes = message.get("body", b"")
            if _ASKS in body:
                for line in body.splitlines():
                    self._note(session, parsed(line.removeprefix(_DATA)), (given.rights, given.accounts))
            await send(message)

        return noted

    def may_answer(self, scope: Scope, given: Granted, body: bytes) -> bool:
        """Whether a request has no answers in it, or only such as were asked for by the same rights."""
        message, session = parsed(body), _session_of(scope) or b""
        answers = [each for each in (message if isinstance(message, list) else [message]) if _is_answer(each)]
        return all(self._asked.get((session, str(each["id"]))) == (given.rights, given.accounts) for each in answers)

    def _note(self, session: bytes, message: Any, rights: object) -> None:
        if isinstance(message, dict) and "method" in message and "id" in message:
            self._asked[session, str(message["id"])] = rights
            while len(self._asked) > _MOST_REMEMBERED:
                self._asked.popitem(last=False)


def _session_of(scope: Scope) -> bytes | None:
    return next((value for name, value in scope["headers"] if name.lower() == _SESSION), None)


def _is_answer(message: Any) -> bool:
    if not isinstance(message, dict) or "id" not in message:
        return False  # nothing that any question is found by
    return "method" not in message or "result" in message or "error" in message
