"""A person stops everything and takes back what has not filled, on the supervisor's page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from e2e.agents import agent
from e2e.devices import Device
from e2e.installation import PASSPHRASE, Installation
from e2e.people import Person
from positions_mcp.paper.happenings import happen

pytestmark = pytest.mark.requirement("G-24", "G-11", "D-01")


def test_halt_and_withdraw_shows_what_it_would_cancel_takes_the_passphrase_and_tells_what_became_of_each(
    installation: Installation, ana: Person
) -> None:
    with installation.exchange() as exchange:
        happen(exchange, {"what": "halt", "symbol": "KO"})
    with agent(installation, name="Claude") as claude, installation.desk() as desk:
        call = claude.closes("KO")
        operation_id = call.link().rpartition("/")[2]
        installation.approves(operation_id)
        assert call.answer()["state"] == "SUBMITTED"
        assert installation.effects == {"close_position": 1}
        ana.opens(desk.url)
        ana.page.get_by_role("button", name="Halt", exact=True).click()
        ana.page.get_by_label(re.compile("^Reason")).fill("prices look wrong")
        ana.page.get_by_role("button", name=re.compile("^HALT AND WITHDRAW")).click()
        expect(ana.page.get_by_role("alert")).to_contain_text("prices look wrong")
        ana.sees("Withdraw own unfilled closes in PAPER, account 19816", "KO", operation_id, "stays held")
        with installation.store() as store:
            assert [standing.reason for standing in store.halts()] == ["prices look wrong"]
        passphrase, cancel = ana.page.get_by_label("Passphrase, to cancel"), ana.page.get_by_text("CANCEL this order")
        cancel.click()
        expect(passphrase).to_be_focused()
        passphrase.fill("some other words")
        cancel.click()
        expect(ana.page.locator("#withdrawal .over")).to_contain_text(re.compile("passphrase", re.IGNORECASE))
        assert installation.effects == {"close_position": 1}
        passphrase.fill(PASSPHRASE)
        cancel.click()
        ana.sees("What became of the orders", "cancelled")
        expect(cancel).to_have_count(0)
        assert installation.effects == {"close_position": 1, "cancel_order": 1}
        assert installation.events(operation_id).count("order cancel sending") == 1
        ana.page.get_by_role("link", name=operation_id).first.click()
        ana.sees("order cancel outcome")


def test_one_callers_halt_withdraws_that_callers_orders_with_a_touch(installation: Installation, ana: Person) -> None:
    with installation.exchange() as exchange:
        happen(exchange, {"what": "halt", "symbol": "KO"})
    with agent(installation, name="Claude") as claude, installation.desk() as desk:
        device = Device.of(ana)
        call = claude.closes("KO")
        installation.approves(call.link().rpartition("/")[2])
        call.answer()
        ana.opens(f"{desk.url}/state")
        ana.page.get_by_label("Name of the device").fill("laptop")
        ana.page.get_by_label("Passphrase, to sign the change").first.fill(PASSPHRASE)
        ana.page.get_by_role("button", name="Add it").click()
        ana.sees("passkey laptop")
        for caller, orders in (("Gemini", 0), ("Claude", 1)):
            ana.page.get_by_role("button", name="Halt", exact=True).click()
            ana.page.get_by_text("Only a part of it").click()
            ana.page.get_by_label(re.compile("^One caller")).fill(caller)
            ana.page.get_by_role("button", name=re.compile("^HALT AND WITHDRAW")).click()
            ana.sees(f"asked for by {caller}")
            expect(ana.page.locator("#withdrawal li")).to_have_count(orders)
            if not orders:
                expect(ana.page.get_by_role("status").filter(has_text="CHECK THE NAME")).to_be_visible()
        ana.page.get_by_role("button", name=re.compile("^CANCEL this order with passkey laptop")).click()
        ana.sees("What became of the orders", "cancelled")
        assert installation.effects == {"close_position": 1, "cancel_order": 1}
        assert device.passkeys[0]["signCount"] > 0
