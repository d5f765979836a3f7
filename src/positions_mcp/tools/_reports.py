"""How an operation stands in an answer: aloud first, the gravest rows first, what is left of each target.

Of a batch of instructions every row is accounted for, with what may be done about it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.batch.rows import BatchReport, RowOutcome, RowReport, UnexpectedRow
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.operation import SentOrder
from positions_mcp.domain.operation.states import OperationState, RowState
from positions_mcp.domain.text import clean, label
from positions_mcp.guard.reports import OperationReport, TargetReport
from positions_mcp.tools._definition import Answer, Data
from positions_mcp.tools._format import spoken, table
from positions_mcp.tools.context import ToolContext

_COLUMNS = ("row", "asked", "symbol", "outcome", "status", "accepted", "id", "key", "echo", "cause", "reason", "note")
_MOST_AS_PLANNED = 50
"""Rows that are sent or accepted as asked; beyond these, only rows that need a person are shown."""


def batch_table(batch: BatchReport) -> tuple[list[str], list[list[str]]]:
    """Columns that say something, and the rows in the plan's order, then those that nobody asked for."""
    left = _MOST_AS_PLANNED
    rows = []
    for row in batch.rows:
        if _is_as_planned(row):
            left -= 1
            if left < 0:
                continue
        rows.append(_batch_row(row))
    rows += [_unexpected(row) for row in batch.unexpected]
    rows += [["-", "", "", "unreadable", "", "", "", "", "", "", clean(reason, 160), ""] for reason in batch.unreadable]
    return spoken(_COLUMNS, rows, always=4)


def advice(batch: BatchReport) -> str:
    """What may be done next, once for all rows it holds for."""
    rows_of: dict[str, list[int]] = {}
    for row in batch.rows:
        rows_of.setdefault(row.advice, []).append(row.index + 1)
    said = [f"{_named(rows, len(batch.rows))}: {each}" for each, rows in rows_of.items()]
    if (hidden := sum(map(_is_as_planned, batch.rows)) - _MOST_AS_PLANNED) > 0:
        said.append(f"{hidden} more rows are sent or accepted as asked and not shown: list_instructions pages them.")
    return " ".join(said)


def _batch_row(row: RowReport) -> list[str]:
    return [
        str(row.index + 1),
        f"{row.instruction_type} {row.quantity}",
        row.symbol,
        row.outcome,
        row.status or "",
        "" if row.accepted_quantity is None else plain(row.accepted_quantity),
        row.server_id or "",
        clean(row.key, 128),
        row.key_echo,
        row.reason_code or "",
        row.reason or "",
        clean("; ".join(_notes(row)), 400),
    ]


def _notes(row: RowReport) -> Iterable[str]:
    if row.deviation:
        yield f"DEVIATED: {row.deviation}"
    if row.duplicate_of:
        yield f"the original is {row.duplicate_of}"
    if row.note:
        yield row.note.rstrip(".")
    if row.said and row.outcome is not RowOutcome.REJECTED:
        yield row.said


def _unexpected(row: UnexpectedRow) -> list[str]:
    again = "" if row.repeats is None else f"row {row.repeats + 1} again"
    quantity = "?" if row.quantity is None else plain(row.quantity)
    asked, key = f"{row.instruction_type} {quantity}", row.key or ""
    return ["-", asked, row.instrument, "unexpected", row.status, "", row.server_id or "", key, "", "", "", again]


def _is_as_planned(row: RowReport) -> bool:
    fine = row.outcome in (RowOutcome.SENT, RowOutcome.ACCEPTED) and row.status in ("SENT", "ACCEPTED")
    return fine and not row.deviation and not row.is_accepted_for_less


def _named(rows: list[int], of: int) -> str:
    if len(rows) == of and of > 1:
        return "Every row"
    shown = ", ".join(map(str, rows[:20]))
    return f"Row{'' if len(rows) == 1 else 's'} {shown}{f' and {len(rows) - 20} more' if len(rows) > 20 else ''}"


