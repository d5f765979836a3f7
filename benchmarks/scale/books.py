"""Accounts with many orders and with many positions: what is read of them, how long that takes, and what is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from benchmarks.processes import POSITIONS_MCP, McpProcess, result_of
from benchmarks.report import Finding
from benchmarks.scale.place import Place
from benchmarks.scale.thin import Thin, close, server, share, thin_upstream
from benchmarks.speed import all_pages, plain_http

_FLAT = 1.2
_BY_PAGES = 1.1
_READINGS = 3
_AWAY_MS = 20
"""How far away the upstream is where requests count."""
_PAGE = 1000
_KEPT, _KEPT_MB = 8, 200
_GIVEN_BACK_MB = 50


def many_orders(place: Place) -> Iterator[Finding]:
    """Preview and close in an account with thousands of orders, old or of this week, beside one with a hundred."""
    many = place.sizes.orders
    store = next(place.stores("orders"))
    found = {}
    for orders, days in ((100, 100), (many, 100), (many, 5)):
        with thin_upstream(400, orders=orders, order_days=days, delay_ms=_AWAY_MS) as api, server(api, store) as ours:
            close(ours, [share(0)])
            found[orders, days] = [_least(place, api, ours, kind) for kind in (_preview, _close)]
    for (orders, days), measured in found.items():
        what = f"{orders:,} orders of {days} days"
        for name, taken, base in zip(("preview", "close"), measured, found[100, 100], strict=True):
            if orders != 100:
                told = f"{name}, {what}, floor: 100 orders"
                yield Finding(told, 1e3 * taken.seconds, "ms", _FLAT, base=1e3 * base.seconds)
                yield Finding(f"{told}, upstream", taken.requests, "requests", _FLAT, base=base.requests)


def many_positions(place: Place) -> Iterator[Finding]:
    """Preview and close in a book of 100,000 beside fetching and parsing each of its pages once."""
    positions = place.sizes.positions
    store = next(place.stores("positions"))
    pages = -(-positions // _PAGE)
    with thin_upstream(positions) as api, server(api, store) as ours:
        with plain_http() as plain:
            fetch = all_pages(plain, api)
            once = min(fetch() for _ in range(place.sizes.rounds))
        close(ours, [share(0)])
        preview, closing = (_least(place, api, ours, kind) for kind in (_preview, _close))
    held = f"{positions:,} positions"
    yield Finding(f"preview, {held}, floor: its pages once", 1e3 * preview.seconds, "ms", _BY_PAGES, base=1e3 * once)
    yield Finding(f"preview, {held}, upstream requests", preview.requests, "requests", None, base=pages)
    readings = closing.pages / pages
    what = f"close, {held}, floor: its pages as often as it reads them"
    yield Finding(what, 1e3 * closing.seconds, "ms", _BY_PAGES, base=1e3 * once * readings)
    yield Finding(f"close, {held}, upstream requests", closing.requests, "requests", None, base=pages * readings)
    yield Finding(f"close, {held}, readings of the book", readings, "readings", _READINGS)


def listings(place: Place) -> Iterator[Finding]:
    """What stays resident with eight listings of a large book, and once eight of a small one have followed them."""
    positions = place.sizes.positions
    with thin_upstream(positions, accounts={_SMALL: 1000}) as api, _reader(api, place.folder / "listings") as ours:
        ours.tools()
        ours.call("list_operations")  # what is imported once is not between the rows then
        ours.call("list_positions", {"account_id": _SMALL})
        before = ours.memory_mb
        for number in range(_KEPT):
            _listed(ours.call("list_positions", {"account_id": _LARGE, "limit": 10 + number}))
        kept = ours.memory_mb - before
        for number in range(_KEPT):
            _listed(ours.call("list_positions", {"account_id": _SMALL, "limit": 10 + number}))
        left = ours.memory_mb - before
        peak = ours.peak_memory_mb - before
    what = f"{_KEPT} listings of {positions:,} positions"
    yield Finding(f"{what}, kept", kept, "MB", _KEPT_MB)
    yield Finding(f"{what}, still there once {_KEPT} small ones followed", left, "MB", _GIVEN_BACK_MB)
    yield Finding(f"{what}, at most", peak, "MB", None)


_LARGE, _SMALL = 19816, 19817


def _reader(api: Thin, folder: Path) -> McpProcess:
    env = api.live_settings | {"POSITIONS_MCP_ACCOUNTS": f"[{_LARGE}, {_SMALL}]"}
    return McpProcess([*POSITIONS_MCP, "serve", "--data-dir", str(folder)], env)


def _listed(line: bytes) -> None:
    if result_of(line).get("isError"):
        raise RuntimeError(f"list_positions answered {line[:500]!r}")


def _preview(ours: McpProcess, number: int) -> None:
    if result_of(ours.call("preview_close", {"instruments": [share(number)]})).get("isError"):
        raise RuntimeError("preview_close answered an error")


def _close(ours: McpProcess, number: int) -> None:
    close(ours, [share(number + 1)])


class _Taken(NamedTuple):
    """Seconds of the quickest round, and of one the requests, and those for pages of positions."""

    seconds: float
    requests: float
    pages: float


def _least(place: Place, api: Thin, ours: McpProcess, kind: Callable[[McpProcess, int], None]) -> _Taken:
    taken, before = [], api.counted()
    for number in range(place.sizes.rounds):
        begin = perf_counter()
        kind(ours, 10 + 2 * number)
        taken.append(perf_counter() - begin)
    asked = api.counted() - before
    return _Taken(min(taken), asked.total() / len(taken), asked["GET accounts/positions"] / len(taken))
