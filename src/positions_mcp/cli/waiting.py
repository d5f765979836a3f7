"""Which operation a person's command is about: the one named, or the only one that waits for a decision."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import datetime

from positions_mcp.cli.output import table
from positions_mcp.cli.record import Record
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.states import OperationState, Stage
from positions_mcp.domain.text import label

_MOST_LOOKED_AT = 1000
_LONGEST_LIST_OF_SYMBOLS = 24


def add_operation(parser: argparse.ArgumentParser) -> None:
    """What `chosen` is given."""
    told = "its id; without one the only plan that waits, or a list"
    parser.add_argument("operation", metavar="OPERATION", nargs="?", help=told)


def chosen(record: Record, operation_id: str | None, mode: str | None, states: Iterable[OperationState]) -> Operation:
    """The operation of that id; without one the only one that waits in one of `states`.

    Raises InvalidInput where there is none of that id, none waits, or several do; then the message lists them.
    """
    if operation_id is not None:
        return record.operation(operation_id, mode)
    now = record.now()
    approved = record.store.in_stages((Stage.APPROVED,), _MOST_LOOKED_AT)
    undecided = record.store.waiting(now, _MOST_LOOKED_AT)
    waiting = [
        operation
        for operation in (*undecided, *approved)
        if operation.state(now) in states and mode in (None, operation.plan.mode) and not operation.plan.flatten
    ]
    if not waiting:
        previewed = sum(operation.stage is Stage.PLANNED for operation in undecided)
        named = f" {previewed} previewed, which nobody has asked to send: name one to decide it." if previewed else ""
        raise InvalidInput(f"Nothing waits for a decision in {record.place}.{named}", hint="Nothing was decided.")
    if len(waiting) > 1:
        heading = ("OPERATION", "MODE", "ACCOUNT", "NOTIONAL", "EXPIRES IN", "WHAT")
        rows = [
            (
                each.operation_id,
                each.plan.mode.shown,
                str(each.account_id),
                notional(each),
                _left(each, now),
                what(each),
            )
            for each in waiting
        ]
        listed = "\n".join(table(heading, rows))
        raise InvalidInput(
            f"{len(waiting)} plans wait for a decision: name one. This command decided nothing.\n{listed}"
        )
    return waiting[0]


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


def _left(operation: Operation, now: datetime) -> str:
    expires = operation.decision.expires_at if operation.decision else operation.plan.expires_at
    seconds = max(int((expires - now).total_seconds()), 0)
    return f"{seconds // 60} min {seconds % 60:02} s"
