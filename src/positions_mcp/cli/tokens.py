"""`positions-mcp token …`: who may call a server over HTTP. A token names its caller; it decides nothing."""

from __future__ import annotations

import argparse
import sys

from positions_mcp.cli.commands import Commands
from positions_mcp.cli.composition import prepare_data_dir
from positions_mcp.cli.options import add_settings_options
from positions_mcp.cli.output import add_json_option, print_json, say, table
from positions_mcp.cli.token_file import Token, TokenFile
from positions_mcp.clock import SystemClock
from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.settings import load

_ONCE = (
    "This is the token of {name}. It is shown once and kept as a hash only. Its client sends it as\n"
    "    Authorization: Bearer TOKEN\n"
    "Whoever holds it calls as {name}: keep it out of every chat and log."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommands of `positions-mcp token`."""
    commands = parser.add_subparsers(dest="token_command", required=True, metavar="COMMAND")
    for name, what in (
        ("new", "make a token for a caller, and show it once"),
        ("list", "list the callers that have a token"),
        ("revoke", "let a caller's token open nothing any more"),
    ):
        command = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
        add_settings_options(command)
        if name == "list":
            add_json_option(command)
        else:
            command.add_argument("name", metavar="NAME", help="the caller, such as the client and machine it runs on")


def run(arguments: argparse.Namespace) -> int:
    """Run a subcommand. Returns the exit code. Standard output of `new` is the token and nothing else."""
    # Paper stands for "either": nothing but the place of the file is read from these settings.
    settings = load({"mode": Mode.PAPER, "data_dir": arguments.data_dir}, config=arguments.config)
    file = TokenFile(prepare_data_dir(settings))
    match arguments.token_command:
        case "new":
            token = file.issue(arguments.name, SystemClock().now())
            print(_ONCE.format(name=arguments.name), file=sys.stderr)
            print(token)
        case "revoke":
            file.revoke(arguments.name)
            say(f"The token of {arguments.name} opens nothing any more. Its operations stay in the record.")
        case _:
            if arguments.json:
                print_json({"file": file.path, "tokens": [_shape(each) for each in file.tokens()]})
                return 0
            say(f"Tokens in {file.path}")
            rows = [(each.name, moment(each.created_at)) for each in file.tokens()]
            none = f"None: `{Commands(settings)('token new NAME')}`"
            say("\n".join(table(("CALLER", "SINCE"), rows)) if rows else none)
    return 0


def _shape(token: Token) -> dict[str, object]:
    return {"name": token.name, "created_at": token.created_at}
