"""How the commands print: help, folding, colours and progress for a person, plain text and JSON for a program."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.person import Place
from data_dirs import PROGRAM
from positions_mcp.cli import COMMANDS, GROUPS, main
from positions_mcp.cli.output import table
from positions_mcp.cli.serving.token_file import TokenFile
from positions_mcp.clock import SystemClock
from positions_mcp.domain.operation.states import OperationState

ESCAPE = "\x1b["
RED, GREEN = "\x1b[31m", "\x1b[32m"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
AMOUNT = re.compile(r"-?\d+(\.\d+)?")
EVERY_READING_COMMAND = (
    ("operations", "list"),
    ("operations", "verify"),
    ("mandate", "list"),
    ("doctor",),
    ("token", "list"),
    ("approver", "list"),
    ("approver", "show"),
    ("paper", "status"),
    ("paper", "effects"),
    ("paper", "clock"),
    ("paper", "clock", "show"),
    ("paper", "fault"),
    ("paper", "snapshot"),
)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit code and standard output of a command in this process."""
    capsys.readouterr()
    try:
        code = main(words)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, capsys.readouterr().out


@pytest.mark.parametrize("words", [(), *map(tuple, GROUPS)], ids=lambda words: " ".join(words) or "nothing")
def test_without_arguments_there_is_help_and_that_is_no_error(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, shown = run(capsys, *words)
    assert code == 0
    assert shown.startswith(" ".join(["usage: positions-mcp", *words]))
    assert "COMMAND" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_only_has_subcommands_is_known_as_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, shown = run(capsys, name, "--help")
    assert (" COMMAND ..." in shown.partition("\n\n")[0]) is ([name] in GROUPS)


def test_a_table_stays_within_the_terminal_and_loses_nothing(place: Place) -> None:
    operation = place.sent("KO", "JPM")
    place.environment = {"COLUMNS": "80"}  # of the shell that started it, in a window that has changed since
    for columns in (40, 60, 80, 200):
        code, shown = place.shows("operations", "list", columns=columns)
        assert code == 0
        lines = [line for line in shown.splitlines() if str(place.data_dir) not in line]
        assert max(map(len, lines)) <= columns, columns
        for said in (operation, "OPERATION", "PLANNED (NEW YORK)", "close KO, JPM", "LEFT"):
            assert said in shown, (columns, said)
    assert any(line.startswith(operation) and line.rstrip().endswith("flat") for line in lines)


def test_a_cell_that_fits_no_line_is_folded_and_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    why = "because " * 30
    shown = "\n".join(table(("A", "WHY"), [("x", why.strip())]))
    assert shown.split().count("because") == 30
    assert max(map(len, shown.splitlines())) <= 50


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": ""}, False),
    ],
)
def test_colours_are_for_terminals_that_show_them_and_people_who_want_them(
    place: Place, environment: Mapping[str, str], coloured: bool
) -> None:
    place.without_terminal("halt", "lunch")
    place.environment = dict(environment)
    _, shown = place.shows("operations", "list")
    assert (f"{RED}HALTED by " in shown) is coloured
    assert (ESCAPE in shown) is coloured
    assert ESCAPE not in place.without_terminal("operations", "list").stdout


def test_what_is_grave_is_red_and_what_is_well_is_not(place: Place) -> None:
    place.environment = {"TERM": "xterm"}
    with place.exchange() as exchange:
        exchange.arm("drop_before_effect", "close_position")
    operation = place.sent("JPM")
    assert place.state(operation) is OperationState.UNKNOWN
    _, shown = place.shows("operations", "show", operation, "--offline")
    assert f"{RED}PAPER UNKNOWN" in shown
    assert f"PAPER account 19816, data_dir {place.data_dir}" in shown.splitlines()
    _, shown = place.shows("operations", "verify")
    assert f"{GREEN}INTACT" in shown
    assert RED not in shown


def test_a_wait_is_shown_to_a_person_on_one_line_that_goes_away(place: Place) -> None:
    _, shown = place.shows("operations", "verify")
    line = "Walking the journal …"
    assert line in shown
    assert f"\r{' ' * len(line)}\r" in shown
    assert line not in str(place.without_terminal("operations", "verify"))


def test_a_character_without_a_code_in_the_output_ends_no_command(place: Place) -> None:
    place.without_terminal("halt", "naïve → ☂")
    place.environment = {"PYTHONIOENCODING": "ascii"}
    code, shown = place.shows("operations", "list")
    assert code == 0
    assert "HALTED" in shown


