"""What `positions-mcp completion SHELL` prints, in the shells themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pexpect
import pytest

from positions_mcp.cli import COMMANDS, main
from positions_mcp.cli.install.hosts import HOSTS

_BASH = """
source "$1"
COMP_WORDS=(positions-mcp "${@:2}")
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
completing=$(complete -p positions-mcp)
completing=${completing#*-F }
${completing%% *}
printf '%s\\n' "${COMPREPLY[@]}"
"""
LINES = {
    ("ins",): {"install"},
    ("install", "claude-"): {"claude-desktop", "claude-code"},
    ("install", "codex", "clau"): {"claude-desktop", "claude-code"},
    ("serve", "--mode", ""): {"paper", "live"},
    ("paper", "re"): {"replay", "reset", "restore"},
    ("operations", "sh"): {"show"},
}
IN_ZSH = [words for words in LINES if "codex" not in words]  # there the first host only


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script of every shell."""
    folder = tmp_path_factory.mktemp("completion")
    with pytest.MonkeyPatch.context() as patch:
        for shell in ("bash", "zsh", "fish", "powershell"):
            with (folder / shell).open("w", encoding="utf-8") as file:
                patch.setattr("sys.stdout", file)
                assert main(["completion", shell]) == 0
    return folder


def told_by(*command: str) -> set[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return {line.split("\t")[0] for line in done.stdout.splitlines() if line}


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_bash_completes_commands_and_values(scripts: Path, words: tuple[str, ...]) -> None:
    assert told_by("bash", "-c", _BASH, "bash", str(scripts / "bash"), *words) == LINES[words]


def test_bash_knows_every_command_and_every_host(scripts: Path) -> None:
    assert set(COMMANDS) <= told_by("bash", "-c", _BASH, "bash", str(scripts / "bash"), "")
    hosts = {host.name for host in HOSTS}
    assert hosts <= told_by("bash", "-c", _BASH, "bash", str(scripts / "bash"), "install", "")


@pytest.mark.parametrize("words", LINES if shutil.which("fish") else [], ids=" ".join)
def test_fish_completes_commands_and_values(scripts: Path, words: tuple[str, ...]) -> None:
    line = " ".join(["positions-mcp", *words])
    assert told_by("fish", "--no-config", "-c", f"source {scripts}/fish; complete -C '{line}'") >= LINES[words]


@pytest.mark.parametrize("words", IN_ZSH if shutil.which("zsh") else [], ids=" ".join)
def test_zsh_completes_commands_and_values(scripts: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    setting_up = "PROMPT='ready> '; unset zle_bracketed_paste; autoload -Uz compinit; compinit -D"
    (tmp_path / ".zshrc").write_text(f'{setting_up}; eval "$(<{scripts}/zsh)"\n', encoding="utf-8")
    environment = {**os.environ, "ZDOTDIR": str(tmp_path), "TERM": "dumb"}
    zsh = pexpect.spawn("zsh", ["-i"], encoding="utf-8", timeout=30, dimensions=(60, 200), env=environment)
    zsh.expect("ready> ")
    zsh.send(f"positions-mcp {' '.join(words)}\t\t")
    for value in sorted(LINES[words]):
        zsh.expect(value.removeprefix(words[-1]))
    zsh.close(force=True)
