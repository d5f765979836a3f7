"""Windows and macOS by substitution (see `cli.as_windows`): everything works or is refused in a sentence."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from mcp import Client, StdioServerParameters

from cli.person import PASSPHRASE, Place
from data_dirs import CLEAN
from positions_mcp.paper import database
from positions_mcp.platforms import this_platform
from positions_mcp.store import DEFAULT_FILE
from positions_mcp.store.engine import open_database
from tools.serving import data_of, text_of

AS_WINDOWS = [sys.executable, str(Path(__file__).with_name("as_windows.py"))]
PRAGMAS = ("fullfsync", "checkpoint_fullfsync")
LEFT_ARROW, BACKSPACE, CTRL_C = "\xe0K", "\b", "\x03"
WRONG = "not the passphrase"


def environment(home: Path) -> dict[str, str]:
    """A user profile, and no zone database of the system's."""
    own = {"LOCALAPPDATA": str(home / "AppData" / "Local"), "USERNAME": "ana", "PYTHONTZPATH": ""}
    return {**CLEAN, **own, "HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[1])}


def typed(*keystrokes: str, ahead: str = "") -> list[str]:
    """What comes from a keyboard: all that was typed ahead at once, then key by key; an arrow is two codes at once."""
    keys = [ahead]
    for each in keystrokes:
        keys += [each] if each == LEFT_ARROW else list(each)
    return keys


@dataclass
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str


@dataclass
class Machine:
    """A user profile, and what was run in it, each by a name."""

    home: Path
    place: Place
    jobs: dict[str, dict[str, Any]]
    ran: dict[str, Ran]

    def will(self, name: str, *words: str, keys: list[str] | None = None, where: Path | None = None) -> None:
        """Have a command run; in the data directory, unless elsewhere."""
        said = [*words, "--data-dir", str(where or self.place.data_dir)] if words else []
        self.jobs[name] = {"words": said, "keys": keys}

    def run(self) -> None:
        """Run all of them, in one process that has become Windows once."""
        done = subprocess.run(
            [*AS_WINDOWS, "--jobs"],
            input=json.dumps(list(self.jobs.values())),
            capture_output=True,
            text=True,
            env=environment(self.home),
            check=True,
        )
        for name, answer in zip(self.jobs, json.loads(done.stdout), strict=True):
            self.ran[name] = Ran(**answer)


@pytest.fixture(scope="module")
def windows(furnished: Path, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Every command of a person's, run where only Windows is."""
    home = tmp_path_factory.mktemp("profile")
    place = Place(home / "data")
    subprocess.run(["cp", "-r", str(furnished), str(place.data_dir)], check=True)
    elsewhere = tmp_path_factory.mktemp("shared")
    (home / "link").symlink_to(elsewhere)
    plans = [place.planned(symbol, asked=False).operation_id for symbol in ("JPM", "KO", "MSFT")]
    machine = Machine(home, place, {}, {})
    machine.will("nothing")
    machine.will("doctor", "doctor", "--json")
    machine.will("token new", "token", "new", "laptop")
    machine.will("token list", "token", "list", "--json")
    machine.will("token revoke", "token", "revoke", "laptop")
    machine.will("approver show", "approver", "show")
    machine.will("approve", "approve", plans[0], keys=typed(f"{PASSPHRASE}\r", ahead=f"{WRONG}\r"))
    mistyped = typed(LEFT_ARROW, f"{PASSPHRASE}x", BACKSPACE, "\r")
    machine.will("approve, mistyped", "approve", plans[1], keys=mistyped)
    machine.will("approve, interrupted", "approve", plans[2], keys=typed("corr", CTRL_C))
    machine.will("approve, wrong", "approve", plans[2], keys=typed(f"{WRONG}\r"))
    machine.will("approve, console gone", "approve", plans[2], keys=typed("corr"))
    machine.will("approve, no console", "approve", plans[2])
    machine.will("reject", "reject", plans[2])
    machine.will("halt", "halt", "lunch")
    machine.will("resume", "resume", keys=typed(f"{PASSPHRASE}\r"))
    machine.will("flatten", "flatten", "19816", "PLTR", "--follow", "0", keys=typed("19816\r", f"{PASSPHRASE}\r"))
    machine.will("operations", "operations", "list")
    machine.will("verify", "operations", "verify", "--json")
    machine.will("snapshot", "paper", "snapshot", "before")
    machine.will("install", "install", "claude-desktop", "--print")
    machine.will("elsewhere", "token", "list", where=elsewhere)
    machine.will("through a link", "halt", "x", where=home / "link")
    machine.will("a book elsewhere", "paper", "reset", where=elsewhere / "data")
    machine.will("doctor elsewhere", "doctor", where=elsewhere)
    machine.run()
    return machine


def test_no_command_ends_in_a_traceback_or_needs_what_only_posix_has(windows: Machine) -> None:
    for name, ran in windows.ran.items():
        assert "Traceback" not in ran.out + ran.err, (name, ran.err)
        assert not re.search(r"pwd|fcntl|termios|getuid|/dev/|chmod", ran.out + ran.err), name
        assert ran.code in (0, 1, 2, 130), name


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("nothing", 0, "usage: positions-mcp"),
        ("token new", 0, "pmcp_"),
        ("token list", 0, '"laptop"'),
        ("token revoke", 0, "The token of laptop opens nothing any more."),
        ("approver show", 0, "approver, may change who approves"),
        ("reject", 0, "PAPER DECLINED"),
        ("halt", 0, "HALTED by ana: lunch"),
        ("resume", 0, "RESUMED."),
        ("operations", 0, "close PLTR"),
        ("verify", 0, '"intact": true'),
        ("snapshot", 0, "Kept as before"),
        ("install", 0, "claude_desktop_config.json"),
    ],
)
def test_a_persons_commands_work_on_windows(name: str, code: int, said: str, windows: Machine) -> None:
    ran = windows.ran[name]
    assert ran.code == code, ran.err
    assert said in ran.out + ran.err


