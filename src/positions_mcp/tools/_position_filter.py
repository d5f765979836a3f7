"""Which positions `list_positions` is asked for: from its arguments to a filter, and the filter in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import chain
from typing import Any

from positions_mcp.domain.account.positions import Holding, Side
from positions_mcp.domain.enums import SecurityType
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.exercise.cutoffs import last_dated
from positions_mcp.domain.many import a_few_of
from positions_mcp.domain.portfolio.select import Choice, Filter
from positions_mcp.domain.text import counted, label
from positions_mcp.ports import MarketCalendar

_FILTERS = (
    "instruments",
    "underlying",
    "instrument_type",
    "side",
    "locked",
    "expires_by",
    "min_pnl_pct",
    "max_pnl_pct",
)


def filter_of(given: dict[str, Any], today: date, calendar: MarketCalendar) -> Filter:
    """What the arguments ask for. Raises InvalidInput."""
    least, most = given.get("min_pnl_pct"), given.get("max_pnl_pct")
    return Filter(
        instruments=tuple(given.get("instruments", ())),
        underlying=given.get("underlying"),
        instrument_type=SecurityType(given["instrument_type"]) if "instrument_type" in given else None,
        side=Side(given["side"]) if "side" in given else None,
        locked=given.get("locked"),
        expires_by=last_dated(_day(given["expires_by"], today), calendar) if "expires_by" in given else None,
        least_pct=None if least is None else Decimal(str(least)),
        most_pct=None if most is None else Decimal(str(most)),
    )


def left_out(held: Sequence[Holding], wanted: Filter) -> list[str]:
    """What a filter leaves out because it is not known of it what it chooses by."""
    return [*_without_percent(held, wanted), *_without_expiry(held, wanted)]


def _without_percent(held: Sequence[Holding], wanted: Filter) -> list[str]:
    if not wanted.by_percent:
        return []
    choice = Choice(held, replace(wanted, least_pct=None, most_pct=None))
    chosen = chain.from_iterable(map(choice.among, a_few_of(held)))
    count = sum(each.unrealized_pnl_pct is None for each in chosen)
    return [f"unrealized P&L % of {counted(count)} is not known; left out"] if count else []


def _without_expiry(held: Sequence[Holding], wanted: Filter) -> list[str]:
    if wanted.expires_by is None:
        return []
    choice = Choice(held, replace(wanted, expires_by=None))
    unread = [each for each in held if each.is_option and each.contract is None]
    count = len(choice.among(unread))
    return [f"when {counted(count)} expire{'s' if count == 1 else ''} is not known; left out"] if count else []


def filter_words(given: dict[str, Any]) -> str:
    """The filter as an answer repeats it; empty where there is none."""
    words = []
    for name in _FILTERS:
        if name in given:
            value: Sequence[Any] = given[name] if isinstance(given[name], list) else [given[name]]
            shown = " ".join(label(each) if isinstance(each, str) else json.dumps(each) for each in value[:5])
            words.append(f"{name} {shown}" + (f" and {len(value) - 5} more" if len(value) > 5 else ""))
    return ", ".join(words)


def _day(text: str, today: date) -> date:
    try:
        return today if text == "today" else date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"expires_by {text} is not a day.", hint="Give it as YYYY-MM-DD.") from None
