"""Commands that are printed for a person work when they are pasted into another terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.person import Place
from positions_mcp.cli.commands import Commands, program
from positions_mcp.settings import load

OWN = str(Path(sys.executable).with_name("positions-mcp"))


def pasted(command: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a shell makes of it that knows nothing of this program: no variable of its own, no environment on PATH."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), **variables}
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def words_of(command: str, cwd: Path) -> list[str]:
    """The words that the same shell gives a program."""
    return pasted(f"for word in {command}; do printf '%s\\0' \"$word\"; done", cwd).stdout.split("\0")[:-1]


FOLDERS = ("data", "with space", "it's", "$HOME", "-x", "a;b")


@pytest.mark.parametrize("source", ["option", "variable", "file"])
def test_a_command_leads_to_the_store_it_was_printed_for(source: str, tmp_path: Path) -> None:
    data_dir, elsewhere, config = tmp_path / "it's", tmp_path / "elsewhere", tmp_path / "my config.toml"
    elsewhere.mkdir()
    config.write_text(f'data_dir = "{data_dir}"')
    match source:
        case "option":
            settings = load({"data_dir": data_dir}, environment={})
        case "variable":
            settings = load(environment={"POSITIONS_MCP_DATA_DIR": str(data_dir)})
        case _:
            settings = load(config=config, environment={})
    done = pasted(Commands(settings)("operations list"), elsewhere)
    assert done.stdout == f"Operations in data_dir {data_dir}\nNone.\n"
    done = pasted(Commands(settings)("paper status"), elsewhere)
    assert done.returncode == 0
    assert list(data_dir.glob("paper*"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_shell_leaves_the_folder_of_a_command_as_it_is(folder: str, tmp_path: Path) -> None:
    data_dir = tmp_path / folder
    commands = Commands(load({"data_dir": data_dir}, environment={}))
    called, *words = words_of(commands("operations list"), tmp_path)
    assert (called, words_of(commands("paper status"), tmp_path)[-1]) == (OWN, str(data_dir))
    assert Place(tmp_path).without_terminal(*words).stdout == f"Operations in data_dir {data_dir}\nNone.\n"


def test_what_led_to_a_live_store_is_repeated_and_a_secret_is_only_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEAR_STREET_BASE_URL", "http://127.0.0.1:8080")
    variables = {"POSITIONS_MCP_STORE__URL": "postgresql://me:topsecret@127.0.0.1:1/db", "POSITIONS_MCP_MODE": "live"}
    command = Commands(load({"accounts": ["7", "8"]}, environment=variables))("approve op-12ab")
    assert "topsecret" not in command
    assert command == (
        'POSITIONS_MCP_STORE__URL="${POSITIONS_MCP_STORE__URL:?}" CLEAR_STREET_BASE_URL=http://127.0.0.1:8080 '
        f"{program()} approve op-12ab --mode live --account 7 --account 8"
    )
    without = pasted(command, tmp_path)
    assert without.returncode != 0
    assert "POSITIONS_MCP_STORE__URL" in without.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_program_is_named_by_its_path_unless_every_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(Path(OWN).parent))
    assert program() == OWN
    (tmp_path / "positions-mcp").symlink_to(OWN)
    monkeypatch.setenv("PATH", f"{Path(OWN).parent}{os.pathsep}{tmp_path}")
    assert program() == "positions-mcp"
    other = tmp_path / "other"
    other.mkdir()
    (other / "positions-mcp").write_text("#!/bin/sh\n")
    (other / "positions-mcp").chmod(0o755)
    monkeypatch.setenv("PATH", str(other))
    assert program() == OWN


@pytest.mark.parametrize(
    ("said", "printed"),
    [
        ("Run: positions-mcp operations verify.", "Run: {} operations verify --data-dir /d."),
        ("`positions-mcp resume` ends it.", "`{} resume --data-dir /d` ends it."),
        ("positions-mcp operations show op-12ab", "{} operations show op-12ab --data-dir /d"),
        ("positions-mcp token revoke laptop", "{} token revoke --data-dir /d laptop"),
        ("positions-mcp paper reset --scenario demo", "{} paper reset --data-dir /d --scenario demo"),
        ("positions-mcp paper snapshot NAME", "{} paper snapshot NAME --data-dir /d"),
        ("positions-mcp approve op-1 --data-dir /d", "positions-mcp approve op-1 --data-dir /d"),
        ("with `positions-mcp paper serve` (paper.url)", "with `{} paper serve` (paper.url)"),
        ("By hand: positions-mcp install claude-code --print", "By hand: {} install claude-code --print"),
        ("`positions-mcp serve --record FILE`", "`{} serve --record FILE`"),
        ("keyring set positions-mcp api-key", "keyring set positions-mcp api-key"),
        ("/opt/positions-mcp approve", "/opt/positions-mcp approve"),
    ],
)
def test_commands_inside_what_is_said_are_completed_once(said: str, printed: str) -> None:
    commands = Commands(load({"data_dir": Path("/d")}, environment={}))
    assert commands.completed(said) == printed.format(program())
    assert commands.completed(commands.completed(said)) == commands.completed(said)


def test_an_error_names_commands_with_the_options_that_were_given(place: Place) -> None:
    done = place.without_terminal("operations", "show", "op-none")
    assert f"{program()} operations list --data-dir {place.data_dir}" in done.stderr


@pytest.mark.parametrize("words", ["halt WHY", "resume"])
def test_a_worded_halt_or_resume_is_of_everything_whichever_accounts_the_server_has(words: str) -> None:
    command = Commands(load({"accounts": ["7", "8"], "data_dir": Path("/d")}, environment={}))(words)
    assert "--account" not in command
    assert f"{words.split(maxsplit=1)[0]} --data-dir /d" in command
