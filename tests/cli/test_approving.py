"""`approve` and `reject`: a person decides in one process what a call waits for in another."""

from __future__ import annotations

import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pexpect
import pytest

from cli.person import ACCOUNT, FRIDAY, PASSPHRASE, TIMEOUT_S, Place, StandingClock
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.servers import Server
from positions_mcp.domain.operation.states import OperationState

PROMPT = "Passphrase to APPROVE in PAPER"
WAITING = "APPROVED - NOT SENT"


@pytest.mark.requirement("G-01", "G-02", "G-15")
def test_a_yes_at_the_terminal_is_sent_by_the_call_that_waits_and_followed_to_its_outcome(place: Place) -> None:
    with place.asking("JPM", "KO") as call, place.at_terminal("approve", call.operation_id) as person:
        person.sees(f"PAPER account 19816, data_dir {place.data_dir}"[:100], "*** PAPER (no real money) ***")
        person.sees("SELL 60 JPM", "SELL 400", "KO", "Open orders stay", call.operation_id)
        person.answers(PROMPT, PASSPHRASE)
        code, shown = person.ends()  # what it says on the way depends on how soon the call sends
        report = call.report()
    assert code == 0, shown
    assert "PAPER SUBMITTED: 2 submitted" in shown
    assert PASSPHRASE not in shown
    assert report["state"] == "SUBMITTED"
    decision = place.operation(call.operation_id).decision
    with place.store() as store:
        approver = store.rosters().roster
    assert decision is not None
    assert approver is not None
    assert decision.by == f"approver {approver.members[0].credentials[0].fingerprint}"
    assert decision.signed
    assert place.effects == {"close_position": 2}


@pytest.mark.requirement("G-01")
@pytest.mark.parametrize(
    "words",
    [
        ("approve", "{operation}"),
        ("operations", "settle", "{operation}"),
        ("flatten", "19816"),
        ("resume",),
        ("approver", "replace"),
    ],
    ids=lambda words: words[0],
)
def test_a_program_without_a_terminal_decides_nothing_whatever_it_pipes_in(
    place: Place, words: tuple[str, ...]
) -> None:
    operation = place.planned("JPM").operation_id
    lines = f"{PASSPHRASE}\n19816\n{PASSPHRASE}\n"
    done = place.without_terminal(*(word.format(operation=operation) for word in words), typed=lines)
    assert done.returncode == 1
    assert "needs a person at a terminal" in done.stderr
    assert "Nothing was decided, nothing was sent." in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert place.state(operation) is OperationState.AWAITING_APPROVAL
    assert place.effects == {}


@pytest.mark.requirement("G-01")
def test_no_argument_and_no_variable_carries_a_passphrase(place: Place) -> None:
    operation = place.planned("JPM").operation_id
    assert place.without_terminal("approve", operation, "--passphrase", PASSPHRASE).returncode == 2
    assert place.without_terminal("approve", operation, PASSPHRASE).returncode == 2
    place.environment["POSITIONS_MCP_PASSPHRASE"] = PASSPHRASE
    code, shown = place.shows("approve", operation)
    assert code == 2
    assert "POSITIONS_MCP_PASSPHRASE is not an environment variable" in " ".join(shown.split())
    assert place.state(operation) is OperationState.AWAITING_APPROVAL


@pytest.mark.requirement("G-01")
def test_what_was_typed_before_the_question_is_no_answer(place: Place) -> None:
    operation = place.planned("JPM").operation_id
    with place.at_terminal("approve", operation) as person:
        person.types(PASSPHRASE)
        person.sees(PROMPT)
        person.types("another passphrase")
        code, shown = person.ends()
    assert code == 1
    assert "not the approver's" in shown
    assert place.state(operation) is OperationState.AWAITING_APPROVAL


@pytest.mark.requirement("G-02")
def test_a_wrong_passphrase_decides_nothing_and_the_plan_can_still_be_approved_once(place: Place) -> None:
    with place.asking("JPM") as call:
        with place.at_terminal("approve", call.operation_id) as person:
            person.answers(PROMPT, "correct horse battery stable")
            code, shown = person.ends()
            assert code == 1
            assert "not the approver's" in shown
        with place.at_terminal("approve", call.operation_id) as person:
            person.answers(PROMPT, PASSPHRASE)
            assert person.ends()[0] == 0
        code, shown = place.shows("approve", call.operation_id)
    assert code == 1
    assert "It is SUBMITTED: there is nothing to approve" in shown
    assert PROMPT not in shown
    assert place.effects == {"close_position": 1}


