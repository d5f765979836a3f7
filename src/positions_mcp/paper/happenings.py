"""What a person lets happen on the paper market at run time: halts, stated prices, dividends and splits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Literal

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.engine.orders import resume_orders, stop_filling
from positions_mcp.paper.errors import BookError
from positions_mcp.paper.holdings import CompanyEvent, Instrument
from positions_mcp.paper.lookup import found
from positions_mcp.paper.venue import Venue

_MOST = Decimal(1_000_000)
_RATIO = re.compile(r"([0-9]{1,4}):([0-9]{1,4})", re.ASCII)
_FIELDS: Mapping[str, frozenset[str]] = {
    "halt": frozenset(),
    "resume": frozenset(),
    "price": frozenset({"price", "day", "at"}),
    "dividend": frozenset({"amount", "day"}),
    "split": frozenset({"ratio", "day"}),
}


def happen(exchange: Venue, wanted: Mapping[str, object]) -> str:
    """Lets happen what is written as one object, as a command or a request writes it.

    `{"what": "halt" | "resume", "symbol"}`, `{"what": "price", "symbol", "price", "day"?, "at": "close" | "open"?}`,
    `{"what": "dividend", "symbol", "amount", "day"}` or `{"what": "split", "symbol", "ratio": "4:1", "day"}`.

    Raises:
        BookError: it is written otherwise, or cannot happen; nothing has changed.
    """
    what = str(wanted.get("what"))
    if what not in _FIELDS:
        raise BookError(f"what is one of {', '.join(_FIELDS)}, not {what!r:.40}")
    unknown = sorted(set(wanted) - _FIELDS[what] - {"what", "symbol"})
    if unknown:
        raise BookError(f"{what} takes {', '.join(sorted(_FIELDS[what] | {'symbol'}))}, not {unknown[0]!r:.40}")
    symbol = _text(wanted, "symbol")
    match what:
        case "halt":
            return halt(exchange, symbol)
        case "resume":
            return resume(exchange, symbol)
        case "price":
            at = wanted.get("at") or "close"
            if at not in ("close", "open"):
                raise BookError(f"at is close or open, not {at!r:.40}")
            day = None if wanted.get("day") is None else _day(wanted)
            return state_price(exchange, symbol, _decimal(wanted, "price"), day, "open" if at == "open" else "close")
        case "dividend":
            return declare(exchange, symbol, CompanyEvent("dividend", _day(wanted), _decimal(wanted, "amount")))
        case _:
            ratio = _RATIO.fullmatch(_text(wanted, "ratio"))
            if ratio is None:
                raise BookError("a ratio is NEW:OLD, such as 4:1")
            numerator, denominator = int(ratio[1]), int(ratio[2])
            event = CompanyEvent("split", _day(wanted), numerator=numerator, denominator=denominator)
            return declare(exchange, symbol, event)


def halt(exchange: Venue, symbol: str) -> str:
    """Halts an instrument, and the options over it: nothing in it fills, and its price stands still.

    Raises:
        BookError: it is not known, or halted already.
    """
    with exchange.changing() as moment:
        instrument = _known(moment, symbol)
        if instrument.halted_at is not None:
            raise BookError(f"{instrument.symbol} is halted already")
        moment.ledger.put_instrument(replace(instrument, halted_at=moment.market.trading_moment(moment.now)))
        stop_filling(moment.ledger, instrument.symbol)
        moment.ledger.happened(moment.now)
        return f"{instrument.symbol} is halted: orders are taken and do not fill."


def resume(exchange: Venue, symbol: str) -> str:
    """Ends a halt: what waits fills as if it had come now.

    Raises:
        BookError: it is not known, or not halted.
    """
    with exchange.changing() as moment:
        instrument = _known(moment, symbol)
        if instrument.halted_at is None:
            raise BookError(f"{instrument.symbol} is not halted")
        moment.ledger.put_instrument(replace(instrument, halted_at=None))
        resume_orders(moment, instrument.symbol)
        moment.ledger.happened(moment.now)
        return f"{instrument.symbol} trades again."


def state_price(
    exchange: Venue, symbol: str, price: Decimal, day: date | None = None, at: Literal["close", "open"] = "close"
) -> str:
    """States what a share or an index closes (or opens) at on a day: that is what its options are settled by.

    Raises:
        BookError: it is not known or an option, the day has no session, or the book has lived through it.
    """
    with exchange.changing() as moment:
        instrument = _known(moment, symbol, share="a price is stated for a share or an index; its options follow")
        _check_amount(price)
        today = moment.market.session_on(new_york_day(moment.now))
        following = today if today and moment.now < today.closes else moment.market.next_session(moment.now)
        day = following.day if day is None else day
        session = moment.market.session_on(day)
        if session is None:
            raise BookError(f"{day} is no trading day in New York")
        instant = session.closes if at == "close" else session.opens
        if instant <= moment.now:
            raise BookError(f"the {at} of {day} is past: a stated price is for one that is still to come")
        stated = tuple(known for known in instrument.stated if known[0] != instant)
        moment.ledger.put_instrument(replace(instrument, stated=(*stated, (instant, price))))
        moment.ledger.happened(moment.now)
        return f"{instrument.symbol} will {at} at {price} on {day}."


def declare(exchange: Venue, symbol: str, event: CompanyEvent) -> str:
    """Declares a dividend or a split of a share, for the morning of a day to come.

    Raises:
        BookError: it is not known or no share, the day has no session or has begun, or the numbers make no sense.
    """
    with exchange.changing() as moment:
        share = _known(moment, symbol, share="dividends and splits are a company's, not an option's")
        if share.is_index:
            raise BookError(f"{share.symbol} is an index: it pays no dividend and does not split")
        if moment.market.session_on(event.day) is None:
            raise BookError(f"{event.day} is no trading day in New York")
        if moment.market.morning(event.day) <= moment.now:
            raise BookError(f"the morning of {event.day} is past; today is {new_york_day(moment.now)}")
        if event.kind == "dividend":
            _check_amount(event.amount)
        elif not (0 < event.numerator <= 1000 and 0 < event.denominator <= 1000) or (
            event.numerator == event.denominator
        ):
            raise BookError("a split is NEW:OLD, of different whole numbers up to 1000, such as 4:1")
        moment.ledger.put_instrument(replace(share, events=(*share.events, event)))
        moment.ledger.happened(moment.now)
        split = f"splits {event.numerator}:{event.denominator}"
        what = f"pays {event.amount} a share" if event.kind == "dividend" else split
        return f"{share.symbol} {what} on {event.day}, before the session."


def _known(moment: Moment, text: str, share: str = "") -> Instrument:
    instrument = found(moment.ledger, text)
    if instrument is None:
        raise BookError(f"the paper market has no {text!r:.60}")
    if share and instrument.contract:
        raise BookError(f"{instrument.symbol} is an option: {share}")
    return instrument


def _check_amount(amount: Decimal) -> None:
    if not (amount.is_finite() and 0 < amount <= _MOST):
        raise BookError(f"an amount is above 0, up to {_MOST}, not {amount}")


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


def _decimal(wanted: Mapping[str, object], name: str) -> Decimal:
    try:
        return Decimal(str(wanted.get(name)))
    except InvalidOperation as error:
        raise BookError(f"{name} is a number, such as 200 or 0.25") from error
