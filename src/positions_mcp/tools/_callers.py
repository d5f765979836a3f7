"""Who is calling: a label for plans and records, never evidence of anything."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from typing import Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver.context import Context

from positions_mcp.domain.text import clean

_UNNAMED = "unnamed client"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. An empty `name` is nobody, and nobody may send."""

    name: str
    """The token's subject over HTTP; the operating system's user and the client's name otherwise."""
    client: str
    """What the client calls itself."""
    sees_all: bool
    """Whether it may look at operations of others: where every caller is the same operating-system user."""

    @property
    def sees(self) -> str | None:
        """The caller whose operations are shown; None for everybody's."""
        return None if self.sees_all else self.name


async def from_request(ctx: Context[Any, Any]) -> Caller:
    """The resolver by which handlers learn who calls."""
    params = ctx.session.client_params
    client = clean(params.client_info.name, 60) if params is not None else ""
    if ctx.request_context.request is None:
        return Caller(f"{_os_user()} through {client or _UNNAMED}", client or _UNNAMED, sees_all=True)
    token = get_access_token()
    subject = clean(token.subject or token.client_id, 60) if token is not None else ""
    return Caller(f"token of {subject}" if subject else "", client or _UNNAMED, sees_all=False)


def _os_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"
