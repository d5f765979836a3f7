"""Orders that an API names by ids of another scheme, over the real client: the listing of the account tells of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from guard.desk import PASSPHRASE, Desk, desk
from guard.exchange import ACCOUNT, instrument
from guard.withdrawals import offered, withdraw
from positions_mcp.api import PositionsClient
from positions_mcp.domain.ids import NIL_UUID
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.guard.cancelling import Withdrawal
from positions_mcp.guard.policy.findings import Rule

pytestmark = pytest.mark.requirement("G-14", "G-18")
IDS = pytest.mark.parametrize("order_id", ["", NIL_UUID, 12345, "ORD-7", "a/../b"])


@dataclass
class Api:
    """As much of the API as a close takes."""

    order_id: object
    held: dict[str, int] = field(default_factory=lambda: {"AAPL": 100, "MSFT": 10})
    orders: list[dict[str, Any]] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            self.writes.append(request.url.path)
            self.orders.append(self._order())
            return self._answer(self.orders)
        what = request.url.path.rsplit("/", 1)[-1]
        rows = {"positions": self._positions(), "orders": self.orders, "instructions": []}
        return self._answer(rows[what]) if what in rows else httpx.Response(404, json={"code": 404, "message": "none"})

    def fill(self) -> None:
        self.orders[0] |= {"status": "FILLED", "filled_quantity": "100", "leaves_quantity": "0"}

    def _positions(self) -> list[dict[str, Any]]:
        return [
            {"account_id": ACCOUNT, "instrument_id": instrument(number), "symbol": symbol, "quantity": str(quantity)}
            | {"available_quantity": str(quantity), "instrument_type": "COMMON_STOCK", "market_value": "1000"}
            for number, (symbol, quantity) in enumerate(self.held.items(), 1)
        ]

    def _order(self) -> dict[str, Any]:
        named = {"id": self.order_id, "account_id": ACCOUNT, "instrument_id": instrument(1), "symbol": "AAPL"}
        return named | {"status": "NEW", "side": "SELL", "quantity": "100", "filled_quantity": "0"}

    @staticmethod
    def _answer(rows: list[Any]) -> httpx.Response:
        return httpx.Response(200, json={"data": rows, "error": None, "metadata": {"request_id": "request-1"}})


@asynccontextmanager
async def desk_over(api: Api, folder: Path) -> AsyncIterator[Desk]:
    async with PositionsClient("http://localhost", "key.secret", transport=httpx.MockTransport(api)) as client:
        ports = {"orders": client, "order_writer": client, "order_canceller": client, "instructions": client}
        async with desk(folder, **ports) as it:
            object.__setattr__(it.parts, "positions", client)
            yield it


@IDS
async def test_what_it_fills_is_followed_and_holds_its_instrument_and_no_other(
    tmp_path: Path, order_id: object
) -> None:
    api = Api(order_id)
    async with desk_over(api, tmp_path) as it:
        sent = await it.close("AAPL")
        api.fill()
        report = await it.guard.operation(sent.operation_id)
        assert report.state is OperationState.SUBMITTED
        assert "filled 100, the book has not followed yet" in report.rows[0].detail
        assert (await it.plan("MSFT")).verdict.findings == ()
        assert [each.rule for each in (await it.plan("AAPL")).verdict.needs_desk] == [Rule.IN_FLIGHT]
        api.held["AAPL"] = 0
        assert (await it.guard.operation(sent.operation_id)).state is OperationState.CLOSED


@IDS
async def test_who_withdraws_is_told_that_nothing_was_sent_for_it(tmp_path: Path, order_id: object) -> None:
    api = Api(order_id)
    async with desk_over(api, tmp_path) as it:
        await it.close("AAPL")
        await it.supervisor.set_up_approver(PASSPHRASE)
        await it.supervisor.halt("news", by="Ana")
        halts = it.store.halts()
        (told,) = await withdraw(it.parts, halts, await offered(it.parts, halts))
        assert told.outcome is Withdrawal.NOT_SENT
        assert len(api.writes) == 1
