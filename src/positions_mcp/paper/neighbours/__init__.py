"""What stands beside the positions operations: accounts, balances, instruments, prices, hours and executions.

They are read before a close, from the same book, in the shapes of the official SDK. One writes: cancelling an order.
"""

from __future__ import annotations

from collections.abc import Mapping

ACCOUNT_PATHS: Mapping[str, Mapping[str, str]] = {
    "": {"GET": "get_account"},
    "/balances": {"GET": "get_balances"},
    "/executions": {"GET": "get_executions"},
}
"""Below `/v1/accounts/{account_id}`: which operation each method is."""

COMMON_PATHS: Mapping[str, Mapping[str, str]] = {
    "/accounts": {"GET": "get_accounts"},
    "/clock": {"GET": "get_clock"},
    "/calendars/market-hours": {"GET": "get_market_hours"},
    "/market-data/snapshot": {"GET": "get_snapshots"},
    "/instruments": {"GET": "get_instruments"},
    "/instruments/options/contracts": {"GET": "get_option_contracts"},
    "/instruments/{target}": {"GET": "get_instrument"},
    "/instruments/{target}/events": {"GET": "get_instrument_events"},
}
"""Below `/v1`, for no account in particular."""
