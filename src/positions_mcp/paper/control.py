"""The control endpoint, `/paper/…`: faults, clock, market, effects and money of the book; no part of the API.

On loopback it asks for no key: the exchange holds nothing that is worth anything. Where others can reach it, it does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.paper.clock import instant_of
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.errors import PaperError, Refusal
from positions_mcp.paper.faults import Fault
from positions_mcp.paper.happenings import happen
from positions_mcp.paper.keys import Access
from positions_mcp.paper.venue import Venue
from positions_mcp.paper.wire import plain

_LARGEST_BODY = 64 * 1024
_INTO_THE_SESSION = timedelta(minutes=30)


def routes(exchange: Venue) -> list[Route]:
    def route(path: str, **by_method: Callable[[dict[str, Any]], object]) -> Route:
        async def serve(request: Request) -> Response:
            if exchange.control_needs_key:
                access_of(request, exchange)
            body = await _object(request)
            try:
                act = by_method["GET" if request.method == "HEAD" else request.method]
                answer = await run_sync(act, body)
                # A connection that stayed open would be served while new ones are refused.
                closing = _stop_listening(exchange, body) if act is arm else None
                return JSONResponse(answer, headers=closing)
            except Refusal:
                raise
            except (PaperError, ValueError) as error:
                raise Refusal(400, str(error)) from error

        return Route(path, serve, methods=list(by_method))

    def arm(body: dict[str, Any]) -> object:
        return shown_fault(exchange.arm(**({"kind": ""} | body)))

    def disarm(_: dict[str, Any]) -> object:
        exchange.disarm()
        return []

    def clock(_: dict[str, Any]) -> object:
        return clock_of(exchange) | {"exchange": exchange.identity}

    return [
        route("/paper/status", GET=lambda _: status_of(exchange)),
        route("/paper/effects", GET=lambda _: effects_of(exchange)),
        route("/paper/faults", GET=lambda _: [shown_fault(f) for f in exchange.faults()], POST=arm, DELETE=disarm),
        route("/paper/market", POST=lambda body: {"said": happen(exchange, body)}),
        route("/paper/clock", GET=clock, PUT=lambda body: move_clock(exchange, body)),
        _specification(exchange),
    ]


def access_of(request: Request, exchange: Venue) -> Access:
    """What the key of a request opens. Raises Refusal: 401 if there is none, or it is not known."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    access = exchange.key_ring.access(key.strip())
    if scheme.lower() != "bearer" or access is None:
        raise Refusal(401, "missing or invalid API key")
    return access


def _stop_listening(exchange: Venue, body: dict[str, Any]) -> dict[str, str] | None:
    """A `refuse` takes hold before it is acknowledged, where there is a listener of our own."""
    if body.get("kind") != "refuse" or exchange.listener is None:
        return None
    fault = exchange.strike_refusal()
    if fault is not None:
        exchange.listener(fault)
    return {"connection": "close"}


def status_of(exchange: Venue) -> dict[str, Any]:
    """Scenario, clock, money and counts of the book."""
    with exchange.reading() as moment:
        ledger = moment.ledger
        accounts = {
            str(number): {
                "cash": plain(account.cash),
                "realized_pnl": plain(account.realized),
                "positions": len(ledger.holdings_of(number)),
                "open_orders": sum(order.account == number for order in ledger.open_orders()),
                "instructions_standing": sum(i.account == number for i in ledger.standing_instructions()),
            }
            for number, account in sorted(ledger.accounts.items())
        }
        session = moment.market.session_at(moment.now)
        return {
            "scenario": ledger.facts.scenario,
            "title": ledger.facts.title,
            "contract": exchange.dialect.name,
            "clock": clock_of(exchange),
            "market_open": session is not None,
            "hint": hint_of(moment),
            "accounts": accounts,
            "effects": exchange.effect_counts(),
            "faults": [shown_fault(fault) for fault in exchange.faults()],
        }


def hint_of(moment: Moment) -> str | None:
    """What a newcomer in the evening needs to know: that nothing fills now, and how to make it morning."""
    if moment.market.session_at(moment.now) is not None:
        return None
    session = moment.market.next_session(moment.now)
    opening = session.opens.astimezone(NEW_YORK)
    inside = (opening + _INTO_THE_SESSION).strftime("%Y-%m-%dT%H:%M")
    return (
        f"The market is closed until {opening:%A %Y-%m-%d %H:%M} New York: closing orders wait (QUEUED). "
        f"To go on now, set the paper clock: positions-mcp paper clock set {inside} --running"
    )


def effects_of(exchange: Venue) -> dict[str, Any]:
    """How many requests changed the book, by operation, and each of them."""
    shown = [asdict(effect) | {"at": effect.at.isoformat()} for effect in exchange.effects()]
    return {"counts": exchange.effect_counts(), "effects": shown}


def shown_fault(fault: Fault) -> dict[str, Any]:
    return {"number": fault.number, **fault.as_record()}


def clock_of(exchange: Venue) -> dict[str, Any]:
    return {"now": exchange.clock.now().isoformat(), "mode": exchange.clock.setting().mode}


def move_clock(exchange: Venue, body: dict[str, Any]) -> dict[str, Any]:
    """Moves the clock: `{"set": instant, "running": bool}`, `{"advance_seconds": n}` or `{"real": true}`."""
    if isinstance(body.get("set"), str):
        exchange.clock.set(instant_of(body["set"]), running=body.get("running") is True)
    elif "advance_seconds" in body:
        exchange.clock.advance(_seconds(body["advance_seconds"]))
    elif body.get("real") is True:
        exchange.clock.real()
    else:
        raise ValueError('give {"set": "2026-11-23T14:30:00-05:00"}, {"advance_seconds": 60} or {"real": true}')
    return clock_of(exchange)


def _seconds(value: object) -> timedelta:
    try:
        return timedelta(microseconds=int(Decimal(str(value)) * 1_000_000))
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"advance_seconds is a number of seconds, not {value!r:.40}") from error


def _specification(exchange: Venue) -> Route:
    async def serve(_: Request) -> Response:
        from positions_mcp.paper.operations import specification

        return JSONResponse(await run_sync(specification, exchange.dialect))

    return Route("/openapi.json", serve, methods=["GET"])


async def _object(request: Request) -> dict[str, Any]:
    raw = await request.body()
    if not raw.strip():
        return {}
    try:
        found = json.loads(raw) if len(raw) <= _LARGEST_BODY else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refusal(400, "the body is a JSON object")
    return found
