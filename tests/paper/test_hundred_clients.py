"""A hundred clients at once on one book: no cent and no share appears or vanishes, and every order ends."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import anyio
import httpx
import pytest

from paper.serving import command, serving
from paper.support import ORDERS, POSITIONS
from positions_mcp.paper import DEFAULT_KEY, PaperExchange

CLIENTS = 100
HELD = ("AAPL", "KO", "MSFT", "NVDA", "JPM", "GME")


async def trade(url: str, seed: int, answered: set[str]) -> None:
    """Reads, closes and cancels as one client, and keeps the ids of the orders that it was answered."""
    dice = random.Random(seed)
    async with httpx.AsyncClient(
        base_url=url, headers={"Authorization": f"Bearer {DEFAULT_KEY}"}, timeout=60
    ) as client:
        for _ in range(3):
            path = f"{POSITIONS}/{dice.choice(HELD)}"
            answer = await client.request("DELETE", path, json={"cancel_orders": dice.random() < 0.5})
            assert answer.status_code in (200, 400, 404), answer.text
            for order in answer.json()["data"] if answer.status_code == 200 else []:
                answered.add(order["id"])
                if dice.random() < 0.5:
                    cancelled = await client.delete(f"{ORDERS}/{order['id']}")
                    assert cancelled.status_code in (200, 409), cancelled.text
            assert (await client.get(POSITIONS)).status_code == 200


@pytest.mark.requirement("P-01", "P-02", "P-03")
async def test_a_hundred_clients_lose_nothing_and_double_nothing(tmp_path: Path):
    command("reset", "--scenario", "demo", "--day", "2030-11-25", "--seed", "1", data_dir=tmp_path)
    exchange = PaperExchange.open(tmp_path)
    with exchange.reading() as moment:
        held = {key: holding.quantity for key, holding in moment.ledger.holdings.items()}
        before = sum((h.cost for h in moment.ledger.holdings.values()), moment.ledger.accounts[19816].cash)
    answered: set[str] = set()
    with serving(tmp_path) as served:
        async with anyio.create_task_group() as clients:
            for number in range(CLIENTS):
                clients.start_soon(trade, served.url, number, answered)
    exchange.clock.advance(timedelta(minutes=5))
    with exchange.reading() as moment:
        ledger = moment.ledger
        money = ledger.accounts[19816]
        after = sum((h.cost for h in ledger.holdings.values()), money.cash - money.realized)
        made = {key for effect in ledger.effects for key in effect.made}
        sold = {key: Decimal(0) for key in held}
        for order in ledger.orders.values():
            if order.symbol is not None and order.id in made:
                sold[order.account, order.symbol] += order.filled if order.side == "SELL" else -order.filled
        left = {symbol: ledger.holdings.get((19816, symbol)) for symbol in HELD}
        assert not [order for order in ledger.open_orders() if order.id in made]
    exchange.close()
    assert after == before
    assert answered
    assert answered <= made
    for symbol, holding in left.items():
        assert held[19816, symbol] - sold[19816, symbol] == (holding.quantity if holding else 0)
