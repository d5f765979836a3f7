"""The routes by which a person decides: bound to what the page showed, and written down where they are refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from positions_mcp.desk.answers import body_of, text_of
from positions_mcp.desk.door import BY, Door
from positions_mcp.desk.service import Desk
from positions_mcp.desk.sessions import Session
from positions_mcp.domain.errors import InvalidInput, PositionsError
from positions_mcp.domain.operation.operation import Conclusion, Operation

Act = Callable[[Operation, dict[str, Any]], Awaitable[object]]


@dataclass(eq=False)
class Deciding:
    """A request into a decision of `guard.supervisor`."""

    desk: Desk
    door: Door

    async def approve(self, request: Request, session: Session) -> Response:
        """`{digest, passphrase, note}`: a signed yes to the plan that was shown."""

        def act(operation: Operation, body: dict[str, Any]) -> Awaitable[object]:
            return self.desk.supervisor_of(operation).approve(
                operation.operation_id,
                text_of(body, "passphrase"),
                digest=text_of(body, "digest"),
                note=text_of(body, "note", ""),
                origin=_origin(request),
            )

        return await self._about(request, session, act)

    async def reject(self, request: Request, session: Session) -> Response:
        """`{digest, reason}`: a no. It takes no passphrase."""
        operation = await self.desk.operation(request.path_params["operation_id"])
        try:
            body = await body_of(request)
            await self.desk.supervisor_of(operation).reject(
                operation.operation_id,
                by=BY,
                digest=text_of(body, "digest"),
                note=text_of(body, "reason", ""),
                origin=_origin(request),
            )
        except PositionsError as error:
            await self.door.note(operation, error.message)
            raise
        del session
        return JSONResponse({})

    async def settle(self, request: Request, session: Session) -> Response:
        """`{row, digest, took_effect, evidence, passphrase}`: what became of an unknown outcome, as it was shown."""

        def act(operation: Operation, body: dict[str, Any]) -> Awaitable[object]:
            row, took_effect = body.get("row"), body.get("took_effect")
            if isinstance(row, bool) or not isinstance(row, int) or not isinstance(took_effect, bool):
                raise InvalidInput("row is a number, and took_effect true or false.", hint="Nothing was settled.")
            return self.desk.supervisor_of(operation).settle(
                operation.operation_id,
                row,
                Conclusion.TOOK_EFFECT if took_effect else Conclusion.DID_NOT,
                text_of(body, "passphrase"),
                by=BY,
                evidence=text_of(body, "evidence"),
                shown=text_of(body, "digest"),
            )

        return await self._about(request, session, act)

    async def halt(self, request: Request, session: Session) -> Response:
        """`{reason}`: stop everything destructive. It takes no passphrase."""
        del session
        reason = text_of(await body_of(request), "reason", "")
        await self.desk.supervisor.halt(reason, by=BY)
        return JSONResponse({})

    async def resume(self, request: Request, session: Session) -> Response:
        """`{digest, passphrase}`: end the halt that was shown; without a digest all that stand."""

        async def act() -> None:
            body = await body_of(request)
            passphrase, shown = text_of(body, "passphrase"), text_of(body, "digest", "")
            await self.desk.supervisor.resume(passphrase, by=BY, shown=shown or None)

        return await self.door.with_passphrase(session, act, None)

    async def _about(self, request: Request, session: Session, act: Act) -> Response:
        operation = await self.desk.operation(request.path_params["operation_id"])

        async def attempt() -> None:
            await act(operation, await body_of(request))

        return await self.door.with_passphrase(session, attempt, operation)


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers['host']}"
