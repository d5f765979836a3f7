"""`positions-mcp` at a terminal: what it starts, and what it refuses in one clear message."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError

from data_dirs import CLEAN, PROGRAM
from positions_mcp import __version__
from positions_mcp.cli import COMMANDS, main
from tools.serving import ERAS, data_of, text_of

INSTALLED = Path(sys.executable).with_name("positions-mcp")
"""Never a fork; see `forking`."""
INITIALIZE = (
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
    '"clientInfo":{"name":"test","version":"1"}}}\n'
)


def environment(**variables: str) -> dict[str, str]:
    """The machine's environment without settings of its own."""
    return {**CLEAN, **variables}


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of this process without settings of the machine."""
    for name in set(os.environ) - set(environment()):
        monkeypatch.delenv(name)
    return monkeypatch


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], env=environment(**variables), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "program",
    [[str(INSTALLED)], ["/bin/sh", "-c", '"$0" -m positions_mcp "$@"', sys.executable]],
    ids=["itself", "module"],
)
def test_the_installed_program_prints_its_version(program: list[str]) -> None:
    done = subprocess.run([*program, "--version"], env=environment(), capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"positions-mcp {__version__}\n", "")


@pytest.mark.parametrize("words", [["paper", "clock", "set", "2026-11-27T10:00"], ["mandate", "list"], ["doctor"]])
def test_an_argument_too_many_is_told_with_the_usage_of_its_command(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*words, "more"])
    assert capsys.readouterr().err.startswith(f"usage: positions-mcp {' '.join(words[:3])} ")


def test_help_lists_every_command_without_importing_any() -> None:
    code = "import sys; from positions_mcp.cli import main; main(['--help'])"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=False, env=environment()
    )
    assert set(COMMANDS) <= set(done.stdout.split())
    assert not [line for line in done.stderr.splitlines() if line.endswith((" mcp", "httpx", "sqlalchemy", "pydantic"))]


@pytest.mark.requirement("G-15")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--mode", "prod"], '--mode = "prod" is not allowed. It takes paper or live.'),
        (["--mode", "live"], "Live mode needs the accounts"),
        (["--mode", "live", "--account", "7"], "Live mode needs the API key"),
        (["--scenario", "nope"], "no scenario 'nope'; there are demo,"),
        (["--account", "abc"], '--account = ["abc"] is not allowed. It takes different account numbers'),
        (["--mode", ""], "--mode is blank"),
        (["--data-dir", "${HOME}"], "--data-dir is a placeholder"),
        (["--config", "/nowhere.toml"], "/nowhere.toml cannot be read"),
        (["POSITIONS_MCP_MOOD=paper"], "POSITIONS_MCP_MOOD is not an environment variable"),
        (["POSITIONS_MCP_API__CONTRACT=x"], "POSITIONS_MCP_API__CONTRACT"),
    ],
)
def test_a_wrong_configuration_does_not_start_and_says_why_in_one_message(
    arguments: list[str], said: str, tmp_path: Path, clean: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    while arguments and "=" in arguments[0]:
        clean.setenv(*arguments.pop(0).split("="))
    assert main(["serve", "--data-dir", str(tmp_path / "data"), *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert len(printed.err.splitlines()) == 1


def test_an_account_the_paper_book_does_not_have_does_not_start(
    tmp_path: Path, clean: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["paper", "reset", "--scenario", "empty", "--data-dir", str(tmp_path)]) == 0
    assert main(["serve", "--account", "5", "--data-dir", str(tmp_path)]) == 2
    assert "[5]" in (said := capsys.readouterr().err)
    assert "--account" in said


def test_a_wrong_configuration_ends_a_real_process_with_code_2(tmp_path: Path) -> None:
    done = run("serve", "--mode", "prod", "--data-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith('positions-mcp: --mode = "prod" is not allowed')


@pytest.mark.requirement("T-02", "T-03")
@pytest.mark.parametrize("era", ERAS)
async def test_every_tool_answers_through_a_real_process_in_both_eras(era: str, tmp_path: Path) -> None:
    server = StdioServerParameters(
        command=str(INSTALLED),
        args=["serve", "--scenario", "demo"],
        env=environment(POSITIONS_MCP_DATA_DIR=str(tmp_path / "data")),
    )
    async with Client(server, mode=era) as client:
        assert client.instructions is None or client.instructions.startswith("PAPER account 19816")
        first = data_of(await client.call_tool("list_positions", {"limit": 20}))
        rest = data_of(await client.call_tool("list_positions", {"cursor": first["next_cursor"]}))
        assert len(first["rows"]) + len(rest["rows"]) == first["held"]
        for tool in ("summarize_positions", "list_instructions"):
            answer = await client.call_tool(tool, {})
            assert text_of(answer).startswith("PAPER account 19816, read ")
            assert data_of(answer)["account_id"] == 19816
        assert text_of(await client.call_tool("get_trading_status", {})).startswith("PAPER (no real money moves)")
        with pytest.raises(MCPError, match="no_such_tool is not a tool of this server"):
            await client.call_tool("no_such_tool", {})
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[str]:
    """The address of a paper exchange that listens on this machine."""
    with subprocess.Popen(
        [*PROGRAM, "paper", "serve", "--scenario", "demo", "--contract", "seed", "--data-dir", str(tmp_path / "paper")],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        yield process.stdout.readline().split()[-1]
        process.terminate()


@pytest.mark.requirement("G-15", "A-05")
async def test_live_reads_over_the_network_says_live_and_is_read_only(tmp_path: Path, exchange: str) -> None:
    server = StdioServerParameters(
        command=PROGRAM[0],
        args=[*PROGRAM[1:], "serve", "--mode", "live", "--account", "19816", "--data-dir", str(tmp_path / "live")],
        env=environment(CLEAR_STREET_BASE_URL=exchange, CLEAR_STREET_API_KEY="paper.key"),
    )
    async with Client(server) as client:
        listed = await client.call_tool("list_positions", {})
        status = await client.call_tool("get_trading_status", {})
    assert text_of(listed).startswith("LIVE account 19816, read ")
    assert data_of(listed)["held"] == 25
    assert "read-only" in text_of(status)
    assert exchange in text_of(status)
    assert "paper.key" not in text_of(status)


def test_standard_output_is_the_protocols_alone_and_the_end_of_input_ends_the_process(tmp_path: Path) -> None:
    done = subprocess.run(
        [INSTALLED, "serve", "--scenario", "empty"],
        input=INITIALIZE,
        env=environment(POSITIONS_MCP_DATA_DIR=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert [line[:16] for line in done.stdout.splitlines()] == ['{"jsonrpc":"2.0"']
    assert done.stderr == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_although_input_is_still_open(number: signal.Signals, tmp_path: Path) -> None:
    with subprocess.Popen(
        [*PROGRAM, "serve", "--scenario", "empty"],
        env=environment(POSITIONS_MCP_DATA_DIR=str(tmp_path)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(INITIALIZE)
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
