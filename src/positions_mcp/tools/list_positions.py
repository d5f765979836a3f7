"""`list_positions`: what an account holds, in compact rows, page by page over one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from positions_mcp.domain.account.listings import Listing, Page, page_of
from positions_mcp.domain.account.positions import Holding, Reading, Side, Whole
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.enums import PositionSortKey, SecurityType, SortDirection
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.ids import AccountId, InstrumentId
from positions_mcp.domain.money import plain
from positions_mcp.domain.portfolio.expiring import ExpiringOption, expiring
from positions_mcp.domain.portfolio.select import (
    NEEDS_WHOLE_POSITIONS,
    Filter,
    largest_first,
    natural_direction,
    select,
    sort,
)
from positions_mcp.domain.portfolio.totals import Totals
from positions_mcp.domain.text import label
from positions_mcp.tools._arguments import DAY, AccountArgument, CursorArgument, ToolArguments
from positions_mcp.tools._call import Call
from positions_mcp.tools._definition import Answer, Effect, ToolDefinition
from positions_mcp.tools._format import (
    EXPIRY_COLUMNS,
    LOCKED_BY,
    MISSING,
    Heading,
    check_same,
    contradictions,
    counted,
    expiry_cells,
    heading,
    missing,
    missing_line,
    names_of,
    number,
    sums,
    table,
)

_DEFAULT_LIMIT = {"concise": 50, "full": 25}

_InstrumentType = Literal["COMMON_STOCK", "PREFERRED_STOCK", "OPTION", "CASH", "INDEX", "OTHER"]
_SortBy = Literal[
    "SYMBOL",
    "INSTRUMENT_TYPE",
    "QUANTITY",
    "MARKET_VALUE",
    "POSITION_TYPE",
    "UNREALIZED_PNL",
    "DAILY_UNREALIZED_PNL",
    "DAILY_REALIZED_PNL",
]


class Output(Heading):
    """What `list_positions` answers as data."""

    held: int
    matching: int
    filter: str | None = None
    order: str
    totals: dict[str, str]
    missing: dict[str, int] | None = None
    locked_positions: int
    warnings: list[str] | None = None
    first: int
    last: int
    columns: list[str]
    rows: list[list[str]]
    next_cursor: str | None = None
    """Absent on the last page."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A listing's question, and what is true of all its pages."""

    account: AccountId
    given: dict[str, Any]
    """The arguments that chose and ordered the rows, as they were given."""
    limit: int
    detail: str
    reading: Reading
    held: int
    totals: Totals
    name_of: Callable[[Holding], str]
    expiring: Mapping[InstrumentId, ExpiringOption]
    """Where options that expire were asked for: each by its instrument."""


class Arguments(ToolArguments):
    """Which positions, in which order, and how many a page."""

    account_id: AccountArgument = None
    instruments: Annotated[
        list[Annotated[str, Field(min_length=1)]] | None,
        Field(min_length=1, max_length=100, description="Symbols, OSI option symbols or UUIDs"),
    ] = None
    underlying: Annotated[str | None, Field(min_length=1, description="Symbol; includes its options")] = None
    instrument_type: Annotated[_InstrumentType | None, Field(description="Only this type")] = None
    side: Annotated[Literal["long", "short"] | None, Field(description="Only this side")] = None
    locked: Annotated[bool | None, Field(description="Only what orders or instructions lock")] = None
    expires_by: Annotated[
        str | None, Field(pattern=DAY, description="Options expiring by this day, with moneyness")
    ] = None
    sort_by: Annotated[_SortBy | None, Field(description="Default: by absolute market value")] = None
    sort_direction: Annotated[
        Literal["ASC", "DESC"] | None, Field(description="Default DESC for numbers; ASC puts losers first")
    ] = None
    limit: Annotated[int | None, Field(ge=1, le=200, description="Rows a page, default 50; full 25")] = None
    cursor: CursorArgument = None
    detail: Annotated[Literal["concise", "full"] | None, Field(description="full adds cost, prices, %, ids")] = None


