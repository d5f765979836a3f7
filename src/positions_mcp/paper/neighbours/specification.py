"""The neighbours in the specification: what is read before a close, and its rows."""

from __future__ import annotations

from positions_mcp.paper.dialects import Dialect
from positions_mcp.paper.neighbours.accounts import EVENT_CONTRACTS, MARKETS
from positions_mcp.paper.openapi import (
    DECIMAL,
    PAGING_PARAMETERS,
    TEXT,
    TIME,
    UUID_TEXT,
    Operation,
    Schema,
    enum_of,
    identifiers,
    list_of,
    object_of,
    one_of,
    or_null,
    query,
    reading,
    several,
)

MOST_IDS = 100
EVENT_TYPES = ("EARNINGS", "DIVIDEND", "STOCK_SPLIT", "IPO")
FLAGS = (
    "easy_to_borrow",
    "is_liquidation_only",
    "is_marginable",
    "is_ptp",
    "is_short_prohibited",
    "is_threshold_security",
)
_DAY: Schema = {"type": "string", "format": "date"}
_TRUTH = enum_of(("true", "false"))
_BOOLEAN: Schema = {"type": "boolean"}
_WHOLE: Schema = {"type": "integer"}


def operations_of(dialect: Dialect) -> list[Operation]:
    """All of them read."""
    account, instruments = "/v1/accounts/{account_id}", "/v1/instruments"
    instrument = f"{instruments}/{{instrument_id}}"
    lists = [identifiers(name) for name in ("instrument_ids", "order_ids", "underlying_instrument_ids")]
    named = (query("account_id", TEXT), query("account_name", TEXT))
    kinds = query("instrument_type", enum_of(dialect.instrument_types))
    detailed = query("include_options_expiry_dates", _TRUTH)
    events = query("event_types", several(f"({'|'.join(EVENT_TYPES)})"))
    contracts = (
        _at_most_a_hundred("contract_ids"),
        query("contract_type", enum_of(("CALL", "PUT"))),
        query("expiry", _DAY),
        query("is_settle_on_open", _TRUTH),
        *(query(name, TEXT) for name in ("root", "underlier", "underlying_instrument_id")),
    )
    snapshots = (_at_most_a_hundred("instrument_ids"), query("underlying_instrument_id", TEXT), query("expiry", _DAY))
    return [
        reading("get_accounts", "/v1/accounts", list_of("Account"), *named, *PAGING_PARAMETERS),
        reading("get_account", account, one_of("Account")),
        reading("get_balances", f"{account}/balances", one_of("Balances")),
        reading(
            "get_executions",
            f"{account}/executions",
            list_of("Execution"),
            *(*lists, query("from", TIME), query("to", TIME), *PAGING_PARAMETERS),
        ),
        reading("get_clock", "/v1/clock", one_of("Clock")),
        reading(
            "get_market_hours",
            "/v1/calendars/market-hours",
            list_of("MarketHours"),
            *(query("date", _DAY), query("market", enum_of((*MARKETS, EVENT_CONTRACTS)))),
        ),
        reading(
            "get_instruments",
            instruments,
            list_of("Instrument"),
            *(identifiers("instrument_ids"), kinds, *(query(name, _TRUTH) for name in FLAGS), *PAGING_PARAMETERS),
        ),
        reading("get_instrument", instrument, one_of("Instrument"), detailed, errors=("404", "405")),
        reading(
            "get_instrument_events",
            f"{instrument}/events",
            one_of("InstrumentEvents"),
            *(events, query("from_date", _DAY), query("to_date", _DAY)),
            errors=("404",),
        ),
        reading(
            "get_option_contracts",
            f"{instruments}/options/contracts",
            list_of("OptionContract"),
            *(*contracts, *PAGING_PARAMETERS),
            errors=("404",),
        ),
        reading("get_snapshots", "/v1/market-data/snapshot", list_of("Snapshot"), *snapshots, errors=("404",)),
    ]


