"""`positions-mcp token`: a token is shown once, kept as a hash, and named."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from positions_mcp.cli import main
from positions_mcp.cli.serving.token_file import TokenFile
from positions_mcp.domain.errors import ConfigurationError, InvalidInput

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


@pytest.mark.requirement("A-05")
def test_a_new_token_is_shown_once_and_kept_as_a_hash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data_dir = tmp_path / "data"
    assert main(["token", "new", "alice", "--data-dir", str(data_dir)]) == 0
    shown = capsys.readouterr()
    token = shown.out.strip()
    assert token.startswith("pmcp_")
    assert shown.out == f"{token}\n", "the token alone, for a script to catch"
    assert token not in shown.err
    assert "Authorization: Bearer TOKEN" in shown.err

    assert main(["token", "list", "--data-dir", str(data_dir)]) == 0
    listed = capsys.readouterr().out
    assert "alice" in listed
    written = b"".join(file.read_bytes() for file in data_dir.iterdir())
    assert token not in listed
    assert token.encode() not in written
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in data_dir.iterdir()} == {0o600}
    assert TokenFile(data_dir).owner(token) == "alice"


def test_a_revoked_token_is_nobodys_and_its_name_is_free_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = TokenFile(tmp_path)
    first = file.issue("alice", NOW)
    other = file.issue("bob", NOW)
    assert main(["token", "revoke", "alice", "--data-dir", str(tmp_path)]) == 0
    assert "opens nothing any more" in capsys.readouterr().out
    assert (file.owner(first), file.owner(other)) == (None, "bob")
    second = file.issue("alice", NOW)
    assert (file.owner(first), file.owner(second)) == (None, "alice")


def test_a_name_has_one_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TokenFile(tmp_path).issue("alice", NOW)
    assert main(["token", "new", "alice", "--data-dir", str(tmp_path)]) == 1
    assert "alice has a token already. To replace it: " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "a b", "al\nice", "../alice", "a" * 41, "-alice", "älice"])
def test_a_name_is_plain(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be a caller's name"):
        TokenFile(tmp_path).issue(name, NOW)


def test_revoking_what_is_not_there_says_who_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TokenFile(tmp_path).issue("alice", NOW)
    assert main(["token", "revoke", "bob", "--data-dir", str(tmp_path)]) == 1
    assert "bob has no token. Names with a token: alice." in capsys.readouterr().err


def test_an_empty_list_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "list", "--data-dir", str(tmp_path)]) == 0
    assert "positions-mcp token new NAME --data-dir" in capsys.readouterr().out


def test_tokens_made_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    file = TokenFile(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        tokens = list(threads.map(lambda number: file.issue(f"caller-{number}", NOW), range(16)))
    assert sorted(map(str, map(file.owner, tokens))) == sorted(f"caller-{number}" for number in range(16))


def test_a_damaged_file_is_said_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = TokenFile(tmp_path)
    file.path.write_text('{"tokens": [{"name": "alice"}]}')
    with pytest.raises(ConfigurationError, match="is damaged"):
        file.owner("pmcp_x")
    assert main(["token", "new", "alice", "--data-dir", str(tmp_path)]) == 2
    assert "Delete it and make new tokens" in capsys.readouterr().err
    assert file.path.read_text() == '{"tokens": [{"name": "alice"}]}'
