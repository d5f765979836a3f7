"""People in front of a browser: what they do on the page, and what they see there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect

from e2e.installation import PASSPHRASE

expect.set_options(timeout=20_000)
WIDE, PHONE = (1100, 800), (390, 844)
_MADE_BY_REFUSALS = "Failed to load resource"
"""What the browser itself says of every answer that is no success."""


@dataclass
class Person:
    """Somebody with one tab of a browser."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """Errors of scripts, and what the page's policy has stopped."""

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: said.type == "error" and self._hear(said.text))

    def _hear(self, text: str) -> None:
        if not text.startswith(_MADE_BY_REFUSALS):
            self.complaints.append(text)

    # --- coming and going

    def opens(self, url: str) -> None:
        """Go to an address and sign in there."""
        self.page.goto(url)
        self.signs_in()

    def signs_in(self, name: str = "", passphrase: str = PASSPHRASE) -> None:
        """Type the passphrase where the page asks who is there, and a name where several may be."""
        if name:
            self.page.get_by_label("Your name").fill(name)
        self.page.get_by_label("Passphrase", exact=True).fill(passphrase)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()

    def goes_to(self, name: str) -> None:
        """Follow a link of the navigation."""
        self.page.get_by_role("navigation").get_by_role("link", name=name).click()

    # --- deciding

    @property
    def passphrase(self) -> Locator:
        """Where an approval takes the passphrase."""
        return self.page.get_by_label("Passphrase, to approve")

    @property
    def note(self) -> Locator:
        """Where the agent is told something."""
        return self.page.get_by_label(re.compile("Note or reason"))

    @property
    def approve(self) -> Locator:
        """The button that approves."""
        return self.page.get_by_role("button", name=re.compile("^APPROVE"))

    @property
    def reject(self) -> Locator:
        """The button that rejects."""
        return self.page.get_by_role("button", name=re.compile("^REJECT"))

    def approves(self, note: str = "") -> None:
        """Approve what is shown."""
        if note:
            self.note.fill(note)
        self.passphrase.fill(PASSPHRASE)
        self.approve.click()

    def rejects(self, reason: str) -> None:
        """Reject what is shown."""
        self.note.fill(reason)
        self.reject.click()

    def halts(self, reason: str) -> None:
        """Stop everything."""
        self.page.get_by_role("button", name="Halt", exact=True).click()
        self.page.get_by_label(re.compile("^Reason")).fill(reason)
        self.page.get_by_role("button", name="HALT", exact=True).click()

    def tabs_to(self, there: Locator, key: str) -> None:
        """Move with the keyboard until something has the focus."""
        expect(there).to_be_visible()
        for _ in range(12):
            if there.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press(key)
        expect(there).to_be_focused()

    # --- seeing

    def sees(self, *words: str | re.Pattern[str]) -> None:
        """Wait until all of it is shown."""
        for each in words:
            expect(self.page.get_by_role("main")).to_contain_text(each)

    def sees_no(self, *words: str) -> None:
        """Wait until none of it is shown."""
        for each in words:
            expect(self.page.get_by_role("main")).not_to_contain_text(each)

    def card(self, operation_id: str) -> Locator:
        """A plan in the queue: the link that opens it."""
        return self.page.locator(f'main a[href="/op/{operation_id}"]')


@contextmanager
def person(browser: Browser, **options: Any) -> Iterator[Person]:
    """A browser of one's own: no cookie and no storage of anybody else. No script of the page fails on its way."""
    width, height = options.pop("size", WIDE)
    context = browser.new_context(
        **{
            "viewport": {"width": width, "height": height},
            "locale": "en-US",
            "timezone_id": "America/New_York",
            **options,
        }
    )
    context.set_default_timeout(20_000)
    someone = Person(context.new_page())
    try:
        yield someone
    finally:
        context.close()
    assert someone.complaints == []