async def list_positions(call: Call, given: Arguments) -> Answer:
    """List what an account holds. Raises the errors of `select`, of the listings and of the reader."""
    chosen = given.model_dump(exclude={"limit", "cursor", "detail"}, exclude_none=True)
    if given.cursor is not None:
        listing, start = call.context.position_listings.resume(given.cursor, owner=call.caller.identity)
        listed = listing.question
        check_same(
            chosen | ({"detail": given.detail} if given.detail else {}),
            {"account_id": listed.account, "detail": listed.detail, **listed.given},
        )
    else:
        if given.sort_direction and not given.sort_by:
            raise InvalidInput("sort_direction was given without sort_by.", hint="Give both, or neither.")
        shown = given.detail or "concise"
        listing = await _read(call, chosen, limit=given.limit or _DEFAULT_LIMIT[shown], detail=shown)
        start = 0
    asked = listing.question
    page = page_of(listing, start, given.limit or asked.limit)
    return _answer(heading(call.context, asked.account, asked.reading.as_of), listing, page)


async def _read(call: Call, given: dict[str, Any], *, limit: int, detail: str) -> Listing[_Asked, Holding]:
    context, progress = call.context, call.page_progress()
    account = context.account(given.get("account_id"))
    today = new_york_day(context.clock.now())
    wanted = Filter(
        instruments=tuple(given.get("instruments", ())),
        underlying=given.get("underlying"),
        instrument_type=SecurityType(given["instrument_type"]) if "instrument_type" in given else None,
        side=Side(given["side"]) if "side" in given else None,
        locked=given.get("locked"),
        expires_by=_day(given["expires_by"], today) if "expires_by" in given else None,
    )
    key = PositionSortKey(given["sort_by"]) if "sort_by" in given else None
    reading: Reading
    if detail == "full" or key in NEEDS_WHOLE_POSITIONS:
        reading = book = await context.positions.read_book(account, on_page=progress)
        held: Sequence[Holding] = book.positions
    else:
        brief, reading = await context.positions.gather_positions(account, Whole[Holding], on_page=progress)
        held = brief.positions
    positions = select(held, wanted) if wanted.is_narrowing else held
    if key:
        direction = given.get("sort_direction")
        rows = sort(positions, key, SortDirection(direction) if direction else natural_direction(key))
    else:
        rows = largest_first(positions)
    expiries: dict[InstrumentId, ExpiringOption] = {}
    if wanted.expires_by:
        others = [position for position in held if not position.is_option]
        found = expiring(positions, others, reading.as_of)
        expiries = {each.position.instrument_id: each for each in found}
        rows = rows if key else [each.position for each in found]
    asked = _Asked(account, given, limit, detail, reading, len(held), Totals.of(rows), names_of(held), expiries)
    return context.position_listings.keep(asked, rows, owner=call.caller.identity, limit=limit)


def _day(text: str, today: date) -> date:
    try:
        return today if text == "today" else date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"expires_by {text} is not a day.", hint="Give it as YYYY-MM-DD.") from None


def _order(given: dict[str, Any]) -> str:
    if "sort_by" not in given:
        return "expiry, then absolute market value" if "expires_by" in given else "absolute market value"
    key = PositionSortKey(given["sort_by"])
    return f"{key} {given.get('sort_direction') or natural_direction(key)}"


def _answer(head: Heading, listing: Listing[_Asked, Holding], page: Page[Holding]) -> Answer:
    asked = listing.question
    full, totals = asked.detail == "full", asked.totals
    columns = [*(_FULL if full else _CONCISE)]
    if not full and totals.locked:
        columns.append("locked")
    if (sorted_by := _SORTED_COLUMNS.get(asked.given.get("sort_by", ""))) and sorted_by not in columns:
        columns.append(sorted_by)
    cells = [_COLUMNS[name] for name in columns[1:]]
    rows = [[asked.name_of(position), *(cell(position) for cell in cells)] for position in page.rows]
    if "expires_by" in asked.given:
        columns += EXPIRY_COLUMNS
        for row, position in zip(rows, page.rows, strict=True):
            row.extend(expiry_cells(asked.expiring[position.instrument_id]))
    data = Output(
        **head.model_dump(),
        held=asked.held,
        matching=page.total,
        filter=_filter_words(asked.given) or None,
        order=_order(asked.given),
        totals=sums(totals, "net", "long", "short", "day_pnl", "unrealized_pnl"),
        missing=missing(totals) or None,
        locked_positions=totals.locked,
        warnings=[*asked.reading.doubts, *contradictions(totals), *_contradicting(asked, page)] or None,
        first=page.start + 1 if page.rows else 0,
        last=page.end,
        columns=columns,
        rows=rows,
        next_cursor=page.next_cursor,
    )
    return Answer(_text(head, data, listing), data)


