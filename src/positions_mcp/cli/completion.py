"""`positions-mcp completion SHELL`: what makes a shell complete commands, options and their values."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from positions_mcp.cli.output import say
from positions_mcp.identity import MANUAL

_SHELLS = ("bash", "zsh", "fish", "powershell")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"For this bash: source <(positions-mcp completion bash). How it stays: {MANUAL}/commands.md"
    parser.add_argument("shell", metavar="SHELL", choices=_SHELLS, help=", ".join(_SHELLS))


def run(arguments: argparse.Namespace) -> int:
    import shtab

    from positions_mcp.cli import COMMANDS, parser_of

    parser = parser_of(*COMMANDS)
    for action in _actions(parser):
        _say_what_it_takes(action)
    say(shtab.complete(parser, shell=arguments.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every option and argument of a parser and of the commands below it."""
    for action in parser._actions:  # noqa: SLF001 — argparse says it nowhere else
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                yield from _actions(command)


def _say_what_it_takes(action: argparse.Action) -> None:
    """Add what the help calls by a name: its values, or that it is a file."""
    import shtab

    from positions_mcp.cli.install.hosts import HOSTS
    from positions_mcp.domain.operation.plan import Mode

    match action.metavar:
        case "HOST":
            action.choices = [host.name for host in HOSTS]
        case "MODE":
            action.choices = [str(mode) for mode in Mode]
        case "FILE" | "FILE.toml":
            vars(action)["complete"] = shtab.FILE
        case "DIR":
            vars(action)["complete"] = shtab.DIRECTORY
