"""A user without a home folder, as the one of a container often is."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from positions_mcp.cli import main


@pytest.fixture(autouse=True)
def _without_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(number: int) -> None:
        raise KeyError(number)

    for name in ("HOME", "XDG_DATA_HOME", "POSITIONS_MCP_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.parametrize("words", ["operations list", "token list", "paper status", "halt stop", "serve"])
def test_a_command_asks_for_a_folder_where_none_is_usual(words: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) != 0
    assert "This user has no home folder" in capfd.readouterr().err


@pytest.mark.parametrize("words", ["operations list", "token list", "paper status", "halt stop"])
def test_a_command_works_in_a_folder_that_is_named(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POSITIONS_MCP_DATA_DIR", str(tmp_path))
    assert main(words.split()) == 0, capfd.readouterr().err


def test_a_command_that_is_printed_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POSITIONS_MCP_DATA_DIR", str(tmp_path))
    main(["doctor"])
    said = "".join(capfd.readouterr())
    assert f"--data-dir {tmp_path}" in " ".join(said.split())


def test_hosts_keep_their_configuration_in_a_home_folder(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["install"]) != 0
    assert "This user has no home folder" in capfd.readouterr().err
