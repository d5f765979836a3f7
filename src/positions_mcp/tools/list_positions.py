"""`list_positions`: what an account holds, in compact rows, page by page over one snapshot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import Field

from positions_mcp.domain.account.listings import PackedRows, Page, Row, as_text
from positions_mcp.domain.account.positions import Holding, Whole
from positions_mcp.domain.account.readings import Reading
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.enums import SecurityType, SortDirection
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.ids import AccountId, InstrumentId
from positions_mcp.domain.many import a_few_of
from positions_mcp.domain.money import plain
from positions_mcp.domain.portfolio.resolve import Spellings, looked_up
from positions_mcp.domain.portfolio.select import (
    Choice,
    ExpiringOption,
    Filter,
    Sorting,
    SortKey,
    expiring,
    natural_direction,
)
from positions_mcp.domain.portfolio.totals import Totals
from positions_mcp.domain.text import label
from positions_mcp.tools._accounts import asks_all
from positions_mcp.tools._arguments import DAY, CursorArgument, ReadAccountArgument, ToolArguments
from positions_mcp.tools._call import Call
from positions_mcp.tools._day import cash_of, day_of, read_balances
from positions_mcp.tools._definition import Answer, Effect, ToolDefinition
from positions_mcp.tools._evening import EVENING_COLUMNS, Evening, cutoffs_of, read_evening
from positions_mcp.tools._format import FIGURES, check_same, contradictions, heading, missing, names_of, sums
from positions_mcp.tools._listings import LazyRows, Listed
from positions_mcp.tools._position_columns import (
    LOCKED_BY,
    UNDERLYING_SHARE,
    cell_of,
    columns_of,
    underlying_shares,
    what_locks,
)
from positions_mcp.tools._position_filter import filter_of, filter_words, left_out
from positions_mcp.tools._positions_answer import Output, positions_of_all, text_of
from positions_mcp.tools._turns import MANY, beside_others
from positions_mcp.tools.context import ToolContext

_DEFAULT_LIMIT = {"concise": 50, "full": 25}

_InstrumentType = Literal["COMMON_STOCK", "PREFERRED_STOCK", "OPTION", "CASH", "INDEX", "OTHER"]
_SortBy = Literal[
    "SYMBOL",
    "INSTRUMENT_TYPE",
    "QUANTITY",
    "MARKET_VALUE",
    "POSITION_TYPE",
    "UNREALIZED_PNL",
    "UNREALIZED_PNL_PCT",
    "DAY_PNL",
    "DAILY_UNREALIZED_PNL",
    "DAILY_REALIZED_PNL",
]


class _Listed(Listed):
    """A listing's question, and what is true of all its pages."""

    tool = "list_positions"
    account: AccountId
    given: dict[str, Any]
    """The arguments that chose and ordered the rows, as they were given."""
    detail: str
    as_of: datetime
    answer: Output
    """All but the rows."""
    contradicting: dict[int, str]
    """What is said of rows that contradict themselves, where they are shown."""


class Arguments(ToolArguments):
    """Which positions, in which order, and how many a page."""

    account_id: ReadAccountArgument = None
    instruments: Annotated[
        list[Annotated[str, Field(min_length=1)]] | None,
        Field(min_length=1, max_length=100, description="Symbols, OSI option symbols or UUIDs"),
    ] = None
    underlying: Annotated[str | None, Field(min_length=1, description="With its options")] = None
    instrument_type: Annotated[_InstrumentType | None, Field(description="Only this type")] = None
    side: Annotated[Literal["long", "short"] | None, Field(description="Only this side")] = None
    locked: Annotated[bool | None, Field(description="Only what orders or instructions lock")] = None
    expires_by: Annotated[
        str | None, Field(pattern=DAY, description="Options expiring by this day, with moneyness")
    ] = None
    sort_by: Annotated[_SortBy | None, Field(description="Default: by |value|")] = None
    sort_direction: Annotated[Literal["ASC", "DESC"] | None, Field(description="ASC: losers first")] = None
    min_pnl_pct: Annotated[float | None, Field(description="Unrealized P&L %, at least")] = None
    max_pnl_pct: Annotated[float | None, Field(description="At most; -10 finds what is down 10% or more")] = None
    limit: Annotated[int | None, Field(ge=1, le=200, description="Default 50; full 25")] = None
    cursor: CursorArgument = None
    detail: Annotated[
        Literal["concise", "full"] | None, Field(description="full adds cost, prices, break-even, share")
    ] = None
    ids: Annotated[bool | None, Field(description="UUIDs too")] = None


