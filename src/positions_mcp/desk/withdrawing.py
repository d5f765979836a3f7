"""The routes by which a person withdraws: what would be cancelled is shown first, and that alone is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from positions_mcp.desk.answers import body_of, page_of, text_of
from positions_mcp.desk.door import Door
from positions_mcp.desk.service import Desk
from positions_mcp.desk.sessions import Session
from positions_mcp.desk.touching import is_touched, signed_with_touch
from positions_mcp.domain.errors import InvalidInput, Refused
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.guard.cancelling import OwnOrder
from positions_mcp.guard.threads import in_thread
from positions_mcp.guard.touches import Person, Touch
from positions_mcp.guard.withdrawing import PendingWithdrawal, ShownOrder, digest_of, shown_of, told

_SHOWN = TypeAdapter(tuple[ShownOrder, ...])


@dataclass(eq=False)
class WithdrawingRoutes:
    """What the halts that stand cover of the program's own unfilled closes."""

    desk: Desk
    door: Door

    async def look(self, _: Request, session: Session) -> Response:
        """The orders that would be cancelled, by the halts that stand, and the digest that they were shown by."""
        halts, accounts = await self._halts(), sorted(self.desk.withdrawing.deps.policy.accounts)
        offer = await self.desk.withdrawing.open_now(halts, session.name)
        return JSONResponse(
            {
                "mode": self.desk.mode.shown,
                "accounts": [str(account) for account in filter(session.member.sees, accounts)],
                "digest": offer.digest,
                "orders": [_order(own) for own in offer.own],
                "others": offer.others,
            }
        )

    async def withdraw(self, request: Request, session: Session) -> Response:
        """`{digest, orders, passphrase}` → `{report}`: cancel what was shown. Or with `passkey`, in two steps."""

        async def to_touch(body: dict[str, Any], who: Person) -> Touch:
            return (await self._act(body, who)).touch

        if await is_touched(request):
            return await signed_with_touch(self.door, request, session, to_touch)
        signed: list[PendingWithdrawal] = []

        async def sign() -> None:
            body = await body_of(request)
            passphrase = text_of(body, "passphrase")
            who, key = await self.desk.enrolling.signer(session.name, passphrase, page_of(request))
            act = await self._act(body, who)
            await act.sign(key)
            signed.append(act)

        refusal = await self.door.with_passphrase(session, sign, None)
        # Signed, and no longer in the way of what else this session signs: cancelling may take its time.
        return JSONResponse(told(await signed[0].run())) if signed else refusal

    async def _act(self, body: dict[str, Any], who: Person) -> PendingWithdrawal:
        halts, shown, digest = await self._halts(), _shown(body), text_of(body, "digest")
        if digest != digest_of(halts, shown):
            raise Refused(
                "What is halted has changed since the orders were shown.", hint="Nothing was cancelled. Look again."
            )
        return await self.desk.withdrawing.signing(halts, shown, who)

    async def _halts(self) -> Sequence[Halt]:
        return await in_thread(self.desk.withdrawing.deps.store.halts)


def _shown(body: Mapping[str, Any]) -> tuple[ShownOrder, ...]:
    try:
        return _SHOWN.validate_python(body.get("orders"))
    except ValidationError:
        raise InvalidInput("orders are those that were shown.", hint="Nothing was cancelled.") from None


def _order(own: OwnOrder) -> dict[str, Any]:
    order, plan = own.order, own.operation.plan
    filled = None if order is None or order.filled is None else f"{order.filled:f}"
    return {
        "shown": shown_of(own).model_dump(mode="json"),
        "account": str(plan.account_id),
        "caller": plan.caller,
        "symbol": own.symbol,
        "operation": own.operation.operation_id,
        "side": order.side if order else None,
        "quantity": None if order is None or order.quantity is None else f"{order.quantity:f}",
        "filled": filled,
        "state": order.status if order else own.row.state.value,
    }
