"""From the agent's question to a flat account, and the other ways a decision goes, on both databases."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal
from playwright.sync_api import expect

from e2e.agents import agent
from e2e.installation import PASSPHRASE, Installation
from e2e.people import Person

both_databases = pytest.mark.parametrize("database", ["sqlite", "postgresql"])


@both_databases
@pytest.mark.requirement("G-01", "G-19")
def test_an_agent_asks_a_person_approves_the_order_fills_and_the_page_shows_it_flat(
    installation: Installation, ana: Person
) -> None:
    with agent(installation) as claude:
        call = claude.closes("KO")
        ana.opens(call.link())
        ana.sees("PAPER", "SELL 400 KO", "WAITS FOR A DECISION")
        assert installation.effects == {}
        ana.approves("go ahead, Ana")
        ana.sees("SUBMITTED")
        answer = call.answer()
        assert answer["sent"] == "yes"
        assert "go ahead, Ana" in answer["decision"]
        assert claude.follows(answer["operation_id"])["state"] == "CLOSED"
        ana.sees("CLOSED", "Nothing is left of its targets.")
        ana.goes_to("Book")
        ana.sees("Account 19816", "AAPL")
        ana.sees_no("KO")
    assert installation.effects == {"close_position": 1}
    assert installation.held("KO") == Decimal(0)


@both_databases
@pytest.mark.requirement("G-20")
def test_a_person_rejects_with_a_reason_and_the_agent_gets_it(installation: Installation, ana: Person) -> None:
    with agent(installation) as claude:
        call = claude.closes("KO", "XOM")
        ana.opens(call.link())
        ana.rejects("half of KO stays, please")
        ana.sees("DECLINED", "half of KO stays, please")
        answer = call.answer()
        assert (answer["state"], answer["sent"]) == ("DECLINED", "no")
        assert "half of KO stays, please" in answer["decision"]
        assert "half of KO stays, please" in call.text()
    assert installation.effects == {}


@both_databases
@pytest.mark.requirement("G-19", "G-06")
def test_a_yes_after_the_call_has_returned_is_sent_once_by_one_of_two_servers(
    installation: Installation, ana: Person
) -> None:
    installation.said["POSITIONS_MCP_APPROVAL__WAIT_S"] = "0"
    with agent(installation) as claude, installation.server() as server, agent(installation, over=server.url) as other:
        other.calls("preview_close", instruments=["XOM"]).answer()
        answer = claude.closes("KO").answer()
        assert answer["state"] == "AWAITING_APPROVAL"
        ana.opens(claude.calls("close_positions", plan_id=answer["operation_id"]).link())
        ana.approves()
        ana.sees("SUBMITTED")
        assert claude.follows(answer["operation_id"])["state"] == "CLOSED"
        again = claude.calls("close_positions", plan_id=answer["operation_id"]).error()
        assert "it is CLOSED" in again
        assert "Nothing was sent by this call." in again
    assert installation.effects == {"close_position": 1}
    assert installation.events(answer["operation_id"]).count("sending") == 1


@both_databases
@pytest.mark.requirement("G-11", "D-01")
def test_a_halt_in_the_middle_stops_what_has_not_left_and_only_the_passphrase_ends_it(
    installation: Installation, ana: Person
) -> None:
    with installation.exchange() as exchange:
        exchange.arm("delay", "close_position", seconds=4)
    with agent(installation) as claude:
        call = claude.closes("AMZN", "KO", "XOM")
        ana.opens(call.link())
        ana.approves()
        ana.sees("SENDING")
        ana.halts("wrong account")
        expect(ana.page.get_by_role("alert")).to_contain_text("wrong account")
        assert "1 submitted, 2 not sent" in call.text()
        assert installation.effects == {"close_position": 1}
        assert "wrong account" in claude.closes("KO").error()
        ana.goes_to("State")
        ana.page.get_by_label("Passphrase, to resume").fill("some other words")
        ana.page.get_by_role("button", name="Resume").click()
        expect(ana.page.get_by_text("wrong", exact=False).first).to_be_visible()
        expect(ana.page.get_by_role("alert")).to_contain_text("wrong account")
        ana.page.get_by_label("Passphrase, to resume").fill(PASSPHRASE)
        ana.page.get_by_role("button", name="Resume").click()
        expect(ana.page.get_by_role("alert")).to_be_hidden()
        link = claude.closes("KO").link()
        ana.page.goto(link)
        ana.approves()
        ana.sees("SUBMITTED")
    assert installation.effects == {"close_position": 2}


def test_where_nobody_can_sign_in_yet_the_page_says_how_and_goes_on_by_itself(
    furnished: Path, tmp_path: Path, portal: BlockingPortal, ana: Person
) -> None:
    installation = Installation.copied(furnished, tmp_path / "data", portal)
    with installation.desk() as desk:
        ana.page.goto(desk.url)
        ana.sees("Nobody can sign in yet", f"approver init --data-dir {installation.data_dir}")
        installation.set_up_approver()
        ana.signs_in()
        ana.sees("Nothing waits")


def test_tabs_and_the_pages_behind_the_back_button_are_told_apart_by_their_titles(
    installation: Installation, ana: Person
) -> None:
    (waiting,) = installation.planned("KO")
    with installation.desk() as desk:
        ana.opens(desk.url)
        expect(ana.page).to_have_title("(1) Waiting for you: 1 · Positions desk")
        ana.card(waiting.operation_id).click()
        expect(ana.page).to_have_title("(1) PAPER account 19816: close 1 position at market · Positions desk")
        ana.goes_to("Book")
        expect(ana.page).to_have_title("(1) Account 19816 · Positions desk")
        ana.page.go_back()
        ana.sees("WAITS FOR A DECISION")
        expect(ana.page).to_have_title("(1) PAPER account 19816: close 1 position at market · Positions desk")
