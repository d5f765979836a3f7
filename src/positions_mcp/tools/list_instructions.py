"""`list_instructions`: exercise instructions and where each is in its life."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from positions_mcp.domain.account.listings import Page, Row
from positions_mcp.domain.account.positions import Holding, Whole
from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.enums import InstructionStatus
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.ids import AccountId, is_uuid
from positions_mcp.domain.instruments import as_asked, as_root, parse_option_symbol, with_its_id
from positions_mcp.domain.portfolio.groups import Underlyings
from positions_mcp.domain.portfolio.resolve import Holdings, find_underlying, looked_up, named_of
from positions_mcp.domain.text import clean, counted, label
from positions_mcp.tools._accounts import asks_all, heading_of_all, over_accounts
from positions_mcp.tools._arguments import CursorArgument, ReadAccountArgument, ToolArguments
from positions_mcp.tools._call import Call
from positions_mcp.tools._definition import Answer, Effect, ToolDefinition
from positions_mcp.tools._evening import cutoff_words
from positions_mcp.tools._format import MISSING, Heading, check_same, heading, number, table
from positions_mcp.tools._listings import Listed
from positions_mcp.tools._turns import beside_others
from positions_mcp.tools.context import ToolContext

_DEFAULT_LIMIT = 25
_LONGEST_REASON = 120
_COLUMNS = ["id", "symbol", "type", "quantity", "status", "accepted", "key", "updated", "reason"]
_STATUS = _COLUMNS.index("status")

_Status = Literal["SENT", "ACCEPTED", "REJECTED", "CANCEL_REQUESTED", "CANCELLED", "CANCEL_FAILED", "UNKNOWN"]


class Output(Heading):
    """What `list_instructions` answers as data."""

    listed: int
    matching: int
    by_status: dict[str, int]
    cutoff: str
    """The next instant from which no instruction is taken for its day."""
    warnings: list[str] | None = None
    first: int
    last: int
    columns: list[str]
    rows: list[list[str]]
    next_cursor: str | None = None
    """Absent on the last page."""


class _Listed(Listed):
    tool = "list_instructions"
    account: AccountId
    given: dict[str, Any]
    as_of: datetime
    listed: int
    left_out: tuple[str, ...]
    by_status: dict[str, int]


class Arguments(ToolArguments):
    """Which instructions, and how many a page."""

    account_id: ReadAccountArgument = None
    instrument: Annotated[str | None, Field(min_length=1, description="OSI option symbol, UUID, or underlying")] = None
    status: Annotated[list[_Status] | None, Field(min_length=1, description="Any of these")] = None
    limit: Annotated[int | None, Field(ge=1, le=200, description="Default 25")] = None
    cursor: CursorArgument = None


async def list_instructions(call: Call, given: Arguments) -> Answer:
    """List exercise instructions. Raises InvalidInput, UnknownInstrument, CursorExpired and the reader's errors."""
    chosen = given.model_dump(exclude={"limit", "cursor"}, exclude_none=True)
    if given.cursor is not None:
        asked, page = await call.context.listings.resume(
            given.cursor, _Listed, owner=call.caller.identity, limit=given.limit
        )
        call.context.account(asked.account)
        check_same(chosen, {"account_id": asked.account, **asked.given})
    elif asks_all(call.context, given.account_id):
        return await _of_all(call, chosen)
    else:
        context = call.context
        asked, rows = await _read(call, context.account(given.account_id), chosen, given.limit or _DEFAULT_LIMIT)
        page = await context.listings.keep(asked, rows, owner=call.caller.identity)
    data = _data(call.context, heading(call.context, asked.account, asked.as_of), asked, page)
    return Answer(_text(data), data)


async def _of_all(call: Call, given: dict[str, Any]) -> Answer:
    """One line for each account, and the sum."""
    context = call.context

    async def read(account: AccountId) -> tuple[_Listed, list[Row]]:
        return await _read(call, account, given, _DEFAULT_LIMIT)

    read_all = await over_accounts(context, read)
    by_status: Counter[str] = Counter()
    rows, warnings = [], read_all.warnings
    for account, (asked, found) in read_all.answered:
        by_status.update(asked.by_status)
        statuses = " ".join(f"{name} {count}" for name, count in asked.by_status.items())
        rows.append([str(account), str(asked.listed), str(len(found)), statuses])
        warnings += [f"account {account}: {each}" for each in _warnings(asked, found)]
    data = Output(
        **heading_of_all(context, (asked.as_of for _, (asked, _) in read_all.answered)).model_dump(),
        listed=sum(asked.listed for _, (asked, _) in read_all.answered),
        matching=sum(by_status.values()),
        by_status=dict(by_status),
        cutoff=cutoff_words(context),
        warnings=warnings or None,
        first=1,
        last=len(rows),
        columns=["account", "listed", "matching", "by_status"],
        rows=rows,
    )
    lines = [*_said_before_rows(data), table(data.columns, data.rows), "Instructions of one account: give account_id."]
    return Answer("\n".join(lines), data)