async def list_positions(call: Call, given: Arguments) -> Answer:
    """List what an account holds. Raises the errors of `select`, of the listings and of the reader."""
    chosen = given.model_dump(exclude={"limit", "cursor", "detail"}, exclude_none=True)
    if given.cursor is not None:
        listed, page = await call.context.listings.resume(
            given.cursor, _Listed, owner=call.caller.identity, limit=given.limit
        )
        call.context.account(listed.account)
        check_same(
            chosen | ({"detail": given.detail} if given.detail else {}),
            {"account_id": listed.account, "detail": listed.detail, **listed.given},
        )
    else:
        if given.sort_direction and not given.sort_by:
            raise InvalidInput("sort_direction was given without sort_by.", hint="Give both, or neither.")
        if asks_all(call.context, given.account_id):
            return await positions_of_all(call, chosen)
        shown = given.detail or "concise"
        listed, rows = await _read(call, chosen, limit=given.limit or _DEFAULT_LIMIT[shown], detail=shown)
        page = await call.context.listings.keep(listed, rows, owner=call.caller.identity)
    data = _page(call.context, listed, page)
    return Answer(text_of(call.context, data), data)


async def _read(call: Call, given: dict[str, Any], *, limit: int, detail: str) -> tuple[_Listed, Sequence[Row]]:
    context, progress = call.context, call.page_progress()
    account = context.account(given.get("account_id"))
    wanted = filter_of(given, new_york_day(context.clock.now()), context.calendar)
    reads_more = wanted.locked or wanted.expires_by or wanted.instrument_type is SecurityType.CASH
    asked, made = json.dumps([given, limit]), dict[str, tuple[_Listed, Sequence[Row]]]()
    reading: Reading
    if detail == "full":
        reading = book = await context.positions.read_book(account, on_page=progress)
        held: Sequence[Holding] = book.positions
    else:
        brief, reading = await context.positions.gather_positions(account, Whole[Holding], on_page=progress)
        held = brief
        made = made if reads_more else brief.answers  # by this reading alone, for all who ask it the same
    if asked in made:
        return made[asked]
    with looked_up(reading.doubts):
        all_rows = detail == "full" or bool(reads_more)  # also of very many
        found = await beside_others(len(held), partial(_found, held, wanted, given, all_rows=all_rows))
    cash = cash_of(await read_balances(context, account)) if wanted.instrument_type is SecurityType.CASH else None
    locks = await what_locks(context, account, found.rows) if detail == "full" or given.get("locked") else {}
    evening = await read_evening(context, account, found.expiring, reading.as_of) if wanted.expires_by else None
    cutoff = None if evening is None else cutoffs_of(context, found.expiring, evening.facts.contracts)

    def whole() -> tuple[_Listed, Sequence[Row]]:
        parts = _parts_beside(found, locks, evening, full=detail == "full")
        columns = _columns(found.totals, given, full=detail == "full")
        answer = Output(
            **heading(context, account, reading.as_of).model_dump(),
            held=len(held),
            matching=found.totals.positions,
            filter=filter_words(given) or None,
            order=_order(given),
            totals=sums(found.totals, "net", "long", "short", *FIGURES),
            today=day_of(context, found.totals),
            cash=cash,
            missing=missing(found.totals) or None,
            locked_positions=found.totals.locked,
            cutoff=cutoff or None,
            warnings=[*reading.doubts, *left_out(held, wanted), *contradictions(found.totals)],
            first=0,
            last=0,
            columns=[*columns, *(name for part in parts for name in part.columns)],
            rows=[],
        )
        rows, contradicting = _drawn(found, columns, parts)
        listed = _Listed(
            limit=limit,
            account=account,
            given=given,
            detail=detail,
            as_of=reading.as_of,
            answer=answer,
            contradicting=contradicting,
        )
        return listed, rows

    made[asked] = await beside_others(len(held), whole)
    return made[asked]


def _parts_beside(
    found: _Found, locks: Mapping[InstrumentId, str], evening: Evening | None, *, full: bool
) -> list[_Beside]:
    parts = []
    if full:
        parts.append(_Beside.one(UNDERLYING_SHARE, underlying_shares(found.held)))
    if locks:
        parts.append(_Beside.one(LOCKED_BY, locks))
    if evening is not None:
        cells = {each.position.instrument_id: evening.cells(each) for each in found.expiring}
        parts.append(_Beside(EVENING_COLUMNS, cells))
    return parts


