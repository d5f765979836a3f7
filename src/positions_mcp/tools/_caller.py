"""Who is calling: a label for plans and records, never evidence of anything. And what its token lets it do.

A person's decision is no scope: no token approves.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.mcpserver.context import Context

from positions_mcp.domain.errors import Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.search import Viewer
from positions_mcp.domain.text import clean
from positions_mcp.platforms import this_platform


class Scope(StrEnum):
    """What a token is good for. None contains another."""

    READ = "positions:read"
    PLAN = "positions:plan"
    ASK = "positions:ask"
    """Asking a person to have something sent. Deciding is the person's."""


READING = frozenset({Scope.READ})
PLANNING = frozenset({Scope.READ, Scope.PLAN})
ASKING = frozenset(Scope)

_OF_TOOL = {
    **dict.fromkeys(
        (
            "list_positions",
            "summarize_positions",
            "project_expiration",
            "list_instructions",
            "get_operation",
            "list_operations",
            "get_trading_status",
            "halt_trading",  # who may look may stop what it has asked for
        ),
        READING,
    ),
    **dict.fromkeys(("preview_close", "preview_instructions"), PLANNING),
}


def needed_for(tool: str) -> frozenset[Scope]:
    """All scopes that a call of a tool needs: every scope there is where the tool is not said to need less."""
    return _OF_TOOL.get(tool, ASKING)


def in_order(scopes: frozenset[Scope]) -> str:
    """Scopes as a challenge lists them."""
    return " ".join(each for each in Scope if each in scopes)


_UNNAMED = "unnamed client"
_LONGEST_NAME = 60
_LONGEST_BEGINNING = 40


class CallerToken(AccessToken):
    """Who has signed in elsewhere, as the door has made sure; the token itself stays there."""

    accounts: frozenset[AccountId]
    """Those that its rights give."""
    rights: tuple[str, ...]
    """What the configuration calls them, sorted."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. An empty `identity` is nobody, and nobody may send."""

    identity: str
    """The token's subject over HTTP; the operating system's user and the client's name otherwise. Two callers never
    share one."""
    client: str
    """What the client calls itself, for display."""
    sees_all: bool
    """Whether it may look at operations of others: where every caller is the same operating-system user."""
    token: CallerToken | None = None
    """Of one that has signed in elsewhere: what it may do, and in which accounts."""

    @property
    def viewer(self) -> Viewer:
        return Viewer(None if self.sees_all else self.identity, self.token.accounts if self.token else None)

    @property
    def rights(self) -> tuple[str, ...]:
        """What it has rights to, by the configuration's names; nothing where it has not signed in."""
        return self.token.rights if self.token else ()

    def check_may(self, tool: str) -> None:
        """Raise Refused where the token is not good for a tool. The door has asked before: this one has no spelling."""
        needed = needed_for(tool)
        if self.token is not None and not needed <= set(self.token.scopes):
            raise Refused(f"This needs {in_order(needed)}.", hint="Sign in for them.")


def caller_of(sdk: Context[Any, Any]) -> Caller:
    params = sdk.session.client_params
    name = params.client_info.name if params is not None else ""
    client = clean(name, _LONGEST_NAME) or _UNNAMED
    if sdk.request_context.request is None:
        return Caller(f"{this_platform().user()} through {identity_of(name) or _UNNAMED}", client, sees_all=True)
    token = get_access_token()
    if isinstance(token, CallerToken):
        return Caller(f"token of {token.subject}", client, sees_all=False, token=token)
    subject = identity_of(token.subject or token.client_id) if token is not None else ""
    return Caller(f"token of {subject}" if subject else "", client, sees_all=False)


def identity_of(name: str) -> str:
    """A name as part of an identity: itself where it is short and plain, else its beginning and a hash of all of it.

    A name with a hash is longer than any that stands for itself, so that no name can pass for another.
    """
    if clean(name, _LONGEST_NAME) == name:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{clean(name, _LONGEST_BEGINNING)} sha256:{digest}".lstrip()


def signed_in_as(issuer: str, subject: str) -> str:
    """What somebody is called who has signed in: the beginning of the subject for people, and a hash of all of both.

    Two issuers may know different people by one subject, and two subjects may differ in what is not shown.
    """
    digest = hashlib.sha256(json.dumps([issuer, subject]).encode()).hexdigest()
    return f"{clean(subject, _LONGEST_BEGINNING)} sha256:{digest}".lstrip()
