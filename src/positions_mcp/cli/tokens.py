"""`positions-mcp token …`: who may call a server over HTTP. A token names its caller; it decides nothing."""

from __future__ import annotations

import argparse
import sys

from positions_mcp.cli.assembly.stores import prepare_data_dir
from positions_mcp.cli.commands import Commands
from positions_mcp.cli.options import add_subcommands, settings_of_either_mode
from positions_mcp.cli.output import add_json_option, print_json, say, table
from positions_mcp.cli.serving.token_file import TokenFile
from positions_mcp.clock import SystemClock
from positions_mcp.domain.account.sessions import moment

_ONCE = (
    "This is the token of {name}. It is shown once and kept as a hash only. Its client sends it as\n"
    "    Authorization: Bearer TOKEN\n"
    "Whoever holds it calls as {name}: keep it out of every chat and log."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    told = {
        "new": "make a token for a caller, and show it once",
        "list": "list the callers that have a token",
        "revoke": "let a caller's token open nothing any more",
    }
    commands = add_subcommands(parser, "token_command", told)
    add_json_option(commands["list"])
    for name in ("new", "revoke"):
        commands[name].add_argument(
            "name", metavar="NAME", help="the caller, such as the client and machine it runs on"
        )


def run(arguments: argparse.Namespace) -> int:
    """Run a subcommand. Returns the exit code. Standard output of `new` is the token and nothing else."""
    settings = settings_of_either_mode(arguments)
    file = TokenFile(prepare_data_dir(settings))
    match arguments.token_command:
        case "new":
            token = file.issue(arguments.name, SystemClock().now())
            print(_ONCE.format(name=arguments.name), file=sys.stderr)
            say(token)
        case "revoke":
            file.revoke(arguments.name)
            say(f"The token of {arguments.name} opens nothing any more. Its operations stay in the record.")
        case _:
            if arguments.json:
                print_json(
                    {
                        "file": file.path,
                        "tokens": [{"name": each.name, "created_at": each.created_at} for each in file.tokens()],
                    }
                )
                return 0
            say(f"Tokens in {file.path}")
            rows = [(each.name, moment(each.created_at)) for each in file.tokens()]
            none = f"None: `{Commands(settings)('token new NAME')}`"
            say("\n".join(table(("CALLER", "SINCE"), rows)) if rows else none)
    return 0
