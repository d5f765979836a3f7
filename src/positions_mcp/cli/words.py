"""How a person's own commands say what happened: plain text, and nothing from outside that is not cleaned."""

from __future__ import annotations

from collections.abc import Callable

from positions_mcp.cli.output import paragraph, table
from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.operation import Operation, SentOrder
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.domain.text import clean, label
from positions_mcp.guard.reports import OperationReport, TargetReport

_LONGEST_LIST_OF_SYMBOLS = 24


def what(operation: Operation) -> str:
    """`close KO, JPM +3`: kind and symbols, short enough for a table."""
    verb = "close all" if operation.plan.kind == "close_all_positions" else operation.plan.kind.split("_")[0]
    symbols = [label(target.symbol) for target in operation.plan.targets]
    shown = symbols[:1]
    for symbol in symbols[1:]:
        if len(", ".join([*shown, symbol])) > _LONGEST_LIST_OF_SYMBOLS:
            break
        shown.append(symbol)
    rest = f" +{len(symbols) - len(shown)}" if len(symbols) > len(shown) else ""
    return f"{verb} {', '.join(shown)}{rest}"


def notional(operation: Operation) -> str:
    """`27084.00`, what counts against the limits; `?` behind it where a price was missing."""
    missing = "" if all(target.priced for target in operation.plan.targets) else "?"
    return f"{plain(operation.plan.measure)}{missing}"


def halted(halt: Halt) -> str:
    """`HALTED by ana: news`, or `HALTED: closing positions in account 19816, by ana: news`."""
    scope = "" if halt.is_of_everything else f": {halt.scope},"
    return f"HALTED{scope} by {halt.by}: {halt.reason}"


def money_at_stake(mode: Mode) -> str:
    """`LIVE (REAL MONEY)` or `PAPER (no real money)`."""
    return f"{mode.shown} ({'REAL MONEY' if mode is Mode.LIVE else 'no real money'})"


def operation_text(report: OperationReport, command: Callable[[str], str]) -> str:
    """An operation for a person: the headline, why, what is known and left of each target, and what to do next."""
    said = [
        clean(report.headline),
        f"{report.operation_id}: {report.kind}"
        + (f", cancel_orders {str(report.cancel_orders).lower()}" if report.kind.is_close else ""),
    ]
    if report.batch is not None:
        said.append(paragraph(report.batch.headline, indent="  "))
    said += [paragraph(text, indent="  ") for text in (report.decision, report.reason, report.not_followed) if text]
    lines = iter(table(("SYMBOL", "STATE", "PLANNED", "LEFT", "ORDERS"), map(_cells, report.rows)))
    said.append(next(lines))
    for line, row in zip(lines, report.rows, strict=True):
        said.append(line)
        said += [
            paragraph(text, indent="    ") for text in (row.detail, row.resolution) if text not in ("", report.reason)
        ]
    said.append(paragraph(for_a_person(report, command)))
    return "\n".join(said)


def for_a_person(report: OperationReport, command: Callable[[str], str]) -> str:
    """What to do next, with the commands that a person has instead of the assistant's tools."""
    show = f"`{command(f'operations show {report.operation_id}')}`"
    settle = f"`{command(f'operations settle {report.operation_id}')}`"
    return report.next_step.replace("get_operation", show).replace("positions-mcp operations settle", settle)


def order_text(order: SentOrder) -> str:
    """`FILLED 100/100 at 187.10`."""
    size = "" if order.quantity is None else f" {plain(order.filled or order.quantity * 0)}/{plain(order.quantity)}"
    price = "" if order.average_price is None else f" at {plain(order.average_price)}"
    until = "" if order.releases_at is None else f" until {moment(order.releases_at)}"
    return f"{order.status}{size}{price}{until}"


def _cells(row: TargetReport) -> tuple[str, ...]:
    left = "-" if row.instruction_id else "not read" if row.residual is None else plain(row.residual)
    return row.symbol, row.state, row.planned, left, ", ".join(map(order_text, row.orders)) or "-"
