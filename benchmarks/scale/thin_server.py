"""An upstream that costs next to nothing, in a process of its own: positions, orders and closes of any account.

What it answers is ready text, so that what is measured is whoever asks; it counts what it was asked for, which the
paper exchange does not. An order fills at once: the position is gone when it is looked for next.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from urllib.parse import parse_qs, unquote, urlsplit

from positions_mcp.market_calendar import NewYorkCalendar

_PAGE = 1000
_NOW = datetime.now(UTC)
_EXPIRY = date(_NOW.year + 1, 12, 17)
_SESSION = NewYorkCalendar().next_session(_NOW.date())
_CLOCK = json.dumps({"now": (_SESSION.opens + timedelta(hours=2)).isoformat(), "mode": "set"}).encode()
"""In the middle of a session, whenever it is measured: by a closed market a form is not enough."""


class Book:
    """One account: half shares, half calls held long on other underlyings, each worth about a thousand dollars."""

    def __init__(self, account: int, positions: int, orders: int, order_days: float, *, fills: bool) -> None:
        self._account, self._fills = account, fills
        self.rows = {_id(number): _position(account, number, positions) for number in range(positions)}
        past = (
            _order(account, number, _NOW - timedelta(days=order_days * number / orders)) for number in range(orders)
        )
        self._orders = [(order, _bytes(order)) for order in past]
        self._ready = list(self.rows.values())
        self._pages: dict[tuple[int, int], bytes] = {}

    def page(self, query: dict[str, str]) -> bytes:
        """A page of positions."""
        begin, size = int(query.get("page_token", "p0")[1:]), int(query.get("page_size", _PAGE))
        if (begin, size) not in self._pages:
            self._pages[begin, size] = _paged(self._ready, begin, size)
        return self._pages[begin, size]

    def orders(self, query: dict[str, str]) -> bytes:
        """A page of orders, of those ids, in those statuses or created since."""
        ids, statuses = (set(filter(None, query.get(name, "").split(","))) for name in ("order_ids", "status"))
        since = datetime.fromisoformat(query["from"]).astimezone(UTC).isoformat() if "from" in query else ""
        found = [
            ready
            for order, ready in self._orders
            if (not ids or order["id"] in ids)
            and (not statuses or order["status"] in statuses)
            and order["created_at"] >= since
        ]
        return _paged(found, int(query.get("page_token", "p0")[1:]), int(query.get("page_size", _PAGE)))

    def close(self, instruments: Sequence[str]) -> bytes:
        """Make an order for each: filled from now on, and answered as the API does, before that."""
        made = []
        new = {"status": "PENDING_NEW", "filled_quantity": "0", "average_fill_price": None}
        for each in instruments:
            held = json.loads(self.rows.pop(each) if self._fills else self.rows[each])
            order = _order(self._account, 10_000_000 + len(self._orders), datetime.now(UTC))
            order |= {name: held[name] for name in ("symbol", "quantity", "instrument_id", "instrument_type")}
            order |= {"filled_quantity": order["quantity"]}
            unfilled = order | new | {"leaves_quantity": order["quantity"]}
            kept = order if self._fills else unfilled | {"status": "NEW"}
            self._orders.append((kept, _bytes(kept)))
            made.append(_bytes(unfilled))
        self._ready = list(self.rows.values())
        self._pages.clear()
        return _paged(made, 0, len(made))


class Upstream:
    """Every account that is asked for, and what was asked."""

    def __init__(self, positions: int, sizes: dict[int, int], orders: int, order_days: float, *, fills: bool) -> None:
        self._default, self._sizes, self._orders, self._fills = positions, sizes, (orders, order_days), fills
        self._books: dict[int, Book] = {}
        self._counted: Counter[str] = Counter()

    def answer(self, method: str, target: str) -> bytes | None:
        """What is answered; None for what there is not."""
        parts = urlsplit(target)
        path, query = parts.path.strip("/").split("/"), {k: v[0] for k, v in parse_qs(parts.query).items()}
        if path == ["counted"]:
            return _bytes(self._counted)
        if path == ["paper", "clock"]:
            return _CLOCK
        named = "/".join(step for step in path if step.replace("-", "").isalpha())
        self._counted[f"{method} {named}"] += 1
        if path[1:2] != ["accounts"]:
            return _lookup(path, query)
        match method, path[3:]:
            case "GET", ["positions"]:
                return self._book(path[2]).page(query)
            case "GET", ["orders"]:
                return self._book(path[2]).orders(query)
            case "GET", ["positions", "instructions"]:
                return _paged([], 0, 1)
            case "DELETE", ["positions", instrument] if instrument in self._book(path[2]).rows:
                return self._book(path[2]).close([instrument])
            case "DELETE", ["positions"]:
                return self._book(path[2]).close(list(self._book(path[2]).rows))
        return None

    def _book(self, account: str) -> Book:
        number = int(account)
        if number not in self._books:
            size = self._sizes.get(number, self._default)
            self._books[number] = Book(number, size, *self._orders, fills=self._fills)
        return self._books[number]


class Connection(asyncio.Protocol):
    """HTTP/1.1 with kept connections, as much of it as a client of one API needs."""

    def __init__(self, upstream: Upstream, delay_s: float) -> None:
        self._upstream, self._delay_s, self._heard = upstream, delay_s, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, blank, body = self._heard.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), 0)
        if not blank or len(body) < length:
            return
        self._heard = body[length:]
        method, target, _ = lines[0].decode().split(" ")
        content = self._upstream.answer(method, unquote(target) if "%" in target and "?" not in target else target)
        status = b"200 OK" if content is not None else b"404 Not Found"
        content = content or b'{"data":null,"error":{"code":404,"message":"no such resource"},"metadata":{}}'
        answer = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
        whole = answer % (status, len(content), content)
        if self._delay_s and target != "/counted":
            asyncio.get_running_loop().call_later(self._delay_s, self._transport.write, whole)
        else:
            self._transport.write(whole)


def _paged(rows: list[bytes], begin: int, size: int) -> bytes:
    following = f'"p{begin + size}"' if begin + size < len(rows) else "null"
    return (
        b'{"data":[%s],"error":null,"metadata":{"request_id":"b5cbd92c-0ba8-4e1e-a4c7-6a5b1b1ffa11","page_number":%d,'
        b'"total_items":%d,"total_pages":%d,"previous_page_token":null,"next_page_token":%s}}'
    ) % (
        b",".join(rows[begin : begin + size]),
        1 + begin // size,
        len(rows),
        -(-len(rows) // size),
        following.encode(),
    )


def _lookup(path: list[str], query: dict[str, str]) -> bytes | None:
    match path[1:]:
        case ["instruments", "options", "contracts"]:
            return _paged([_contract(each) for each in query.get("contract_ids", "").split(",") if each], 0, 100)
        case ["market-data", "snapshot"]:
            return _paged([_snapshot(each) for each in query.get("instrument_ids", "").split(",") if each], 0, 100)
    return None


def _id(number: int) -> str:
    return f"{number:08x}-5ca1-4000-8000-000000000000"


def _symbol(number: int) -> str:
    letters = ""
    for _ in range(4):
        number, letter = divmod(number, 26)
        letters = chr(65 + letter) + letters
    return "Q" + letters


def _position(account: int, number: int, positions: int) -> bytes:
    is_share = number < -(-positions // 2)
    underlying = _symbol(number) if is_share else _symbol(300_000 + number // 50)
    strike = 50 + number % 50
    row = {
        "account_id": account,
        "available_quantity": "10",
        "avg_price": "101.25",
        "closing_price": "100.00",
        "closing_price_date": (_NOW - timedelta(days=1)).date().isoformat(),
        "cost_basis": "1012.50",
        "daily_unrealized_pnl": "5.00",
        "daily_unrealized_pnl_pct": "0.5000",
        "instrument_id": _id(number),
        "instrument_price": "100.50",
        "instrument_type": "COMMON_STOCK" if is_share else "OPTION",
        "market_value": f"{1005 + number % 997}.00",
        "position_type": "LONG",
        "quantity": "10",
        "symbol": underlying if is_share else f"{underlying:<6}{_EXPIRY:%y%m%d}C{strike * 1000:08d}",
        "underlying_instrument_id": None if is_share else _id(300_000 + number // 50),
        "unrealized_pnl": "-7.50",
        "unrealized_pnl_pct": "-0.7407",
        "daily_realized_pnl": "0.00",
        "underlying_instrument_type": None if is_share else "COMMON_STOCK",
    }
    return _bytes(row)


def _order(account: int, number: int, at: datetime) -> dict[str, object]:
    """A limit order that has filled: part of what an account has behind it."""
    name, time = f"{number:08x}-0d34-4000-8000-{account:012d}", at.isoformat()
    return {
        "id": name,
        "account_id": account,
        "average_fill_price": "100.50",
        "client_order_id": name,
        "created_at": time,
        "details": None,
        "expires_at": None,
        "extended_hours": False,
        "filled_quantity": "10",
        "instrument_id": _id(200_000 + number % 1000),
        "instrument_type": "COMMON_STOCK",
        "leaves_quantity": "0",
        "limit_price": None,
        "order_type": "MARKET",
        "quantity": "10",
        "side": "SELL",
        "status": "FILLED",
        "stop_price": None,
        "symbol": _symbol(200_000 + number % 1000),
        "time_in_force": "DAY",
        "updated_at": time,
        "venue": "XNYS",
        "legs": None,
    }


@cache
def _contract(named: str) -> bytes:
    number = int(named[:8], 16)
    row = {
        "id": named,
        "instrument_id": named,
        "contract_type": "CALL",
        "exercise_style": "AMERICAN",
        "expiry": _EXPIRY.isoformat(),
        "is_settle_on_open": False,
        "is_tradable": True,
        "last_trade_cutoff": f"{_EXPIRY}T21:00:00Z",
        "listing_type": "STANDARD",
        "multiplier": "100",
        "strike_price": f"{50 + number % 50}",
        "symbol": f"{_symbol(300_000 + number // 50):<6}{_EXPIRY:%y%m%d}C{(50 + number % 50) * 1000:08d}",
        "underlying_instrument_id": _id(300_000 + number // 50),
    }
    return _bytes(row)


def _snapshot(named: str) -> bytes:
    time = datetime.now(UTC).isoformat()
    row = {
        "instrument_id": named,
        "symbol": _symbol(int(named[:8], 16)) if "-" in named else named,
        "last_trade": {"price": "100.50", "size": 100, "timestamp": time, "venue": "XNYS"},
        "last_quote": {"bid": "100.49", "ask": "100.51", "midpoint": "100.50", "bid_timestamp": time},
        "session": {"previous_close": "100.00"},
    }
    return _bytes(row)


def _bytes(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


async def _serve(upstream: Upstream, delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    # asyncio answers at once only where the socket names TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        server = await loop.create_server(lambda: Connection(upstream, delay_s), sock=listener, backlog=1024)
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        await server.serve_forever()


def main() -> None:
    said = argparse.ArgumentParser()
    said.add_argument("--positions", type=int, default=1000)
    said.add_argument("--account", action="append", default=[], help="NUMBER=POSITIONS")
    said.add_argument("--orders", type=int, default=0)
    said.add_argument("--order-days", type=float, default=100)
    said.add_argument("--delay-ms", type=float, default=0)
    said.add_argument("--unfilled", action="store_true", help="orders stay open, and positions as they are")
    asked = said.parse_args()
    sizes = {int(number): int(size) for number, _, size in (each.partition("=") for each in asked.account)}
    upstream = Upstream(asked.positions, sizes, asked.orders, asked.order_days, fills=not asked.unfilled)
    asyncio.run(_serve(upstream, asked.delay_ms / 1e3))


main()
