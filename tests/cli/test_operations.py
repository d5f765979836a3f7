"""`operations`: what was done, what is left, what became of the unknown, and whether the record is unaltered."""

from __future__ import annotations

import json
import re
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from cli.person import PASSPHRASE, Place
from positions_mcp.cli import main
from positions_mcp.domain.account.sessions import NEW_YORK, moment
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.operation import Conclusion
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.store import DEFAULT_FILE, open_store
from store.steps import NOW, plan_of, planned

CONCLUSION = "type what is true (took effect / did not take effect):"
WHY = "How do you know"
PASSPHRASE_PROMPT = "Passphrase to settle"


def unknown(place: Place, fault: str = "drop_before_effect") -> str:
    """An operation whose outcome is not known."""
    with place.exchange() as exchange:
        exchange.arm(fault, "close_position")
    operation = place.sent("JPM")
    assert place.state(operation) is OperationState.UNKNOWN
    return operation


@pytest.mark.requirement("G-14", "G-15")
def test_operations_are_listed_and_shown_with_what_is_left_within_100_columns(place: Place) -> None:
    operation = place.sent("JPM", "KO")
    listed = place.without_terminal("operations", "list").stdout
    offline = place.without_terminal("operations", "show", operation, "--offline").stdout
    with place.exchange() as exchange:
        exchange.clock.advance(timedelta(minutes=5))
    shown = place.without_terminal("operations", "show", operation).stdout
    assert f"{operation}  PAPER  19816" in listed
    assert "close KO, JPM" in listed or "close JPM, KO" in listed
    assert str(place.operation(operation).plan.measure) in listed
    assert "PAPER SUBMITTED: 2 submitted; 0 of 2 flat" in offline
    assert "PAPER CLOSED: 2 submitted; 2 of 2 flat" in shown
    assert "FILLED 400/400 at" in shown
    assert [event for event in ("plan made", "approved", "claimed", "sending", "outcome") if event not in shown] == []
    said = (listed + offline + shown).replace(str(place.data_dir), "DIR")
    assert all(len(line) <= 100 for line in said.splitlines())
    assert str(place.data_dir) in listed


def test_a_list_of_one_mode_or_account_is_of_all_its_operations_however_many_others_are_newer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(tmp_path / DEFAULT_FILE)
    for number, changes in enumerate([{"mode": Mode.LIVE}, {"account_id": AccountId(777)}, {}, {}]):
        plan = plan_of(f"op-{number}", at=NOW + timedelta(seconds=number))
        planned(store, plan.model_copy(update=changes))
    store.close()
    for options, found in {"--mode live": "op-0", "--account 777": "op-1", "--mode paper": "op-3"}.items():
        words = ["operations", "list", *options.split(), "--limit", "1", "--json", "--data-dir", str(tmp_path)]
        assert main(words) == 0
        assert [each["operation_id"] for each in json.loads(capsys.readouterr().out)["operations"]] == [found]


@pytest.mark.parametrize(
    "words", ["operations list", "operations verify", "mandate list", "halt", "reject", "approver list"]
)
def test_a_mode_that_there_is_not_is_said_and_nothing_done(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words.split(), "--mode", "lvie", "--data-dir", str(tmp_path / "data")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert '--mode = "lvie" is not allowed. It takes paper or live.' in said.err
    assert ("NOT halted" in said.err) is (words == "halt")
    assert not (tmp_path / "data").exists()


def test_every_time_that_a_person_is_shown_is_new_yorks_and_says_so(place: Place) -> None:
    operation = place.sent("JPM")
    place.without_terminal("halt", "lunch")
    listed = place.without_terminal("operations", "list").stdout
    shown = place.without_terminal("operations", "show", operation, "--offline").stdout
    held = place.operation(operation)
    assert held.decision is not None
    assert "PLANNED (NEW YORK)" in listed
    assert f"{held.plan.created_at.astimezone(NEW_YORK):%m-%d %H:%M}" in listed
    assert re.search(r"HALTED by .* \(since [-0-9]+ [:0-9]+ New York", listed)
    assert f"valid until {moment(held.plan.expires_at)} by the real clock" in " ".join(shown.split())
    assert f"approved at {moment(held.decision.decided_at)} by the real clock" in " ".join(shown.split())
    assert "TIME (NEW YORK)" in shown
    assert f"{held.plan.created_at.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S}  plan made" in shown
    assert "UTC" not in listed + shown


def test_the_journal_is_verified_and_an_edit_is_found_and_named(place: Place) -> None:
    operation = place.planned("JPM").operation_id
    done = place.without_terminal("operations", "verify")
    assert done.returncode == 0
    assert "INTACT" in done.stdout
    with sqlite3.connect(place.data_dir / "operations.sqlite") as database:
        database.execute("UPDATE operations SET stage = 'APPROVED'")
    database.close()
    done = place.without_terminal("operations", "verify")
    assert done.returncode == 1
    assert "BROKEN" in done.stdout
    assert operation in done.stdout
    code, shown = place.shows("approve", operation)
    assert code == 1
    assert "decided nothing" in shown or "broken" in shown


@pytest.mark.requirement("G-05")
def test_a_person_settles_an_unknown_outcome_after_seeing_what_the_program_knows(place: Place) -> None:
    operation = unknown(place)
    with place.at_terminal("operations", "settle", operation) as person:
        person.sees("PAPER UNKNOWN", "Held now: 60 JPM", "No order for JPM is listed.")
        person.answers(CONCLUSION, "did not take effect")
        person.answers(WHY, "the broker's blotter shows no order")
        person.answers(PASSPHRASE_PROMPT, PASSPHRASE)
        code, shown = person.ends()
    assert code == 0, shown
    assert "SETTLED: JPM did not take effect" in shown
    resolution = place.operation(operation).rows[0].resolution
    assert resolution is not None
    assert resolution.conclusion is Conclusion.DID_NOT
    assert resolution.by_person
    assert resolution.evidence == "the broker's blotter shows no order"
    assert "settled" in place.without_terminal("operations", "show", operation, "--offline").stdout
    code, shown = place.shows("operations", "settle", operation)
    assert code == 1
    assert "There is nothing to settle" in shown


@pytest.mark.requirement("G-05")
def test_what_the_program_can_conclude_itself_is_not_left_to_the_person(place: Place) -> None:
    operation = unknown(place, "drop_after_effect")
    code, shown = place.shows("operations", "settle", operation)
    assert code == 1
    assert "PAPER RECONCILED" in shown
    assert "There is nothing to settle" in shown
    assert place.effects == {"close_position": 1}


@pytest.mark.requirement("G-05")
def test_nothing_is_settled_by_other_words_a_wrong_passphrase_or_an_interrupt(place: Place) -> None:
    operation = unknown(place)
    with place.at_terminal("operations", "settle", operation) as person:
        person.answers(CONCLUSION, "maybe")
        assert person.ends()[0] == 1
    with place.at_terminal("operations", "settle", operation, "JPM") as person:
        person.answers(CONCLUSION, "took effect")
        person.answers(WHY, "I saw it")
        person.answers(PASSPHRASE_PROMPT, "not the passphrase")
        assert person.ends()[0] == 1
    with place.at_terminal("operations", "settle", operation) as person:
        person.sees(CONCLUSION)
        person.interrupts()
        code, shown = person.ends()
    assert code == 130
    assert "Nothing was settled." in shown
    assert place.state(operation) is OperationState.UNKNOWN
