"""`flatten`: a person's own way out, in paper and live, under everything that stops an assistant."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cli.person import PASSPHRASE, Place, Typing
from data_dirs import PROGRAM
from positions_mcp.cli import main
from positions_mcp.domain.operation.states import OperationState

ACCOUNT_PROMPT = "Type the account number to flatten it"
PASSPHRASE_PROMPT = "Passphrase to SEND now:"


def confirms(person: Typing) -> None:
    person.answers(ACCOUNT_PROMPT, "19816")
    person.answers(PASSPHRASE_PROMPT, PASSPHRASE)


@pytest.mark.requirement("G-11", "G-14", "G-15", "G-17")
def test_a_person_flattens_under_halt_limits_and_a_server_that_only_reads_after_each_is_named(place: Place) -> None:
    place.without_terminal("halt", "the market is falling")
    place.environment |= {
        "POSITIONS_MCP_TRADING__ENABLED": "false",
        "POSITIONS_MCP_TRADING__MAX_NOTIONAL": "1000",
        "POSITIONS_MCP_TRADING__DENY_INSTRUMENTS": '["KO"]',
    }
    with place.at_terminal("flatten", "19816", "KO", "JPM") as person:
        person.sees("*** FLATTEN in PAPER (no real money) ***", "whatever is held when it is sent", "SELL 400 KO")
        person.sees("Open orders for these instruments are CANCELLED first")
        person.sees(ACCOUNT_PROMPT)
        for rule in ("trading enabled", "halt", "notional per operation", "instrument"):
            assert f'OVERRIDES the rule "{rule}"' in person.seen
        assert "closed twice" in " ".join(person.seen.split())
        person.types("19816")
        person.answers(PASSPHRASE_PROMPT, PASSPHRASE)
        person.sees("2 submitted")
        code, shown = person.ends()
    assert code == 0, shown
    assert "PAPER CLOSED: 2 submitted; 2 of 2 flat" in shown
    assert PASSPHRASE not in shown
    assert place.effects == {"close_position": 2}
    sent = place.newest()
    assert sent.plan.flatten
    assert sent.plan.cancel_orders
    assert place.without_terminal("operations", "verify").returncode == 0


@pytest.mark.requirement("G-17")
def test_a_whole_account_is_flattened_by_one_request(place: Place) -> None:
    with place.at_terminal("flatten", "19816", "--follow", "0") as person:
        person.sees("positions: whatever is held when it is sent")
        confirms(person)
        code, shown = person.ends()
    assert code == 0, shown
    assert place.effects == {"close_positions": 1}
    assert all(len(line) <= 100 for line in shown.replace(str(place.data_dir), "DIR").splitlines()), shown


@pytest.mark.requirement("G-05", "G-17")
def test_an_unknown_outcome_holds_back_an_assistant_but_not_the_person(place: Place) -> None:
    with place.exchange() as exchange:
        exchange.arm("drop_before_effect", "close_position")
    with place.at_terminal("flatten", "19816", "KO", "--follow", "0") as person:
        confirms(person)
        code, shown = person.ends()
    first = place.newest().operation_id
    assert code == 1
    assert "PAPER UNKNOWN" in shown
    assert "Do not send it again" in shown
    assert place.effects == {}
    with place.at_terminal("flatten", "19816", "KO", "--follow", "0") as person:
        person.sees(f'OVERRIDES the rule "scope in doubt": Operation {first}')
        confirms(person)
        assert person.ends()[0] == 0
    assert place.effects == {"close_position": 1}


@pytest.mark.requirement("G-17")
@pytest.mark.parametrize(
    ("account", "passphrase", "said"),
    [
        ("19817", None, "The account typed is not 19816"),
        ("19816", "not the passphrase", "not the approver's. Nothing was sent."),
    ],
    ids=["another account", "a wrong passphrase"],
)
def test_nothing_is_sent_without_the_account_and_the_passphrase(
    place: Place, account: str, passphrase: str | None, said: str
) -> None:
    with place.at_terminal("flatten", "19816", "KO") as person:
        person.answers(ACCOUNT_PROMPT, account)
        if passphrase:
            person.answers(PASSPHRASE_PROMPT, passphrase)
        code, shown = person.ends()
    assert code == 1
    assert said in shown
    assert re.search(r"Nothing was (sent|decided)", shown)
    assert place.effects == {}


@pytest.mark.requirement("G-17")
def test_an_interrupt_sends_nothing(place: Place) -> None:
    with place.at_terminal("flatten", "19816", "KO") as person:
        person.answers(ACCOUNT_PROMPT, "19816")
        person.sees(PASSPHRASE_PROMPT)
        person.interrupts()
        code, shown = person.ends()
    assert code == 130
    assert "Nothing was sent." in shown
    assert place.effects == {}


@pytest.mark.requirement("G-01")
def test_the_plan_of_one_who_flattens_cannot_be_approved_elsewhere(place: Place) -> None:
    with place.at_terminal("flatten", "19816", "KO") as person:
        person.sees(ACCOUNT_PROMPT)
        operation = place.newest().operation_id
        with place.at_terminal("approve", operation) as other:
            code, shown = other.ends()
    assert code == 1
    assert "belongs to the terminal that runs `flatten`" in shown
    assert place.state(operation) is OperationState.AWAITING_APPROVAL


def test_what_cannot_be_flattened_is_an_error_that_says_nothing_was_sent(place: Place) -> None:
    for words, said in (
        (("19816", "KOO"), "KO"),
        (("19817",), "19817"),
        (("0",), "not an account number"),
    ):
        code, shown = place.shows("flatten", *words)
        assert code == 1, shown
        assert said in shown
        assert "Nothing was sent." in shown


def test_without_an_approver_it_says_how_to_set_one_up(bare: Place) -> None:
    code, shown = bare.shows("flatten", "19816")
    assert code == 1
    assert "positions-mcp approver init" in shown


@contextmanager
def live_broker(place: Place) -> Iterator[str]:
    """The paper exchange over TCP, where a live client may go because it is on this machine."""
    process = subprocess.Popen(
        [*PROGRAM, "paper", "serve", "--data-dir", str(place.data_dir)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.requirement("G-15", "G-17")
def test_a_live_account_is_flattened_where_trading_was_never_enabled(place: Place) -> None:
    with live_broker(place) as base_url:
        place.environment |= {"CLEAR_STREET_BASE_URL": base_url, "CLEAR_STREET_API_KEY": "paper.key"}
        with place.at_terminal("flatten", "19816", "KO", "--mode", "live", "--follow", "0") as person:
            person.sees("LIVE account 19816", "*** FLATTEN in LIVE (REAL MONEY) ***", 'the rule "trading enabled"')
            confirms(person)
            code, shown = person.ends()
        assert code == 0, shown
        assert "LIVE SUBMITTED" in shown
        listed = place.without_terminal("operations", "list").stdout
    assert "LIVE" in listed
    assert "paper.key" not in shown
    assert place.effects == {"close_position": 1}


def test_without_an_account_only_that_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["flatten"])
    assert capsys.readouterr().err.endswith("required: ACCOUNT\n")