@pytest.mark.requirement("G-02", "G-06")
def test_two_terminals_that_approve_at_once_decide_once(place: Place) -> None:
    with (
        place.asking("JPM") as call,
        place.at_terminal("approve", call.operation_id) as one,
        place.at_terminal("approve", call.operation_id) as other,
    ):
        one.sees(PROMPT)
        other.sees(PROMPT)
        one.types(PASSPHRASE)
        other.types(PASSPHRASE)
        codes = sorted([one.ends(), other.ends()])
    assert [code for code, _ in codes] == [0, 1]
    assert "decided nothing" in codes[1][1]
    assert place.effects == {"close_position": 1}


@pytest.mark.requirement("G-02")
def test_an_expired_plan_is_shown_and_cannot_be_approved(place: Place) -> None:
    operation = place.planned("JPM", clock=StandingClock(FRIDAY)).operation_id
    code, shown = place.shows("approve", operation)
    assert code == 1
    assert "It is EXPIRED" in shown
    assert PROMPT not in shown


@pytest.mark.requirement("G-02")
def test_a_yes_that_no_call_uses_is_shown_as_not_sent_until_it_has_lapsed(place: Place) -> None:
    operation = place.planned("JPM").operation_id
    with place.at_terminal("approve", operation) as person:
        person.answers(PROMPT, PASSPHRASE)
        person.sees(WAITING, "lapses at")
        place.lapses(operation)
        code, shown = person.ends()
    assert code == 1
    assert "PAPER LAPSED" in shown
    assert "Nothing was sent" in shown
    assert place.effects == {}


@pytest.mark.requirement("G-02")
def test_an_interrupt_before_the_passphrase_decides_nothing(place: Place) -> None:
    operation = place.planned("JPM").operation_id
    with place.at_terminal("approve", operation) as person:
        person.sees(PROMPT)
        person.interrupts()
        code, shown = person.ends()
    assert code == 130
    assert "Nothing was decided, nothing was sent." in shown
    assert place.state(operation) is OperationState.AWAITING_APPROVAL


@pytest.mark.requirement("G-02")
def test_an_interrupt_after_the_yes_says_that_it_stands_and_a_no_takes_it_back(place: Place) -> None:
    operation = place.planned("JPM").operation_id
    with place.at_terminal("approve", operation) as person:
        person.answers(PROMPT, PASSPHRASE)
        person.sees(WAITING)
        person.interrupts()
        code, shown = person.ends()
    assert code == 130
    assert f"positions-mcp reject {operation}" in shown
    done = place.without_terminal("reject", operation)
    assert done.returncode == 0
    assert "PAPER DECLINED" in done.stdout
    assert place.state(operation) is OperationState.DECLINED


@pytest.mark.requirement("G-01")
def test_a_no_needs_neither_terminal_nor_passphrase_and_ends_the_call_that_waits(place: Place) -> None:
    with place.asking("JPM") as call:
        done = place.without_terminal("reject", call.operation_id)
        report = call.report()
    assert done.returncode == 0
    assert report["state"] == "DECLINED"
    again = place.without_terminal("reject", call.operation_id)
    assert again.returncode == 1
    assert f"{call.operation_id} is DECLINED" in again.stderr
    assert place.effects == {}


@pytest.mark.requirement("G-01", "G-02")
def test_a_preview_is_approved_for_the_call_that_asks_for_it_and_that_is_said(place: Place) -> None:
    operation = place.planned("JPM", asked=False).operation_id
    with place.at_terminal("approve", operation) as person:
        person.sees("It was only previewed.")
        person.answers(PROMPT, PASSPHRASE)
        code, shown = person.ends()
    assert code == 0
    assert "the call that asks for it sends it" in " ".join(shown.split())
    decided = place.operation(operation)
    assert decided.decision is not None
    assert decided.decision.of_preview
    assert place.state(operation) is OperationState.APPROVED
    assert place.effects == {}


def test_whether_a_server_would_send_it_is_said_before_the_passphrase(place: Place) -> None:
    operation = place.planned("JPM").operation_id
    for alive, words in ((False, "No server that would send it"), (True, "Once it is approved a server")):
        if alive:
            now = datetime.now(UTC)
            here = Server(process="p", mode=Mode.PAPER, accounts=(ACCOUNT,), sends=True, until=now + timedelta(hours=1))
            with place.store() as store:
                store.announce(here, now)
        with place.at_terminal("approve", operation) as person:
            person.sees(words, PROMPT)
            person.interrupts()
            person.ends()


def test_a_plan_that_waits_is_found_behind_any_number_of_later_ones(place: Place) -> None:
    waiting = place.planned("JPM").operation_id
    plan = place.operation(waiting).plan
    with place.store() as store:
        for number in range(210):
            later = plan.created_at + timedelta(milliseconds=number)
            store.add_plan(plan.changed(plan_id=f"op-{number}", created_at=later), f"key {number}", later)
    assert waiting in place.without_terminal("reject").stdout


