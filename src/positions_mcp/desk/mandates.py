"""The routes of mandates: what each says, what is left, what a draft would have let through; sign and revoke."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from positions_mcp.desk.answers import body_of, text_of
from positions_mcp.desk.door import BY, Door
from positions_mcp.desk.sessions import Session
from positions_mcp.domain.operation.mandate import Standing
from positions_mcp.domain.operation.mandate_words import left_of, lines_of, said_of
from positions_mcp.guard.delegating import Delegation

_MOST_NOTES = 100


@dataclass(eq=False)
class MandateRoutes:
    """Mandates for who is signed in. Signing takes the passphrase; revoking, which only lowers, does not."""

    delegation: Delegation
    door: Door

    async def list(self, request: Request, session: Session) -> Response:
        """Every mandate and draft, newest first, with what a draft noted."""
        del request, session
        found = [await self._shape(standing) for standing in await self.delegation.list()]
        return JSONResponse({"mandates": found})

    async def sign(self, request: Request, session: Session) -> Response:
        """`{digest, passphrase, note}`: sign the draft that was shown for the next trading day it can hold on."""

        async def act() -> None:
            body = await body_of(request)
            await self.delegation.sign(
                request.path_params["mandate_id"],
                text_of(body, "passphrase"),
                digest=text_of(body, "digest"),
                name=session.name,
                note=text_of(body, "note", ""),
                origin=f"{request.url.scheme}://{request.headers['host']}",
            )

        return await self.door.with_passphrase(session, act, None)

    async def revoke(self, request: Request, session: Session) -> Response:
        """`{}`: take it back at once."""
        del session
        await body_of(request)
        await self.delegation.revoke(request.path_params["mandate_id"], by=BY)
        return JSONResponse({})

    async def _shape(self, standing: Standing) -> dict[str, Any]:
        mandate = standing.mandate
        shadows = await self.delegation.shadows(standing)
        return {
            "id": mandate.mandate_id,
            "mode": mandate.terms.mode.shown,
            "state": await self.delegation.state(standing),
            "heading": said_of(mandate.terms).partition(";")[0],
            "lines": lines_of(mandate),
            "left": left_of(standing),
            "is_draft": mandate.is_draft,
            "is_revoked": mandate.revoked is not None,
            "digest": mandate.digest,
            "signed_by": mandate.signed_by,
            "ends": mandate.window.ends.isoformat() if mandate.window else None,
            "uses": [
                {"operation": use.operation_id, "at": use.at.isoformat(), "measure": f"{use.measure:,f}"}
                for use in standing.uses
            ],
            "would_send": sum(not each.why_not for each in shadows),
            "noted": len(shadows),
            "notes": [
                {
                    "at": each.note.at.isoformat(),
                    "symbols": ", ".join(each.note.symbols),
                    "measure": f"{each.note.measure:,f}",
                    "why_not": list(each.why_not),
                }
                for each in shadows[-_MOST_NOTES:]
            ],
        }
