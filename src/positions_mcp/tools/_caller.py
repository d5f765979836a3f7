"""Who is calling: a label for plans and records, never evidence of anything."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver.context import Context

from positions_mcp.domain.text import clean
from positions_mcp.platforms import this_platform

_UNNAMED = "unnamed client"
_LONGEST_NAME = 60
_LONGEST_BEGINNING = 40


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

    @property
    def sees(self) -> str | None:
        """The caller whose operations are shown; None for everybody's."""
        return None if self.sees_all else self.identity


def caller_of(sdk: Context[Any, Any]) -> Caller:
    """Who makes a request."""
    params = sdk.session.client_params
    name = params.client_info.name if params is not None else ""
    client = clean(name, _LONGEST_NAME) or _UNNAMED
    if sdk.request_context.request is None:
        return Caller(f"{this_platform().user()} through {identity_of(name) or _UNNAMED}", client, sees_all=True)
    token = get_access_token()
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
