"""A person's answer to a question of a session counts for the rights by which was asked, and for no other ones.

In the older protocol it is a request of its own, with a token of its own: by then its caller may have other rights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from positions_mcp.door.rights import Granted
from positions_mcp.door.scopes import parsed
from positions_mcp.http_sessions import Scope

_SESSION = b"mcp-session-id"


class Asking:
    """By which rights the calls came that are under way in each session."""

    def __init__(self) -> None:
        self._under_way: dict[bytes, Counter[object]] = {}

    @contextmanager
    def within(self, scope: Scope, given: Granted) -> Iterator[None]:
        """One more, as long as it takes; nothing for what is of no session, or listens only."""
        session = _session_of(scope)
        if session is None or scope["method"] != "POST":
            yield
            return
        rights = given.rights, given.accounts
        theirs = self._under_way.setdefault(session, Counter())
        theirs[rights] += 1
        try:
            yield
        finally:
            theirs[rights] -= 1
            if not theirs[rights]:
                del theirs[rights]
            if not theirs:
                self._under_way.pop(session, None)

    def may_answer(self, scope: Scope, given: Granted, body: bytes) -> bool:
        """Whether a request is no answer, or one by the rights of all that may have asked."""
        theirs = self._under_way.get(_session_of(scope) or b"", ())
        return all(rights == (given.rights, given.accounts) for rights in theirs) or not _answers(body)


def _session_of(scope: Scope) -> bytes | None:
    return next((value for name, value in scope["headers"] if name.lower() == _SESSION), None)


def _answers(body: bytes) -> bool:
    message = parsed(body)
    return not isinstance(message, dict) or "method" not in message or "result" in message or "error" in message
