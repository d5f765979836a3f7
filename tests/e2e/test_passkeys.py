"""Passkeys in a real browser: enrolled by a signature, used by a touch, and of no use anywhere else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from e2e.agents import agent
from e2e.devices import Device
from e2e.installation import PASSPHRASE, Installation
from e2e.people import Person

both_databases = pytest.mark.parametrize("database", ["sqlite", "postgresql"])
pytestmark = pytest.mark.requirement("D-01", "D-04")


def adds_a_passkey(ana: Person, passphrase: str = PASSPHRASE, label: str = "Ana's phone") -> None:
    """Fill in the form of the state page."""
    ana.goes_to("State")
    form = ana.page.locator("form", has=ana.page.get_by_role("heading", name="Add a passkey"))
    form.get_by_label("Name of the device").fill(label)
    form.get_by_label("Passphrase, to sign the change").fill(passphrase)
    form.get_by_role("button", name="Add it", exact=True).click()


def touches(ana: Person, words: str = "APPROVE in PAPER") -> None:
    ana.page.get_by_role("button", name=f"{words} with passkey").click()


@contextmanager
def altered(page: Page, path: str, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """What the desk asks the browser to sign, changed on its way."""

    def alter(route: Route) -> None:
        answer = route.fetch()
        said = answer.json()
        if "sign" in said:
            change(said["sign"])
        route.fulfill(response=answer, json=said)

    page.route(path, alter)
    yield
    page.unroute(path)


@both_databases
def test_a_passkey_is_added_with_the_passphrase_approves_with_one_touch_and_resumes(
    installation: Installation, ana: Person
) -> None:
    device = Device.of(ana)
    with installation.desk() as page, agent(installation) as claude:
        ana.opens(page.url)
        adds_a_passkey(ana)
        ana.sees("passkey Ana's phone")
        (passkey,) = device.passkeys
        assert passkey["rpId"] == "localhost"
        call = claude.closes("KO")
        ana.page.goto(call.link())
        ana.note.fill("one touch")
        touches(ana)
        ana.sees("SUBMITTED", "one touch")
        answer = call.answer()
        assert "one touch" in answer["decision"]
        assert claude.follows(answer["operation_id"])["state"] == "CLOSED"
        ana.halts("lunch")
        ana.goes_to("State")
        touches(ana, "Resume")
        expect(ana.page.get_by_role("alert")).to_be_hidden()
    assert installation.effects == {"close_position": 1}
    assert installation.held("KO") == Decimal(0)
    assert installation.events().count("passkey used") == 2
    with installation.store() as store:
        assert store.verify().intact


def test_a_passkey_that_nobody_there_signs_for_is_not_added_and_signs_nothing(
    installation: Installation, ana: Person
) -> None:
    device = Device.of(ana)
    with installation.desk() as page:
        ana.opens(page.url)
        adds_a_passkey(ana, passphrase="some other words")
        expect(ana.page.get_by_text("The passphrase is not")).to_be_visible()
        assert len(device.passkeys) == 1  # it is on the device, and counts nowhere
        (operation,) = installation.planned("KO")
        ana.page.goto(f"{page.url}/op/{operation.operation_id}")
        ana.sees("Your decision")
        expect(ana.page.get_by_role("button", name="with passkey")).to_have_count(0)
    assert "roster set" not in installation.events()


def test_a_passkey_signs_for_another_one_and_a_removed_one_decides_nothing(
    installation: Installation, ana: Person, somebody: Any
) -> None:
    Device.of(ana)
    with installation.desk() as page, somebody() as thief:
        ana.opens(page.url)
        adds_a_passkey(ana)
        ana.sees("passkey Ana's phone")
        (operation,) = installation.planned("KO")
        Device.of(thief)
        thief.opens(f"{page.url}/op/{operation.operation_id}")
        expect(thief.page.get_by_role("button", name="with passkey")).to_be_visible()
        ana.page.get_by_text("Remove Ana's phone").click()
        ana.page.get_by_role("button", name="Remove it with passkey").click()
        ana.sees_no("passkey Ana's phone")
        touches(thief)
        thief.sees("is none of")
    assert installation.operation(operation.operation_id).decision is None
    assert installation.events().count("roster set") == 2


def _another_challenge(sign: dict[str, Any]) -> None:
    sign["challenge"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def _no_verification(sign: dict[str, Any]) -> None:
    sign["userVerification"] = "discouraged"


@pytest.mark.parametrize(
    ("change", "verifies", "said"),
    [
        pytest.param(_another_challenge, True, "not what was shown", id="another challenge"),
        pytest.param(_no_verification, False, "did not verify", id="nobody was verified"),
        pytest.param(dict.clear, True, "cannot read what was to be signed", id="nothing is asked for"),
        pytest.param(lambda _: None, False, "The passkey was not used", id="the browser refuses"),
    ],
)
def test_what_a_browser_signs_otherwise_approves_nothing(
    installation: Installation, ana: Person, change: Any, verifies: bool, said: str
) -> None:
    device = Device.of(ana)
    with installation.desk() as page:
        ana.opens(page.url)
        adds_a_passkey(ana)
        ana.sees("passkey Ana's phone")
        (operation,) = installation.planned("KO")
        ana.page.goto(f"{page.url}/op/{operation.operation_id}")
        device.recognises(whoever_it_is=verifies)
        with altered(ana.page, "**/approve", change):
            touches(ana)
            expect(ana.page.locator(".decision .over")).to_contain_text(said)
    assert installation.operation(operation.operation_id).decision is None
    assert installation.effects == {}


def test_a_copied_passkey_is_refused_and_written_down(installation: Installation, ana: Person) -> None:
    device = Device.of(ana)
    with installation.desk() as page:
        ana.opens(page.url)
        adds_a_passkey(ana)
        ana.sees("passkey Ana's phone")
        first, second = installation.planned("KO", "XOM")
        ana.page.goto(f"{page.url}/op/{first.operation_id}")
        touches(ana)
        ana.sees("APPROVED")
        device.becomes_a_copy(counted=1)
        ana.page.goto(f"{page.url}/op/{second.operation_id}")
        touches(ana)
        ana.sees("it was copied")
    assert installation.operation(second.operation_id).decision is None
    assert "decision refused" in installation.events(second.operation_id)


def test_a_signature_is_used_once_and_for_nothing_else(installation: Installation, ana: Person) -> None:
    Device.of(ana)
    posted: list[dict[str, Any]] = []
    with installation.desk() as page:
        ana.opens(page.url)
        adds_a_passkey(ana)
        ana.sees("passkey Ana's phone")
        first, second = installation.planned("KO", "XOM")
        ana.page.on("request", lambda sent: posted.append(json.loads(sent.post_data or "{}")))
        ana.page.goto(f"{page.url}/op/{first.operation_id}")
        touches(ana)
        ana.sees("APPROVED")
        (answer,) = (body for body in posted if "assertion" in body)
        for operation in (first, second):
            said = ana.page.evaluate(_POSTS, [f"/api/operations/{operation.operation_id}/approve", answer])
            assert said["status"] == 403
            assert "no longer waiting" in said["error"]
    assert installation.operation(second.operation_id).decision is None


def test_another_program_of_this_machine_cannot_use_the_passkey_at_its_own_port(
    installation: Installation, ana: Person
) -> None:
    """It has a page of its own at localhost, and even what the desk wants signed."""
    Device.of(ana)
    with installation.desk() as page, installation.desk() as elsewhere:
        ana.opens(page.url)
        adds_a_passkey(ana)
        ana.sees("passkey Ana's phone")
        (operation,) = installation.planned("KO")
        path = f"/api/operations/{operation.operation_id}/approve"
        ana.page.goto(f"{page.url}/op/{operation.operation_id}")
        ana.sees("Your decision")
        passkey = ana.page.evaluate(
            """async () => (await fetch("/api/approvers",
                {headers: {"X-Desk-Token": sessionStorage.getItem("desk-token")}})).json()"""
        )
        fingerprint = passkey["members"][0]["credentials"][-1]["fingerprint"]
        offered = ana.page.evaluate(_POSTS, [path, {"digest": operation.plan.digest, "passkey": fingerprint}])
        ana.page.goto(elsewhere.url)
        signed = ana.page.evaluate(
            """async (sign) => (await navigator.credentials.get(
                {publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(sign)})).toJSON()""",
            offered["sign"],
        )
        ana.page.goto(f"{page.url}/op/{operation.operation_id}")
        ana.sees("Your decision")
        said = ana.page.evaluate(_POSTS, [path, {"offer": offered["offer"], "assertion": signed}])
        assert said["status"] == 403
        assert "another page" in said["error"]
        ana.opens(f"{elsewhere.url}/op/{operation.operation_id}")
        ana.sees("Your decision")
        expect(ana.page.get_by_role("button", name="with passkey")).to_have_count(0)
        said = ana.page.evaluate(_POSTS, [path, {"digest": operation.plan.digest, "passkey": fingerprint}])
        assert "is none of" in said["error"]
    assert installation.operation(operation.operation_id).decision is None


def test_a_passkey_signs_in(installation: Installation, ana: Person) -> None:
    Device.of(ana)
    with installation.desk() as page:
        ana.opens(page.url)
        adds_a_passkey(ana)
        ana.sees("passkey Ana's phone")
        ana.page.get_by_role("button", name="Sign out").click()
        ana.page.get_by_role("button", name="Use a passkey").click()
        expect(ana.page.get_by_role("button", name="Sign out")).to_be_visible()
        ana.sees("passkey Ana's phone")


_POSTS = """async ([path, body]) => {
  const headers = {"Content-Type": "application/json", "X-Desk-Token": sessionStorage.getItem("desk-token")};
  const answer = await fetch(path, {method: "POST", headers, body: JSON.stringify(body)});
  return {status: answer.status, ...await answer.json()};
}"""
