"""Options that several commands share: which configuration to use."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from positions_mcp.settings import Settings, load


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


def add_log_option(parser: argparse.ArgumentParser) -> None:
    """How a server logs."""
    parser.add_argument("--log-format", choices=("text", "json"), help="json: one line an event (log.format)")


def settings_from(arguments: argparse.Namespace) -> Settings:
    """The settings that the parsed command line, the environment and the files give. Raises ConfigurationError."""
    options = {
        "mode": arguments.mode,
        "accounts": arguments.accounts,
        "data_dir": arguments.data_dir,
        "paper": {"scenario": arguments.scenario},
    }
    return load(options, config=arguments.config)


def whole_number(text: str) -> int:
    """A number of an argument, for argparse: its own message would speak of Python's types."""
    if not (text.strip().isascii() and text.strip().isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def seconds(text: str) -> float:
    """A time of an argument, for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number
