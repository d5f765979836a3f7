"""Several approvers in front of browsers: enrolled, approving by one's own right, and of no account once removed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from e2e.agents import agent
from e2e.devices import Device
from e2e.installation import PASSPHRASE, QUICK, Installation
from e2e.people import Person
from positions_mcp.domain.operation.roster import ANYTHING, Member, Rights
from positions_mcp.guard.enrolling import adding_member, removing_member
from positions_mcp.signing.keys import new_key

pytestmark = pytest.mark.requirement("D-01", "D-04", "D-05")
BEN = "the passphrase of Ben"
TOUCH = "APPROVE in PAPER with passkey"


def adds_a_passkey_for(manager: Person, name: str, label: str) -> None:
    """Fill in the form of that person on the state page; the device of this tab makes it."""
    heading = manager.page.get_by_role("heading", name=f"Add a passkey for {name}")
    form = manager.page.locator("form", has=heading)
    form.get_by_label("Name of the device").fill(label)
    form.get_by_label("Passphrase, to sign the change").fill(PASSPHRASE)
    form.get_by_role("button", name="Add it", exact=True).click()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_who_is_enrolled_approves_with_their_own_device_and_decides_nothing_once_removed(
    installation: Installation, ana: Person, somebody: Callable[..., AbstractContextManager[Person]]
) -> None:
    key = new_key(BEN, datetime.now(UTC), hardness=QUICK).key
    ben_may = Member(name="Ben", credentials=(key,), rights=(Rights(approves=ANYTHING),))
    installation.changes_approvers(adding_member(ben_may))
    device = Device.of(ana)
    with installation.desk() as page, agent(installation) as claude, somebody() as ben:
        ana.page.goto(page.url)
        ana.signs_in("approver")
        ana.goes_to("State")
        adds_a_passkey_for(ana, "Ben", "Ben's phone")
        ana.sees("passkey Ben's phone")
        adds_a_passkey_for(ana, "approver", "the same phone")
        ana.sees("This device has a passkey for this page already")
        Device.of(ben).takes(device.passkeys[0])
        call = claude.closes("KO")
        ben.page.goto(call.link())
        ben.signs_in("Ben", BEN)
        ben.note.fill("as discussed")
        ben.page.get_by_role("button", name=TOUCH).click()
        ben.sees("SUBMITTED", "as discussed")
        assert "Ben " in call.answer()["decision"]
        ben.goes_to("State")
        ben.sees("Ben (you)")
        expect(ben.page.get_by_role("heading", name="Add a passkey")).to_have_count(0)
        (operation,) = installation.planned("XOM")
        ben.page.goto(f"{page.url}/op/{operation.operation_id}")
        expect(ben.page.get_by_role("button", name=TOUCH)).to_be_visible()
        installation.changes_approvers(removing_member("Ben"))
        expect(ben.page.get_by_role("button", name="Sign in")).to_be_visible()
        ben.page.get_by_label("Passphrase", exact=True).fill(BEN)
        ben.page.get_by_role("button", name="Sign in").click()
        expect(ben.page.get_by_text("not the approver's")).to_be_visible()
    assert installation.operation(operation.operation_id).decision is None
    assert installation.effects == {"close_position": 1}
