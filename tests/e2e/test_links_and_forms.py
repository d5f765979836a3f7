"""How a person gets to a decision, by what the chat application can show."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from e2e.agents import ERAS, agent
from e2e.installation import Installation
from e2e.people import Person


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("over", ["stdio", "http"])
@pytest.mark.requirement("G-01")
def test_an_application_that_opens_links_brings_its_person_to_the_plans_page(
    installation: Installation, ana: Person, era: str, over: str
) -> None:
    with installation.server() as server:
        address = server.url if over == "http" else ""
        with agent(installation, over=address, era=era, can="links") as claude:
            assert claude.client.protocol_version == era
            call = claude.closes("KO")
            ana.opens(claude.application.link())
            assert installation.effects == {}, "that it was opened decides nothing"
            ana.approves()
            answer = call.answer()
            ana.sees("SUBMITTED")
            assert answer["sent"] == "yes"
            assert claude.application.forms == []
            if era == "2025-11-25":
                assert claude.application.completed.get(timeout=20) == answer["operation_id"]
    assert installation.effects == {"close_position": 1}


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.requirement("G-01", "G-10", "G-15")
def test_no_form_decides_about_real_money_above_what_a_person_has_allowed(
    installation: Installation, ana: Person, era: str
) -> None:
    filled_in = {"approve": True, "account_number": "19816"}
    with installation.running("paper", "serve", says="Paper exchange listening on") as broker:
        installation.goes_live(broker.url, desk_above="1000")
        with agent(installation, era=era, can="form", fills_in=filled_in) as autopilot:
            call = autopilot.closes("KO")
            ana.opens(call.link())
            ana.sees("LIVE · REAL MONEY", "SELL 400 KO")
            expect(ana.page.get_by_role("button", name="APPROVE in LIVE")).to_be_visible()
            assert autopilot.application.forms == []
            assert installation.effects == {}
            ana.approves()
            assert call.answer()["sent"] == "yes"
    assert installation.effects == {"close_position": 1}
