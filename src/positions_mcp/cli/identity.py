"""Who is at the terminal, where several people approve. Where one does alone, nobody is asked for a name."""

from __future__ import annotations

import argparse

from positions_mcp.cli.record import Record
from positions_mcp.cli.terminal import Terminal
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.roster import Member, Roster
from positions_mcp.domain.text import quoted


def add_name(parser: argparse.ArgumentParser) -> None:
    """`--as NAME`."""
    parser.add_argument("--as", dest="name", metavar="NAME", default="", help="who you are, where several may decide")


def roster_of(record: Record) -> Roster:
    """Who may decide. Raises Refused where nobody is set up."""
    roster = record.store.rosters().roster
    if roster is None:
        raise Refused("No approver is set up.", hint=f"Run: `{record.command('approver init')}`")
    return roster


def person(record: Record, terminal: Terminal, name: str) -> Member:
    """Who is called so, or types their name, or is the only one. Raises Refused."""
    roster = roster_of(record)
    if roster.only is not None and not name:
        return roster.only
    names = ", ".join(member.name for member in roster.members)
    said = name or terminal.ask(f"Who are you ({names})? ").strip()
    member = roster.member(said)
    if member is None:
        raise Refused(f"Nobody called {quoted(said, 40)} approves here.", hint=f"Those who do: {names}.")
    return member


def whose(roster: Roster, member: Member) -> str:
    """What stands before a prompt for a passphrase: nothing where there is one person only."""
    return "" if roster.only is not None else f"{member.name}: "
