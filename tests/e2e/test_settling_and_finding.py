"""What a person does after a decision: settles what is in doubt, finds what was, thinks again about a halt."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from e2e.agents import Agent, agent
from e2e.installation import PASSPHRASE, Installation
from e2e.people import Person


def in_doubt(installation: Installation, claude: Agent, symbol: str) -> str:
    """A close whose request was lost: nobody knows whether it took effect."""
    with installation.exchange() as exchange:
        exchange.arm("drop_before_effect", "close_position", instrument=symbol)
    call = claude.closes(symbol)
    operation_id = call.link().rpartition("/")[2]
    installation.approves(operation_id)
    assert call.answer()["state"] == "UNKNOWN"
    return operation_id


@pytest.mark.requirement("D-01")
def test_a_person_settles_what_is_in_doubt_with_evidence_and_the_passphrase_and_the_agent_may_close_again(
    installation: Installation, ana: Person
) -> None:
    with agent(installation, name="Claude") as claude, installation.desk() as desk:
        operation_id = in_doubt(installation, claude, "XOM")
        ana.opens(f"{desk.url}/op/{operation_id}")
        ana.sees("In doubt, row 1")
        did_not = ana.page.get_by_role("button", name="It did not")
        did_not.click()
        expect(ana.page.get_by_label("What you saw, and where")).to_be_focused()
        ana.page.get_by_label("What you saw, and where").fill("no such order in the broker's own list, 11:40")
        ana.page.get_by_label("Passphrase, to settle").fill("some other words")
        did_not.click()
        expect(ana.page.locator(".settlement .over")).to_contain_text(re.compile("passphrase", re.IGNORECASE))
        assert installation.operation(operation_id).rows[0].is_in_doubt
        ana.page.get_by_label("Passphrase, to settle").fill(PASSPHRASE)
        did_not.click()
        ana.sees("no such order in the broker's own list, 11:40")
        expect(did_not).to_be_disabled()
        assert not installation.operation(operation_id).rows[0].is_in_doubt
        ana.page.goto(claude.closes("XOM").link())
        ana.approves()
        ana.sees("SUBMITTED")
    assert installation.effects == {"close_position": 1}


def test_history_is_filtered_by_state_agent_and_doubt_and_the_address_keeps_the_filters(
    installation: Installation, ana: Person
) -> None:
    with agent(installation, name="Claude") as claude, installation.desk() as desk:
        doubtful = in_doubt(installation, claude, "XOM")
        waiting, declined = installation.planned("KO", "TSLA", caller="root through Gemini")
        ana.opens(f"{desk.url}/op/{declined.operation_id}")
        ana.rejects("not today")
        ana.sees("DECLINED")
        ana.goes_to("History")

        def shows(*operations: str) -> None:
            listed = ana.page.locator("main tr[data-id]")
            expect(listed).to_have_count(len(operations))
            found = {row.get_attribute("data-id") for row in listed.all()}
            assert found == set(operations)

        shows(doubtful, waiting.operation_id, declined.operation_id)
        ana.sees(
            "close 1 position at market: XOM", "close 1 position at market: KO", "close 1 position at market: TSLA"
        )
        for name in ("State", "Account", "Agent or caller"):
            label, field = ana.page.locator("#filters label", has_text=name), ana.page.get_by_label(name, exact=True)
            above, below = label.bounding_box(), field.bounding_box()
            assert above is not None
            assert below is not None
            assert (above["x"], above["y"] < below["y"]) == (below["x"], True), f"{name} stands above its field"
        ana.page.get_by_label("State", exact=True).select_option("DECLINED")
        ana.page.get_by_role("button", name="Filter").click()
        shows(declined.operation_id)
        ana.page.reload()
        shows(declined.operation_id)
        expect(ana.page.get_by_label("State", exact=True)).to_have_value("DECLINED")
        ana.page.get_by_label("State", exact=True).select_option("")
        ana.page.get_by_label("Agent or caller").fill("Gemini")
        ana.page.get_by_role("button", name="Filter").click()
        shows(waiting.operation_id, declined.operation_id)
        ana.page.get_by_label("Agent or caller").fill("")
        ana.page.get_by_label("In doubt only").check()
        ana.page.get_by_role("button", name="Filter").click()
        shows(doubtful)
        ana.page.locator("main tr[data-id] a").click()
        ana.sees("In doubt, row 1")
        ana.page.go_back()
        shows(doubtful)


@pytest.mark.requirement("G-11")
def test_a_halt_that_a_person_thinks_better_of_stops_nothing_and_its_reason_is_kept(
    installation: Installation, ana: Person
) -> None:
    with installation.desk() as desk:
        (waiting,) = installation.planned("KO")
        ana.opens(desk.url)
        ana.page.get_by_role("button", name="Halt", exact=True).click()
        ana.page.get_by_label(re.compile("^Reason")).fill("prices look wrong")
        ana.page.get_by_role("button", name="Leave it running").click()
        expect(ana.page.get_by_role("dialog")).to_have_count(0)
        expect(ana.page.get_by_role("alert")).to_be_hidden()
        with installation.store() as store:
            assert store.halts() == ()
        ana.page.get_by_role("button", name="Halt", exact=True).click()
        expect(ana.page.get_by_label(re.compile("^Reason"))).to_have_value("prices look wrong")
        ana.page.get_by_role("button", name="HALT", exact=True).click()
        expect(ana.page.get_by_role("alert")).to_contain_text("prices look wrong")
        with installation.store() as store:
            assert [halt.reason for halt in store.halts()] == ["prices look wrong"]
        ana.card(waiting.operation_id).click()
        ana.sees("SELL 400 KO")