def schemas(dialect: Dialect) -> dict[str, Schema]:
    """The rows of the neighbours, by name; what the official SDK requires is required."""
    money = or_null(DECIMAL)
    kinds = enum_of(dialect.instrument_types)
    session = or_null(object_of({"open": TIME, "close": TIME}, time_until_open=TEXT, time_until_close=TEXT))
    sessions = object_of(dict.fromkeys(("pre_market", "regular", "after_hours", "overnight", "maintenance"), session))
    ticks: Schema = {"type": "array", "items": object_of({"start_price": DECIMAL, "tick_size": DECIMAL})}
    return {
        "Account": object_of(
            {"id": _WHOLE, "full_name": TEXT, "open_date": _DAY, "status": enum_of(("ACTIVE", "INACTIVE", "CLOSED"))},
            options_level=_WHOLE,
            subtype=TEXT,
            type=TEXT,
        ),
        "Balances": object_of(
            {
                "account_id": _WHOLE,
                "currency": TEXT,
                **dict.fromkeys(("buying_power", "equity", "long_market_value", "settled_cash", "trade_cash"), DECIMAL),
                **dict.fromkeys(("daily_pnl", "daily_realized_pnl", "daily_unrealized_pnl", "unrealized_pnl"), DECIMAL),
                "sod": object_of({"asof": or_null(_DAY)}),
            },
            short_market_value=money,
            withdrawable_cash=money,
        ),
        "Execution": object_of(
            {
                "id": TEXT,
                "instrument_id": UUID_TEXT,
                "order_id": UUID_TEXT,
                "price": DECIMAL,
                "quantity": DECIMAL,
                "side": enum_of(("BUY", "SELL")),
                "symbol": TEXT,
                "transaction_time": TIME,
            },
            underlying_instrument_id=UUID_TEXT,
            underlying_instrument_type=kinds,
            venue=TEXT,
        ),
        "Clock": object_of({"clock": TIME}),
        "MarketHours": object_of(
            {
                "current_time": TIME,
                "date": _DAY,
                "market": enum_of(tuple(MARKETS)),
                "status": object_of(
                    {"day_type": enum_of(("TRADING_DAY", "EARLY_CLOSE", "WEEKEND", "HOLIDAY")), "is_open": _BOOLEAN}
                ),
                "timezone": TEXT,
                "today_sessions": sessions,
                "next_sessions": sessions,
            }
        ),
        "Snapshot": object_of(
            {"instrument_id": UUID_TEXT, "symbol": TEXT},
            greeks=or_null(object_of(dict.fromkeys(("delta", "gamma", "theta", "vega"), DECIMAL))),
            last_quote=object_of({"ask": DECIMAL}, bid=DECIMAL, midpoint=DECIMAL),
            last_trade=object_of({"price": DECIMAL, "timestamp": TIME}),
            session=object_of({}, previous_close=money, open=money, change=DECIMAL, change_percent=money),
        ),
        "Instrument": object_of(
            {
                "id": UUID_TEXT,
                "currency": TEXT,
                "instrument_type": kinds,
                **dict.fromkeys((*FLAGS, "is_fractionable", "is_tradable"), _BOOLEAN),
                "symbol": TEXT,
                "tick_rules": ticks,
            },
            options_expiry_dates={"type": "array", "items": _DAY},
            previous_close=money,
        ),
        "OptionContract": object_of(
            {
                "id": UUID_TEXT,
                "contract_type": enum_of(("CALL", "PUT")),
                "exercise_style": enum_of(("AMERICAN", "EUROPEAN")),
                "expiry": _DAY,
                "is_settle_on_open": _BOOLEAN,
                "is_tradable": _BOOLEAN,
                "last_trade_cutoff": TIME,
                "multiplier": DECIMAL,
                "strike_price": DECIMAL,
                "symbol": TEXT,
                "tick_rules": ticks,
                "underlying_instrument_id": UUID_TEXT,
            }
        ),
        "InstrumentEvents": object_of(
            {
                "instrument_id": UUID_TEXT,
                "dividends": _rows({"ex_date": _DAY, "dividend_amount": DECIMAL}),
                "earnings": _rows({}),
                "ipos": _rows({}),
                "splits": _rows({"date": _DAY, "numerator": DECIMAL, "denominator": DECIMAL}),
            }
        ),
    }


def _rows(required: dict[str, Schema]) -> Schema:
    return {"type": "array", "items": object_of(required)}


def _at_most_a_hundred(name: str) -> Schema:
    return identifiers(name) | {"description": f"At most {MOST_IDS}."}
