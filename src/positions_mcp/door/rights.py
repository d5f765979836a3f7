"""Which accounts and scopes a caller has by its token's claims, and which scopes a request needs."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from positions_mcp.domain.ids import AccountId
from positions_mcp.tools._caller import ASKING, READING, Scope, needed_for


@dataclass(frozen=True, slots=True)
class Right:
    """What everybody has whose token says `value` in `claim`."""

    name: str
    claim: str
    value: str
    accounts: frozenset[AccountId]
    scopes: frozenset[Scope] = frozenset(Scope)

    def is_of(self, claims: Mapping[str, Any]) -> bool:
        """Whether a token says so: the claim is the value, or a list with it."""
        said = claims.get(self.claim)
        return self.value in said if isinstance(said, list) else said == self.value


@dataclass(frozen=True, slots=True)
class Granted:
    """What a caller may use here."""

    accounts: frozenset[AccountId]
    scopes: frozenset[Scope]
    rights: tuple[str, ...]
    """What the rights are called, sorted: limits go by them."""


def granted(rights: Sequence[Right], claims: Mapping[str, Any], scopes: Collection[str]) -> Granted:
    """The accounts of every right that a token has, and of its scopes those that one of them allows."""
    theirs = [right for right in rights if right.is_of(claims)]
    allowed = frozenset[Scope]().union(*(right.scopes for right in theirs))
    return Granted(
        frozenset[AccountId]().union(*(right.accounts for right in theirs)),
        frozenset(each for each in Scope if each in allowed and each in scopes),
        tuple(sorted(right.name for right in theirs)),
    )


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
