"""What a client is told that does not come in, and where it learns to sign in (RFC 6750, RFC 9728)."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.types import Send

from positions_mcp.asgi import answer_json
from positions_mcp.tools._caller import ASKING, READING, Scope, in_order

_WELL_KNOWN = "/.well-known/oauth-protected-resource"
_TRY_AGAIN_S = 5
_READING = "GET, HEAD, OPTIONS"
_FOR_PAGES = (
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", _READING),
    ("access-control-allow-headers", "mcp-protocol-version"),
)
"""What a browser asks for before the page of a client may read the metadata, as the SDK's own servers answer it."""


@dataclass(frozen=True, slots=True)
class Challenges:
    """The answers of the door of one server, `resource` to its clients, whose callers sign in with `issuer`."""

    resource: str
    issuer: str
    first_is_all: bool = True
    """Whether the first challenge, which answers a request without a token, names every scope, or those that the
    request needs. Clients that register then may never get more."""
    path: str = field(init=False)
    """Where clients find the server."""
    metadata_paths: frozenset[str] = field(init=False)
    metadata_url: str = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.resource)
        path = parts.path.rstrip("/")
        object.__setattr__(self, "path", path or "/")
        object.__setattr__(self, "metadata_paths", frozenset({_WELL_KNOWN, f"{_WELL_KNOWN}{path}"}))
        object.__setattr__(self, "metadata_url", f"{parts.scheme}://{parts.netloc}{_WELL_KNOWN}{path}")

    async def metadata(self, method: str, send: Send) -> None:
        """Where to sign in for this server, for everybody who asks, also from the pages of others."""
        if method == "OPTIONS":
            await answer_json(send, HTTPStatus.OK, {}, *_FOR_PAGES)
            return
        if method not in ("GET", "HEAD"):
            await answer_json(send, HTTPStatus.METHOD_NOT_ALLOWED, {"error": "invalid_request"}, ("allow", _READING))
            return
        about = {
            "resource": self.resource,
            "authorization_servers": [self.issuer],
            "scopes_supported": list(Scope),
            "bearer_methods_supported": ["header"],
            "resource_name": "positions-mcp",
        }
        kept = ("cache-control", "max-age=300")
        await answer_json(send, HTTPStatus.OK, about, kept, *_FOR_PAGES, is_head=method == "HEAD")

    async def sign_in(self, send: Send, needed: frozenset[Scope]) -> None:
        """There is no token."""
        said = {"error": "invalid_token", "error_description": "Sign in first."}
        await answer_json(send, HTTPStatus.UNAUTHORIZED, said, self._challenge(needed))

    async def bad_token(self, send: Send, why: str) -> None:
        """There is one that opens nothing."""
        said = {"error": "invalid_token", "error_description": why}
        await answer_json(
            send, HTTPStatus.UNAUTHORIZED, said, self._challenge(ASKING if self.first_is_all else READING, **said)
        )

    async def more_scopes(self, send: Send, needed: frozenset[Scope]) -> None:
        """The token is good for less than the request needs; `needed` is all of that, not what is missing."""
        said = {"error": "insufficient_scope", "error_description": f"This needs {in_order(needed)}."}
        await answer_json(send, HTTPStatus.FORBIDDEN, said, self._challenge(needed, **said))

    async def no_rights(self, send: Send) -> None:
        """The caller is known and may use nothing here: signing in again would not help."""
        why = "You are signed in, and no account of this server is yours. Whoever runs it gives rights by a claim."
        await answer_json(send, HTTPStatus.FORBIDDEN, {"error": "access_denied", "error_description": why})

    async def other_rights(self, send: Send) -> None:
        """A person's answer comes with other rights than the question had, or to none."""
        why = "No question was asked by the rights of this token that this answers. It was not taken: ask again."
        await answer_json(send, HTTPStatus.FORBIDDEN, {"error": "access_denied", "error_description": why})

    async def not_here(self, send: Send) -> None:
        """Nothing is at that path."""
        said = {"error": "not_found", "error_description": f"The server is at {self.resource}."}
        await answer_json(send, HTTPStatus.NOT_FOUND, said)

    async def too_much(self, send: Send) -> None:
        """The request is larger than any that is meant."""
        said = {"error": "invalid_request", "error_description": "The request is larger than this server takes."}
        await answer_json(send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, said, ("connection", "close"))

    async def not_now(self, send: Send) -> None:
        """Nobody can say whether the token is good."""
        why = "The keys of the authorization server cannot be read. Nothing was done. Try again."
        said = {"error": "temporarily_unavailable", "error_description": why}
        await answer_json(send, HTTPStatus.SERVICE_UNAVAILABLE, said, ("retry-after", str(_TRY_AGAIN_S)))

    def _challenge(self, scopes: frozenset[Scope], **said: str) -> tuple[str, str]:
        parts = {**said, "scope": in_order(scopes), "resource_metadata": self.metadata_url}
        return "www-authenticate", "Bearer " + ", ".join(f'{name}="{value}"' for name, value in parts.items())
