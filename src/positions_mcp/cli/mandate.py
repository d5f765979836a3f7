"""`positions-mcp mandate …`: what an approver signs in advance, so that small repeated operations need no question."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Any

import anyio

from positions_mcp.cli.options import accounts_of, add_name, add_subcommands
from positions_mcp.cli.output import add_json_option, paragraph, print_json, say, table
from positions_mcp.cli.record import Record, on_error, open_record, os_user
from positions_mcp.cli.shapes import Shape, mandate_shape, uses_shape
from positions_mcp.cli.terminal import controlling_terminal, uninterrupted
from positions_mcp.cli.words import money_at_stake
from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.mandate import Standing, left_of, lines_of, said_of
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.terms import MandateTerms
from positions_mcp.domain.operation.typed_terms import NAMED, TYPED, shadow_of, terms_of
from positions_mcp.guard.delegating import Delegation, Shadow

_MOST_SHADOWS = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    told = {
        "draft": "write one that lets nothing through, and notes what it would have",
        "sign": "sign a draft for one trading day, at a terminal",
        "list": "every mandate and draft, newest first",
        "show": "one of them: what it says, what is left, what it was used for",
        "revoke": "take one back at once, or throw a draft away",
    }
    made = add_subcommands(parser, "mandate_command", told)
    for name in ("list", "show"):
        add_json_option(made[name])
    for name in ("sign", "show", "revoke"):
        made[name].add_argument("mandate", metavar="MANDATE", help="its id, such as ma-0w11ty5hmz")
    made["sign"].add_argument("--day", metavar="YYYY-MM-DD", help="today, or the next trading day")
    add_name(made["sign"])
    made["sign"].add_argument("--note", metavar="WHY", default="", help="kept with the signature")
    _describe_draft(made["draft"])


def _describe_draft(draft: argparse.ArgumentParser) -> None:
    many: dict[str, Any] = {"action": "append", "default": []}
    draft.add_argument("--kind", metavar="KIND", **many, help="close, exercise or cancel; may be repeated")
    draft.add_argument("--instrument", metavar="SYMBOL", **many, help="this one alone; may be repeated")
    draft.add_argument("--underlying", metavar="SYMBOL", **many, help="the share and its standard options")
    draft.add_argument("--caller", metavar="NAME", **many, help="only this client's name or token's subject")
    draft.add_argument("--per-operation", metavar="DOLLARS", required=True, help="notional of one operation")
    draft.add_argument("--in-all", metavar="DOLLARS", required=True, help="notional of all of them together")
    draft.add_argument("--operations", metavar="N", required=True, help="how many")
    draft.add_argument("--cancel-orders", action="store_true", help="closes may cancel open orders first")
    draft.add_argument("--price", metavar="SYMBOL:FROM:TO", **many, help="only at such a price; one may be empty")
    draft.add_argument("--loss-at-most", metavar="DOLLARS", help="only while what it closes has lost no more")
    draft.add_argument("--until", metavar="HH:MM", help="New York time of day; otherwise the end of the day")
    draft.add_argument("--shadow-days", metavar="N", default="7", help="how long it notes plans: 1 to 31 (7)")


def run(arguments: argparse.Namespace) -> int:
    commands = {"draft": _draft, "sign": _sign, "list": _list, "show": _show, "revoke": _revoke}
    with on_error("This command sent nothing."):
        return commands[arguments.mandate_command](arguments)


def _draft(arguments: argparse.Namespace) -> int:
    with open_record(arguments) as record:
        terms, shadow = _terms(arguments, record), shadow_of(arguments.shadow_days, "--shadow-days")
        draft = anyio.run(partial(_delegation(record).draft, terms, by=os_user(), shadow=shadow))
        say(f"Draft {draft.mandate_id}, {record.place}")
        say("\n".join(paragraph(line, indent="  ") for line in lines_of(draft)))
        say(paragraph(f"It lets nothing through. Until {moment(draft.shadow_until)} it notes what it would have."))
        show, sign = (f"`{record.command(f'mandate {what} {draft.mandate_id}')}`" for what in ("show", "sign"))
        say(f"{show} shows that, and {sign} signs it.")
    return 0


def _sign(arguments: argparse.Namespace) -> int:
    with controlling_terminal() as terminal, open_record(arguments) as record:
        delegation = _delegation(record)
        standing = anyio.run(delegation.show, arguments.mandate)
        draft = standing.mandate
        window = delegation.window(draft.terms, _day(arguments.day))
        terminal.show(f"\n*** {money_at_stake(draft.terms.mode)} ***\n")
        terminal.show("\n".join(paragraph(line, indent="  ") for line in lines_of(draft)))
        terminal.show(paragraph(f"It would hold from {moment(window.begins)} until {moment(window.ends)}."))
        terminal.show(_shadows_said(anyio.run(delegation.shadows, standing)))
        terminal.show("What it covers is then sent WITHOUT A QUESTION. It can be revoked at any time.")
        member = record.person(terminal, arguments.name)
        terminal.show("")
        passphrase = record.passphrase_of(member, terminal, f"SIGN in {draft.terms.mode.shown}")
        sign = partial(delegation.sign, draft.mandate_id, passphrase, digest=draft.digest, day=window.day)
        with uninterrupted():
            signed = anyio.run(partial(sign, name=member.name, note=arguments.note))
        terminal.show(f"SIGNED by {signed.mandate.signed_by}: {draft.mandate_id} until {moment(window.ends)}.")
        terminal.show(f"`{record.command(f'mandate revoke {draft.mandate_id}')}` ends it at once.")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    with open_record(arguments) as record:
        delegation = _delegation(record)
        if arguments.json:
            print_json({"place": record.place, "mandates": anyio.run(_shapes, delegation)})
            return 0
        say(f"Mandates in {record.place}")
        rows = anyio.run(_rows, delegation)
        head = ("MANDATE", "STATE", "ACCOUNT", "OPERATIONS LEFT", "DOLLARS LEFT", "UNTIL (NEW YORK)", "WHAT")
        say("\n".join(table(head, rows)) if rows else "None.")
    return 0


async def _shapes(delegation: Delegation) -> list[Shape]:
    return [await _shape(delegation, each) for each in await delegation.list()]


async def _shape(delegation: Delegation, standing: Standing) -> Shape:
    return mandate_shape(standing, await delegation.state(standing), await delegation.why_not_signed(standing))


async def _rows(delegation: Delegation) -> list[Sequence[str]]:
    return [
        (
            each.mandate.mandate_id,
            await delegation.state(each),
            f"{each.mandate.terms.mode.shown} {each.mandate.terms.account_id}",
            f"{each.operations_left}/{each.mandate.terms.operations}",
            f"{each.notional_left:,f}",
            moment(each.mandate.window.ends).removesuffix(" New York") if each.mandate.window else "-",
            said_of(each.mandate.terms).partition(";")[0],
        )
        for each in await delegation.list()
    ]


def _show(arguments: argparse.Namespace) -> int:
    with open_record(arguments) as record:
        delegation = _delegation(record)
        standing = anyio.run(delegation.show, arguments.mandate)
        mandate, shadows = standing.mandate, anyio.run(delegation.shadows, standing)
        if arguments.json:
            shape = anyio.run(_shape, delegation, standing) | uses_shape(standing, shadows)
            print_json({"place": record.place, "mandate": shape})
            return 0
        say(f"Mandate {mandate.mandate_id}, {anyio.run(delegation.state, standing)}, {record.place}")
        say("\n".join(paragraph(line, indent="  ") for line in lines_of(mandate)))
        if mandate.window is not None:
            held = f"signed by {mandate.signed_by}, from {moment(mandate.window.begins)} until "
            say(paragraph(f"{held.capitalize()}{moment(mandate.window.ends)}; {left_of(standing)}."))
        if mandate.revoked is not None:
            say(f"Revoked by {mandate.revoked.by} at {moment(mandate.revoked.at)}.")
        if why := anyio.run(delegation.why_not_signed, standing):
            say(paragraph(f"It lets nothing through: {why}"))
        say(_uses_said(standing))
        say(_shadows_said(shadows))
    return 0


def _revoke(arguments: argparse.Namespace) -> int:
    with open_record(arguments) as record:
        revoked = anyio.run(partial(_delegation(record).revoke, arguments.mandate, by=os_user()))
        say(f"{revoked.mandate_id} is revoked: nothing more is sent under it. A request in flight finishes.")
    return 0


def _delegation(record: Record) -> Delegation:
    return Delegation(record.dependencies(Mode.PAPER))


def _uses_said(standing: Standing) -> str:
    rows = [
        (str(use.number), moment(use.at), use.operation_id, f"{use.measure:,f}", str(use.operations_left))
        for use in standing.uses
    ]
    head = ("USE", "AT", "OPERATION", "DOLLARS", "LEFT")
    return "\n".join(table(head, rows)) if rows else "Not used."


def _shadows_said(shadows: Sequence[Shadow]) -> str:
    """What a draft would have done: how many, and the latest of them."""
    if not shadows:
        return "No plan was made while it was a draft that notes plans."
    passed = [each for each in shadows if not each.why_not]
    said = [f"As a draft it would have sent {len(passed)} of {len(shadows)} plans without a question."]
    for each in shadows[-_MOST_SHADOWS:]:
        what = f"{moment(each.note.at)} {', '.join(each.note.symbols)} ${each.note.measure:,f}"
        said.append(paragraph(f"{what}: {'asked: ' + ' '.join(each.why_not) if each.why_not else 'SENT'}", indent="  "))
    return "\n".join(said)


def _terms(arguments: argparse.Namespace, record: Record) -> MandateTerms:
    """What the options say. Raises InvalidInput."""
    accounts = accounts_of(arguments) or [AccountId(number) for number in record.settings.accounts]
    if len(accounts) != 1:
        raise InvalidInput("A mandate is for one account.", hint="Say --account NUMBER.")
    return terms_of(
        Mode(arguments.mode or record.settings.mode),
        accounts[0],
        named={name: getattr(arguments, _option(name)) for name in NAMED},
        typed={name: getattr(arguments, name) or "" for name in TYPED},
        cancel_orders=arguments.cancel_orders,
        called=lambda name: f"--{_option(name).replace('_', '-')}",
    )


def _option(name: str) -> str:
    """`--kind`, which may be said several times, for `kinds`."""
    return name.removesuffix("s") if name in NAMED else name


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidInput(f"--day {text!r:.40} is no day.", hint="As in --day 2026-11-27.") from None
