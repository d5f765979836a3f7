"""The hosts that can be set up: where each keeps its configuration, and how an entry looks there.

Paths are of a given machine, never of this one: its platform, home and environment are said. The command that a host
starts is still there then; a host started from a desktop has no shell's PATH, so programs have their whole path.
"""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

from positions_mcp.cli.install import jsonc, toml_text, yaml_text
from positions_mcp.domain.errors import ConfigurationError
from positions_mcp.platforms import home_folder

PROGRAM = "positions-mcp"
NAME = "positions"
_EXTRAS = {"postgres": "psycopg", "keyring": "keyring"}
"""What may be installed beside the program, by the module that is there then."""
_PASSING = ("archive-v0", "environments-v0", "environments-v1", "environments-v2", "builds-v0")
"""Folders in which uv keeps what it may delete whenever it likes."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a host starts the server, and what it calls it."""

    command: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    name: str = NAME


def is_ephemeral(path: Path, environment: Mapping[str, str]) -> bool:
    """Whether a path is in a place that uvx or `pipx run` made for one run."""
    parts = path.parts
    cache = environment.get("UV_CACHE_DIR")
    in_cache = bool(cache) and path.is_relative_to(Path(cache or ""))
    by_uv = any(part in _PASSING for part in parts)
    by_pipx = any(pair in ((".cache", "pipx"), ("pipx", ".cache")) for pair in itertools.pairwise(parts))
    return in_cache or by_uv or by_pipx


def program_words(executable: Path, environment: Mapping[str, str], *, requirement: str | None = None) -> list[str]:
    """What starts this program again on another day; `requirement` is what uvx installs it from."""
    if is_ephemeral(executable, environment):
        uvx = shutil.which("uvx", path=environment.get("PATH")) or "uvx"
        return [uvx, "--from", requirement or installed_from(), PROGRAM]
    for name in (PROGRAM, f"{PROGRAM}.exe"):
        if (script := executable.with_name(name)).exists():
            return [str(script)]
    return [str(executable), "-m", "positions_mcp"]


def installed_from() -> str:
    """What an installer takes to install this program again, with its extras: its name, or where it came from."""
    extras = ",".join(extra for extra, module in _EXTRAS.items() if find_spec(module))
    place, named = _place(), f"{PROGRAM}[{extras}]" if extras else PROGRAM
    if not (place and extras):
        return place or named
    return f"{named} @ {place if '://' in place else Path(place).as_uri()}"


