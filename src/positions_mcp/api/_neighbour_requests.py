"""Requests for what lies beside positions and orders: contracts, market data, balances and events. All are GET."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from positions_mcp.api._http import Request
from positions_mcp.api._requests import (
    account_path,
    checked,
    choice,
    get,
    instrument_word,
    joined,
    paging,
    plain_word,
    yes_or_no,
)
from positions_mcp.domain import ids
from positions_mcp.domain.enums import ContractType
from positions_mcp.domain.errors import InvalidInput

MOST_LOOKED_UP = 100
"""Instruments that one request for contracts or for snapshots may name."""


def option_contracts(
    *,
    contract_ids: Sequence[str] = (),
    underlying_instrument_id: str | None = None,
    root: str | None = None,
    contract_type: str | None = None,
    expiry: date | None = None,
    is_settle_on_open: bool | None = None,
    page_size: int | None = None,
    page_token: str | None = None,
) -> Request:
    """GET one page of option contracts: those named, or those of an underlying or a root."""
    ways = [bool(contract_ids), underlying_instrument_id is not None or root is not None]
    if ways.count(True) != 1:
        raise InvalidInput("Contracts are looked up by contract_ids, or by underlying_instrument_id or root.")
    query = {
        "contract_ids": _named(contract_ids, "contract_ids"),
        "underlying_instrument_id": _one(underlying_instrument_id),
        "root": _one(root),
        "contract_type": choice(ContractType, contract_type, "contract_type"),
        "expiry": _day(expiry, "expiry"),
        "is_settle_on_open": None
        if is_settle_on_open is None
        else str(yes_or_no(is_settle_on_open, "is_settle_on_open")).lower(),
        **paging(page_size, page_token),
    }
    return get("/v1/instruments/options/contracts", query)


def snapshots(
    *, instrument_ids: Sequence[str] = (), underlying_instrument_id: str | None = None, expiry: date | None = None
) -> Request:
    """GET snapshots of the instruments named, or of an underlying's options that expire on a day."""
    is_chain = underlying_instrument_id is not None and expiry is not None
    if is_chain == bool(instrument_ids) or (underlying_instrument_id is None) != (expiry is None):
        raise InvalidInput("Snapshots are read by instrument_ids, or by underlying_instrument_id and expiry together.")
    query = {
        "instrument_ids": _named(instrument_ids, "instrument_ids"),
        "underlying_instrument_id": _one(underlying_instrument_id),
        "expiry": _day(expiry, "expiry"),
    }
    return get("/v1/market-data/snapshot", query)


def balances(account_id: int, *, top_margin_contributors_limit: int | None = None) -> Request:
    """GET the balances of an account."""
    limit = top_margin_contributors_limit
    if limit is not None and not (type(limit) is int and limit >= 0):
        raise InvalidInput(f"top_margin_contributors_limit is {limit!r:.20}.", hint="It is a whole number.")
    query = {"top_margin_contributors_limit": None if limit is None else str(limit)}
    return get(f"{account_path(account_id)}/balances", query)


def events(
    instrument_id: str, *, event_types: Sequence[str] = (), since: date | None = None, until: date | None = None
) -> Request:
    """GET the events of an instrument, by its UUID. `since` and `until` are inclusive."""
    query = {
        "event_types": joined(lambda each: plain_word(each, "event type"), event_types, "event_types"),
        "from_date": _day(since, "since"),
        "to_date": _day(until, "until"),
    }
    return get(f"/v1/instruments/{ids.instrument_id(instrument_id)}/events", query)


def _named(instruments: Sequence[str], name: str) -> str | None:
    words = checked(instrument_word, instruments, name)
    if len(words) > MOST_LOOKED_UP:
        raise InvalidInput(f"{name} has {len(words)} instruments.", hint=f"It has at most {MOST_LOOKED_UP}.")
    return ",".join(words) or None


def _one(instrument: str | None) -> str | None:
    return None if instrument is None else instrument_word(instrument)


def _day(value: date | None, name: str) -> str | None:
    if value is not None and type(value) is not date:
        raise InvalidInput(f"{name} is {value!r:.40}.", hint="It is a datetime.date without a time.")
    return None if value is None else value.isoformat()
