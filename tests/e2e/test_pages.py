"""Every page as people see it: by axe in light and dark, on a phone, and as the manual shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from e2e.agents import agent
from e2e.installation import Installation
from e2e.people import PHONE, Person

Someone = Callable[..., AbstractContextManager[Person]]


@contextmanager
def busy_morning(installation: Installation) -> Iterator[dict[str, str]]:
    """Pages by what they show: plans that wait, one that was filled, one in doubt, one rejected; and a server alive."""
    with agent(installation, name="Claude") as claude, installation.desk() as desk:
        with installation.exchange() as exchange:
            exchange.arm("drop_before_effect", "close_position", instrument="XOM")
        pages = {"a filled plan": "KO", "a plan in doubt": "XOM"}
        for name, symbol in pages.items():
            call = claude.closes(symbol)
            pages[name] = call.link().rpartition("/")[2]
            installation.approves(pages[name])
            claude.follows(pages[name])
            assert call.result()
        claude.calls("preview_close", instruments=["AMZN"]).answer()
        installation.drafts_a_mandate()
        waiting, *_ = installation.planned("JPM,MSFT,PLTR", "TSLA", "GME", caller="root through Claude")
        yield {
            "queue": desk.url,
            "plan": f"{desk.url}/op/{waiting.operation_id}",
            "history": f"{desk.url}/history",
            "book": f"{desk.url}/book",
            "state": f"{desk.url}/state",
            "mandates": f"{desk.url}/mandates",
            **{name: f"{desk.url}/op/{operation_id}" for name, operation_id in pages.items()},
        }


def is_whole(person: Person) -> None:
    """What a page loads has arrived: pictures too."""
    expect(person.page.get_by_role("main").get_by_role("heading").first).to_be_visible()
    for image in person.page.locator("main img").all():
        expect(image).to_have_js_property("complete", value=True)


def axe_finds_nothing(person: Person) -> None:
    """In the light and in the dark."""
    for scheme in ("light", "dark"):
        person.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = Axe().run(person.page)
        assert found.violations_count == 0, f"{person.page.url} in the {scheme}: {found.generate_report()}"
    person.page.emulate_media(color_scheme="light")


def headings_stand_above_their_figures(person: Person) -> None:
    """A column of figures is read from its end, and so is what it is called."""
    for column in person.page.locator("main table tbody tr:first-child td.number").all():
        place = column.evaluate("cell => cell.cellIndex")
        heading = column.locator("xpath=ancestor::table").locator("thead th").nth(place)
        expect(heading).to_have_css("text-align", "right")


def fits(person: Person) -> None:
    """Nothing is wider than the screen."""
    assert person.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), person.page.url


def test_axe_finds_nothing_on_any_page_in_light_and_dark(
    installation: Installation, somebody: Someone, picture: Callable[[Person, str], None]
) -> None:
    with somebody() as ana, busy_morning(installation) as pages:
        ana.page.goto(pages["queue"])
        expect(ana.page.get_by_role("button", name="Sign in")).to_be_visible()
        axe_finds_nothing(ana)
        ana.signs_in()
        for name, url in pages.items():
            ana.page.goto(url)
            is_whole(ana)
            axe_finds_nothing(ana)
            headings_stand_above_their_figures(ana)
            if name in ("queue", "plan", "history", "book"):
                picture(ana, f"desk-{name}")
        for name in ("Keys", "Halt"):
            ana.page.get_by_role("button", name=name, exact=True).click()
            expect(ana.page.get_by_role("dialog")).to_be_visible()
            axe_finds_nothing(ana)
            ana.page.keyboard.press("Escape")
        ana.halts("a look at halted pages")
        expect(ana.page.get_by_role("alert")).to_be_visible()
        axe_finds_nothing(ana)
        ana.page.goto(pages["state"])
        is_whole(ana)
        axe_finds_nothing(ana)


def test_at_four_hundred_per_cent_no_page_is_wider_than_the_screen(
    installation: Installation, somebody: Someone
) -> None:
    """WCAG 1.4.10: 1280 pixels are 320 then."""
    with somebody(size=(320, 640)) as ana, busy_morning(installation) as pages:
        ana.opens(pages["queue"])
        for url in pages.values():
            ana.page.goto(url)
            is_whole(ana)
            fits(ana)


def test_on_a_phone_no_page_is_wider_than_the_screen_and_the_decision_is_within_reach(
    installation: Installation, somebody: Someone, picture: Callable[[Person, str], None]
) -> None:
    with somebody(size=PHONE, has_touch=True, is_mobile=True) as ana, busy_morning(installation) as pages:
        ana.opens(pages["queue"])
        for name, url in pages.items():
            ana.page.goto(url)
            is_whole(ana)
            fits(ana)
            if name == "plan":
                picture(ana, "desk-phone")
                ana.note.fill("from the train")
                ana.reject.tap()
                ana.sees("DECLINED", "from the train")