def _place() -> str:
    """The file or repository that this program was installed from; empty where it came from an index."""
    try:
        record = json.loads(distribution(PROGRAM).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return ""
    url = str(record.get("url", ""))
    if "vcs_info" in record:
        return f"{record['vcs_info'].get('vcs', 'git')}+{url}@{record['vcs_info'].get('commit_id', 'HEAD')}"
    if url.startswith("file:"):
        name = unquote(urlsplit(url).path)
        path = Path(name.removeprefix("/") if name[2:3] == ":" else name)  # /C:/… on Windows
        return str(path) if path.exists() else ""
    return url


_SECONDS_FOR_A_PERSON = 600
"""How long a call may take where the host has a limit of its own: a person is asked meanwhile."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Whose configuration is looked for."""

    platform: str
    """As `sys.platform`: linux, darwin or win32."""
    home: Path
    environment: Mapping[str, str]

    @classmethod
    def this(cls, environment: Mapping[str, str]) -> Machine:
        """The machine that this runs on. Raises ConfigurationError for a user without a home folder."""
        home = home_folder()
        if home is None:
            raise ConfigurationError("This user has no home folder, and hosts keep their configuration there.")
        return cls(sys.platform, home, environment)

    def variable(self, name: str, otherwise: Path) -> Path:
        """The folder that a variable names, or another one where it is not set."""
        value = self.environment.get(name, "").strip()
        return Path(value) if value else otherwise

    @property
    def config(self) -> Path:
        """Where programs without a convention of the platform's keep their configuration."""
        return self.variable("XDG_CONFIG_HOME", self.home / ".config")

    @property
    def applications(self) -> Path:
        """Where desktop applications keep theirs."""
        if self.platform == "win32":
            return self.variable("APPDATA", self.home / "AppData" / "Roaming")
        return self.home / "Library" / "Application Support" if self.platform == "darwin" else self.config


@dataclass(frozen=True, slots=True)
class Host:
    """One host application."""

    name: str
    """As it is typed."""
    title: str
    files: Callable[[Machine], Sequence[Path]]
    """Where its configuration may be; the first is made where there is none."""
    container: str
    """Under which name it lists its servers."""
    entry: Callable[[Launch], dict[str, Any]]
    after: str
    """What the person does so that the host reads it."""
    format: ModuleType = jsonc

    def file(self, machine: Machine) -> Path:
        """Its configuration on a machine: one that is there, or where it would be."""
        places = self.files(machine)
        return next((place for place in places if place.exists()), places[0])

    def is_found(self, machine: Machine) -> bool:
        """Whether there are signs of it: its configuration, or the folder that is its own."""
        places = self.files(machine)
        if self.name == "claude-code" and (machine.home / ".claude").is_dir():
            return True
        return any(place.exists() or (place.parent != machine.home and place.parent.is_dir()) for place in places)


def _plain(launch: Launch) -> dict[str, Any]:
    return {"command": launch.command, "args": list(launch.arguments), **_with("env", launch)}


def _stdio(launch: Launch) -> dict[str, Any]:
    return {"type": "stdio", **_plain(launch)}


def _opencode(launch: Launch) -> dict[str, Any]:
    command = [launch.command, *launch.arguments]
    return {"type": "local", "command": command, "enabled": True, **_with("environment", launch)}


def _goose(launch: Launch) -> dict[str, Any]:
    return {
        "enabled": True,
        "type": "stdio",
        "name": launch.name,
        "description": "Clear Street positions",
        "cmd": launch.command,
        "args": list(launch.arguments),
        "envs": dict(launch.environment),
        "timeout": _SECONDS_FOR_A_PERSON,
    }


def _with(key: str, launch: Launch) -> dict[str, Any]:
    return {key: dict(launch.environment)} if launch.environment else {}


def _opencode_files(machine: Machine) -> Sequence[Path]:
    folder = machine.config / "opencode"
    return folder / "opencode.json", folder / "opencode.jsonc"


def _goose_files(machine: Machine) -> Sequence[Path]:
    if machine.platform == "win32":
        return (machine.applications / "Block" / "goose" / "config" / "config.yaml",)
    return (machine.config / "goose" / "config.yaml",)


def _zed_files(machine: Machine) -> Sequence[Path]:
    folder = machine.applications / "Zed" if machine.platform == "win32" else machine.config / "zed"
    return (folder / "settings.json",)


HOSTS: Sequence[Host] = (
    Host(
        "claude-desktop",
        "Claude Desktop",
        lambda machine: [machine.applications / "Claude" / "claude_desktop_config.json"],
        "mcpServers",
        _plain,
        "Quit Claude Desktop and open it again",
    ),
    Host(
        "claude-code",
        "Claude Code",
        lambda machine: [machine.variable("CLAUDE_CONFIG_DIR", machine.home) / ".claude.json"],
        "mcpServers",
        _stdio,
        "Start claude anew",
    ),
    Host(
        "vscode",
        "VS Code",
        lambda machine: [machine.applications / "Code" / "User" / "mcp.json"],
        "servers",
        _stdio,
        "Open the chat in agent mode and start the server when asked",
    ),
    Host(
        "cursor",
        "Cursor",
        lambda machine: [machine.home / ".cursor" / "mcp.json"],
        "mcpServers",
        _plain,
        "Switch the server on in Settings → MCP",
    ),
    Host(
        "codex",
        "Codex",
        lambda machine: [machine.variable("CODEX_HOME", machine.home / ".codex") / "config.toml"],
        "mcp_servers",
        lambda launch: {**_plain(launch), "tool_timeout_sec": _SECONDS_FOR_A_PERSON},
        "Start codex anew",
        toml_text,
    ),
    Host(
        "gemini-cli",
        "Gemini CLI",
        lambda machine: [machine.home / ".gemini" / "settings.json"],
        "mcpServers",
        _plain,
        "Start gemini anew",
    ),
    Host("opencode", "opencode", _opencode_files, "mcp", _opencode, "Start opencode anew"),
    Host("goose", "goose", _goose_files, "extensions", _goose, "Start a new session", yaml_text),
    Host(
        "windsurf",
        "Windsurf",
        lambda machine: [machine.home / ".codeium" / "windsurf" / "mcp_config.json"],
        "mcpServers",
        _plain,
        "Refresh the servers in Cascade",
    ),
    Host("zed", "Zed", _zed_files, "context_servers", _plain, "Open the agent panel"),
)


def host_named(name: str) -> Host | None:
    return next((host for host in HOSTS if host.name == name), None)
