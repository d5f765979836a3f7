"""Options that several commands share: which configuration to use."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from positions_mcp.domain.errors import ConfigurationError, InvalidInput
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.text import quoted
from positions_mcp.settings import Settings, load

LAST_PORT = 65_535
MOST_DIGITS = 18
"""Of a whole number: more than any account has, and what every database holds."""


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `settings_from` reads. What is not given comes from the environment or a file."""
    parser.add_argument("--mode", metavar="MODE", help="paper (default) or live")
    parser.add_argument("--config", metavar="FILE.toml", type=Path, help="a configuration file")
    parser.add_argument(
        "--account",
        metavar="NUMBER",
        action="append",
        dest="accounts",
        help="an account that may be used; may be repeated",
    )
    parser.add_argument("--data-dir", metavar="DIR", help="where plans, journal and paper state are kept")
    parser.add_argument("--scenario", metavar="NAME", help="what a new paper book begins with")


def add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--as", dest="name", metavar="NAME", default="", help="who you are, where several may decide")


def add_log_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--log-format", choices=("text", "json"), help="json: one line an event (log.format)")


def add_subcommands(
    parser: argparse.ArgumentParser, name: str, told: Mapping[str, str]
) -> dict[str, argparse.ArgumentParser]:
    """Add subcommands, each with what it does and the settings' options. The parsed arguments say which, by `name`."""
    commands = parser.add_subparsers(dest=name, required=True, metavar="COMMAND")
    made = {}
    for command, what in told.items():
        made[command] = commands.add_parser(command, help=what, description=f"{what[0].upper()}{what[1:]}.")
        add_settings_options(made[command])
    return made


def settings_from(arguments: argparse.Namespace, **instead: Any) -> Settings:
    """The settings that the parsed command line, the environment and the files give. Raises ConfigurationError."""
    options = {
        "mode": arguments.mode,
        "accounts": arguments.accounts,
        "data_dir": arguments.data_dir,
        "paper": {"scenario": arguments.scenario},
    }
    return load(options | instead, config=arguments.config)


def settings_of_either_mode(arguments: argparse.Namespace) -> Settings:
    """Those of which a command only reads where its data are: paper stands for either mode.

    Raises ConfigurationError, also where `--mode` says neither.
    """
    said = vars(arguments)
    if (mode := said.get("mode")) not in (None, *Mode):
        raise ConfigurationError(f"--mode = {quoted(str(mode), 40)} is not allowed. It takes paper or live.")
    return load({"mode": Mode.PAPER, "data_dir": said.get("data_dir")}, config=said.get("config"))


def accounts_of(arguments: argparse.Namespace) -> Sequence[AccountId]:
    """Those that `--account` says a command is about. Raises InvalidInput."""
    try:
        return [AccountId(whole_number(each)) for each in arguments.accounts or ()]
    except argparse.ArgumentTypeError:
        raise InvalidInput("--account takes an account's number.") from None


def whole_number(text: str) -> int:
    """A number of an argument, for argparse: its own message would speak of Python's types."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    if len(digits) > MOST_DIGITS:
        raise argparse.ArgumentTypeError(f"{text!r:.40} has more than {MOST_DIGITS} digits")
    return int(digits)


def port(text: str) -> int:
    """A TCP port of an argument, for argparse; 0 takes any that is free."""
    if not (text.isascii() and text.isdigit() and int(text) <= LAST_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; it is from 0 to {LAST_PORT}")
    return int(text)


def seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number