@pytest.mark.requirement("G-15")
def test_a_command_that_says_another_mode_than_the_plan_decides_nothing(place: Place) -> None:
    operation = place.planned("JPM").operation_id
    code, shown = place.shows("approve", operation, "--mode", "live")
    assert code == 1
    assert f"{operation} is PAPER, and --mode says live" in " ".join(shown.split())


@pytest.mark.requirement("T-01")
def test_a_callers_name_cannot_draw_on_the_screen_of_the_person_who_decides(place: Place) -> None:
    operation = place.planned("JPM", caller="helper\x1b[2J\x1b]0;x\x07\u202eLIVE\r\nApproved already").operation_id
    with place.at_terminal("approve", operation) as person:
        person.sees(PROMPT)
        person.interrupts()
        _, shown = person.ends()
    assert not {"\x1b", "\x07", "\u202e"} & set(shown.replace("\x1b[?2004l", ""))


def test_an_operation_that_is_not_there_is_an_error_that_names_the_place(place: Place) -> None:
    done = place.without_terminal("reject", "op-0000000000")
    assert done.returncode == 1
    assert str(place.data_dir) in done.stderr
    assert len(done.stderr.splitlines()) == 1


def _heed_interrupts() -> None:
    """What was started in the background ignores them, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


@pytest.mark.requirement("G-02")
def test_the_installed_command_asks_without_an_echo_and_leaves_the_terminal_as_it_was(place: Place) -> None:
    operation = place.planned("JPM").operation_id
    words = [str(Path(sys.executable).with_name("positions-mcp")), "approve", operation]
    shell = pexpect.spawn(
        "/bin/sh",
        ["-c", 'trap : INT; "$@"; echo exit=$?; stty -a', "sh", *words, "--data-dir", str(place.data_dir)],
        encoding="utf-8",
        timeout=TIMEOUT_S,
        preexec_fn=_heed_interrupts,
    )
    shell.expect_exact(PROMPT)
    assert not shell.getecho()
    shell.sendintr()
    shell.expect_exact("Nothing was decided, nothing was sent.")
    shell.expect_exact("exit=130")
    shell.expect(pexpect.EOF)
    assert " echo " in shell.before
    shell.close()
    assert place.state(operation) is OperationState.AWAITING_APPROVAL


@pytest.mark.requirement("G-02")
def test_a_plan_that_was_exchanged_while_the_passphrase_was_typed_is_not_signed(place: Place) -> None:
    operation = place.planned("JPM")
    with place.at_terminal("approve", operation.operation_id) as person:
        person.sees("Passphrase to APPROVE")
        with place.store() as store, store._writing() as transaction:
            another = operation.plan.changed(cancel_orders=True)
            transaction.save(operation, "edited", operation.updated_at, plan=another)
        person.types(PASSPHRASE)
        code, shown = person.ends()
    assert code == 1
    assert "is not the plan that was shown" in " ".join(shown.split())
    assert place.operation(operation.operation_id).decision is None


@pytest.mark.requirement("G-01", "G-02")
def test_without_an_id_the_only_plan_that_waits_is_decided(place: Place) -> None:
    place.planned("KO", asked=False)
    waiting = place.planned("JPM").operation_id
    with place.at_terminal("approve") as person:
        person.sees("SELL 60 JPM", waiting, PROMPT)
        person.interrupts()
        person.ends()
    assert place.state(waiting) is OperationState.AWAITING_APPROVAL
    done = place.without_terminal("reject")
    assert waiting in done.stdout
    assert place.state(waiting) is OperationState.DECLINED


@pytest.mark.requirement("G-01")
@pytest.mark.parametrize("command", ["approve", "reject"])
def test_without_an_id_and_with_several_plans_they_are_listed_and_nothing_is_decided(
    place: Place, command: str
) -> None:
    first, second = place.planned("JPM").operation_id, place.planned("KO", "XOM").operation_id
    if command == "reject":
        said = place.without_terminal(command).stderr
    else:
        code, said = place.shows(command)
        assert code == 1
    assert "2 plans wait for a decision: name one." in said
    assert "OPERATION" in said
    for operation, what in ((first, "close JPM"), (second, "close KO, XOM")):
        (line,) = [line for line in said.splitlines() if line.startswith(operation)]
        assert line.rstrip().endswith(what)
        assert " min " in line
        assert str(place.operation(operation).plan.measure) in line
        assert place.state(operation) is OperationState.AWAITING_APPROVAL


@pytest.mark.parametrize("command", ["approve", "reject"])
def test_without_an_id_and_with_nothing_that_waits_that_is_said(place: Place, command: str) -> None:
    place.planned("KO", asked=False)
    said = place.without_terminal(command).stderr if command == "reject" else place.shows(command)[1]
    assert "Nothing waits for a decision" in said