def test_a_reader_that_has_seen_enough_stops_nothing_that_a_command_does(place: Place) -> None:
    program = [*PROGRAM, "halt", "lunch", "--data-dir", str(place.data_dir)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0
    with place.store() as store:
        assert [halt.reason for halt in store.halts()] == ["lunch"]


@pytest.mark.parametrize("words", [["halt", "lunch"], ["operations", "list", "--json"], ["approver", "list"]])
def test_a_full_disk_under_the_output_is_said_and_stops_nothing_that_a_command_does(
    words: list[str], place: Place
) -> None:
    program = [*PROGRAM, *words, "--data-dir", str(place.data_dir)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(program, check=False, stdout=full, stderr=subprocess.PIPE, text=True)
    assert "what it says cannot be written: No space left on device. What it does goes on." in done.stderr
    assert "Traceback" not in done.stderr
    with place.store() as store:
        assert [halt.reason for halt in store.halts()] == ["lunch"] * ("halt" in words)


@pytest.mark.parametrize(
    ("words", "closed"), [("halt lunch", ">&-"), ("halt lunch", "<&- >&- 2>&-"), ("serve", "<&-"), ("serve", ">&-")]
)
def test_a_command_whose_streams_are_closed_does_what_it_does(words: str, closed: str, place: Place) -> None:
    line = f'"$0" -m positions_mcp {words} --data-dir "$1" {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", line, sys.executable, place.data_dir], check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0
    with place.store() as store:
        assert [halt.reason for halt in store.halts()] == ["lunch"] * words.startswith("halt")


@pytest.mark.parametrize(
    "words",
    [
        "operations list --limit=",
        "approver add Ben --in=",
        "flatten ",
        "paper reset --account=",
        "paper fault --times=",
    ],
)
@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("9" * 19, "has more than 18 digits"),
        ("9" * 5000, "has more than 18 digits"),
        ("1.5", "is not a whole number"),
        ("\u0661", "is not a whole number"),
    ],
)
def test_what_no_database_holds_is_no_number(
    words: str, number: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(f"{words}{number}".split())
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", EVERY_READING_COMMAND, ids=" ".join)
def test_every_reading_command_prints_json_and_nothing_else(
    words: tuple[str, ...], place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    TokenFile(place.data_dir).issue("laptop", SystemClock().now())
    code, shown = run(capsys, *words, "--json", "--data-dir", str(place.data_dir))
    assert code == 0
    assert isinstance(json.loads(shown), dict | list)


def test_json_of_an_operation_has_its_amounts_as_strings_and_its_times_in_utc(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    operation = place.sent("JPM")
    with place.exchange() as exchange:
        exchange.clock.advance(timedelta(minutes=5))
    place.without_terminal("halt", "lunch", "--kind", "close")
    where = ("--json", "--data-dir", str(place.data_dir))
    shown = json.loads(run(capsys, "operations", "show", operation, *where)[1])["operation"]
    listed = json.loads(run(capsys, "operations", "list", *where)[1])
    (row,) = listed["operations"]
    assert {name: shown[name] for name in row} == row
    assert (row["operation_id"], row["mode"], row["account_id"], row["state"]) == (operation, "paper", 19816, "CLOSED")
    assert (row["symbols"], row["targets"], row["flat"], row["in_doubt"]) == (["JPM"], 1, 1, 0)
    assert row["notional"] == str(place.operation(operation).plan.measure)
    assert all(TIME.fullmatch(row[name]) for name in ("created_at", "expires_at", "updated_at"))
    (target,) = shown["rows"]
    assert target["planned"] == "SELL 60"
    assert all(AMOUNT.fullmatch(target["orders"][0][name]) for name in ("quantity", "filled", "average_price"))
    assert [entry["event"] for entry in shown["journal"]][:2] == ["plan made", "awaiting approval"]
    assert all(TIME.fullmatch(entry["at"]) for entry in shown["journal"])
    (halt,) = listed["halts"]
    assert (halt["reason"], halt["kind"], halt["account_id"], halt["caller"]) == ("lunch", "close", None, None)


def test_json_of_the_doctor_has_every_finding_and_its_exit_code(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    (place.data_dir / "tokens.json").write_text("broken")
    (place.data_dir / "tokens.json").chmod(0o600)
    code, shown = run(capsys, "doctor", "--json", "--data-dir", str(place.data_dir))
    told = json.loads(shown)
    assert code == 1
    assert (told["failed"], told["notes"]) == (
        sum(each["result"] == "fail" for each in told["findings"]),
        sum(each["result"] == "note" for each in told["findings"]),
    )
    assert [each["subject"] for each in told["findings"] if each["result"] == "fail"] == ["tokens"]


def names_in(shape: Any) -> set[str]:
    """Every name in a shape, however deep."""
    if isinstance(shape, dict):
        return set(shape) | {name for value in shape.values() for name in names_in(value)}
    return {name for value in shape for name in names_in(value)} if isinstance(shape, list) else set()


def test_the_manual_names_everything_that_json_has(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
    described = set(re.findall(r"[a-z_0-9]+", manual.partition("## For programs")[2].partition("\n## ")[0]))
    operation = place.sent("JPM")
    place.without_terminal("halt", "lunch")
    TokenFile(place.data_dir).issue("laptop", SystemClock().now())
    own = [words for words in EVERY_READING_COMMAND if words[0] != "paper"]
    for words in (*own, ("operations", "show", operation)):
        _, shown = run(capsys, *words, "--json", "--data-dir", str(place.data_dir))
        assert names_in(json.loads(shown)) - described == set(), words


def test_serve_at_a_terminal_says_what_it_waits_for_and_ends_with_ctrl_c(bare: Place) -> None:
    with bare.at_terminal("serve", columns=80) as person:
        person.sees("PAPER MCP server: it waits", "Ctrl-C", "install", "demo")
        person.interrupts()
        code, shown = person.ends()
    assert code == 0
    assert len(shown.splitlines()) <= 8
    assert "Traceback" not in shown
