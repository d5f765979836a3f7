"""`positions-mcp doctor`: says what is wrong, shows no secret and no holding, and touches nothing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.person import Place
from paper.serving import Served, serving
from positions_mcp.cli import main
from positions_mcp.cli.doctor import Findings
from positions_mcp.cli.doctor_live import _compare_clocks, drift_of
from positions_mcp.cli.serving.token_file import TokenFile
from positions_mcp.clock import SystemClock
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.servers import Server
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.paper import DEFAULT_KEY, PaperExchange
from positions_mcp.settings import load
from positions_mcp.store import DEFAULT_FILE, open_store
from tools.serving import StandingClock

Doctor = Callable[..., tuple[int, str]]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Runs the command; answers its exit code and what it printed, unfolded."""

    def run(data_dir: Path, *options: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["doctor", "--data-dir", str(data_dir), *options])
        return code, capsys.readouterr().out.replace("\n       ", " ")

    return run


def lines(shown: str, mark: str) -> list[str]:
    return [line for line in shown.splitlines() if line.startswith(mark)]


def contents_of(folder: Path) -> dict[str, list[str]]:
    """Everything that is stored, but for what a store writes to see whether it can."""
    contents = {}
    for file in sorted(folder.glob("*.sqlite")):
        with sqlite3.connect(file) as connection:
            contents[file.name] = [line for line in connection.iterdump() if "('probe'," not in line]
        connection.close()
    return contents


def test_before_anything_was_ever_started_all_is_well_and_nothing_is_made(tmp_path: Path, doctor: Doctor) -> None:
    code, shown = doctor(tmp_path / "data")
    assert code == 0
    assert not (tmp_path / "data").exists()
    assert lines(shown, "FAIL") == []
    assert "packaged files: 5 prompts; paper scenarios demo, empty, expiry, large, rough" in shown
    assert "configuration: PAPER (no real money); accounts 19816;" in shown
    assert shown.endswith("No operation was touched and nothing was sent.\n")


def test_a_place_that_cannot_be_made_is_said_whoever_asks(tmp_path: Path, doctor: Doctor) -> None:
    (tmp_path / "file").touch()
    places = {"/proc/x": "/proc: No such file or directory", str(tmp_path / "file" / "x"): "file: Not a directory"}
    for place, why in places.items():
        code, shown = doctor(Path(place))
        assert code == 1
        assert f"{why}. Set --data-dir to a directory of your own." in "".join(lines(shown, "FAIL data_dir"))


def test_a_place_in_use_is_found_in_order_and_left_as_it_is(place: Place, doctor: Doctor) -> None:
    store = open_store(place.data_dir / DEFAULT_FILE)
    store.set_halt(Halt(reason='crash\n"ok"', by="a person", at=SystemClock().now()))
    store.close()
    before = contents_of(place.data_dir)
    code, shown = doctor(place.data_dir)
    assert code == 0
    assert "store: writable, schema " in shown
    assert " journal entries, intact" in shown
    assert "ok   approver: " in shown
    assert "note halt: \"crash 'ok'\" since " in shown
    assert "paper book: its clock says 20" in shown
    assert "calendar: the market is " in shown
    assert contents_of(place.data_dir) == before
    assert len(before) == 2


@pytest.mark.parametrize(
    ("other", "noted"),
    [({}, True), *((each, False) for each in ({"policy": "mine"}, {"sends": False}, {"until": -1}, {"policy": ""}))],
    ids=["other limits", "the same", "a desk alone", "gone", "an earlier release"],
)
def test_servers_of_the_store_with_other_limits_are_noted(
    other: dict[str, Any], noted: bool, tmp_path: Path, doctor: Doctor
) -> None:
    now, mine = SystemClock().now(), load({"data_dir": tmp_path}).policy.fingerprint
    said = {"process": "there:1:boot", "mode": Mode.PAPER, "accounts": (), "sends": True, "policy": "another"} | other
    said |= {"policy": mine if said["policy"] == "mine" else said["policy"]}
    store = open_store(tmp_path / DEFAULT_FILE)
    store.announce(Server.model_validate(said | {"until": now + timedelta(minutes=other.get("until", 1))}), now)
    store.close()
    code, shown = doctor(tmp_path)
    assert code == 0
    words = f"servers of the store (1) go by other limits, accounts or rights than {mine}"
    assert (words in shown) is noted


