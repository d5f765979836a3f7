"""`positions-mcp operations settle OPERATION [SYMBOL]`: a person concludes what became of an unknown outcome.

The program may conclude by itself that a request took effect, never that one did not: an unchanged book proves nothing.
"""

from __future__ import annotations

import argparse
from functools import partial

import anyio

from positions_mcp.cli.account_view import evidence, followed
from positions_mcp.cli.output import paragraph
from positions_mcp.cli.record import open_record
from positions_mcp.cli.terminal import INTERRUPTED, Terminal, controlling_terminal
from positions_mcp.cli.words import money_at_stake, operation_text
from positions_mcp.domain.errors import InvalidInput, Refused
from positions_mcp.domain.operation.operation import Conclusion, Operation, Row
from positions_mcp.guard.deciding import digest_of_row


def run(arguments: argparse.Namespace) -> int:
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
