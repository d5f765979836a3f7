"""`list_operations`: recent plans and operations, and anything in doubt."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.guard.reports import OperationReport
from positions_mcp.tools._arguments import ToolArguments
from positions_mcp.tools._call import Call
from positions_mcp.tools._definition import Answer, Data, Effect, ToolDefinition
from positions_mcp.tools._format import table
from positions_mcp.tools._reports import sent_word, symbols
from positions_mcp.tools.context import ToolContext

_DEFAULT_LIMIT = 20
_COLUMNS = ["operation_id", "account", "planned", "kind", "state", "sent", "symbols", "notional", "decision"]

_State = Literal[
    "PLANNED",
    "AWAITING_APPROVAL",
    "APPROVED",
    "SENDING",
    "SUBMITTED",
    "CLOSED",
    "PARTIAL",
    "DECLINED",
    "EXPIRED",
    "LAPSED",
    "STALE",
    "REFUSED",
    "REJECTED",
    "UNKNOWN",
    "RECONCILED",
]


class Output(Data):
    """What `list_operations` answers as data."""

    mode: str
    shown: int
    in_doubt: list[str]
    """Operations whose outcome is not known, however old."""
    columns: list[str]
    rows: list[list[str]]
    more: bool
    """Whether there may be older ones."""


class Arguments(ToolArguments):
    """Which operations."""

    account_id: Annotated[int | None, Field(description="Default: every account")] = None
    state: Annotated[_State | None, Field(description="Only these")] = None
    limit: Annotated[int | None, Field(ge=1, le=100, description="Default 20")] = None


async def list_operations(call: Call, given: Arguments) -> Answer:
    """List operations as they were last seen. Raises InvalidInput and StoreUnavailable."""
    context = call.context
    account: AccountId | None = None if given.account_id is None else context.account(given.account_id)
    wanted = OperationState(given.state) if given.state is not None else None
    found, more = await context.guard.operations(
        account_id=account, state=wanted, limit=given.limit or _DEFAULT_LIMIT, viewer=call.caller.viewer
    )
    use = (await context.guard.status(viewer=call.caller.viewer)).use
    doubtful = [one for each in use if account in (None, each.account_id) for one in each.in_doubt]
    data = Output(
        mode=context.mode.shown,
        shown=len(found),
        in_doubt=doubtful,
        columns=_COLUMNS,
        rows=[_row(context, report) for report in found],
        more=more,
    )
    return Answer(_text(data), data)


def _row(context: ToolContext, report: OperationReport) -> list[str]:
    return [
        report.operation_id,
        str(report.account_id),
        context.said(context.on_market_clock(report.created_at)),
        report.kind,
        report.state,
        sent_word(report),
        symbols(report.rows),
        plain(report.notional),
        report.decision,
    ]


def _text(data: Output) -> str:
    doubt = f" IN DOUBT: {', '.join(data.in_doubt)} (get_operation reconciles)." if data.in_doubt else ""
    noun = "operation" if data.shown == 1 else "operations, newest first"
    lines = [f"{data.mode}: {data.shown} {noun}, as last seen.{doubt}"]
    if data.rows:
        lines.append(table(data.columns, data.rows))
    if data.more:
        lines.append("There may be older ones: raise limit, or filter by state or account.")
    return "\n".join(lines)


TOOL = ToolDefinition(
    name="list_operations",
    title="List operations",
    description="Recent plans and operations, newest first, and anything in doubt.",
    arguments=Arguments,
    output=Output,
    handler=list_operations,
    effect=Effect.READS,
    leaves_the_machine=False,
)
