"""How often the API is asked for one close, and for what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from positions_mcp.cli.assembly.paper_transport import PaperTransport
from trading import ERAS, trading_floor, yes

MOST_REQUESTS = 10


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """Every request that reaches the exchange, in order."""
    seen: list[httpx.Request] = []
    handle: Callable = PaperTransport.handle_async_request

    async def counted(self: PaperTransport, request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return await handle(self, request)

    monkeypatch.setattr(PaperTransport, "handle_async_request", counted)
    return seen


def orders_of(requests: list[httpx.Request]) -> list[dict[str, str]]:
    """What the listings of orders were asked for."""
    return [dict(each.url.params) for each in requests if each.url.path.endswith("/orders")]


@pytest.mark.parametrize("era", ERAS)
async def test_a_close_that_is_approved_takes_at_most_ten_requests(
    tmp_path: Path, era: str, requests: list[httpx.Request]
) -> None:
    async with trading_floor(tmp_path) as floor:
        requests.clear()
        result = await floor.call("close_positions", {"instruments": ["KO"]}, era=era, person=yes())
        assert result.structured_content["rows"][0][:2] == ["KO", "SUBMITTED"]
    assert [each.method for each in requests].count("DELETE") == 1
    assert len(requests) <= MOST_REQUESTS, [f"{each.method} {each.url.path}" for each in requests]


async def test_a_plan_that_was_previewed_is_closed_in_as_few(tmp_path: Path, requests: list[httpx.Request]) -> None:
    async with trading_floor(tmp_path) as floor:
        plan = (await floor.call("preview_close", {"instruments": ["KO"]})).structured_content["plan_id"]
        requests.clear()
        await floor.call("close_positions", {"plan_id": plan}, person=yes())
    assert len(requests) <= MOST_REQUESTS


async def test_orders_are_asked_for_by_what_they_are_needed_for(tmp_path: Path, requests: list[httpx.Request]) -> None:
    async with trading_floor(tmp_path) as floor:
        requests.clear()
        result = await floor.call("close_positions", {"instruments": ["KO"]}, person=yes())
        operation = result.structured_content["operation_id"]
        *to_decide, to_follow = orders_of(requests)
        for statuses in (each["status"].split(",") for each in to_decide if "from" not in each):
            assert "NEW" in statuses
            assert "FILLED" not in statuses
        assert set(to_follow) == {"order_ids"}
        requests.clear()
        await floor.call("get_operation", {"operation_id": operation})
        assert all(set(each) == {"order_ids"} for each in orders_of(requests))
        assert not any("instructions" in each.url.path for each in requests)
