"""`positions-mcp install` and `uninstall`: which file, which command, what is shown, asked and kept."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path

import pytest

from positions_mcp.cli import main
from positions_mcp.cli.commands import program
from positions_mcp.cli.install import hosts
from positions_mcp.cli.install.hosts import HOSTS, Machine, host_named, installed_from, program_words

NAMES = [host.name for host in HOSTS]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, with no setting of the machine's."""
    for name in os.environ:
        if name.startswith(("POSITIONS_MCP_", "CLEAR_", "XDG_", "CODEX_", "CLAUDE_")):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def configured(name: str, contents: str) -> Path:
    """The configuration file of a host, which holds this already."""
    host = host_named(name)
    assert host
    file = host.file(Machine.this({}))
    file.parent.mkdir(parents=True)
    file.write_bytes(contents.encode())
    return file


def files_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_every_host_has_a_file_in_the_home_of_every_platform(name: str, platform: str) -> None:
    host = host_named(name)
    assert host
    place = host.file(Machine(platform, Path("/home/me"), {}))
    assert place.is_relative_to("/home/me")
    if platform == "win32" and name in ("claude-desktop", "vscode", "goose", "zed"):
        assert host.file(Machine(platform, Path("/home/me"), {"APPDATA": "/roaming"})).is_relative_to("/roaming")


@pytest.mark.parametrize("name", NAMES)
def test_installing_and_uninstalling_leaves_every_file_as_it_was(name: str, home: Path) -> None:
    host = host_named(name)
    assert host
    assert main(["install", name, "--yes"]) == 0
    once = files_in(home)
    assert main(["install", name, "--yes"]) == 0
    assert files_in(home) == once
    assert main(["uninstall", name, "--yes"]) == 0
    assert files_in(home) == {}

    file = host.file(Machine.this({}))
    original = "" if file.suffix == ".yaml" else "a = 1" if file.suffix == ".toml" else '{"a": [1,2]}'
    file.write_text(original)
    file.chmod(0o640)
    assert main(["install", name, "--yes"]) == 0
    assert file.stat().st_mode & 0o777 == 0o640
    assert main(["uninstall", name, "--yes"]) == 0
    assert files_in(home) == {file: original.encode()}


def test_what_a_person_added_to_the_entry_stays(home: Path) -> None:
    assert main(["install", "cursor", "--yes"]) == 0
    file = home / ".cursor" / "mcp.json"
    said = json.loads(file.read_text())
    said["mcpServers"]["positions"]["env"] = {"MINE": "1"}
    file.write_text(json.dumps(said))
    assert main(["install", "cursor", "--yes", "--scenario", "expiry"]) == 0
    entry = json.loads(file.read_text())["mcpServers"]["positions"]
    assert entry["env"] == {"MINE": "1"}
    assert entry["args"] == ["serve", "--mode", "paper", "--scenario", "expiry"]
    assert Path(entry["command"]).is_absolute()


