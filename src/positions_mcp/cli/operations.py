"""`positions-mcp operations …`: what was planned, decided and sent, what is left, and whether the record is intact.

`settle` is for what stays unknown. The program may conclude by itself that a request took effect, never that one did
not: an unchanged book proves nothing.
"""

from __future__ import annotations

import argparse
from functools import partial

import anyio

from positions_mcp.cli.options import accounts_of, add_name, add_subcommands, whole_number
from positions_mcp.cli.output import add_json_option, paragraph, print_json, progress, say, table
from positions_mcp.cli.record import Record, account_dependencies, on_error, open_record, settings_for
from positions_mcp.cli.shapes import halt_shape, operation_shape, report_shape, told_of
from positions_mcp.cli.terminal import INTERRUPTED, Terminal, controlling_terminal
from positions_mcp.cli.words import halted, money_at_stake, notional, operation_text, order_text, what
from positions_mcp.clock import SystemClock
from positions_mcp.domain.account.sessions import NEW_YORK, moment
from positions_mcp.domain.errors import ConfigurationError, InvalidInput, Refused, UpstreamError
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.operation import Conclusion, Operation, Row, SentOrder
from positions_mcp.domain.operation.plan import CloseTarget, HeldTarget, Mode, Target
from positions_mcp.domain.operation.search import Search
from positions_mcp.domain.operation.supervision import JournalEntry, Verification
from positions_mcp.domain.text import label
from positions_mcp.guard.approval.questions import question
from positions_mcp.guard.deciding import digest_of_row
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.guard import Guard
from positions_mcp.guard.reports import OperationReport, report

_MOST_SHOWN = 12


async def followed(record: Record, arguments: argparse.Namespace, operation: Operation) -> OperationReport:
    """The operation as the account now shows it, or as last recorded with why the account was not read."""
    if not any(row.is_unfinished for row in operation.rows):
        return report(operation, SystemClock().now())
    try:
        settings = settings_for(arguments, operation.account_id, mode=operation.plan.mode)
        async with account_dependencies(settings, record.store) as parts:
            return await Guard(parts).operation(operation.operation_id)
    except ConfigurationError as error:
        return report(operation, SystemClock().now(), not_followed=f"The account was not read: {error}")


async def evidence(
    record: Record, arguments: argparse.Namespace, operation: Operation, rows: list[Row]
) -> dict[int, list[str]]:
    """For each row, by position, what the account shows of its instrument: holding, orders, instructions."""
    try:
        settings = settings_for(arguments, operation.account_id, mode=operation.plan.mode)
        async with account_dependencies(settings, record.store) as parts:
            return {row.position: await _shown(parts, operation, row) for row in rows}
    except (ConfigurationError, UpstreamError) as error:
        return {row.position: [f"The account was not read: {error}"] for row in rows}


async def _shown(parts: Dependencies, operation: Operation, row: Row) -> list[str]:
    target = operation.plan.targets[row.position]
    book = await parts.positions.read_book(operation.account_id)
    held = book.by_id.get(target.instrument_id)
    holding = "none" if held is None else plain(held.quantity)
    incomplete = "" if book.is_complete else " (the listing was incomplete)"
    said = [f"Held now: {holding} {target.called}{incomplete}"]
    if isinstance(target, HeldTarget) and target.is_everything:
        said = [f"Held now: {sum(position.quantity != 0 for position in book.positions)} positions{incomplete}"]
    if isinstance(target, CloseTarget | HeldTarget):
        return [*said, *await _orders(parts, operation, target)]
    return [*said, *await _instructions(parts, operation, target)]


async def _orders(parts: Dependencies, operation: Operation, target: Target) -> list[str]:
    if parts.orders is None:
        return ["Orders cannot be read here."]
    try:
        found = await parts.orders.read_orders(operation.account_id, instrument_ids=[target.instrument_id])
    except UpstreamError as error:
        return [f"Orders could not be read: {error.message}"]
    lines = [
        f"Order {'' if order.created_at is None else moment(order.created_at)} {order.side or '?'} "
        f"{order_text(SentOrder.of(order))}"
        for order in sorted(found, key=lambda order: (order.created_at is not None, order.created_at))
    ]
    return lines[-_MOST_SHOWN:] or [f"No order for {target.called} is listed."]


