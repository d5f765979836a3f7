"""The routes of mandates: what each says, what is left, what a draft would have let through; draft, sign and revoke."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from positions_mcp.desk.answers import account_of, body_of, text_of
from positions_mcp.desk.door import Door, by
from positions_mcp.desk.service import Desk
from positions_mcp.desk.sessions import Session
from positions_mcp.desk.touching import signed_either_way
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.operation.mandate import Standing, left_of, lines_of, said_of
from positions_mcp.domain.operation.terms import MandateKind
from positions_mcp.domain.operation.typed_terms import NAMED, TYPED, shadow_of, terms_of
from positions_mcp.domain.text import quoted
from positions_mcp.guard.delegating import Delegation
from positions_mcp.guard.touches import Person, Touch

_MOST_NOTES = 100


@dataclass(eq=False)
class MandateRoutes:
    """Mandates for who is signed in. Signing takes a passphrase or passkey; drafting and revoking do not."""

    desk: Desk
    door: Door

    @property
    def _delegation(self) -> Delegation:
        return self.desk.delegation

    async def list(self, _: Request, session: Session) -> Response:
        """Every mandate and draft, newest first, with what a draft noted; and what a new draft may be about."""
        every = await self._delegation.list()
        found = [await self._shape(each) for each in every if session.member.sees(each.mandate.terms.account_id)]
        accounts = [str(account) for account in filter(session.member.sees, sorted(self._delegation.accounts))]
        kinds = [{"value": kind.value, "words": kind.shown} for kind in MandateKind]
        return JSONResponse({"mandates": found, "mode": self.desk.mode.shown, "accounts": accounts, "kinds": kinds})

    async def draft(self, request: Request, session: Session) -> Response:
        """The terms as they were typed, and `shadow_days`: a draft in the mode of the page. It lets nothing through."""
        body = await body_of(request)
        account = account_of(text_of(body, "account"))
        if account not in self._delegation.accounts or not session.member.sees(account):
            raise InvalidInput(f"Account {account} is none of this page's.", hint="Nothing was kept.")
        terms = terms_of(
            self.desk.mode,
            account,
            named={name: _texts(body, name) for name in NAMED},
            typed={name: text_of(body, name, "") for name in TYPED},
            cancel_orders=body.get("cancel_orders") is True,
            called=lambda name: name.replace("_", " "),
        )
        shadow = shadow_of(text_of(body, "shadow_days", "7"), "shadow days")
        made = await self._delegation.draft(terms, by=by(session), shadow=shadow)
        return JSONResponse({"id": made.mandate_id})

    async def sign(self, request: Request, session: Session) -> Response:
        """`{digest, passphrase, note}`: sign the draft that was shown for the next trading day it can hold on.

        With `passkey` for the passphrase in two steps.
        """
        mandate_id = await self._seen(request, session)

        def to_touch(body: dict[str, Any], who: Person) -> Awaitable[Touch]:
            digest, note = text_of(body, "digest"), text_of(body, "note", "")
            return self._delegation.signing(mandate_id, who, digest=digest, note=note)

        return await signed_either_way(self.door, request, session, to_touch)

    async def revoke(self, request: Request, session: Session) -> Response:
        """`{}`: take it back at once."""
        await body_of(request)
        await self._delegation.revoke(await self._seen(request, session), by=by(session))
        return JSONResponse({})

    async def _seen(self, request: Request, session: Session) -> str:
        """The id of a mandate in an account that who is signed in sees. Raises InvalidInput, as where there is none."""
        mandate_id: str = request.path_params["mandate_id"]
        standing = await self._delegation.show(mandate_id)
        if not session.member.sees(standing.mandate.terms.account_id):
            raise InvalidInput(f"There is no mandate {quoted(mandate_id, 40)}.")
        return mandate_id

    async def _shape(self, standing: Standing) -> dict[str, Any]:
        mandate = standing.mandate
        shadows = await self._delegation.shadows(standing)
        return {
            "id": mandate.mandate_id,
            "mode": mandate.terms.mode.shown,
            "state": await self._delegation.state(standing),
            "why_not_signed": await self._delegation.why_not_signed(standing),
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


def _texts(body: dict[str, Any], name: str) -> Sequence[str]:
    """Several texts of the body; none where it is left out."""
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InvalidInput(f"{name} is a list of texts.", hint="Nothing was kept.")
    return [text for each in value if (text := each.strip())]
