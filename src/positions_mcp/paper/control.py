"""The control endpoint, `/paper/…`: faults, clock, market, effects and money of the book; no part of the API.

On loopback it asks for no key: the exchange holds nothing that is worth anything. Where others can reach it, it does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from positions_mcp.domain.account.sessions import NEW_YORK, Session, new_york_day
from positions_mcp.paper.clock import instant_of
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.engine.orders import resume_orders, stop_filling
from positions_mcp.paper.errors import BookError, PaperError, Refusal
from positions_mcp.paper.faults import Fault
from positions_mcp.paper.holdings import CompanyEvent, Instrument
from positions_mcp.paper.keys import Access
from positions_mcp.paper.ledger import found
from positions_mcp.paper.venue import Venue
from positions_mcp.paper.wire import plain

_MOST = Decimal(1_000_000)
_RATIO = re.compile(r"([0-9]{1,4}):([0-9]{1,4})", re.ASCII)


def happen(exchange: Venue, wanted: Mapping[str, object]) -> str:
    """Lets happen what is written as one object, as a command or a request writes it.

    `{"what": "halt" | "resume", "symbol"}`, `{"what": "price", "symbol", "price", "day"?, "at": "close" | "open"?}`,
    `{"what": "dividend", "symbol", "amount", "day"}` or `{"what": "split", "symbol", "ratio": "4:1", "day"}`.

    Raises BookError where it is written otherwise, or cannot happen; then nothing has changed.
    """
    what = str(wanted.get("what"))
    if what not in _HAPPENINGS:
        raise BookError(f"what is one of {', '.join(_HAPPENINGS)}, not {what!r:.40}")
    let_happen, fields = _HAPPENINGS[what]
    unknown = sorted(set(wanted) - fields - {"what", "symbol"})
    if unknown:
        raise BookError(f"{what} takes {', '.join(sorted(fields | {'symbol'}))}, not {unknown[0]!r:.40}")
    with exchange.changing() as moment:
        said = let_happen(moment, wanted)
        moment.ledger.happened(moment.now)
        return said


def _halt(moment: Moment, wanted: Mapping[str, object]) -> str:
    """Of an instrument and the options over it: nothing in it fills, and its price stands still."""
    instrument = _known(moment, wanted)
    if instrument.halted_at is not None:
        raise BookError(f"{instrument.symbol} is halted already")
    moment.ledger.put_instrument(replace(instrument, halted_at=moment.market.trading_moment(moment.now)))
    stop_filling(moment.ledger, instrument.symbol)
    return f"{instrument.symbol} is halted: orders are taken and do not fill."


def _resume(moment: Moment, wanted: Mapping[str, object]) -> str:
    """What waits fills as if it had come now."""
    instrument = _known(moment, wanted)
    if instrument.halted_at is None:
        raise BookError(f"{instrument.symbol} is not halted")
    moment.ledger.put_instrument(replace(instrument, halted_at=None))
    resume_orders(moment, instrument.symbol)
    return f"{instrument.symbol} trades again."


def _state_price(moment: Moment, wanted: Mapping[str, object]) -> str:
    """What a share or an index closes (or opens) at on a day to come: that is what its options are settled by."""
    instrument = _known(moment, wanted, share="a price is stated for a share or an index; its options follow")
    at, price = wanted.get("at") or "close", _amount(wanted, "price")
    if at not in ("close", "open"):
        raise BookError(f"at is close or open, not {at!r:.40}")
    today = moment.market.session_on(new_york_day(moment.now))
    following = today if today and moment.now < today.closes else moment.market.next_session(moment.now)
    session = _session(moment, following.day if wanted.get("day") is None else _day(wanted))
    instant = session.closes if at == "close" else session.opens
    if instant <= moment.now:
        raise BookError(f"the {at} of {session.day} is past: a stated price is for one that is still to come")
    stated = tuple(known for known in instrument.stated if known[0] != instant)
    moment.ledger.put_instrument(replace(instrument, stated=(*stated, (instant, price))))
    return f"{instrument.symbol} will {at} at {price} on {session.day}."


def _pay(moment: Moment, wanted: Mapping[str, object]) -> str:
    event = CompanyEvent("dividend", _day(wanted), _amount(wanted, "amount"))
    return _declare(moment, wanted, event, f"pays {event.amount} a share")


def _split(moment: Moment, wanted: Mapping[str, object]) -> str:
    ratio = _RATIO.fullmatch(_text(wanted, "ratio"))
    if ratio is None:
        raise BookError("a ratio is NEW:OLD, such as 4:1")
    new, old = int(ratio[1]), int(ratio[2])
    if not (0 < new <= 1000 and 0 < old <= 1000) or new == old:
        raise BookError("a split is NEW:OLD, of different whole numbers up to 1000, such as 4:1")
    event = CompanyEvent("split", _day(wanted), numerator=new, denominator=old)
    return _declare(moment, wanted, event, f"splits {new}:{old}")


_HAPPENINGS: Mapping[str, tuple[Callable[[Moment, Mapping[str, object]], str], frozenset[str]]] = {
    "halt": (_halt, frozenset()),
    "resume": (_resume, frozenset()),
    "price": (_state_price, frozenset({"price", "day", "at"})),
    "dividend": (_pay, frozenset({"amount", "day"})),
    "split": (_split, frozenset({"ratio", "day"})),
}
"""What can happen, and what is written of it beside its name and the symbol."""


def _declare(moment: Moment, wanted: Mapping[str, object], event: CompanyEvent, words: str) -> str:
    """Notes a dividend or a split of a share, for the morning of a day to come."""
    share = _known(moment, wanted, share="dividends and splits are a company's, not an option's")
    if share.is_index:
        raise BookError(f"{share.symbol} is an index: it pays no dividend and does not split")
    if moment.market.morning(_session(moment, event.day).day) <= moment.now:
        raise BookError(f"the morning of {event.day} is past; today is {new_york_day(moment.now)}")
    moment.ledger.put_instrument(replace(share, events=(*share.events, event)))
    return f"{share.symbol} {words} on {event.day}, before the session."


def _session(moment: Moment, day: date) -> Session:
    session = moment.market.session_on(day)
    if session is None:
        raise BookError(f"{day} is no trading day in New York")
    return session


def _known(moment: Moment, wanted: Mapping[str, object], share: str = "") -> Instrument:
    text = _text(wanted, "symbol")
    instrument = found(moment.ledger, text)
    if instrument is None:
        raise BookError(f"the paper market has no {text!r:.60}")
    if share and instrument.contract:
        raise BookError(f"{instrument.symbol} is an option: {share}")
    return instrument


def _text(wanted: Mapping[str, object], name: str) -> str:
    value = wanted.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BookError(f"{name} is required, as text")
    return value


def _day(wanted: Mapping[str, object]) -> date:
    try:
        return date.fromisoformat(_text(wanted, "day"))
    except ValueError as error:
        raise BookError("a day is written 2026-03-02") from error


def _amount(wanted: Mapping[str, object], name: str) -> Decimal:
    try:
        amount = Decimal(str(wanted.get(name)))
    except InvalidOperation as error:
        raise BookError(f"{name} is a number, such as 200 or 0.25") from error
    if not (amount.is_finite() and 0 < amount <= _MOST):
        raise BookError(f"an amount is above 0, up to {_MOST}, not {amount}")
    return amount


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