MOST_ROWS = 50
_LONGEST_NOTE = 240
_NOT_READ = "not read"
_ALOUD = {
    RowState.DEVIATED: "DEVIATED from the plan",
    RowState.UNKNOWN: "with UNKNOWN outcome",
    RowState.SENDING: "being sent",
    RowState.REJECTED: "rejected",
    RowState.SUBMITTED: "submitted",
    RowState.QUEUED: "queued",
    RowState.NOT_SENT: "not sent",
    RowState.SENT: "sent, awaiting clearing",
    RowState.ACCEPTED: "accepted",
    RowState.CANCEL_REQUESTED: "cancel requested, not yet cancelled",
    RowState.CANCELLED: "cancelled",
    RowState.CANCEL_FAILED: "cancel FAILED: an operator must look, the instruction may stand",
}
_CANCELLING = (
    "Nothing here cancels an order by itself; a new close of the same with cancel_orders=true cancels it first."
)
_SETTLED = "with an unknown outcome that was settled"
_UNSENT_ALOUD = {
    OperationState.PLANNED: "nothing was sent; it is only planned",
    OperationState.AWAITING_APPROVAL: "nothing was sent; a person has yet to decide",
    OperationState.APPROVED: "APPROVED, NOT SENT",
    OperationState.DECLINED: "nothing was sent; a person declined",
    OperationState.EXPIRED: "nothing was sent; the plan expired undecided",
    OperationState.LAPSED: "nothing was sent; the approval LAPSED",
    OperationState.STALE: "nothing was sent; the account changed after the plan was made",
    OperationState.REFUSED: "nothing was sent; policy refused it",
}


class Output(Data):
    """An operation as data."""

    mode: str
    account_id: int
    operation_id: str
    kind: str
    state: str
    summary: str
    """The first line of the text, to be read aloud."""
    sent: str
    """`yes`, `no`, or `unknown`."""
    why: str | None = None
    decision: str | None = None
    replaces: str | None = None
    """The earlier plan that it took the place of."""
    cancel_orders: bool
    columns: list[str]
    rows: list[list[str]]
    rows_left_out: int | None = None
    """Rows of a large close that are not shown, none graver than those that are."""
    warnings: list[str] | None = None
    next: str


def answer_of(context: ToolContext, report: OperationReport) -> Answer:
    """An operation in words and as data."""
    data = output_of(context, report)
    lines = [data.summary, *(f"WARNING: {warning}." for warning in data.warnings or [])]
    decision = f"; {data.decision}" if data.decision else ""
    lines.append(f"Operation {data.operation_id}, {data.kind}: {data.state}{decision}.")
    if data.replaces:
        lines.append(data.replaces)
    if data.why:
        lines.append(f"Why: {data.why}")
    lines.append(table(data.columns, data.rows))
    if data.rows_left_out:
        lines.append(
            f"{data.rows_left_out} more rows, none graver than these: a person sees all with "
            f"`positions-mcp operations show {data.operation_id}`."
        )
    return Answer("\n".join([*lines, f"Next: {data.next}"]), data)


def output_of(context: ToolContext, report: OperationReport) -> Output:
    columns, rows = batch_table(report.batch) if report.batch is not None else _rows(report)
    return Output(
        mode=report.mode.shown,
        account_id=report.account_id,
        operation_id=report.operation_id,
        kind=report.kind,
        state=report.state,
        summary=summary_of(report),
        sent=sent_word(report),
        why=report.reason or None,
        decision=report.decision or None,
        replaces=report.replaces or None,
        cancel_orders=report.cancel_orders,
        columns=columns,
        rows=rows,
        rows_left_out=(len(report.rows) - len(rows)) or None if report.batch is None else None,
        warnings=[report.not_followed.rstrip(".")] if report.not_followed else None,
        next=_next(context, report),
    )


def summary_of(report: OperationReport) -> str:
    """As in `PAPER account 19816: 1 DEVIATED from the plan, 2 submitted; 1 of 3 flat.`."""
    who = f"{report.mode.shown} account {report.account_id}"
    if report.anything_sent is False:
        return f"{who}: {_unsent(report)}."
    if all(row.state is RowState.NOT_SENT for row in report.rows):
        return f"{who}: approved, and being sent now."
    if report.batch is not None:
        return f"{who}: {report.batch.headline}"
    # Rows stand gravest first, and a counter keeps that order.
    counts = Counter(_SETTLED if row.resolution else _ALOUD[row.state] for row in report.rows)
    said = ", ".join(f"{count} {words}" for words, count in counts.items())
    if not report.kind.is_close:
        return f"{who}: {said}."
    flat = sum(1 for row in report.rows if row.residual is not None and row.residual == 0)
    return f"{who}: {'; '.join([*report.alarms, said])}; {flat} of {len(report.rows)} flat."


