"""`positions-mcp operations …`: what was planned, decided and sent, what is left, and whether the record is intact."""

from __future__ import annotations

import argparse

import anyio

from positions_mcp.cli import settle
from positions_mcp.cli.account_view import followed
from positions_mcp.cli.options import add_name, add_settings_options, whole_number
from positions_mcp.cli.output import add_json_option, paragraph, print_json, progress, say, table
from positions_mcp.cli.record import on_error, open_record
from positions_mcp.cli.shapes import halt_shape, operation_shape, report_shape, told_of
from positions_mcp.cli.waiting import notional, what
from positions_mcp.cli.words import halted, operation_text
from positions_mcp.domain.account.sessions import NEW_YORK, moment
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.supervision import JournalEntry, Verification
from positions_mcp.guard.approval.questions import question
from positions_mcp.guard.reports import report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="operations_command", required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="recent operations", description="Recent operations, newest first.")
    listing.add_argument("--limit", metavar="N", type=whole_number, default=20, help="how many (default 20)")
    showing = commands.add_parser(
        "show",
        help="one operation: question, decision, rows, what is left, journal",
        description="One operation, with what is left of each target as the account now says.",
    )
    showing.add_argument("operation", metavar="OPERATION")
    showing.add_argument("--offline", action="store_true", help="as last recorded: do not read the account")
    verifying = commands.add_parser(
        "verify",
        help="whether the journal is unaltered",
        description="Walk the journal's hash chain and compare what it describes. Exit code 0 if all holds, else 1.",
    )
    settling = commands.add_parser(
        "settle",
        help="conclude what became of an unknown outcome",
        description="Say whether a request of unknown outcome took effect, after having looked elsewhere: at a "
        "terminal, with the passphrase. What the program knows is shown first.",
    )
    settling.add_argument("operation", metavar="OPERATION")
    settling.add_argument("symbol", metavar="SYMBOL", nargs="?", help="only this row; otherwise each that is unknown")
    add_name(settling)
    for command in (listing, showing, verifying, settling):
        add_settings_options(command)
        if command is not settling:
            add_json_option(command)


def run(arguments: argparse.Namespace) -> int:
    commands = {"list": _list, "show": _show, "verify": _verify, "settle": settle.run}
    with on_error("This command sent nothing."):
        return commands[arguments.operations_command](arguments)


def _list(arguments: argparse.Namespace) -> int:
    with open_record(arguments) as record:
        now = record.now()
        found = [
            operation
            for operation in record.store.operations(limit=max(arguments.limit, 1))
            if arguments.mode in (None, operation.plan.mode)
        ]
        halts = record.store.halts()
        if arguments.json:
            shown = [operation_shape(operation, now) for operation in found]
            print_json({"place": record.place, "halts": list(map(halt_shape, halts)), "operations": shown})
            return 0
        say(f"Operations in {record.place}")
        for halt in halts:
            say(paragraph(f"{halted(halt)} (since {moment(halt.at)})"))
        if not found:
            say("None.")
            return 0
        heading = ("OPERATION", "MODE", "ACCOUNT", "STATE", "PLANNED (NEW YORK)", "NOTIONAL", "WHAT", "LEFT")
        rows = [
            (
                operation.operation_id,
                operation.plan.mode.shown,
                str(operation.account_id),
                operation.state(now),
                f"{operation.plan.created_at.astimezone(NEW_YORK):%m-%d %H:%M}",
                notional(operation),
                what(operation),
                _left(operation),
            )
            for operation in found
        ]
        say("\n".join(table(heading, rows)))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    with open_record(arguments) as record:
        operation = record.operation(arguments.operation, arguments.mode)
        if arguments.offline:
            found = report(operation, record.now())
        else:
            with progress(f"Reading account {operation.account_id}"):
                found = anyio.run(followed, record, arguments, operation)
        journal = record.store.journal(operation.operation_id)
        if arguments.json:
            # What was read may have moved it on.
            shape = operation_shape(record.operation(operation.operation_id), record.now())
            shape |= report_shape(found, question(operation.plan), journal)
            print_json({"place": record.place, "operation": shape})
            return 0
        say(record.heading(operation))
        say(paragraph(question(operation.plan)))
        if operation.plan.policy:
            rights = f", asked for with the rights {', '.join(operation.plan.rights)}" if operation.plan.rights else ""
            say(f"Planned under policy {operation.plan.policy}{rights}.")
        say(f"\n{operation_text(found, record.command)}\n\nJournal")
        say("\n".join(table(("TIME (NEW YORK)", "EVENT", "DETAIL"), map(_entry, journal))))
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    with open_record(arguments) as record:
        with progress("Walking the journal"):
            found = record.store.verify()
        if arguments.json:
            print_json({"place": record.place} | dict(found))
        else:
            say(f"PAPER and LIVE, every account, {record.place}")
            say(paragraph(_said_of(found)))
    return 0 if found.intact else 1


def _said_of(found: Verification) -> str:
    if not found.intact:
        return (
            f"BROKEN: {found.problem}\n"
            "Servers refuse to send with this store. Keep it as evidence; compare it with a copy."
        )
    return (
        f"INTACT: {found.entries} journal entries, head {found.head}\n"
        "Note the head elsewhere: it shows later whether the end of the journal was cut off."
    )


def _left(operation: Operation) -> str:
    flat = sum(row.is_flat for row in operation.rows)
    doubt = sum(row.is_in_doubt for row in operation.rows)
    return f"{flat}/{len(operation.rows)} flat" + (f", {doubt} unknown" if doubt else "")


def _entry(entry: JournalEntry) -> tuple[str, str, str]:
    told = list(told_of(entry).values())
    for row in entry.content.get("rows", ()):
        conclusion = (row.get("resolution") or {}).get("conclusion", "")
        told.append(f"{row['position'] + 1}. {row.get('state', 'NOT_SENT')} {conclusion}".rstrip())
    return f"{entry.at.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S}", entry.event, ", ".join(told)
