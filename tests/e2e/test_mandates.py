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
