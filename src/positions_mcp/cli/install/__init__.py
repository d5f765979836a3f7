"""`positions-mcp install HOST…`: put the server into the configuration of hosts, and touch nothing else."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from positions_mcp.cli.commands import program
from positions_mcp.cli.install.change import Change, entry_in, installing
from positions_mcp.cli.install.hosts import HOSTS, NAME, Host, Launch, Machine, host_named, program_words
from positions_mcp.cli.options import add_settings_options, settings_from
from positions_mcp.cli.output import say
from positions_mcp.domain.errors import ConfigurationError, InvalidInput
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.text import quoted
from positions_mcp.settings import Settings, live_access

_KEY, _KEY_FILE, _BASE_URL = "CLEAR_STREET_API_KEY", "CLEAR_STREET_API_KEY_FILE", "CLEAR_STREET_BASE_URL"
_PREFIX = "POSITIONS_MCP_"
_A_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
"""What every host takes: it becomes part of the names of tools."""
_FIRST_QUESTION = 'Then ask: "What do I hold?"'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"Hosts: {', '.join(host.name for host in HOSTS)}. Without one, those that are found are named."
    add_host_options(parser)
    parser.add_argument("--print", action="store_true", dest="print_only", help="print the entry, and read no file")
    add_settings_options(parser)


def add_host_options(parser: argparse.ArgumentParser) -> None:
    """Add what `install` and `uninstall` share."""
    parser.add_argument("hosts", metavar="HOST", nargs="*", help="a host, such as claude-code; several may be named")
    parser.add_argument("--name", default=NAME, help=f"the server's name in the host ({NAME})")
    parser.add_argument("--dry-run", action="store_true", help="show the difference, and write nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace) -> int:
    """Install into the hosts that are named. Returns 0 where each has it, 1 where a person said no."""
    machine = Machine.this(os.environ)
    if not arguments.hosts:
        return name_the_hosts(machine, "install")
    hosts = hosts_named(arguments.hosts)
    if not _A_NAME.fullmatch(arguments.name):
        hint = "Use up to 40 letters, digits, _ and -. Nothing was changed."
        raise InvalidInput(f"--name {quoted(arguments.name, 60)} cannot be the server's name in a host.", hint=hint)
    settings = settings_from(arguments)
    launch = launch_for(arguments, settings)
    unsaid = _left_out(launch)
    if arguments.print_only:
        for host in hosts:
            say(f"{host.title}, in {host.file(machine)}:")
            say(host.format.with_entry("", (host.container, arguments.name), host.entry(launch)))
        return 0
    if unsaid:
        say(
            f"Not in the entry, so the host may not have it: {', '.join(unsaid)}. An option or a --config file says it."
        )
    code = 0
    for host in hosts:
        say(f"{host.title}: {settings.mode.shown}, started by: {' '.join([launch.command, *launch.arguments])}")
        change = installing(host, host.file(machine), arguments.name, host.entry(launch))
        if not carried_out(change, arguments, keep_backup=_is_there(host, change, arguments.name)):
            code = 1 if not arguments.dry_run else code
        elif not arguments.dry_run:
            say(f"{host.after}. {_FIRST_QUESTION}")
    return code


def hosts_named(names: Sequence[str]) -> list[Host]:
    """The hosts of these names, each once. Raises InvalidInput."""
    found = {name: host_named(name.lower()) for name in names}
    unknown = [name for name, host in found.items() if host is None]
    if unknown:
        known = ", ".join(host.name for host in HOSTS)
        raise InvalidInput(f"{unknown[0][:40]!r} is not a host.", hint=f"It takes {known}. Nothing was changed.")
    return list(dict.fromkeys(host for host in found.values() if host is not None))


def name_the_hosts(machine: Machine, command: str) -> int:
    found = [host for host in HOSTS if host.is_found(machine)]
    if not found:
        say(f"No host was found here. Known: {', '.join(host.name for host in HOSTS)}.")
        return 0
    for host in found:
        say(f"{host.name:15} {host.title}, {host.file(machine)}")
    say(f"Next: {program()} {command} {found[0].name}")
    return 0


def carried_out(change: Change, arguments: argparse.Namespace, *, keep_backup: bool) -> bool:
    """Show a change, ask, and write it. Whether the file is now as it should be."""
    if change.is_none:
        say(f"{change.path} is already so.")
        return True
    say(change.difference())
    if arguments.dry_run:
        say("Nothing was written (--dry-run).")
        return False
    if not arguments.yes and not _agreed(change.path):
        say("Nothing was written.")
        return False
    change.write(keep_backup=keep_backup)
    beside = f" As it was: {change.backup}." if change.before is not None and change.backup.exists() else ""
    say(f"Written.{beside}" if change.after is not None else f"{change.path} is gone: nothing else was in it.")
    return True


def launch_for(arguments: argparse.Namespace, settings: Settings) -> Launch:
    """What the host starts: this program, with what was said here. The host's own environment is another.

    Raises ConfigurationError: live without a key that the host's process will find.
    """
    words = [*program_words(Path(sys.executable), os.environ), "serve", "--mode", str(settings.mode)]
    options: list[tuple[str, Any, Callable[[Any], str]]] = [
        ("--config", arguments.config, lambda file: str(file.expanduser().absolute())),
        ("--data-dir", arguments.data_dir, lambda folder: str(Path(folder).expanduser().absolute())),
        ("--scenario", arguments.scenario, str),
    ]
    words += [word for option, value, written in options if value is not None for word in (option, written(value))]
    said = arguments.accounts or (settings.accounts if settings.mode is Mode.LIVE and not arguments.config else [])
    words += [word for account in said for word in ("--account", str(account))]
    return Launch(words[0], words[1:], _environment(settings), arguments.name)


def _environment(settings: Settings) -> dict[str, str]:
    """What the host must set: the file of the key, by its path. The key itself is never written into a host's file."""
    if settings.mode is not Mode.LIVE:
        return {}
    live_access(settings.api.hosts)
    if os.environ.get(_KEY, "").strip():
        raise ConfigurationError(
            f"The key is in {_KEY}, which a host does not see.",
            hint=f"Put it into a file that only you can read, set {_KEY_FILE} to its path, and unset {_KEY}. "
            "Nothing was changed.",
        )
    file = os.environ.get(_KEY_FILE, "").strip()
    address = os.environ.get(_BASE_URL, "").strip()
    said = {_KEY_FILE: file and str(Path(file).expanduser().absolute()), _BASE_URL: address}
    return {name: value for name, value in said.items() if value}


def _left_out(launch: Launch) -> list[str]:
    """The variables of settings that are set here and that no option of the entry says."""
    options = {"MODE": "--mode", "ACCOUNTS": "--account", "DATA_DIR": "--data-dir", "PAPER__SCENARIO": "--scenario"}
    said = {_PREFIX + name for name, option in options.items() if option in launch.arguments}
    return [each for each in os.environ if each.upper().startswith(_PREFIX) and each.upper() not in said]


def _is_there(host: Host, change: Change, name: str) -> bool:
    return entry_in(host, host.format.parsed((change.before or b"").decode()), name) is not None


def _agreed(path: Path) -> bool:
    from positions_mcp.cli.terminal import controlling_terminal

    with controlling_terminal() as terminal:
        return terminal.ask(f"Write {path}? [y/N] ").strip().lower() in ("y", "yes")