@pytest.mark.parametrize(
    "contents", ['{"mcpServers": {"positions": {"command": "other"}}}', '{"mcpServers": [1]}', '{"mcpServers": ', "[]"]
)
def test_a_file_that_cannot_be_added_to_safely_is_left_and_the_reason_said(
    contents: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home / ".gemini" / "settings.json"
    file.parent.mkdir()
    file.write_text(contents)
    assert main(["install", "gemini-cli", "--yes"]) == 2
    assert "Nothing was changed" in capsys.readouterr().err
    assert files_in(home) == {file: contents.encode()}


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        ("cursor", '{"mcpServers":{}}'),
        ("cursor", '{"a": 1}'),
        ("cursor", '{"a":1, /* c */}'),
        ("cursor", '{"mcpServers": {"other": {"command": "x"}}}'),
        ("opencode", '{\r\n  // mine\r\n  "mcp": {"other": {}}\r\n}'),
        ("codex", "a = 1\r\n# end"),
        ("goose", "extensions: {}\n"),
        ("goose", "a: 1\n# end"),
    ],
)
def test_a_server_installed_twice_with_other_options_leaves_the_file_as_it_was(
    name: str, contents: str, home: Path
) -> None:
    file = configured(name, contents)
    for options in ([], ["--scenario", "expiry"], ["--scenario", "demo", "--account", "19816"]):
        assert main(["install", name, "--yes", *options]) == 0
    assert main(["uninstall", name, "--yes"]) == 0
    assert files_in(home) == {file: contents.encode()}


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        ("cursor", '{"mcpServers": {"positions": {"command": "positions-mcp", "args": ["serve"]}}}'),
        ("opencode", '{"mcp": {\n  "positions": {"type": "local", "command": ["positions-mcp", "serve"]}\n}}'),
        ("codex", '[mcp_servers."positions"] # by hand\ncommand = "positions-mcp"\nargs = ["serve"]\n'),
        ("codex", '[mcp_servers.positions]\ncommand = "uvx"\nargs = ["positions-mcp", "serve"]\n[b]\nc = 1\n'),
        ("goose", "extensions:\n  positions:\n    cmd: positions-mcp\n    args: [serve]\n  b: {}\n"),
        ("goose", "extensions: {positions: {cmd: positions-mcp, args: [serve]}, b: {}}\n"),
    ],
)
def test_a_server_that_was_written_by_hand_is_out_after_uninstalling(name: str, contents: str, home: Path) -> None:
    host = host_named(name)
    assert host
    file = configured(name, contents)
    assert main(["install", name, "--yes"]) == 0
    assert main(["uninstall", name, "--yes"]) == 0
    assert "positions" not in (host.format.parsed(file.read_text()).get(host.container) or {})


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        ("codex", "mcp_servers = {}\n"),
        ("codex", '[mcp_servers]\npositions.command = "positions-mcp"\n'),
        ("goose", "extensions: ~\n"),
        ("goose", "---\na: 1\n...\n"),
    ],
)
def test_a_file_that_is_right_is_not_called_wrong_where_an_entry_cannot_be_added(
    name: str, contents: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = configured(name, contents)
    assert main(["install", name, "--yes"]) == 2
    assert "an entry cannot be added or removed without touching the rest" in capsys.readouterr().err
    assert files_in(home) == {file: contents.encode()}


def test_settings_of_the_shell_that_the_entry_does_not_have_are_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POSITIONS_MCP_MODE", "paper")
    monkeypatch.setenv("POSITIONS_MCP_TRADING__MAX_NOTIONAL", "500")
    monkeypatch.setenv("POSITIONS_MCP_DATA_DIR", str(home / "data"))
    assert main(["install", "cursor", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "POSITIONS_MCP_TRADING__MAX_NOTIONAL" in said
    assert "POSITIONS_MCP_DATA_DIR" in said
    assert "POSITIONS_MCP_MODE" not in said
    assert main(["install", "cursor", "--dry-run", "--data-dir", str(home / "data")]) == 0
    assert "POSITIONS_MCP_DATA_DIR" not in capsys.readouterr().out


def test_a_server_of_another_name_is_called_that_in_its_entry_too(home: Path) -> None:
    assert main(["install", "goose", "--yes", "--name", "expiries"]) == 0
    assert 'name: "expiries"' in (home / ".config" / "goose" / "config.yaml").read_text()


@pytest.mark.parametrize("name", ["", " ", "a b", "a.b", "-x", "pos\nitions", "é", "x" * 41])
def test_a_name_that_a_host_might_not_take_is_written_nowhere(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("--yes", "--print", "--dry-run"):
        assert main(["install", "cursor", f"--name={name}", option]) == 1
        told = capsys.readouterr()
        assert "cannot be the server's name in a host. Use up to 40 letters" in told.err
        assert told.out == ""
    assert files_in(home) == {}


@pytest.mark.parametrize("option", ["--dry-run", "--print"])
def test_looking_writes_nothing(option: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "codex", "zed", option]) == 0
    assert files_in(home) == {}
    assert "[mcp_servers.positions]" in capsys.readouterr().out


def test_without_a_host_those_that_are_found_are_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / ".codex").mkdir()
    assert main(["install"]) == 0
    assert f"Next: {program()} install codex" in (said := capsys.readouterr().out)
    assert "cursor" not in said


def test_a_link_is_followed_and_stays_a_link(home: Path) -> None:
    real = home / "dotfiles" / "config.toml"
    real.parent.mkdir()
    real.write_text("# mine\n")
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").symlink_to(real)
    assert main(["install", "codex", "--yes"]) == 0
    assert (home / ".codex" / "config.toml").is_symlink()
    assert tomllib.loads(real.read_text())["mcp_servers"]["positions"]["command"]


def test_a_link_that_leads_to_itself_is_left_and_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / ".cursor").mkdir()
    loop = home / ".cursor" / "mcp.json"
    loop.symlink_to(loop)
    assert main(["install", "cursor", "--yes"]) == 2
    assert str(loop) in (said := capsys.readouterr().err)
    assert said.endswith("Nothing was changed.\n")


def test_live_is_named_and_its_key_is_never_written(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLEAR_STREET_API_KEY", "very-secret-key")
    live = ["install", "cursor", "--yes", "--mode", "live", "--account", "7"]
    assert main(live) == 2
    assert files_in(home) == {}
    (home / "key").write_text("very-secret-key")
    monkeypatch.delenv("CLEAR_STREET_API_KEY")
    monkeypatch.setenv("CLEAR_STREET_API_KEY_FILE", str(home / "key"))
    assert main(live) == 0
    assert "LIVE" in capsys.readouterr().out
    entry = json.loads((home / ".cursor" / "mcp.json").read_text())["mcpServers"]["positions"]
    assert entry["args"] == ["serve", "--mode", "live", "--account", "7"]
    assert entry["env"] == {"CLEAR_STREET_API_KEY_FILE": str(home / "key")}

    monkeypatch.setenv("CLEAR_STREET_BASE_URL", "https://api.sandbox.clearstreet.com")
    assert main(live) == 0
    entry = json.loads((home / ".cursor" / "mcp.json").read_text())["mcpServers"]["positions"]
    assert entry["env"]["CLEAR_STREET_BASE_URL"] == "https://api.sandbox.clearstreet.com"


@pytest.mark.parametrize(
    "executable",
    [
        "/h/.cache/uv/archive-v0/x1/bin/python",
        "/h/.cache/uv/environments-v2/x/bin/python",
        "/h/.cache/pipx/0123/bin/python",
        "/h/.local/pipx/.cache/0123/bin/python",
        "/elsewhere/of/uv/y/bin/python",
    ],
)
def test_a_place_made_for_one_run_is_never_written_down(executable: str) -> None:
    environment = {"UV_CACHE_DIR": "/elsewhere/of/uv", "PATH": ""}
    words = program_words(Path(executable), environment, requirement="positions-mcp")
    assert words == ["uvx", "--from", "positions-mcp", "positions-mcp"]


def test_an_installation_is_named_by_its_whole_path() -> None:
    assert program_words(Path(sys.executable), {})[0] == str(Path(sys.executable).with_name("positions-mcp"))


@pytest.mark.parametrize(
    ("there", "place", "words"),
    [
        ([], "", "positions-mcp"),
        ([], "/src/it", "/src/it"),
        (["psycopg"], "", "positions-mcp[postgres]"),
        (["keyring", "psycopg"], "", "positions-mcp[postgres,keyring]"),
        (["psycopg"], "/src/a b", "positions-mcp[postgres] @ file:///src/a%20b"),
        (["keyring"], "git+https://a.example/it@1f", "positions-mcp[keyring] @ git+https://a.example/it@1f"),
    ],
)
def test_a_host_gets_the_extras_that_are_there(
    there: list[str], place: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "find_spec", lambda module: module if module in there else None)
    monkeypatch.setattr(hosts, "_place", lambda: place)
    assert installed_from() == words
