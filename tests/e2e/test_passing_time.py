"""What time and restarts do to a plan that waits."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Route, expect

from e2e.agents import agent
from e2e.installation import PASSPHRASE, Installation
from e2e.people import Person
from e2e.times import ShiftedClock, desk_at


@pytest.mark.requirement("G-01", "G-02")
def test_a_plan_that_nobody_decides_expires_before_the_persons_eyes(installation: Installation, ana: Person) -> None:
    clock = ShiftedClock(-timedelta(minutes=10))
    (waiting,) = installation.planned("KO", clock=clock)
    ana.page.clock.install()
    with desk_at(installation, clock) as url:
        ana.opens(f"{url}/op/{waiting.operation_id}")
        ana.sees("WAITS FOR A DECISION", "left")
        ana.note.fill("one moment")
        clock.goes_on(ana.page, minutes=5)
        ana.sees("EXPIRED")
        expect(ana.approve).to_be_disabled()
        expect(ana.reject).to_be_disabled()
        ana.goes_to("Queue")
        ana.sees("Nothing waits")
    with agent(installation) as claude:
        assert claude.calls("get_operation", operation_id=waiting.operation_id).answer()["state"] == "EXPIRED"
    assert installation.effects == {}


@pytest.mark.requirement("G-02", "G-19")
def test_a_yes_that_no_server_sends_lapses_on_the_page_and_a_server_that_comes_later_leaves_it(
    installation: Installation, ana: Person
) -> None:
    clock = ShiftedClock(-timedelta(minutes=2))
    (waiting,) = installation.planned("KO", clock=clock)
    ana.page.clock.install()
    with desk_at(installation, clock) as url:
        ana.opens(f"{url}/op/{waiting.operation_id}")
        ana.sees("No server that could send this is alive now")
        ana.approves()
        ana.sees("APPROVED – NOT SENT", "left")
        clock.goes_on(ana.page, seconds=61)
        ana.sees("LAPSED", "Nothing was sent")
    with agent(installation) as claude:
        assert claude.calls("preview_close", instruments=["XOM"]).answer()["plan_id"]
        assert claude.follows(waiting.operation_id)["state"] == "LAPSED"
    assert installation.effects == {}


@pytest.mark.requirement("G-19", "G-04")
def test_a_server_that_was_killed_while_its_plan_waited_is_replaced_by_the_next_which_sends_it(
    installation: Installation, ana: Person
) -> None:
    with installation.desk() as desk:
        with installation.server() as server, agent(installation, over=server.url) as claude:
            claude.closes("KO").link()
            waiting = installation.newest()
            server.process.kill()
        ana.opens(f"{desk.url}/op/{waiting.operation_id}")
        ana.approves()
        ana.sees("APPROVED – NOT SENT")
        assert installation.effects == {}
        with agent(installation) as claude:
            claude.calls("preview_close", instruments=["XOM"]).answer()
            ana.sees("SUBMITTED")
            assert claude.follows(waiting.operation_id)["state"] == "CLOSED"
    assert installation.effects == {"close_position": 1}


@pytest.mark.requirement("D-01")
def test_after_a_restart_of_the_desk_a_person_is_still_signed_in_and_finds_what_was_typed(
    installation: Installation, ana: Person
) -> None:
    (waiting,) = installation.planned("KO")
    with installation.desk() as desk:
        url = desk.url
        ana.opens(f"{url}/op/{waiting.operation_id}")
        ana.note.fill("only because of the results tonight")
        desk.stop()
    expect(ana.page.get_by_text("does not answer")).to_be_visible()
    expect(ana.note).to_have_value("only because of the results tonight")
    with installation.desk(int(url.rpartition(":")[2])):
        expect(ana.page.get_by_text("does not answer")).to_be_hidden(timeout=30_000)
        expect(ana.note).to_have_value("only because of the results tonight")
        ana.passphrase.fill(PASSPHRASE)
        ana.approve.click()
        ana.sees("APPROVED – NOT SENT", "only because of the results tonight")


@pytest.mark.requirement("D-01")
@pytest.mark.parametrize("hours", [-30, 30])
def test_a_browser_whose_clock_is_wrong_by_a_day_shows_what_is_left_and_which_day_it_is(
    installation: Installation, ana: Person, hours: int
) -> None:
    (waiting,) = installation.planned("KO")
    ana.page.clock.install(time=datetime.now(UTC) + timedelta(hours=hours))
    with installation.desk() as desk:
        ana.opens(f"{desk.url}/op/{waiting.operation_id}")
        ana.sees(re.compile(r"[0-5]:\d\d left"))
        ana.goes_to("History")
        expect(ana.page.locator("#results time").first).to_have_text(re.compile(r"^\d\d:\d\d:\d\d New York"))


@pytest.mark.requirement("D-03")
def test_a_page_that_was_opened_without_a_network_is_drawn_when_it_is_back(
    installation: Installation, ana: Person
) -> None:
    (waiting,) = installation.planned("KO")
    with installation.desk() as desk:
        ana.opens(f"{desk.url}/op/{waiting.operation_id}")
        ana.sees("WAITS FOR A DECISION")
        ana.page.context.set_offline(True)
        ana.goes_to("Book")
        expect(ana.page.locator("#said")).to_contain_text("does not answer")
        ana.page.context.set_offline(False)
        ana.sees("Account 19816", "AAPL")
        ana.sees_no("WAITS FOR A DECISION")
    ana.complaints.clear()


def let_go(held: list[Route], person: Person) -> None:
    """Let the request go on that is held, once it has come: the page may be drawn before it asks."""
    for _ in range(600):
        if held:
            break
        person.page.evaluate("() => new Promise(requestAnimationFrame)")
    held.pop().continue_()


def test_a_slow_desk_is_waited_for_in_words_that_are_true(installation: Installation, ana: Person) -> None:
    with installation.desk() as desk:
        held: list[Route] = []

        def hold(route: Route) -> None:
            held.append(route)

        ana.page.route("**/api/door", hold)
        ana.page.goto(desk.url)
        ana.sees("Loading. If this stays")
        expect(ana.page.get_by_role("button", name="Sign in")).to_have_count(0)
        let_go(held, ana)
        ana.page.unroute("**/api/door")
        ana.signs_in()
        ana.page.route("**/book", hold)
        ana.goes_to("Book")
        said = ana.page.locator("#said")
        expect(said).to_have_text("Loading…")
        let_go(held, ana)
        ana.page.unroute("**/book")
        ana.sees("Account 19816")
        expect(said).to_have_text("")
        expect(said).not_to_have_css("display", "none")  # or a screen reader would not hear what comes next


def test_a_page_that_could_not_begin_says_what_to_do_and_nothing_of_decisions(
    installation: Installation, ana: Person
) -> None:
    with installation.desk() as desk:
        ana.page.route("**/api/door", lambda route: route.abort())
        ana.page.goto(desk.url)
        expect(ana.page.locator("#said")).to_have_text("The desk does not answer. Load this page again.")


@pytest.mark.requirement("D-01")
def test_at_midnight_in_new_york_what_was_today_gets_its_date(installation: Installation, ana: Person) -> None:
    here = datetime.now(ZoneInfo("America/New_York"))
    clock = ShiftedClock(here.replace(hour=23, minute=58, second=0) - here)
    installation.planned("KO", clock=clock)
    ana.page.clock.install(time=clock.now())
    with desk_at(installation, clock) as url:
        ana.opens(f"{url}/history")
        when = ana.page.locator("#results time").first
        expect(when).to_have_text(re.compile(r"^23:58:\d\d New York"))
        clock.goes_on(ana.page, minutes=3)
        expect(when).to_have_text(re.compile(r"^\d{4}-\d\d-\d\d 23:58:\d\d New York"))


@pytest.mark.requirement("D-01", "G-02")
@pytest.mark.parametrize(
    ("begins", "decided", "ends"),
    [
        ("2026-11-01T05:58:00+00:00", r"01:0[12]:\d\d New York \(EST\)", r"2026-11-01 01:03:\d\d New York \(EST\)"),
        ("2027-03-14T06:58:00+00:00", r"03:0[12]:\d\d New York$", r"2027-03-14 03:03:\d\d New York(?! \()"),
    ],
    ids=["autumn", "spring"],
)
def test_a_plan_that_lives_through_the_change_of_clocks_says_when_it_ends_to_whoever_is_anywhere(
    installation: Installation,
    somebody: Callable[..., AbstractContextManager[Person]],
    begins: str,
    decided: str,
    ends: str,
) -> None:
    clock = ShiftedClock(datetime.fromisoformat(begins) - datetime.now(UTC))
    (waiting,) = installation.planned("KO", clock=clock)
    with somebody(timezone_id="Europe/Berlin") as ana:
        ana.page.clock.install(time=clock.now())
        with desk_at(installation, clock) as url:
            ana.opens(f"{url}/op/{waiting.operation_id}")
            ana.sees(re.compile(r"4:\d\d left"), re.compile(ends))
            clock.goes_on(ana.page, minutes=3)
            ana.sees(re.compile(r"1:\d\d left"))
            ana.approves()
            ana.sees("APPROVED – NOT SENT")
            ana.goes_to("History")
            expect(ana.page.locator("#results time").first).to_have_text(re.compile(f"^{decided}"))


@pytest.mark.requirement("D-01")
def test_a_halt_is_called_off_only_where_the_desk_said_so(installation: Installation, ana: Person) -> None:
    dialog = ana.page.get_by_role("dialog")
    with installation.desk() as desk:
        ana.opens(desk.url)
        ana.page.route("**/api/halt", lambda route: (route.fetch(), route.abort()))
        ana.halts("storm")
        expect(dialog).to_contain_text("Whether a decision arrived is not known")
        expect(dialog).not_to_contain_text("NOT halted")
        ana.page.unroute("**/api/halt")
        ana.page.route("**/api/halt", lambda route: route.fulfill(status=503, json={"error": "The store is away."}))
        dialog.get_by_role("button", name="HALT", exact=True).click()
        expect(dialog).to_contain_text("It is NOT halted: The store is away.")
