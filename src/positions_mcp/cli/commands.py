"""Commands as a person can paste them into a terminal: this program, and the options that lead to the same store.

A server's answers, errors and the person's own commands name commands such as `positions-mcp approver init`. The person
may have started none of this: the program may not be on PATH, and a host may have set the data directory or a
configuration file. A secret is never printed; the variable that holds it is named.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from positions_mcp.cli.options import settings_of_either_mode
from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.platforms import this_platform
from positions_mcp.settings import Settings, default_data_dir, load

NAME = "positions-mcp"
NAMED = f"{NAME} {{}}".format
"""A command as it is called: for whoever has nothing to do with the machine that it is for."""
_WITH_OPTIONS = {
    "approve": (),
    "approver": ("init", "replace", "show"),
    "doctor": (),
    "flatten": (),
    "halt": (),
    "mandate": ("draft", "sign", "list", "show", "revoke"),
    "operations": ("list", "show", "settle", "verify"),
    "reject": (),
    "resume": (),
    "token": ("new", "list", "revoke"),
}
"""Command → its subcommands, which take the options of `cli.options`."""

_WITHOUT_OPTIONS = ("--help", "install [a-z-]+", "paper serve", "serve")
_OPERAND = r"(?:(?:op|ma)-[0-9a-z]+|ACCOUNT|MANDATE|NAME|OPERATION|SYMBOL)\b"
_COMMANDS = (
    r"paper (?:clock(?: (?:show|set|advance|real))?|effects|fault|reset|restore|snapshot|status)\b",
    *(rf"{name}(?: (?:{'|'.join(under)}))?\b" if under else rf"{name}\b" for name, under in _WITH_OPTIONS.items()),
    *_WITHOUT_OPTIONS,
)
_HAS_OPTIONS = r"(?= --(?:config|mode|account|data-dir)\b)"
_COMMAND = re.compile(
    rf"(?<![\w/.-]){NAME} (?!(?:{'|'.join(_COMMANDS)})(?: {_OPERAND})*{_HAS_OPTIONS})"
    rf"(?P<words>(?:{'|'.join(_COMMANDS)})(?: {_OPERAND})*)"
)
_NOWHERE = Path(os.devnull)
"""Nobody keeps data there: every command names the folder."""
_STORE_URL, _BASE_URL = "POSITIONS_MCP_STORE__URL", "CLEAR_STREET_BASE_URL"


@dataclass(frozen=True)
class Commands:
    """Words commands for a person who has the configuration file of these settings, and none of their other sources."""

    settings: Settings
    mode: Mode | None = None
    """As said to a person's own command, whose settings are those of either mode."""

    def __call__(self, words: str) -> str:
        """`approver init` as it is pasted."""
        return self.completed(f"{NAME} {words}")

    def completed(self, text: str) -> str:
        """`text` with every command of this program in it as it is pasted."""
        return _COMMAND.sub(self._complete, text)

    def _complete(self, command: re.Match[str]) -> str:
        words = command["words"]
        if any(re.fullmatch(each, words) for each in _WITHOUT_OPTIONS):
            return f"{program()} {words}"
        if words.startswith("paper "):
            return " ".join([program(), words, *self._data_dir_unless(_usual_data_dir())])
        # There `--account` would say what the command is about, and not only which settings it has.
        is_narrowed = words.split(maxsplit=1)[0] in ("halt", "resume")
        options = [each for each in self._options if not (is_narrowed and each.startswith("--account"))]
        return " ".join([*self._variables, program(), words, *options])

    @cached_property
    def _usual(self) -> Settings:
        """What the person's shell gives with the configuration file alone. Paper stands for either mode."""
        chosen: dict[str, object] = {"mode": Mode.PAPER}
        try:
            return load(chosen, config=self.settings.config_file, environment={})
        except ConfigurationError:  # without a home folder no place is usual
            return load(chosen | {"data_dir": _NOWHERE}, config=self.settings.config_file, environment={})

    def _data_dir_unless(self, usual: Path) -> list[str]:
        folder = self.settings.folder
        return [] if folder == usual.expanduser().absolute() else ["--data-dir", this_platform().word(str(folder))]

    @cached_property
    def _options(self) -> Sequence[str]:
        return [*self._named(), *self._data_dir_unless(self._usual.data_dir)]

    def _named(self) -> Iterator[str]:
        if file := self.settings.config_file:
            yield f"--config {this_platform().word(str(file.expanduser().absolute()))}"
        if Mode.LIVE in (self.mode, self.settings.mode):
            yield f"--mode {Mode.LIVE}"
        if self.settings.accounts != self._usual.accounts:
            yield from (f"--account {account}" for account in self.settings.accounts)

    @cached_property
    def _variables(self) -> Sequence[str]:
        """What no option can say. A shell refuses the command where the secret is not set, and says its name."""
        said = []
        if self.settings.store.url != self._usual.store.url:
            said.append(this_platform().needing_variable(_STORE_URL))
        address = os.environ.get(_BASE_URL, "").strip()
        if address and Mode.LIVE in (self.mode, self.settings.mode):
            said.append(this_platform().with_variable(_BASE_URL, address))
        return said


def _usual_data_dir() -> Path:
    try:
        return default_data_dir()
    except ConfigurationError:
        return _NOWHERE


def program() -> str:
    """This program as any shell finds it: by its name only where it is on PATH outside an activated environment."""
    own = next((path for path in map(Path(sys.executable).with_name, (NAME, f"{NAME}.exe")) if path.exists()), None)
    if own is None:
        return f"{this_platform().program(sys.executable)} -m positions_mcp"
    folders = os.environ.get("PATH", "").split(os.pathsep)
    if sys.prefix != sys.base_prefix:
        folders = [folder for folder in folders if Path(folder) != own.parent]
    found = shutil.which(NAME, path=os.pathsep.join(folders))
    return NAME if found and Path(found).resolve() == own.resolve() else this_platform().program(str(own))


def completed_for(arguments: argparse.Namespace, text: str) -> str:
    """What a command of the person's says, with the commands in it as they are pasted."""
    try:
        settings = settings_of_either_mode(arguments)
    except ConfigurationError:
        return text
    mode = Mode.LIVE if vars(arguments).get("mode") == Mode.LIVE else None
    return Commands(settings, mode=mode).completed(text)
