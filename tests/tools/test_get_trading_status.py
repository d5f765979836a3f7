"""`get_trading_status` through an MCP client, in both protocol eras."""

from __future__ import annotations

from datetime import timedelta

import pytest

from positions_mcp.domain.operation.plan import Mode
from tools.serving import StubBroker, call, data_of, server_over, text_of


@pytest.mark.requirement("G-15", "T-02")
async def test_paper_is_said_first_with_accounts_clock_and_session(era: str) -> None:
    answer = await call(server_over(StubBroker()), "get_trading_status", era=era)
    assert text_of(answer).startswith("PAPER (no real money moves), a broker")
    data = data_of(answer)
    assert (data["mode"], data["accounts"], data["market"]) == ("PAPER", [19816], "open until 16:00 New York")
    assert data["now"] == "2026-11-20 10:30:00 New York"
    assert data["next_session"] == "Mon 2026-11-23 09:30-16:00 New York"


@pytest.mark.requirement("G-15")
async def test_live_is_called_real_money(era: str) -> None:
    answer = await call(server_over(StubBroker(), mode=Mode.LIVE), "get_trading_status", era=era)
    assert text_of(answer).startswith("LIVE (REAL MONEY)")
    assert data_of(answer)["mode"] == "LIVE"


async def test_holidays_and_early_closes_are_known(era: str) -> None:
    broker = StubBroker()
    broker.clock.advance(timedelta(days=5, hours=6))  # the evening before Thanksgiving
    data = data_of(await call(server_over(broker), "get_trading_status", era=era))
    assert data["market"] == "closed, opens 2026-11-27 09:30 New York"
    assert data["next_session"] == "Fri 2026-11-27 09:30-13:00 New York early close"