def test_what_is_open_to_others_fails(place: Place, doctor: Doctor) -> None:
    (place.data_dir / DEFAULT_FILE).chmod(0o644)
    code, shown = doctor(place.data_dir)
    assert code == 1
    assert lines(shown, "FAIL") == [
        f"FAIL data_dir: open to other users: {place.data_dir / DEFAULT_FILE}. Run: chmod -R go= {place.data_dir}"
    ]
    assert "1 failed" in shown


@pytest.mark.requirement("G-04")
def test_a_broken_journal_fails(place: Place, doctor: Doctor) -> None:
    with sqlite3.connect(place.data_dir / DEFAULT_FILE) as connection:
        connection.execute("UPDATE journal SET event = 'other' WHERE sequence = 1")
    connection.close()
    code, shown = doctor(place.data_dir)
    assert code == 1
    assert "FAIL store: " in shown


def test_a_paper_book_and_tokens_that_cannot_be_read_fail(tmp_path: Path, doctor: Doctor) -> None:
    tmp_path.chmod(0o700)
    for name in ("paper.sqlite", "tokens.json"):
        (tmp_path / name).write_text("not what it should be")
        (tmp_path / name).chmod(0o600)
    code, shown = doctor(tmp_path)
    assert code == 1
    assert [line.split(":")[0] for line in lines(shown, "FAIL")] == ["FAIL tokens", "FAIL paper book"]
    assert "positions-mcp paper reset" in shown


