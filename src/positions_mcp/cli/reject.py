"""`positions-mcp reject OPERATION`: say no. A no is always allowed: it takes no passphrase and no terminal."""

from __future__ import annotations

import argparse
from functools import partial

import anyio

from positions_mcp.cli.options import add_settings_options
from positions_mcp.cli.output import say
from positions_mcp.cli.record import add_operation, chosen, on_error, open_record, os_user
from positions_mcp.cli.words import operation_text
from positions_mcp.domain.operation.states import OperationState

_WAITING = (OperationState.AWAITING_APPROVAL, OperationState.APPROVED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Say no to a plan, or take back a yes that no call has used yet. Needs no passphrase: a no is always allowed."
    )
    add_operation(parser)
    parser.add_argument("--reason", metavar="TEXT", default="", help="told to who asked")
    add_settings_options(parser)


def run(arguments: argparse.Namespace) -> int:
    with on_error("This command decided nothing."), open_record(arguments) as record:
        operation = chosen(record, arguments.operation, arguments.mode, _WAITING)
        supervisor = record.supervisor(operation.plan.mode)
        report = anyio.run(partial(supervisor.reject, operation.operation_id, by=os_user(), note=arguments.reason))
        say(record.heading(operation))
        say(operation_text(report, record.command))
    return 0