async def _read(call: Call, account: AccountId, given: dict[str, Any], limit: int) -> tuple[_Listed, list[Row]]:
    context, wanted = call.context, given.get("instrument")
    asked_at = context.clock.now()
    answer = await context.instructions.get_position_instructions(account)
    as_of = answer.read_at or asked_at
    if wanted is not None:
        shown = with_its_id(wanted)
        wanted = as_asked(wanted) if shown is None else shown[1]
    rows = answer.data if wanted is None else [row for row in answer.data if _is_on(row, wanted)]
    if wanted is not None and not rows:
        # No instruction on what is held is an answer; on what nobody holds it is more likely a misspelt symbol.
        held, reading = await context.positions.gather_positions(account, Whole[Holding])
        with looked_up(reading.doubts):
            await beside_others(len(held), partial(_look_up, wanted, held))
    if "status" in given:
        rows = [row for row in rows if _status(row) in given["status"]]
    rows = sorted(rows, key=lambda row: (row.updated_at or row.created_at or as_of, row.id), reverse=True)
    by_status = dict(Counter(label(row.status) for row in rows))
    listed = _Listed(
        limit=limit,
        account=account,
        given=given,
        as_of=as_of,
        listed=len(answer.data),
        left_out=answer.left_out,
        by_status=by_status,
    )
    return listed, list(map(_row, rows))


def _look_up(wanted: str, positions: Sequence[Holding]) -> None:
    """Raises UnknownInstrument where nothing held is called so."""
    held = named_of(positions)
    if _is_underlying(wanted):
        find_underlying(wanted, held, Underlyings(held))
    else:
        Holdings(held).find(wanted)


def _is_on(row: Instruction, wanted: str) -> bool:
    contract = parse_option_symbol(wanted)
    if _is_underlying(wanted):
        on = parse_option_symbol(row.symbol)
        # The root of an adjusted contract ends in a digit; its underlying's symbol does not.
        return on is not None and as_root(wanted) in (as_root(on.root), as_root(on.root.rstrip("0123456789")))
    if contract is not None:
        return parse_option_symbol(row.symbol) == contract
    return (row.instrument_id or "").lower() == wanted.strip().lower()


def _is_underlying(wanted: str) -> bool:
    return not is_uuid(wanted.strip()) and parse_option_symbol(wanted) is None


def _status(row: Instruction) -> str:
    return InstructionStatus.REJECTED if row.status.is_rejected else row.status


def _warnings(asked: _Listed, rows: Sequence[Row]) -> list[str]:
    warnings = list(asked.left_out)
    if failed := sum(1 for row in rows if row[_STATUS] == InstructionStatus.CANCEL_FAILED):
        warnings.append(f"{failed} CANCEL_FAILED: an operator must look; the original instruction may stand")
    return warnings


def _data(context: ToolContext, head: Heading, asked: _Listed, page: Page[Row]) -> Output:
    return Output(
        **head.model_dump(),
        listed=asked.listed,
        matching=page.total,
        by_status=asked.by_status,
        cutoff=cutoff_words(context),
        warnings=_warnings(asked, page.rows) or None,
        first=page.start + 1 if page.rows else 0,
        last=page.end,
        columns=_COLUMNS,
        rows=list(map(list, page.rows)),
        next_cursor=page.next_cursor,
    )


def _row(row: Instruction) -> Row:
    contract = parse_option_symbol(row.symbol)
    changed = row.updated_at or row.created_at
    return [
        clean(row.id, 40),
        contract.compact if contract else clean(row.symbol or row.instrument_id or MISSING, 40),
        clean(row.instruction_type, 40),
        number(row.quantity),
        clean(row.status, 40),
        number(row.accepted_quantity) if row.accepted_quantity is not None else "",
        clean(row.instruction_id or "", 64),
        moment(changed) if changed else MISSING,
        clean(row.words_of_refusal, _LONGEST_REASON),
    ]


def _said_before_rows(data: Output) -> list[str]:
    of = f"{data.matching} of " if data.matching != data.listed else ""
    listed = f"{of}{counted(data.listed, 'instruction')}"
    statuses = ", ".join(f"{name} {count}" for name, count in data.by_status.items())
    lines = [data.text, *(f"WARNING: {warning}." for warning in data.warnings or [])]
    lines.append(f"{listed}{f': {statuses}' if statuses else ''}. Rows refused before acceptance are never listed.")
    return [*lines, f"Cut-off for instructions: {data.cutoff}."]


def _text(data: Output) -> str:
    lines = _said_before_rows(data)
    if data.rows:
        lines.append(f"Rows {data.first}-{data.last} of {data.matching}, latest first:")
        lines.append(table(data.columns, data.rows))
    if data.next_cursor:
        lines.append(f"More: cursor={data.next_cursor} (the same snapshot, kept 10 minutes).")
    return "\n".join(lines)


TOOL = ToolDefinition(
    name="list_instructions",
    title="List exercise instructions",
    description=(
        "Option exercise instructions and their state. SENT is handed to clearing, not yet accepted. Cancelling needs "
        "the id."
    ),
    arguments=Arguments,
    output=Output,
    handler=list_instructions,
    effect=Effect.READS,
)
