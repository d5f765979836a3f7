"""`positions-mcp approve OPERATION`: the whole question, the passphrase, and then the truth until it is known."""

from __future__ import annotations

import argparse
from functools import partial

import anyio

from positions_mcp.cli.options import add_name, add_settings_options
from positions_mcp.cli.output import paragraph, progress
from positions_mcp.cli.record import Record, add_operation, chosen, on_error, open_record
from positions_mcp.cli.terminal import INTERRUPTED, Terminal, controlling_terminal, uninterrupted
from positions_mcp.cli.words import for_a_person, halted, money_at_stake, operation_text
from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.roster import Member
from positions_mcp.domain.operation.states import OperationState, RowState, Stage
from positions_mcp.domain.operation.supervision import covering
from positions_mcp.guard.reports import OperationReport, first_yes_said, report
from positions_mcp.guard.supervisor import Supervisor

POLL_S = 0.2
_WAITING = (OperationState.AWAITING_APPROVAL,)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show a plan and approve it with the passphrase, at a terminal; then follow it until it is sent, or is not. "
        "`positions-mcp reject OPERATION` says no."
    )
    add_operation(parser)
    add_name(parser)
    parser.add_argument("--note", metavar="TEXT", default="", help="told to who asked, and to who decides after you")
    add_settings_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Ask, sign, follow. Returns the exit code: 0 once it is sent, or once a preview is approved."""
    with controlling_terminal() as terminal, open_record(arguments) as record:
        with on_error("This command decided nothing."):
            operation = chosen(record, arguments.operation, arguments.mode, _WAITING)
            supervisor = record.supervisor(operation.plan.mode)
            member, passphrase = _ask(terminal, record, supervisor, operation, arguments.name)
            if passphrase is None:
                return _left_alone(terminal, record, operation)
        try:
            with on_error("This command decided nothing."), uninterrupted():
                who = {"name": member.name, "digest": operation.plan.digest, "note": arguments.note}
                anyio.run(partial(supervisor.approve, operation.operation_id, passphrase, **who))
            signed = record.operation(operation.operation_id)
            if signed.decision is None:
                terminal.show(paragraph(f"FIRST YES by {member.name}. Nothing is sent before another person approves."))
                return 0
            if signed.decision.of_preview:
                terminal.show(paragraph(_under_way(signed, OperationState.APPROVED)))
                return 0
            done = anyio.run(_follow, terminal, record, supervisor, operation.operation_id)
        except KeyboardInterrupt:
            return _left_alone(terminal, record, operation)
        terminal.show(operation_text(done, record.command))
    return 0 if done.anything_sent and done.state is not OperationState.REJECTED else 1


def _ask(
    terminal: Terminal, record: Record, supervisor: Supervisor, operation: Operation, name: str
) -> tuple[Member, str | None]:
    """Who it is, and their passphrase: None where the person interrupted. Raises Refused."""
    _, question = anyio.run(supervisor.question, operation.operation_id)
    terminal.show(record.heading(operation))
    terminal.show(f"\n*** {money_at_stake(operation.plan.mode)} ***\n")
    terminal.show(paragraph(question))
    _check_open(record, operation)
    record.roster()  # where nobody is set up, nobody is asked
    if first := first_yes_said(record.store, operation):
        terminal.show(paragraph(first))
    for halt in covering(record.store.halts(), operation.plan):
        terminal.show(paragraph(f"{halted(halt)}. While it is, an approval is not sent."))
    terminal.show(paragraph(_what_comes_of_a_yes(record, operation)))
    member = record.person(terminal, name)
    try:
        to_do = f"APPROVE in {operation.plan.mode.shown} (Ctrl-C decides nothing)"
        terminal.show("")
        return member, record.passphrase_of(member, terminal, to_do)
    except KeyboardInterrupt:
        return member, None


def _check_open(record: Record, operation: Operation) -> None:
    """Raise Refused unless it waits for a decision that this command can give."""
    said = report(operation, record.now())
    if operation.plan.flatten:
        raise Refused("It belongs to the terminal that runs `flatten`.", hint="Nothing was decided.")
    if said.state not in (OperationState.PLANNED, OperationState.AWAITING_APPROVAL):
        raise Refused(f"It is {said.state}: there is nothing to approve.", hint=for_a_person(said, record.command))


def _what_comes_of_a_yes(record: Record, operation: Operation) -> str:
    """Said before the passphrase is typed: who would send it."""
    plan, now = operation.plan, record.now()
    if operation.stage is Stage.PLANNED:
        return (
            "It was only previewed. A yes is used by the call that asks to send it, until "
            f"{moment(plan.expires_at)}{plan.mode.real_clock}; nothing is sent before."
        )
    if any(server.can_send(plan) for server in record.store.servers(now)):
        return "Once it is approved a server of this store sends it at once."
    return (
        "No server that would send it by itself is known to be alive: unless the call that asked for it still waits, a "
        "yes lapses unused."
    )


async def _follow(terminal: Terminal, record: Record, supervisor: Supervisor, operation_id: str) -> OperationReport:
    """Say each state as it comes, until no more will be sent."""
    shown = ""
    with progress("Waiting for what becomes of it") as line:
        while True:
            operation, _ = await supervisor.question(operation_id)
            now = record.now()
            state = operation.state(now)
            if operation.stage not in (Stage.APPROVED, Stage.CLAIMED) or state is OperationState.LAPSED:
                return report(operation, now)
            words = _under_way(operation, state)
            if words != shown:
                line.clear()
                terminal.show(words)
                shown = words
            await anyio.sleep(POLL_S)


def _under_way(operation: Operation, state: OperationState) -> str:
    if operation.stage is Stage.CLAIMED and all(row.state is RowState.NOT_SENT for row in operation.rows):
        return "SENDING: a server has taken it and reads the account again; its first request has not left yet."
    if state is OperationState.SENDING:
        return "SENDING: a request has left, its answer is not here yet."
    real = operation.plan.mode.real_clock
    until = f"{moment(operation.decision.expires_at)}{real}" if operation.decision else "its end"
    if operation.decision and operation.decision.of_preview:
        return f"APPROVED - NOT SENT: the call that asks for it sends it; if none does, it lapses at {until}."
    return f"APPROVED - NOT SENT: a server of this store sends it; if none does, it lapses at {until}."


def _left_alone(terminal: Terminal, record: Record, operation: Operation) -> int:
    """Interrupted: say what the store now holds, whoever decided."""
    now = record.operation(operation.operation_id)
    said = report(now, record.now())
    terminal.show(f"\nNo longer watching. {said.headline}.")
    if now.stage is Stage.APPROVED:
        terminal.show(_under_way(now, said.state))
        take_back = record.command(f"reject {now.operation_id}")
        terminal.show(f"`{take_back}` takes the yes back while no server has taken it.")
    elif now.stage.is_open:
        terminal.show("Nothing was decided, nothing was sent.")
    else:
        terminal.show(paragraph(for_a_person(said, record.command)))
    return INTERRUPTED