def test_the_doctor_finds_all_well_on_windows_and_says_what_protects_the_data(windows: Machine) -> None:
    ran = windows.ran["doctor"]
    told = {each["subject"]: each for each in json.loads(ran.out)["findings"]}
    assert ran.code == 0, ran.out
    assert told["data_dir"]["words"] == f"{windows.place.data_dir}, in your user profile, and closed as that is"


@pytest.mark.parametrize("name", ["approve", "approve, mistyped"])
def test_a_passphrase_typed_at_the_console_decides_and_is_not_shown(name: str, windows: Machine) -> None:
    ran = windows.ran[name]
    assert ran.code == 0, ran.err
    assert "Passphrase to APPROVE in PAPER (Ctrl-C decides nothing): \r\n" in ran.err
    assert PASSPHRASE not in ran.out + ran.err


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("approve, interrupted", 130, "Nothing was decided, nothing was sent."),
        ("approve, wrong", 1, "The passphrase is not the approver's. Nothing was decided."),
        ("approve, console gone", 1, "The terminal ended before the line did. Nothing was decided."),
        ("approve, no console", 1, "This needs a person at a terminal, and there is none."),
    ],
)
def test_what_is_no_passphrase_at_the_console_decides_nothing(
    name: str, code: int, said: str, windows: Machine
) -> None:
    ran = windows.ran[name]
    assert (ran.code, said in " ".join(ran.err.split())) == (code, True), ran.err
    assert "corr" not in ran.err


def test_a_person_flattens_at_the_console_and_what_is_typed_to_be_seen_is_shown(windows: Machine) -> None:
    ran = windows.ran["flatten"]
    assert ran.code == 0, ran.err
    assert "(Ctrl-C sends nothing): 19816\r\n" in ran.err
    assert PASSPHRASE not in ran.err
    sent = windows.place.newest()
    assert (sent.plan.flatten, sent.plan.caller) == (True, "terminal ana")
    assert windows.place.effects == {"close_position": 1}


@pytest.mark.parametrize("name", ["elsewhere", "through a link", "a book elsewhere"])
def test_a_folder_outside_the_user_profile_is_refused_in_one_sentence(name: str, windows: Machine) -> None:
    ran = windows.ran[name]
    assert ran.code in (1, 2)
    assert f"it is outside your user profile {windows.home}" in ran.err
    assert "Errno" not in ran.err
    assert ran.err.count("\n") == 1


