"""From what a person types, at a page or in a terminal, to the terms of a mandate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import ValidationError

from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.mandate import LONGEST_SHADOW
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.terms import MandateTerms

NAMED = ("kinds", "instruments", "underlyings", "callers", "prices")
"""What may be said several times."""
TYPED = ("per_operation", "in_all", "operations", "loss_at_most", "until")
"""What is one text; the last two may be left out."""
_NOTHING_KEPT = "Nothing was kept."
Called = Callable[[str], str]
"""What the person knows a field by: `--per-operation`, or the words beside it."""


def terms_of(
    mode: Mode,
    account_id: AccountId,
    *,
    named: Mapping[str, Sequence[str]],
    typed: Mapping[str, str],
    cancel_orders: bool,
    called: Called,
) -> MandateTerms:
    """The terms, where they hold together. Raises InvalidInput in words of a person."""
    said: dict[str, Any] = {name: tuple(named.get(name, ())) for name in NAMED}
    said |= {"mode": mode, "account_id": account_id, "cancel_orders": cancel_orders}
    said["kinds"] = said["kinds"] or ("close",)
    said["prices"] = [_typed_bound(text, called("prices")) for text in said["prices"]]
    said |= {name: dollars(typed.get(name, ""), called(name)) for name in ("per_operation", "in_all")}
    said["operations"] = whole(typed.get("operations", ""), called("operations"))
    if lost := typed.get("loss_at_most", ""):
        said["loss_at_most"] = dollars(lost, called("loss_at_most"))
    if until := typed.get("until", ""):
        said["until"] = _time(until, called("until"))
    try:
        return MandateTerms.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = f"{called(str(first['loc'][0]))}: " if first["loc"] else ""
        raise InvalidInput(f"{where}{first['msg'].removeprefix('Value error, ')}.", hint=_NOTHING_KEPT) from None


def dollars(text: str, called: str) -> Decimal:
    """`$20,000`. Raises InvalidInput."""
    try:
        return Decimal(text.strip().replace(",", "").removeprefix("$"))
    except InvalidOperation:
        raise InvalidInput(f"{called} {text!r:.40} is no amount of dollars.", hint=_NOTHING_KEPT) from None


def whole(text: str, called: str) -> int:
    """`4`. Raises InvalidInput."""
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise InvalidInput(f"{called} {text!r:.40} is no number from 0 to 999999.", hint=_NOTHING_KEPT)
    return int(text)


def shadow_of(text: str, called: str) -> timedelta:
    """For how many days a draft notes plans. Raises InvalidInput."""
    days = whole(text, called)
    if not 1 <= days <= LONGEST_SHADOW.days:
        raise InvalidInput(f"{called} {days}: from 1 to {LONGEST_SHADOW.days} days.", hint=_NOTHING_KEPT)
    return timedelta(days=days)


def _typed_bound(text: str, called: str) -> dict[str, Any]:
    symbol, _, bounds = text.partition(":")
    least, colon, most = bounds.partition(":")
    if not symbol or not colon:
        hint = f"As in KO:55: or KO:55:60. {_NOTHING_KEPT}"
        raise InvalidInput(f"{called} {text!r:.60} is not SYMBOL:FROM:TO.", hint=hint)
    at = {"at_least": least.strip(), "at_most": most.strip()}
    return {"instrument": symbol, **{name: dollars(said, called) for name, said in at.items() if said}}


def _time(text: str, called: str) -> object:
    try:
        return datetime.strptime(text.strip(), "%H:%M").time()  # noqa: DTZ007 — a time of day in New York, of no date
    except ValueError:
        raise InvalidInput(f"{called} {text!r:.40} is no time of day.", hint=f"As in 15:30. {_NOTHING_KEPT}") from None