async def _instructions(parts: Dependencies, operation: Operation, target: Target) -> list[str]:
    if parts.instructions is None:
        return ["Instructions cannot be read here."]
    try:
        found = await parts.instructions.get_position_instructions(operation.account_id, target.instrument_id)
    except UpstreamError as error:
        return [f"Instructions could not be read: {error.message}"]
    lines = [
        f"Instruction {label(row.id)} {label(row.instruction_type)} "
        f"{'?' if row.quantity is None else plain(row.quantity)} {label(row.status)}"
        for row in found.data
    ]
    doubts = [f"The listing is not complete: {said}." for said in found.left_out]
    return [*doubts, *(lines[-_MOST_SHOWN:] or [f"No instruction for {target.called} is listed."])]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    told = {
        "list": "recent operations, newest first",
        "show": "one operation: question, decision, rows, what is left of each as the account now says, journal",
        "verify": "whether the journal is unaltered: its hash chain, and what it describes; exit code 1 where not",
        "settle": "conclude what became of an unknown outcome, after having looked elsewhere: at a terminal, with the "
        "passphrase; what the program knows is shown first",
    }
    commands = add_subcommands(parser, "operations_command", told)
    commands["list"].add_argument("--limit", metavar="N", type=whole_number, default=20, help="how many (default 20)")
    commands["show"].add_argument("operation", metavar="OPERATION")
    commands["show"].add_argument("--offline", action="store_true", help="as last recorded: do not read the account")
    settling = commands["settle"]
    settling.add_argument("operation", metavar="OPERATION")
    settling.add_argument("symbol", metavar="SYMBOL", nargs="?", help="only this row; otherwise each that is unknown")
    add_name(settling)
    for name in ("list", "show", "verify"):
        add_json_option(commands[name])


def run(arguments: argparse.Namespace) -> int:
    commands = {"list": _list, "show": _show, "verify": _verify, "settle": _settle}
    with on_error("This command sent nothing."):
        return commands[arguments.operations_command](arguments)


def _list(arguments: argparse.Namespace) -> int:
    with open_record(arguments) as record:
        now = record.now()
        wanted = Search(
            accounts=frozenset(accounts_of(arguments)) or None, mode=Mode(arguments.mode) if arguments.mode else None
        )
        found = record.store.search(wanted, now, limit=max(arguments.limit, 1)).operations
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
            say(record.heading_of_all)
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


def _settle(arguments: argparse.Namespace) -> int:
    """Show what is known, ask for the conclusion and the passphrase, and record it. Returns the exit code."""
    with controlling_terminal() as terminal, open_record(arguments) as record:
        found = record.operation(arguments.operation, arguments.mode)
        known = anyio.run(followed, record, arguments, found)
        operation = record.operation(found.operation_id)
        terminal.show(record.heading(operation))
        terminal.show(f"\n*** {money_at_stake(operation.plan.mode)} ***\n")
        terminal.show(operation_text(known, record.command))
        rows = _to_settle(operation, arguments.symbol)
        record.roster()  # where nobody is set up, nobody is asked
        try:
            concluded = _ask(terminal, operation, rows, anyio.run(evidence, record, arguments, operation, rows))
            why = terminal.ask("\nHow do you know (the broker's own page, a call, a statement)? ").strip()
            if not why:
                raise InvalidInput("No reason was given.", hint="Nothing was settled.")
            member = record.person(terminal, arguments.name)
            passphrase = record.passphrase_of(member, terminal, "settle (Ctrl-C settles nothing)")
        except KeyboardInterrupt:
            terminal.show("\nNothing was settled.")
            return INTERRUPTED
        supervisor = record.supervisor(operation.plan.mode)
        settle = partial(supervisor.settle, name=member.name, evidence=why)
        for row, conclusion in concluded:
            target = operation.plan.targets[row.position]
            settling = partial(settle, shown=digest_of_row(operation, row))
            done = anyio.run(settling, operation.operation_id, row.position, conclusion, passphrase)
            terminal.show(f"\nSETTLED: {target.called} {conclusion}.\n{operation_text(done, record.command)}")
    return 0


def _to_settle(operation: Operation, symbol: str | None) -> list[Row]:
    """The rows in doubt, or the one that was named. Raises Refused where there is none."""
    rows = [
        row
        for target, row in zip(operation.plan.targets, operation.rows, strict=True)
        if row.is_in_doubt and (symbol is None or target.goes_by(symbol))
    ]
    if not rows:
        what = operation.operation_id if symbol is None else f"that row of {operation.operation_id}"
        raise Refused(f"There is nothing to settle: no outcome of {what} is unknown.", hint="Nothing was settled.")
    return rows


def _ask(
    terminal: Terminal, operation: Operation, rows: list[Row], shown: dict[int, list[str]]
) -> list[tuple[Row, Conclusion]]:
    """What the person types for each row. Raises InvalidInput for anything but one of the two conclusions."""
    concluded = []
    words = " / ".join(Conclusion)
    for row in rows:
        target = operation.plan.targets[row.position]
        terminal.show(f"\n{target.called}: {row.detail}")
        terminal.show("\n".join(paragraph(line, indent="  ") for line in shown[row.position]))
        typed = " ".join(terminal.ask(f"{target.called}: type what is true ({words}): ").lower().split())
        if typed not in list(Conclusion):
            raise InvalidInput("That is neither of the two.", hint="Nothing was settled.")
        concluded.append((row, Conclusion(typed)))
    return concluded