def _text(head: Heading, data: Output, listing: Listing[_Asked, Holding]) -> str:
    said = f"{data.matching} of {counted(data.held)} ({data.filter})" if data.filter else counted(data.matching)
    lines = [head.text, *(f"WARNING: {warning}." for warning in data.warnings or [])]
    if not data.rows:
        return "\n".join([*lines, f"{said}."])
    totals = ", ".join(f"{name} {value}" for name, value in data.totals.items())
    lines.append(f"{said}: {totals}; {data.locked_positions} locked by {LOCKED_BY}.")
    lines += missing_line(data.missing)
    lines.append(f"Rows {data.first}-{data.last} of {data.matching} by {data.order}:")
    lines.append(table(data.columns, data.rows))
    if data.next_cursor:
        lines.append(f"More: cursor={data.next_cursor} (alone; the same snapshot, kept 10 minutes).")
    return "\n".join(lines)


def _contradicting(asked: _Asked, page: Page[Holding]) -> list[str]:
    """Each position of the page that contradicts itself."""
    if not asked.totals.contradicting:
        return []
    wrong = [(asked.name_of(each), each) for each in page.rows if each.side_contradicts]
    return [f"{name}: quantity {plain(each.quantity)}, type {label(each.position_type or '')}" for name, each in wrong]


def _filter_words(given: dict[str, Any]) -> str:
    words = []
    for name in ("instruments", "underlying", "instrument_type", "side", "locked", "expires_by"):
        if name in given:
            value: Sequence[Any] = given[name] if isinstance(given[name], list) else [given[name]]
            shown = " ".join(str(each).lower() if each is True or each is False else label(each) for each in value[:5])
            words.append(f"{name} {shown}" + (f" and {len(value) - 5} more" if len(value) > 5 else ""))
    return ", ".join(words)


_CONCISE = ("symbol", "quantity", "price", "market_value", "day_pnl", "unrealized_pnl")
_FULL = (
    "symbol",
    "type",
    "quantity",
    "available",
    "locked",
    "price",
    "market_value",
    "avg_price",
    "cost_basis",
    "close",
    "close_date",
    "day_pnl",
    "day_pnl_pct",
    "day_realized_pnl",
    "unrealized_pnl",
    "unrealized_pnl_pct",
    "instrument_id",
)
_COLUMNS: dict[str, Callable[[Any], str]] = {
    "type": lambda position: label(position.instrument_type or MISSING),
    "position_type": lambda position: label(position.position_type or MISSING),
    "quantity": lambda position: number(position.quantity),
    "available": lambda position: number(position.available_quantity),
    "locked": lambda position: number(position.locked_quantity),
    "price": lambda position: number(position.instrument_price),
    "market_value": lambda position: number(position.value),
    "avg_price": lambda position: number(position.avg_price),
    "cost_basis": lambda position: number(position.cost_basis),
    "close": lambda position: number(position.closing_price),
    "close_date": lambda position: (
        position.closing_price_date.isoformat() if position.closing_price_date else "missing"
    ),
    "day_pnl": lambda position: number(position.daily_unrealized_pnl),
    "day_pnl_pct": lambda position: number(position.daily_unrealized_pnl_pct),
    "day_realized_pnl": lambda position: number(position.daily_realized_pnl),
    "unrealized_pnl": lambda position: number(position.unrealized_pnl),
    "unrealized_pnl_pct": lambda position: number(position.unrealized_pnl_pct),
    "instrument_id": lambda position: label(position.instrument_id),
}

_SORTED_COLUMNS = {
    PositionSortKey.INSTRUMENT_TYPE: "type",
    PositionSortKey.POSITION_TYPE: "position_type",
    PositionSortKey.DAILY_REALIZED_PNL: "day_realized_pnl",
}
"""Sort keys whose column is not among the concise ones."""

TOOL = ToolDefinition(
    name="list_positions",
    title="List positions",
    description=(
        "What an account holds, in rows: quantity, price, market value, P&L today and unrealized, what is "
        "locked. Shorts are negative."
    ),
    arguments=Arguments,
    output=Output,
    handler=list_positions,
    effect=Effect.READS,
)
