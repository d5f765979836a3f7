"""`list_positions`: what an account holds, in compact rows, page by page over one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Resolve
from pydantic import Field

from positions_mcp.domain.enums import PositionSortKey, SecurityType, SortDirection
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.listings import Listing, Page, page_of
from positions_mcp.domain.portfolio.select import (
    NEEDS_WHOLE_POSITIONS,
    Filter,
    largest_first,
    natural_direction,
    select,
    sort,
)
from positions_mcp.domain.portfolio.totals import Totals
from positions_mcp.domain.positions import Holding, Reading, Side, Whole
from positions_mcp.domain.text import label
from positions_mcp.ports import OnPage
from positions_mcp.tools._deps import Deps, from_lifespan, page_progress
from positions_mcp.tools._spec import Answer, Effect, ToolSpec
from positions_mcp.tools._words import (
    MISSING,
    Heading,
    check_same,
    counted,
    doubts,
    heading,
    missing,
    missing_line,
    names_of,
    number,
    sums,
    table,
)

_DEFAULT_LIMIT = 50

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


async def list_positions(
    *,
    deps: Annotated[Deps, Resolve(from_lifespan)],
    progress: Annotated[OnPage, Resolve(page_progress)],
    account_id: Annotated[int | None, Field(description="Default: the only one")] = None,
    instruments: Annotated[
        list[Annotated[str, Field(min_length=1)]] | None,
        Field(min_length=1, max_length=100, description="Symbols, OSI option symbols or UUIDs"),
    ] = None,
    underlying: Annotated[str | None, Field(min_length=1, description="Symbol; includes its options")] = None,
    instrument_type: Annotated[_InstrumentType | None, Field(description="Only this type")] = None,
    side: Annotated[Literal["long", "short"] | None, Field(description="Only this side")] = None,
    sort_by: Annotated[_SortBy | None, Field(description="Default: by absolute market value")] = None,
    sort_direction: Annotated[
        Literal["ASC", "DESC"] | None, Field(description="Default DESC for numbers; ASC puts losers first")
    ] = None,
    limit: Annotated[int | None, Field(ge=1, le=200, description="Rows a page, default 50")] = None,
    cursor: Annotated[str | None, Field(min_length=1, description="next_cursor of the page before, alone")] = None,
    detail: Annotated[Literal["concise", "full"] | None, Field(description="full adds cost, prices, %, ids")] = None,
) -> Answer:
    """List what an account holds. Raises the errors of `select`, of the listings and of the reader."""
    chosen: dict[str, Any] = {
        "account_id": account_id,
        "instruments": instruments,
        "underlying": underlying,
        "instrument_type": instrument_type,
        "side": side,
        "sort_by": sort_by,
        "sort_direction": sort_direction,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    if cursor is not None:
        listing, start = deps.position_listings.resume(cursor)
        listed = listing.question
        check_same(
            given | ({"detail": detail} if detail else {}),
            {"account_id": listed.account, "detail": listed.detail, **listed.given},
        )
    else:
        if sort_direction and not sort_by:
            raise InvalidInput("sort_direction was given without sort_by.", hint="Give both, or neither.")
        listing = await _read(deps, progress, given, limit or _DEFAULT_LIMIT, detail or "concise")
        start = 0
    asked = listing.question
    page = page_of(listing, start, limit or asked.limit)
    return _answer(heading(deps, asked.account, asked.reading.as_of), listing, page)


async def _read(
    deps: Deps, progress: OnPage, given: dict[str, Any], limit: int, detail: str
) -> Listing[_Asked, Holding]:
    account = deps.account(given.get("account_id"))
    wanted = Filter(
        instruments=tuple(given.get("instruments", ())),
        underlying=given.get("underlying"),
        instrument_type=SecurityType(given["instrument_type"]) if "instrument_type" in given else None,
        side=Side(given["side"]) if "side" in given else None,
    )
    key = PositionSortKey(given["sort_by"]) if "sort_by" in given else None
    reading: Reading
    if detail == "full" or key in NEEDS_WHOLE_POSITIONS:
        reading = book = await deps.positions.read_book(account, on_page=progress)
        held: Sequence[Holding] = book.positions
    else:
        brief, reading = await deps.positions.gather_positions(account, Whole[Holding], on_page=progress)
        held = brief.positions
    positions = select(held, wanted) if wanted.is_narrowing else held
    if key:
        direction = given.get("sort_direction")
        rows = sort(positions, key, SortDirection(direction) if direction else natural_direction(key))
    else:
        rows = largest_first(positions)
    asked = _Asked(account, given, limit, detail, reading, len(held), Totals.of(rows), names_of(held))
    return deps.position_listings.keep(asked, rows)


def _answer(head: Heading, listing: Listing[_Asked, Holding], page: Page[Holding]) -> Answer:
    asked = listing.question
    full, totals = asked.detail == "full", asked.totals
    columns = [*(_FULL if full else _CONCISE)]
    if not full and totals.locked:
        columns.append("locked")
    cells = [_COLUMNS[name] for name in columns[1:]]
    rows = [[asked.name_of(position), *(cell(position) for cell in cells)] for position in page.rows]
    data = Output(
        **head.model_dump(),
        held=asked.held,
        matching=page.total,
        filter=_filter_words(asked.given) or None,
        totals=sums(totals, "net", "long", "short", "day_pnl", "unrealized_pnl"),
        missing=missing(totals) or None,
        locked_positions=totals.locked,
        warnings=doubts(asked.reading) or None,
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
    lines.append(f"{said}: {totals}; {data.locked_positions} locked by open orders.")
    lines += missing_line(data.missing)
    order = listing.question.given.get("sort_by")
    direction = f" {listing.question.given.get('sort_direction', '')}".rstrip() if order else ""
    lines.append(
        f"Rows {data.first}-{data.last} of {data.matching}"
        f" by {f'{order}{direction}' if order else 'absolute market value'}:"
    )
    lines.append(table(data.columns, data.rows))
    if data.next_cursor:
        lines.append(f"More: cursor={data.next_cursor} (the same snapshot, kept 10 minutes).")
    return "\n".join(lines)


def _filter_words(given: dict[str, Any]) -> str:
    words = []
    for name in ("instruments", "underlying", "instrument_type", "side"):
        if name in given:
            value: Sequence[str] = given[name] if isinstance(given[name], list) else [given[name]]
            shown = " ".join(label(each) for each in value[:5])
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
    "quantity": lambda position: number(position.quantity),
    "available": lambda position: number(position.available_quantity),
    "locked": lambda position: number(position.locked_quantity),
    "price": lambda position: number(position.instrument_price),
    "market_value": lambda position: number(position.market_value),
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

SPEC = ToolSpec(
    name="list_positions",
    title="List positions",
    description=(
        "What an account holds, in rows: quantity, price, market value, P&L today and unrealized, what open orders "
        "lock. Shorts are negative."
    ),
    handler=list_positions,
    output=Output,
    effect=Effect.READS,
)