def _unsent(report: OperationReport) -> str:
    if report.rows and all(row.residual is not None and row.residual == 0 for row in report.rows):
        return "nothing was sent; everything was flat already"
    return _UNSENT_ALOUD.get(report.state, f"nothing was sent; it is {report.state}")


def _next(context: ToolContext, report: OperationReport) -> str:
    words = report.next_step
    if report.batch is not None:
        words = f"{words} {advice(report.batch)}"
    if report.state is OperationState.APPROVED:
        return f"{words} Call {report.kind} with plan_id={report.operation_id} to send it before it lapses."
    if report.state is OperationState.AWAITING_APPROVAL:
        until = context.said(context.on_market_clock(report.expires_at))
        return f"{words} Call {report.kind} with plan_id={report.operation_id} to wait again, until {until}."
    if (release := _releases(report)) is not None:
        return (
            f"Queued orders wait for their release at {moment(release)}: ask again then with get_operation "
            f"(operation_id={report.operation_id}). {_CANCELLING}"
        )
    waits = report.batch is not None and not report.batch.is_settled
    if waits or report.state in (OperationState.SUBMITTED, OperationState.SENDING, OperationState.UNKNOWN):
        words = f"{words} (operation_id={report.operation_id}, wait_s=30)"
    is_open = any(order.is_open for row in report.rows for order in row.orders)
    return f"{words} {_CANCELLING}" if report.kind.is_close and is_open else words


def _releases(report: OperationReport) -> datetime | None:
    """When the first order goes on, where every order that is still open is queued; None where one is not."""
    if report.state not in (OperationState.SUBMITTED, OperationState.PARTIAL):
        return None
    waiting = [order for row in report.rows for order in row.orders if order.is_open]
    times = [order.releases_at for order in waiting if order.is_queued and order.releases_at is not None]
    return min(times) if times and len(times) == len(waiting) else None


def _rows(report: OperationReport) -> tuple[list[str], list[list[str]]]:
    columns = ("symbol", "state", "planned", "left", "orders", "id", "note")
    return spoken(columns, [_row(row, is_close=report.kind.is_close) for row in report.rows[:MOST_ROWS]], always=3)


def _row(row: TargetReport, *, is_close: bool) -> list[str]:
    sent = is_close and row.state is not RowState.NOT_SENT
    left = plain(row.residual) if row.residual is not None else _NOT_READ if sent else ""
    note = " ".join(part for part in (row.detail, row.resolution and f"Settled: {row.resolution}") if part)
    return [
        row.symbol,
        row.state,
        row.planned,
        left,
        clean("; ".join(map(_order, row.orders)), _LONGEST_NOTE),
        row.instruction_id or "",
        clean(note, _LONGEST_NOTE),
    ]


def _order(order: SentOrder) -> str:
    parts = [
        label(order.side or "side unknown"),
        "?" if order.quantity is None else plain(order.quantity),
        label(order.status),
    ]
    if order.filled:
        price = f" at {plain(order.average_price)}" if order.average_price is not None else ""
        parts.append(f"filled {plain(order.filled)}{price}")
    if order.is_queued and order.releases_at is not None:
        parts.append(f"until {moment(order.releases_at)}")
    return f"{' '.join(parts)}, order {label(order.order_id)}"


def sent_word(report: OperationReport) -> str:
    """Whether anything of it was sent: `yes`, `no`, or `unknown`."""
    return {True: "yes", False: "no", None: "unknown"}[report.anything_sent]


def symbols(rows: Sequence[TargetReport]) -> str:
    """What an operation is about, in a cell."""
    named = " ".join(row.symbol for row in rows[:3])
    return f"{named} +{len(rows) - 3}" if len(rows) > 3 else named
