"""`positions-mcp approver …`: who decides as a supervisor, and how much. Passphrases are typed at a terminal."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Literal

import anyio
from pydantic import ValidationError

from positions_mcp.cli.options import add_name, add_subcommands, whole_number
from positions_mcp.cli.output import add_json_option, print_json, say
from positions_mcp.cli.record import Record, on_error, open_record
from positions_mcp.cli.shapes import approvers_shape
from positions_mcp.cli.terminal import Terminal, controlling_terminal
from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.errors import InvalidInput, Refused
from positions_mcp.domain.ids import AccountId, account_id
from positions_mcp.domain.operation.roster import ANYTHING, FIRST_NAME, Member, Rights, Roster, plain_name
from positions_mcp.domain.operation.statements import TERMINAL, Passkey
from positions_mcp.domain.text import clean
from positions_mcp.guard.enrolling import Change, adding_member, changing_member, removing_member
from positions_mcp.signing.keys import SHORTEST_PASSPHRASE


def lines_of(member: Member) -> Iterator[str]:
    """A member with what they decide with and how much."""
    yield f"{member.name}{', may change who approves' if member.manages else ''}"
    for credential in member.credentials:
        at = f" at {credential.origin}" if isinstance(credential, Passkey) else ""
        yield f"  {credential.kind} {credential.fingerprint}{at}, since {moment(credential.created_at)}"
    for rights in member.rights:
        yield f"  {said_of(rights)}"
    if member.callers:
        yield f"  asks as {', '.join(clean(each, 200) for each in member.callers)}"


def said_of(rights: Rights) -> str:
    """One line on what somebody may do where."""
    where = "every account" if rights.account_id is None else f"account {rights.account_id}"
    if rights.approves == ANYTHING:
        what = "approves anything"
    else:
        what = f"approves up to ${rights.approves:,f} a day" if rights.approves else "sees"
    return f"{where}: {what}{', ends halts and settles' if rights.resumes_and_settles else ''}"


def lines_of_change(before: Roster, after: Roster) -> Iterator[str]:
    """What another roster changes: each member who is new or other than before, and those who are gone."""
    for member in after.members:
        if member not in before.members:
            yield from lines_of(member)
    for member in before.members:
        if after.member(member.name) is None:
            yield f"{member.name} decides no more."


_ADVICE = (
    f"At least {SHORTEST_PASSPHRASE} characters; four random words are good. Whoever knows it decides what is sent:\n"
    "keep it out of every chat, file and command line. It is not stored and cannot be recovered."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    told = {
        "init": "choose the passphrase that approves on the supervisor's page; of the first approver",
        "replace": "choose another passphrase of your own; takes the old one",
        "list": "who may decide, what and how much",
        "show": "the same as list",
        "add": "add a person, who types a passphrase of their own; an approver who may signs it",
        "remove": "remove a person; an approver who may signs it",
        "role": "change what a person may decide; an approver who may signs it",
    }
    commands = add_subcommands(parser, "approver_command", told)
    init = commands["init"]
    init.add_argument(
        "name", metavar="NAME", type=_name, nargs="?", default=FIRST_NAME, help="what the approver is called"
    )
    add_name(commands["replace"])
    for name in ("list", "show"):
        add_json_option(commands[name])
    for name in ("add", "remove", "role"):
        commands[name].add_argument("name", metavar="NAME", type=_name)
        commands[name].add_argument(
            "--as", dest="by", metavar="NAME", default="", help="who you are, who signs the change"
        )
    for name in ("add", "role"):
        _add_rights(commands[name])


def _add_rights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--up-to", metavar="DOLLARS", type=_amount, help="approves up to so much a day; 0 only sees; anything is no end"
    )
    parser.add_argument(
        "--in", dest="there", metavar="ACCOUNT", type=whole_number, action="append", help="there only; may be repeated"
    )
    parser.add_argument(
        "--settles", action=argparse.BooleanOptionalAction, default=None, help="may end halts and settle outcomes"
    )
    parser.add_argument(
        "--manages", action=argparse.BooleanOptionalAction, default=None, help="may change who approves"
    )
    parser.add_argument(
        "--caller", metavar="NAME", action="append", help="a token's subject or system user by which this person asks"
    )


def _name(text: str) -> str:
    try:
        return plain_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _amount(text: str) -> Decimal | Literal["anything"]:
    if text == ANYTHING:
        return ANYTHING
    try:
        amount = Decimal(text.replace(",", "").removeprefix("$"))
        return Rights.model_validate({"approves": amount}).approves
    except (InvalidOperation, ValidationError) as error:
        raise argparse.ArgumentTypeError("dollars, 0 or more, or anything") from error


def run(arguments: argparse.Namespace) -> int:
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "init": _init,
        "replace": _replace,
        "list": _list,
        "show": _list,
        "add": _add,
        "remove": _remove,
        "role": _role,
    }
    with on_error("Nothing was changed."):
        return commands[arguments.approver_command](arguments)


def _init(arguments: argparse.Namespace) -> int:
    with controlling_terminal() as terminal, open_record(arguments) as record:
        if (there := record.store.rosters().roster) is not None:
            names = ", ".join(f"{member.name} {member.credentials[0].fingerprint}" for member in there.members)
            raise Refused(
                f"There is an approver already, {names}, in {record.place}.",
                hint=f"`{record.command('approver replace')}` changes a passphrase, `{record.command('approver add')} "
                "NAME` adds a person.",
            )
        terminal.show(record.heading_of_all)
        terminal.show(_ADVICE)
        set_up = partial(record.supervisor().set_up_approver, name=arguments.name)
        member = anyio.run(set_up, new_passphrase(terminal))
        terminal.show(f"{_named(member)} is set up: `{record.command('approve OPERATION')}` decides from now on.")
    return 0


def _replace(arguments: argparse.Namespace) -> int:
    with controlling_terminal() as terminal, open_record(arguments) as record:
        terminal.show(record.heading_of_all)
        member = record.person(terminal, arguments.name)
        supervisor = record.supervisor()
        old = terminal.ask_secret(f"Old passphrase of {_named(member, capital=False)}: ")
        anyio.run(supervisor.check_passphrase, old, member.name)
        terminal.show(_ADVICE)
        replace = partial(supervisor.replace_approver, name=member.name)
        now = anyio.run(replace, old, new_passphrase(terminal))
        terminal.show(f"{_named(now)} replaces {member.credentials[0].fingerprint}.")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    with open_record(arguments) as record:
        chain = record.store.rosters()
        if arguments.json:
            print_json(approvers_shape(chain, record.place))
            return 0 if chain.roster else 1
        say(record.heading_of_all)
        if chain.roster is None:
            say(f"No approver is set up. Run: `{record.command('approver init')}`")
            return 1
        for member in chain.roster.members:
            say("\n".join(lines_of(member)))
        if chain.links:
            signed = chain.links[-1].signed
            at = moment(signed.statement.decided_at)
            say(f"Roster {chain.roster.version}, signed by {signed.by} at {at}")
    return 0


def _add(arguments: argparse.Namespace) -> int:
    def change(terminal: Terminal, record: Record) -> Change:
        if record.roster().member(arguments.name) is not None:
            raise Refused(f"There is an approver called {arguments.name} already.")
        rights = tuple(_rights(arguments, ()))
        terminal.show(f"{arguments.name} chooses a passphrase now, and nobody else sees it.\n{_ADVICE}")
        chosen = new_passphrase(terminal)
        key = anyio.run(record.supervisor().enrolling.new_key, arguments.name, chosen)
        member = Member(
            name=arguments.name,
            credentials=(key,),
            rights=rights,
            manages=bool(arguments.manages),
            callers=tuple(arguments.caller or ()),
        )
        return adding_member(member)

    return _changed(arguments, change)


def _remove(arguments: argparse.Namespace) -> int:
    return _changed(arguments, lambda _, __: removing_member(arguments.name))


def _role(arguments: argparse.Namespace) -> int:
    def change(_: Terminal, record: Record) -> Change:
        member = record.roster().member(arguments.name)
        if member is None:
            raise Refused(f"There is no approver called {arguments.name}.")
        changes: dict[str, object] = {"rights": tuple(_rights(arguments, member.rights))}
        if arguments.manages is not None:
            changes["manages"] = arguments.manages
        if arguments.caller is not None:
            changes["callers"] = tuple(filter(None, arguments.caller))
        return changing_member(arguments.name, **changes)

    return _changed(arguments, change)


def _rights(arguments: argparse.Namespace, held: Sequence[Rights]) -> Sequence[Rights]:
    """The rights that are held, changed in the accounts that were named, or in each that they are about already."""
    of_each = {rights.account_id: rights for rights in held}
    named: list[AccountId | None] = [account_id(number) for number in arguments.there or ()]
    for account in named or list(of_each) or [None]:
        before = of_each.get(account, Rights(account_id=account))
        said = {"approves": arguments.up_to, "resumes_and_settles": arguments.settles}
        if held and all(value is None for value in said.values()):
            continue
        of_each[account] = before.changed(**{name: value for name, value in said.items() if value is not None})
    return list(of_each.values())


def _changed(arguments: argparse.Namespace, change: Callable[[Terminal, Record], Change]) -> int:
    """Make a change of the roster, signed by who may."""
    with controlling_terminal() as terminal, open_record(arguments) as record:
        terminal.show(record.heading_of_all)
        manager = record.person(terminal, arguments.by)
        if not manager.manages:
            raise Refused(f"{manager.name} may not change who approves.")
        made, enrolling = change(terminal, record), record.supervisor().enrolling
        shown = anyio.run(enrolling.proposed, made)
        terminal.show("\n".join(["To be signed:", *lines_of_change(record.roster(), shown)]))
        passphrase = terminal.ask_secret(f"Passphrase of {manager.name}, to sign the change: ")
        sign = partial(enrolling.with_passphrase, origin=TERMINAL, shown=shown)
        roster = anyio.run(sign, made, manager.name, passphrase)
        terminal.show(f"Roster {roster.version}: {', '.join(member.name for member in roster.members)}.")
    return 0


def _named(member: Member, *, capital: bool = True) -> str:
    name = FIRST_NAME.capitalize() if member.name == FIRST_NAME and capital else member.name
    return f"{name} {member.credentials[0].fingerprint}"


def new_passphrase(terminal: Terminal) -> str:
    """Typed twice, and long enough. Raises InvalidInput."""
    first = terminal.ask_secret("New passphrase: ")
    if len(first) < SHORTEST_PASSPHRASE:
        raise InvalidInput(
            f"The passphrase has {len(first)} characters; it needs at least {SHORTEST_PASSPHRASE}.",
            hint="Nothing was changed.",
        )
    if terminal.ask_secret("The same again: ") != first:
        raise InvalidInput("The two passphrases differ.", hint="Nothing was changed.")
    return first