def test_the_doctor_names_a_folder_outside_the_user_profile(windows: Machine) -> None:
    ran = windows.ran["doctor elsewhere"]
    said = " ".join(ran.out.split())
    assert ran.code == 1
    assert "FAIL data_dir: open to other users" in said
    assert f"into your user profile, {windows.home}" in said


async def test_an_assistant_lists_asks_and_previews_on_windows(windows: Machine) -> None:
    server = StdioServerParameters(
        command=AS_WINDOWS[0],
        args=[*AS_WINDOWS[1:], "serve", "--data-dir", str(windows.place.data_dir)],
        env=environment(windows.home),
    )
    async with Client(server) as client:
        assert data_of(await client.call_tool("list_positions", {}))["held"] > 20
        assert text_of(await client.call_tool("get_trading_status", {})).startswith("PAPER (no real money moves)")
        plan = data_of(await client.call_tool("preview_close", {"instruments": ["NVDA"]}))["plan_id"]
    operation = windows.place.operation(plan)
    assert operation.stage.is_open
    assert operation.plan.caller.startswith("ana through ")


@pytest.fixture
def started(windows: Machine) -> Iterator[Any]:
    """Starts a command that serves, as Windows; it is killed where a test leaves it running."""
    running: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        running.append(
            subprocess.Popen(
                [*AS_WINDOWS, *words, "--data-dir", str(windows.place.data_dir)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(windows.home),
            )
        )
        return running[-1]

    yield start
    for process in running:
        with process:
            process.kill()


@pytest.mark.parametrize(
    ("words", "path", "status", "number"),
    [
        (("desk", "--port", "0"), "/", 200, signal.SIGINT),
        (("serve", "--transport", "http", "--port", "0"), "", 401, signal.SIGTERM),
    ],
    ids=["desk", "http"],
)
def test_the_page_and_http_are_served_on_windows_until_they_are_told_to_stop(
    words: tuple[str, ...], path: str, status: int, number: signal.Signals, started: Any
) -> None:
    process = started(*words)
    found = re.search(r"http://[^\s,]+", process.stderr.readline())
    assert found
    assert httpx.get(f"{found[0]}{path}".replace("localhost", "127.0.0.1"), timeout=60).status_code == status
    process.send_signal(number)
    assert process.wait(60) == 0
    assert "Traceback" not in process.stderr.read()


def test_serve_ends_on_windows_when_it_is_told_to_while_its_client_stays(started: Any) -> None:
    process = started("serve")
    process.stdin.write('{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
    process.stdin.flush()
    assert '"id":1' in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize(("platform", "full"), [("darwin", 1), ("linux", 0)])
def test_a_commit_waits_for_the_drive_itself_on_macos(
    platform: str, full: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    this_platform.cache_clear()
    try:
        store = open_database(tmp_path / DEFAULT_FILE)
        with store.reading() as connection:
            found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in PRAGMAS]
        store.close()
        book = database.connect(tmp_path)
        found += [book.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS]
        book.close()
    finally:
        this_platform.cache_clear()
    assert found == [full] * 4


def test_commands_are_worded_for_the_shell_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", ModuleType("msvcrt"))
    this_platform.cache_clear()
    try:
        shell = this_platform()
    finally:
        this_platform.cache_clear()
        del sys.modules["positions_mcp.platforms.windows"]
    assert shell.program("C:\\a\\p.exe") == "C:\\a\\p.exe"
    assert shell.program("C:\\Program Files\\p.exe") == "& 'C:\\Program Files\\p.exe'"
    assert shell.word("Ana's data") == "'Ana''s data'"
    assert shell.word("$home") == "'$home'"
    assert shell.with_variable("A", "http://x") == "$env:A=http://x;"
    assert shell.needing_variable("A") == "if (-not $env:A) { throw 'set A' };"


def test_the_page_about_platforms_names_commands_that_were_run_by_substitution(windows: Machine) -> None:
    page = (Path(__file__).parents[2] / "docs" / "platforms.md").read_text(encoding="utf-8")
    rows = "".join(re.findall(r"^\| (`.*)\| by sub", page, re.MULTILINE))
    named = {*re.findall(r"^> positions-mcp (\w+)", page, re.MULTILINE), *re.findall(r"`(\w+)", rows)}
    ran = {job["words"][0] for job in windows.jobs.values() if job["words"]} | {"serve", "desk"}
    assert len(named) > 10
    assert named <= ran
