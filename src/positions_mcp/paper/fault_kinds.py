"""The kinds of fault, what each does, and which operations it can strike."""

from __future__ import annotations

from collections.abc import Mapping

ANY = "any"

KINDS: Mapping[str, str] = {
    "refuse": "the connection is refused; over TCP for --seconds (default 2)",
    "delay": "the effect happens at once, the answer comes after --seconds (default 2)",
    "delay_before_effect": "nothing happens for --seconds (default 2), then the request is served",
    "latency": "every answer takes --seconds (default 0.2), give or take --jitter, beside other faults, until cleared",
    "rate_limit": "beyond --count requests (default 10) in --seconds (default 60): 429 with Retry-After, until cleared",
    "drop_before_effect": "the connection is dropped before anything happened",
    "drop_after_effect": "the effect happens, then the connection is dropped without an answer",
    "truncated_body": "the effect happens, half of the answer arrives, then the connection is dropped",
    "non_json_body": "the effect happens, the answer is a page of HTML with status 200",
    "empty_204": "the effect happens, the answer is 204 without a body",
    "missing_order": "the effect happens, one order is missing from the answer",
    "repeated_row": "the first row of the answer, or that of --instrument, is there twice, with the same id",
    "foreign_row": "the first row, or that of --instrument, says that it is another account's",
    "contradicting_side": "the first row, or that of --instrument, has the other side: LONG for SHORT, BUY for SELL",
    "changed_quantity": "the position grows by one unit just before it is closed, so the order has another quantity",
    "reject_order": "the order of the close is REJECTED in the answer",
    "reject_order_later": "the order of the close is taken, and REJECTED a moment later",
    "partial_fills": "the order fills in --count parts (default 4) over --seconds (default 40), --share of it in all",
    "stale_positions": "positions are as they were --seconds ago (default 5): they follow a fill late, until cleared",
    "stale_orders": "orders, listed and by id, are as they were --seconds ago (default 5), until cleared",
    "unlisted_orders": "orders younger than --seconds (default: all) are not listed; by id they answer; until cleared",
    "delisted_orders": "orders that have ended are not listed any more; by id they answer; until cleared",
    "ignored_key": "the caller's instruction key is neither echoed nor honoured",
    "unknown_fields": "the answer has fields and enum values that no specification knows",
    "clearing_down": "the clearing service is unavailable: 503, and every submitted row is rejected",
    "changed_total": "the total differs from page to page (strikes from the second page on)",
}
"""Kinds of fault and what they do. `status_NNN` (300 to 599; 200 to 599 with a `body` of one's own) is one more: the
answer has that status, without an effect unless armed with `after_effect`; 429 carries Retry-After of `seconds`
(default 1)."""

CONDITIONS = frozenset(
    {"latency", "rate_limit", "stale_positions", "stale_orders", "unlisted_orders", "delisted_orders"}
)
"""They hold until cleared unless told otherwise, and leave a request to other faults as well."""

_CLOSES = ("close_positions", "close_position")
_ROWS = ("get_positions", "get_position_instructions", "get_orders", *_CLOSES)
KINDS_FOR: Mapping[str, tuple[str, ...]] = {
    "missing_order": _CLOSES,
    "changed_quantity": _CLOSES,
    "reject_order": _CLOSES,
    "reject_order_later": _CLOSES,
    "partial_fills": _CLOSES,
    "ignored_key": ("submit_position_instructions",),
    "clearing_down": ("get_position_instructions", "submit_position_instructions", "cancel_position_instruction"),
    "changed_total": ("get_positions", "get_orders"),
    "repeated_row": (*_ROWS, "submit_position_instructions"),
    "foreign_row": (*_ROWS, "get_order", "submit_position_instructions", "cancel_position_instruction"),
    "contradicting_side": ("get_positions", "get_orders", "get_order", *_CLOSES),
    "stale_positions": ("get_positions",),
    "stale_orders": ("get_orders", "get_order"),
    "unlisted_orders": ("get_orders",),
    "delisted_orders": ("get_orders",),
}
ON_ROWS = frozenset(
    {
        *("missing_order", "repeated_row", "foreign_row", "contradicting_side", "unlisted_orders", "delisted_orders"),
        *("changed_quantity", "reject_order", "reject_order_later", "partial_fills", "stale_positions", "stale_orders"),
    }
)
"""Kinds that an instrument narrows to its rows or orders, where a request names none."""