def test_a_configuration_that_is_refused_fails_in_the_words_of_the_refusal(
    tmp_path: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSITIONS_MCP_TRADNG__ENABLED", "true")
    code, shown = doctor(tmp_path)
    assert code == 1
    assert "FAIL configuration: POSITIONS_MCP_TRADNG__ENABLED is not an environment variable" in shown


def test_a_scenario_that_is_not_there_fails(tmp_path: Path, doctor: Doctor) -> None:
    code, shown = doctor(tmp_path, "--scenario", "nope")
    assert code == 1
    assert "nope" in "".join(line for line in shown.splitlines() if "paper scenario" in line)
    assert doctor(tmp_path, "--scenario", "rough")[0] == 0


def test_only_the_desk_may_decide_and_nobody_can(
    tmp_path: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(tmp_path / DEFAULT_FILE).close()
    tmp_path.chmod(0o700)
    monkeypatch.setenv("POSITIONS_MCP_APPROVAL__CHANNEL", "desk")
    code, shown = doctor(tmp_path)
    assert code == 1
    assert "FAIL approver: none, and only the supervisor may decide. Run: `" in shown


@pytest.mark.requirement("A-05")
def test_no_secret_is_shown(tmp_path: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    token = TokenFile(tmp_path).issue("alice", SystemClock().now())
    monkeypatch.setenv("CLEAR_STREET_API_KEY", "identity.topsecret")
    monkeypatch.setenv("POSITIONS_MCP_STORE__URL", "postgresql://me:password1@127.0.0.1:1/none")
    code, shown = doctor(tmp_path, "--mode", "live", "--account", "7")
    assert code == 1
    assert "configuration: LIVE (REAL MONEY); accounts 7;" in shown
    assert "live access: https://api.clearstreet.com, with an API key" in shown
    assert "FAIL store: " in shown
    assert "note trading: read-only" in shown
    for secret in (token, "topsecret", "password1"):
        assert secret not in shown


def test_a_clock_before_the_installation_fails(tmp_path: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    long_ago = StandingClock(datetime(2001, 1, 2, 15, 0, tzinfo=UTC))
    monkeypatch.setattr("positions_mcp.cli.doctor.SystemClock", lambda: long_ago)
    code, shown = doctor(tmp_path / "data")
    assert code == 1
    assert "FAIL clock: 2001-01-02 10:00:00 New York is before this program was installed" in shown


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Path]]:
    """An exchange on a socket of this machine, which stands for the live API."""
    data_dir = tmp_path_factory.mktemp("upstream")
    with serving(data_dir) as served:
        yield served, data_dir


@pytest.fixture
def exchange(upstream: tuple[Served, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[PaperExchange]:
    """What stands behind the address that the environment names as the live API."""
    served, data_dir = upstream
    monkeypatch.setenv("CLEAR_STREET_BASE_URL", served.url)
    monkeypatch.setenv("CLEAR_STREET_API_KEY", DEFAULT_KEY)
    opened = PaperExchange.open(data_dir)
    yield opened
    opened.disarm()
    opened.close()


LIVE = ("--live", "--account", "19816")


@pytest.mark.requirement("G-15")
def test_live_reads_every_kind_and_shows_counts_only(tmp_path: Path, exchange: PaperExchange, doctor: Doctor) -> None:
    code, shown = doctor(tmp_path / "data", *LIVE)
    assert code == 0, shown
    assert "ok   clock against the API: " in shown
    assert "ok   positions of 19816: 25 read; every field and value is known" in shown
    assert "orders of 19816: " in shown
    assert "instructions of 19816: " in shown
    assert exchange.effect_counts() == {}
    for holding in ("AAPL", "MSFT", DEFAULT_KEY):
        assert holding not in shown


@pytest.mark.requirement("A-02")
def test_live_names_fields_and_values_that_are_new(tmp_path: Path, exchange: PaperExchange, doctor: Doctor) -> None:
    exchange.arm("unknown_fields", "get_positions")
    code, shown = doctor(tmp_path / "data", *LIVE)
    assert code == 0
    [note] = [line for line in lines(shown, "note") if "positions of 19816" in line]
    assert "fields not known here: " in note
    assert "values not known here: " in note


def test_live_says_what_is_refused_and_that_orders_can_be_done_without(
    tmp_path: Path, exchange: PaperExchange, doctor: Doctor
) -> None:
    exchange.arm("status_403", "get_positions")
    exchange.arm("status_403", "get_orders")
    code, shown = doctor(tmp_path / "data", *LIVE)
    assert code == 1
    assert "FAIL positions of 19816: " in shown
    assert "note orders of 19816: cannot be read, so operations are followed by the book alone" in shown


def test_live_and_paper_at_once_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--live", "--mode", "paper", "--data-dir", str(tmp_path)]) == 2
    assert "--live with --mode paper" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("off", "says"),
    [
        (timedelta(seconds=-20), "s apart. Deadlines go by this machine's clock."),
        (timedelta(minutes=-5), "s apart. Set this machine's clock."),
        (timedelta(minutes=5), "s apart. Set this machine's clock."),
    ],
)
def test_a_clock_that_differs_from_the_apis_is_said(
    off: timedelta, says: str, exchange: PaperExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = StandingClock(SystemClock().now() + off)
    monkeypatch.setattr("positions_mcp.cli.doctor_live.SystemClock", lambda: clock)
    said: list[str] = []
    _compare_clocks(Findings(_say=said.append), os.environ["CLEAR_STREET_BASE_URL"])
    assert says in said[0]


@pytest.mark.parametrize(
    ("off_s", "says"), [(0, "agrees within a second"), (1.6, "agrees within a second"), (2.4, "1 s apart"), (-3, "3 s")]
)
def test_what_whole_seconds_leave_open_is_no_difference(
    off_s: float, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
    theirs = ours - timedelta(seconds=off_s)
    monkeypatch.setattr("positions_mcp.cli.doctor_live.SystemClock", lambda: StandingClock(ours))
    monkeypatch.setattr("positions_mcp.cli.doctor_live.server_time", lambda _: theirs)
    said: list[str] = []
    _compare_clocks(Findings(_say=said.append), "https://api.example.com")
    assert said[0].startswith(f"ok   clock against the API: {says}")


def test_a_silent_server_leaves_the_clock_uncompared() -> None:
    said: list[str] = []
    _compare_clocks(Findings(_say=said.append), "http://127.0.0.1:1")
    assert said[0].startswith("note clock against the API: not compared: ")


@pytest.mark.requirement("A-02", "T-01")
def test_drift_names_what_is_new_at_any_depth_and_forgets_what_is_read_otherwise() -> None:
    row = {
        "id": "11111111-1111-4111-8111-111111111111",
        "account_id": 1,
        "instruction_type": "EXERCISE",
        "status": "PARKED\nok",
        "client_instruction_id": "key",
        "brand_new": 1,
        "rejection": {"reason": "X", "severity": "high"},
    }
    drift = drift_of(Instruction, [Instruction.model_validate(row)])
    assert drift.new_fields == ("brand_new", "rejection.severity")
    assert drift.new_values == ('status="PARKED ok"',)
    assert "quantity" in drift.never_sent
    assert "instruction_id" not in drift.never_sent
    assert drift_of(Order, []).never_sent == ()
    assert drift_of(Order, []).is_none
