"""The routes by which a person decides: bound to what the page showed, and written down where they are refused."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from positions_mcp.desk.answers import account_of, body_of, page_of, text_of
from positions_mcp.desk.door import Door, by
from positions_mcp.desk.service import Desk
from positions_mcp.desk.sessions import Session
from positions_mcp.desk.touching import signed_either_way
from positions_mcp.domain.errors import InvalidInput, PositionsError, Refused
from positions_mcp.domain.operation.operation import Conclusion, Operation
from positions_mcp.domain.operation.supervision import Trade
from positions_mcp.guard.deciding import doubt_about
from positions_mcp.guard.threads import in_thread
from positions_mcp.guard.touches import Person, Touch


@dataclass(eq=False)
class Deciding:
    """A request into a decision of `guard.touches` or, where nothing is signed, of `guard.supervisor`."""

    desk: Desk
    door: Door

    async def approve(self, request: Request, session: Session) -> Response:
        """`{digest, passphrase, note}`: a signed yes to the plan that was shown; or with `passkey`, in two steps."""
        operation = await self._operation(request, session)

        def to_touch(body: dict[str, Any], who: Person) -> Awaitable[Touch]:
            digest, note = text_of(body, "digest"), text_of(body, "note", "")
            return self.desk.touches_of(operation).approval(operation.operation_id, who, digest=digest, note=note)

        return await signed_either_way(self.door, request, session, to_touch, about=operation)

    async def reject(self, request: Request, session: Session) -> Response:
        """`{digest, reason}`: a no. It takes no passphrase."""
        operation = await self._operation(request, session)
        try:
            body = await body_of(request)
            await self.desk.supervisor_of(operation).reject(
                operation.operation_id,
                by=session.name,
                digest=text_of(body, "digest"),
                note=text_of(body, "reason", ""),
                origin=page_of(request),
            )
        except PositionsError as error:
            await self.door.note(operation, error.message)
            raise
        return JSONResponse({})

    async def settle(self, request: Request, session: Session) -> Response:
        """`{row, digest, took_effect, evidence, passphrase}`: what became of an unknown outcome, as it was shown.

        With `passkey` for the passphrase in two steps.
        """
        operation = await self._operation(request, session)

        async def to_touch(body: dict[str, Any], who: Person) -> Touch:
            await self.desk.supervisor.note_time()
            (row, conclusion), seen, shown = _concluded(body), text_of(body, "evidence"), text_of(body, "digest")
            touches = self.desk.touches_of(operation)
            return await touches.settlement(operation.operation_id, row, conclusion, who, evidence=seen, shown=shown)

        return await signed_either_way(self.door, request, session, to_touch, about=operation)

    async def halt(self, request: Request, session: Session) -> Response:
        """`{reason}`, with `account`, `caller`, `kind` where it is of these alone: stop it. It takes no passphrase."""
        body = await body_of(request)
        account, kind = text_of(body, "account", "").strip(), text_of(body, "kind", "")
        if kind not in ("", *Trade):
            raise InvalidInput("There is no such kind.")
        member, named = session.member, account_of(account) if account else None
        if not member.sees(named):
            raise Refused(f"{session.name} does not see account {named}.", hint="Nothing was halted.")
        halt = await self.desk.supervisor.halt(
            text_of(body, "reason", ""),
            by=by(session),
            account_id=named,
            caller=text_of(body, "caller", "").strip(),
            kind=Trade(kind) if kind else None,
        )
        deps = self.desk.withdrawing.deps
        if member.only_sees is not None and named is None:
            return JSONResponse({"doubt": ""})
        return JSONResponse({"doubt": await in_thread(doubt_about, deps.store, [halt], deps.policy.accounts)})

    async def resume(self, request: Request, session: Session) -> Response:
        """`{digest, passphrase}`: end the halt that was shown; without a digest all that stand. Or with `passkey`."""

        def to_touch(body: dict[str, Any], who: Person) -> Awaitable[Touch]:
            return self.desk.touches_of(None).resumption(who, shown=text_of(body, "digest", ""))

        return await signed_either_way(self.door, request, session, to_touch)

    async def _operation(self, request: Request, session: Session) -> Operation:
        return await self.desk.seen(request.path_params["operation_id"], session.member)


def _concluded(body: dict[str, Any]) -> tuple[int, Conclusion]:
    row, took_effect = body.get("row"), body.get("took_effect")
    if isinstance(row, bool) or not isinstance(row, int) or not isinstance(took_effect, bool):
        raise InvalidInput("row is a number, and took_effect true or false.", hint="Nothing was settled.")
    return row, Conclusion.TOOK_EFFECT if took_effect else Conclusion.DID_NOT
