"""A mandate from its draft to its end, on the supervisor's page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from e2e.agents import agent
from e2e.installation import PASSPHRASE, Installation
from e2e.people import Person


@pytest.mark.requirement("G-16", "D-01")
def test_a_draft_shows_what_it_would_have_sent_is_signed_with_the_passphrase_and_revoked_without(
    installation: Installation, ana: Person
) -> None:
    mandate_id = installation.drafts_a_mandate()
    with agent(installation, name="Claude") as claude, installation.desk() as desk:
        for symbol in ("KO", "TSLA"):
            claude.calls("preview_close", instruments=[symbol]).answer()
        ana.opens(desk.url)
        ana.goes_to("Mandates")
        ana.sees(mandate_id, "As a draft it would have sent 1 of 2 plans without a question.")
        sign = ana.page.get_by_role("button", name="SIGN in PAPER")
        passphrase = ana.page.get_by_label(re.compile("Passphrase, to sign"))
        passphrase.fill("some other words")
        sign.click()
        expect(ana.page.locator(".mandate .over").first).to_contain_text(re.compile("passphrase", re.IGNORECASE))
        with installation.store() as store:
            assert store.mandates()[0].mandate.signed is None
        passphrase.fill(PASSPHRASE)
        sign.click()
        ana.sees("Signed by", "3 of 3 operations")
        expect(sign).to_have_count(0)
        ana.page.get_by_role("button", name="REVOKE").click()
        ana.sees(re.compile("revoked", re.IGNORECASE))
        expect(ana.page.get_by_role("button", name="REVOKE")).to_have_count(0)
        with installation.store() as store:
            mandate = store.mandates()[0].mandate
        assert mandate.signed is not None
        assert mandate.revoked is not None
    assert installation.effects == {}


@pytest.mark.requirement("G-16", "D-01")
def test_a_draft_is_written_on_the_page_and_what_is_typed_stays_when_the_page_is_drawn_anew(
    installation: Installation, ana: Person
) -> None:
    with installation.desk() as desk:
        ana.opens(f"{desk.url}/mandates")
        ana.page.get_by_label(re.compile("^Instruments")).fill("KO, JPM")
        ana.page.get_by_label("Dollars an operation, at most").fill("5,000")
        ana.page.get_by_label("Dollars in all, at most").fill("lots")
        ana.page.get_by_label("Operations, at most").fill("4")
        keep = ana.page.get_by_role("button", name="Keep as a draft")
        keep.click()
        expect(ana.page.locator("#draft .over")).to_contain_text("is no amount of dollars")
        ana.page.reload()
        expect(ana.page.get_by_label("Operations, at most")).to_have_value("4")
        ana.page.get_by_label("Dollars in all, at most").fill("20,000")
        keep.click()
        ana.sees("Close positions: KO, JPM", "At most $5,000 an operation, $20,000 and 4 operations in all")
        expect(ana.page.get_by_label("Operations, at most")).to_have_value("")
        passphrase = ana.page.get_by_label(re.compile("Passphrase, to sign"))
        passphrase.fill(PASSPHRASE)
        ana.page.get_by_label(re.compile("^Callers")).fill("Claude")
        installation.drafts_a_mandate()
        ana.sees("KO with its standard options")
        expect(passphrase.last).to_have_value(PASSPHRASE)
        expect(ana.page.get_by_label(re.compile("^Callers"))).to_have_value("Claude")
        ana.page.keyboard.press("Tab")
        ana.page.locator("body").click()
        ana.page.keyboard.press("j")
        ana.page.get_by_role("button", name="SIGN in PAPER").last.click()
        ana.sees("Signed by", "4 of 4 operations")
        with installation.store() as store:
            assert [each.mandate.signed is None for each in store.mandates()] == [True, False]
    assert installation.effects == {}
