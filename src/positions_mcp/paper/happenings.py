"""What a person lets happen to a paper market: halts, stated prices, dividends and splits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal, InvalidOperation

from positions_mcp.domain.account.sessions import Session, new_york_day
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.engine.orders import resume_orders, stop_filling
from positions_mcp.paper.errors import BookError
from positions_mcp.paper.holdings import CompanyEvent, Instrument
from positions_mcp.paper.ledger import found
from positions_mcp.paper.venue import Venue

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
