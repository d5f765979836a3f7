"""`preview_instructions`: what a batch of exercise instructions would do, as a frozen plan. Sends and asks nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from positions_mcp.domain.errors import InvalidBatch
from positions_mcp.domain.instruments import parse_option_symbol
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.plan import InstructionTarget, Plan
from positions_mcp.domain.text import counted, label
from positions_mcp.guard.planner import Planned
from positions_mcp.guard.policy.findings import Verdict
from positions_mcp.tools._arguments import AccountArgument, PurposeArgument, ToolArguments
from positions_mcp.tools._call import Call
from positions_mcp.tools._definition import Answer, Data, Effect, ToolDefinition
from positions_mcp.tools._format import table
from positions_mcp.tools._planning import Row, findings_of, new_plan, policy_of, standing, submit_request
from positions_mcp.tools.context import ToolContext

_COLUMNS = ["row", "type", "quantity", "symbol", "notional", "key"]
_REFUSED = ["row", "type", "quantity", "instrument", "problems"]
_MOST_ROWS = 200
_MOST_CARDS = 20


class Output(Data):
    """What `preview_instructions` answers as data. Without a plan_id, `problems` say why."""

    mode: str
    account_id: int
    plan_id: str | None = None
    summary: str
    columns: list[str]
    rows: list[list[str]]
    consequences: list[str] | None = None
    """Row by row, in the order of `rows`."""
    projection: list[str] | None = None
    """The evening with the batch and without it."""
    notional: str | None = None
    cutoff: str | None = None
    policy: str | None = None
    findings: list[str] | None = None
    valid_until: str | None = None
    next: str


class Arguments(ToolArguments):
    """A batch."""

    account_id: AccountArgument = None
    instructions: Annotated[list[Row], Field(min_length=1, max_length=1000, description="The batch")]
    purpose: PurposeArgument = None


async def preview_instructions(call: Call, given: Arguments) -> Answer:
    """Freeze a plan, or say of every row why it may not be one. Raises as `Guard.plan` does otherwise."""
    try:
        planned = await new_plan(call, submit_request(given.account_id, given.instructions, purpose=given.purpose))
    except InvalidBatch as error:
        data = _refused(call.context, call.context.account(given.account_id), given.instructions, error)
        return Answer(_text(data), data)
    data = _data(call.context, planned, planned.verdict or Verdict(), *await standing(call, planned))
    return Answer(_text(data), data)


def _data(context: ToolContext, planned: Planned, verdict: Verdict, stands: str, next_call: str) -> Output:
    plan = planned.operation.plan
    cards = plan.instructions[:_MOST_CARDS]
    more = "" if all(target.priced for target in plan.targets) else " or more"
    return Output(
        mode=plan.mode.shown,
        account_id=plan.account_id,
        plan_id=plan.plan_id,
        summary=f"{plan.mode.shown} account {plan.account_id}: plan {plan.plan_id} would submit "
        f"{counted(len(plan.targets), 'instruction')} in one request. {stands}",
        columns=_COLUMNS,
        rows=[_row(index, target) for index, target in enumerate(plan.instructions[:_MOST_ROWS], 1)],
        consequences=[f"Row {at}: {' '.join(each.consequences)}" for at, each in enumerate(cards, 1)],
        projection=list(plan.projection),
        notional=f"{plain(plan.measure)}{more}",
        cutoff=plan.session,
        policy=policy_of(verdict),
        findings=[*findings_of(verdict), *_not_shown(plan)] or None,
        valid_until=context.said(context.on_market_clock(plan.expires_at)),
        next=next_call,
    )


def _refused(context: ToolContext, account: int, asked: Sequence[Row], error: InvalidBatch) -> Output:
    """Rows with their problems; the others too, so that it is plain that they were not at fault."""
    numbered = sorted(enumerate(asked), key=lambda each: each[0] not in error.reasons)[:_MOST_ROWS]
    wrong = len(error.reasons)
    what = (
        f"{wrong} of {counted(len(asked), 'instruction')} may not be submitted" if wrong else error.message.rstrip(".")
    )
    hidden = f" {len(asked) - _MOST_ROWS} rows are not shown." if len(asked) > _MOST_ROWS else ""
    return Output(
        mode=context.mode.shown,
        account_id=account,
        summary=f"{context.mode.shown} account {account}: {what}, so there is no plan. Nothing was sent.",
        columns=_REFUSED,
        rows=[
            [str(place + 1), row.instruction_type, row.quantity, _name(row), " ".join(error.reasons.get(place, ()))]
            for place, row in sorted(numbered, key=lambda each: each[0])
        ],
        next=f"Correct or leave out those rows and preview again.{hidden}",
    )


def _row(index: int, target: InstructionTarget) -> list[str]:
    return [
        str(index),
        target.instruction_type,
        str(target.quantity),
        target.called,
        plain(target.measure) if target.priced else f"{plain(target.measure)} or more",
        target.instruction_key,
    ]


def _name(row: Row) -> str:
    contract = parse_option_symbol(row.instrument)
    return contract.compact if contract else label(row.instrument, 64)


def _not_shown(plan: Plan) -> list[str]:
    if (rows := len(plan.targets)) <= _MOST_CARDS:
        return []
    shown = f"The consequences of the first {_MOST_CARDS} of {rows} rows are shown; who decides sees them all."
    more = f" The table stops at row {_MOST_ROWS}." if rows > _MOST_ROWS else ""
    return [f"{shown}{more} Preview fewer rows to read the others."]


def _text(data: Output) -> str:
    lines = [data.summary, table(data.columns, data.rows), *(data.consequences or []), *(data.projection or [])]
    if data.plan_id is not None:
        lines += [
            f"Notional {data.notional}. Cut-off: {data.cutoff}.",
            f"Policy: {data.policy}.",
            *(f"- {finding}" for finding in data.findings or []),
            f"Valid for 5 minutes: until {data.valid_until}.",
        ]
    return "\n".join([*lines, f"Next: {data.next}"])


TOOL = ToolDefinition(
    name="preview_instructions",
    title="Preview exercise instructions",
    description=(
        "Checks a batch and freezes a plan with each row's consequence and the evening's projection with and without "
        "it: cash, shares, money given up, what is not known. Sends nothing."
    ),
    arguments=Arguments,
    output=Output,
    handler=preview_instructions,
    effect=Effect.READS,
    is_drawn=True,
)
