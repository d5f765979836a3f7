"""Two people at once, and two hundred plans."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import combinations, islice

import pytest
from playwright.sync_api import expect

from e2e.agents import agent
from e2e.installation import PASSPHRASE, Installation
from e2e.people import Person
from positions_mcp.signing.keys import ScryptCost

SYMBOLS = ("AMZN", "KO", "XOM", "GOOG", "JPM", "AMD", "GME", "TSLA", "PLTR", "MSFT")
CHOICES = [choice for size in (1, 2, 3, 4) for choice in combinations(SYMBOLS, size)]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize("hardness", [ScryptCost()], ids=["scrypt"])
@pytest.mark.requirement("G-06", "G-19")
def test_of_two_people_who_approve_at_once_one_does_and_the_other_is_told_and_it_is_sent_once(
    installation: Installation, ana: Person, somebody: Callable[..., AbstractContextManager[Person]]
) -> None:
    with agent(installation) as claude, somebody() as bob:
        call = claude.closes("KO")
        link = call.link()
        for each in (ana, bob):
            each.opens(link)
            each.passphrase.fill(PASSPHRASE)
        for each in (ana, bob):
            each.approve.dispatch_event("click")
        for each in (ana, bob):
            each.sees("SUBMITTED")
            expect(each.page.locator("form.decision")).to_contain_text(re.compile("Approved|nothing to approve|It is "))
            expect(each.approve).to_be_disabled()
        assert call.answer()["sent"] == "yes"
    events = installation.events(installation.newest().operation_id)
    assert installation.effects == {"close_position": 1}
    assert (events.count("approved"), events.count("sending")) == (1, 1)


@pytest.mark.requirement("G-23")
def test_among_two_hundred_plans_a_person_finds_and_decides_one_by_keys_alone(
    installation: Installation, ana: Person
) -> None:
    waiting = [
        operation
        for number in range(4)
        for operation in installation.planned(
            *(",".join(choice) for choice in islice(CHOICES, 50)), caller=f"agent {number}"
        )
    ]
    with installation.desk() as desk:
        ana.opens(desk.url)
        ana.sees("Waiting for you: 200")
        expect(ana.page).to_have_title(re.compile(r"^\(200\)"))
        listed = ana.page.locator('main a[href^="/op/"]')
        order = [link.get_attribute("href") for link in listed.all()]
        assert order == [f"/op/{operation.operation_id}" for operation in waiting], "nearest expiry first"
        for key in ("j", "j", "j", "k", "Enter"):
            ana.page.keyboard.press(key)
        expect(ana.page).to_have_url(re.compile(f"/op/{waiting[1].operation_id}$"))
        expect(ana.reject).to_be_visible()
        ana.page.keyboard.press("r")
        expect(ana.note).to_be_focused()
        ana.page.keyboard.type("not this one")
        ana.tabs_to(ana.reject, "Tab")
        ana.page.keyboard.press("Enter")
        ana.sees("DECLINED", "not this one")
        ana.page.keyboard.press("Tab")
        ana.page.keyboard.press("q")
        ana.sees("Waiting for you: 199")
        (late,) = installation.planned("TSLA", caller="one more agent")
        expect(ana.card(late.operation_id)).to_be_attached(timeout=2_000)
        ana.sees("Waiting for you: 200")