def _drawn(found: _Found, columns: Sequence[str], parts: Sequence[_Beside]) -> tuple[Sequence[Row], dict[int, str]]:
    """The rows in their order, and what is said of those that contradict themselves."""
    name_of, cells = names_of(found.spellings), [cell_of(name) for name in columns[1:]]

    def draw(position: Holding) -> Row:
        beside = (cell for part in parts for cell in part.of(position))
        return [name_of(position), *(cell(position) for cell in cells), *beside]

    def said_of(position: Holding) -> str:
        kind = label(position.position_type or "")
        return f"{name_of(position)}: quantity {plain(position.quantity)}, type {kind}"

    if len(found.rows) == found.totals.positions:
        numbered = enumerate(found.rows if found.totals.contradicting else ())
        return LazyRows(found.rows, draw), {row: said_of(each) for row, each in numbered if each.side_contradicts}
    texts, wrong = list[str](), dict[int, str]()
    for position in chain.from_iterable(map(found.choice.among, a_few_of(found.held))):
        if position.side_contradicts:
            wrong[len(texts)] = said_of(position)
        texts.append(as_text(draw(position)))
    packed = PackedRows((texts[place] for place in found.places), len(texts))
    return packed, {row: wrong[place] for row, place in enumerate(found.places) if place in wrong}


@dataclass(frozen=True, slots=True)
class _Beside:
    """Columns beside what positions say of themselves, with their cells by instrument."""

    columns: Sequence[str]
    cells: Mapping[InstrumentId, Sequence[str]]

    @classmethod
    def one(cls, column: str, cells: Mapping[InstrumentId, str]) -> _Beside:
        return cls([column], {key: [cell] for key, cell in cells.items()})

    def of(self, position: Holding) -> Sequence[str]:
        return self.cells.get(position.instrument_id) or [""] * len(self.columns)


@dataclass(frozen=True, slots=True)
class _Found:
    """What of a book was asked for."""

    held: Sequence[Holding]
    choice: Choice
    rows: Sequence[Holding]
    """In order. Of very many they are not all here, and are chosen once more."""
    places: Sequence[int]
    """Where each row stands among those that are chosen."""
    totals: Totals
    spellings: Spellings
    expiring: Sequence[ExpiringOption]


def _found(held: Sequence[Holding], wanted: Filter, given: dict[str, Any], *, all_rows: bool) -> _Found:
    """What is asked for; its rows where they are few, or all of them are needed."""
    choice, key = Choice(held, wanted), SortKey(given["sort_by"]) if "sort_by" in given else None
    direction = SortDirection(given.get("sort_direction") or (natural_direction(key) if key else SortDirection.DESC))
    order, spellings, totals, rows = Sorting(key, direction), Spellings(), Totals(), list[Holding]()
    for some in a_few_of(held):
        spellings.add(some)
        chosen = choice.among(some)
        order.add(chosen)
        totals = Totals.merged((totals, Totals.of(chosen)))
        if all_rows or totals.positions <= MANY:
            rows += chosen
    others = (position for position in held if not position.is_option)
    soon = expiring(rows, others) if wanted.expires_by else []
    places = order.places()
    if choice.places:  # as they were named, where they are equal
        rows.sort(key=lambda each: choice.places[each.instrument_id])
        order = Sorting(key, direction)
        order.add(rows)
        places = order.places()
    if len(rows) == totals.positions:
        rows = [rows[place] for place in places]
    if wanted.expires_by and not key:
        rows = [each.position for each in soon]
    return _Found(held, choice, rows, places, totals, spellings, soon)


def _order(given: dict[str, Any]) -> str:
    if "sort_by" not in given:
        return "expiry, then absolute market value" if "expires_by" in given else "absolute market value"
    key = SortKey(given["sort_by"])
    return f"{key} {given.get('sort_direction') or natural_direction(key)}"


def _columns(totals: Totals, given: dict[str, Any], *, full: bool) -> list[str]:
    key = SortKey(given["sort_by"]) if "sort_by" in given else None
    return columns_of(totals, key, full=full, ids=bool(given.get("ids")))


def _page(context: ToolContext, listed: _Listed, page: Page[Row]) -> Output:
    """The answer with a page's rows, and what is true now of the market."""
    noted = [said for number, said in listed.contradicting.items() if page.start <= number < page.end]
    of_page = {
        **heading(context, listed.account, listed.as_of).model_dump(),
        "warnings": [*(listed.answer.warnings or []), *noted] or None,
        "first": page.start + 1 if page.rows else 0,
        "last": page.end,
        "rows": list(map(list, page.rows)),
        "next_cursor": page.next_cursor,
    }
    return listed.answer.model_copy(update=of_page)


TOOL = ToolDefinition(
    name="list_positions",
    title="List positions",
    description=("What an account holds, in rows: quantity, price, value, P&L, what is locked. Shorts are negative."),
    arguments=Arguments,
    output=Output,
    handler=list_positions,
    effect=Effect.READS,
    is_drawn=True,
)
