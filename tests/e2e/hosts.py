"""A host in a browser that shows views, as the specification of MCP Apps has it, and keeps what a view says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from mcp_types import CallToolResult
from playwright.sync_api import Frame, Locator, Route, expect

from e2e.people import Person

_PAGE = Path(__file__).with_name("host.html").read_text(encoding="utf-8")
_ADDRESS = "http://host.invalid/"
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'none'; frame-src 'none'; base-uri 'self'; object-src 'none'"
)
"""What a host makes of a resource that declares no domains. A view in `srcdoc` is under its host's policy."""
_MAY_BE_SAID = {"ui/initialize", "ui/notifications/initialized", "ui/notifications/size-changed", "ui/open-link"}
_WIDER_THAN_THEIR_PLACE = """() => [...document.querySelectorAll('body *')].filter((each) =>
  each.getBoundingClientRect().right > innerWidth + 1
  || (each.clientWidth && getComputedStyle(each).display !== 'inline' && each.scrollWidth > each.clientWidth + 1)
).map((each) => each.outerHTML.slice(0, 200))"""


@dataclass
class Host:
    """A chat application that shows the view of an answer."""

    person: Person
    html: str
    """The view, as the server gives it."""
    fetched: list[str] = field(default_factory=list)
    """What was asked of the network, by the host or the view, beside the host's own page."""

    def __post_init__(self) -> None:
        self.person.page.route("**/*", self._serve)

    def _serve(self, route: Route) -> None:
        if route.request.url == _ADDRESS:
            route.fulfill(body=_PAGE, content_type="text/html", headers={"Content-Security-Policy": _POLICY})
        else:
            self.fetched.append(route.request.url)
            route.abort()

    # --- what it does

    def begins(self, result: CallToolResult | dict[str, Any] | None, *, opens: bool = True, **context: str) -> None:
        """Show the view of an answer. `opens` is whether it opens links."""
        said = result.model_dump(by_alias=True, mode="json") if isinstance(result, CallToolResult) else result
        self.person.page.goto(_ADDRESS)
        self.person.page.evaluate(
            "([html, result, context, opens]) => present(html, result, context, opens)",
            [self.html, said, context, {} if opens else {"isError": True}],
        )

    def shows(self, result: CallToolResult | dict[str, Any], **how: Any) -> None:
        """Show the view of an answer, and wait until it is drawn."""
        self.begins(result, **how)
        expect(self.view.locator(".pictures")).to_be_attached()

    def says(self, method: str, **params: Any) -> None:
        """Notify the view."""
        self.person.page.evaluate("([method, params]) => say({ method, params })", [method, params])

    def turns(self, theme: str) -> None:
        """Change to light or dark."""
        self.says("ui/notifications/host-context-changed", theme=theme)
        expect(self.view.locator("html")).to_have_attribute("data-theme", theme)

    def is_as_wide_as(self, pixels: int) -> None:
        """Resize, and let the view follow."""
        self.person.page.set_viewport_size({"width": pixels, "height": 800})
        expect(self.person.page.locator("iframe")).to_have_js_property("clientWidth", pixels)

    def is_whole(self) -> None:
        """Wait until the view has all the room that it asked for."""
        frame = self.person.page.locator("iframe")
        expect(self.person.page.locator("iframe[style]")).to_be_visible()
        height = "Math.ceil(document.documentElement.getBoundingClientRect().height)"  # a page may end within a pixel
        expect(frame).to_have_js_property("clientHeight", self.view.evaluate(height))
        assert self.view.evaluate("document.documentElement.scrollHeight <= innerHeight")

    # --- what is seen

    @property
    def view(self) -> Frame:
        """The view's frame."""
        return self.person.page.frames[1]

    @property
    def heading(self) -> Locator:
        """What a drawn answer is headed with."""
        return self.view.get_by_role("heading", level=1)

    def picture(self, title: str) -> Locator:
        """A picture by its title."""
        return self.view.locator("section").filter(has=self.view.get_by_text(title, exact=True))

    def rows(self, title: str) -> list[list[str]]:
        """What a table says, without its bars: name and figures of each row."""
        table = self.view.get_by_role("table", name=title, exact=True)
        rows: list[list[str]] = table.evaluate(
            "(table) => [...table.tBodies[0].rows].map((row) =>"
            " [...row.cells].filter((cell) => cell.textContent).map((cell) => cell.textContent))"
        )
        return rows

    def sees(self, *words: str) -> None:
        """Wait until all of it is shown."""
        for each in words:
            expect(self.view.get_by_role("main")).to_contain_text(each)

    def axe_finds_nothing(self) -> None:
        """Judged inside of the view."""
        found = Axe().run(self.view)
        assert found.violations_count == 0, found.generate_report()

    def nothing_is_cut(self) -> None:
        """Nothing of the view is wider than its place, so that nothing scrolls sideways."""
        assert self.view.evaluate(_WIDER_THAN_THEIR_PLACE) == []

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The messages of the view."""
        heard: list[dict[str, Any]] = self.person.page.evaluate("heard")
        return heard

    @property
    def links(self) -> list[str]:
        """What the view has asked to open."""
        return [each["params"]["url"] for each in self.asked if each.get("method") == "ui/open-link"]

    def heard_nothing_else(self) -> None:
        """The view called no tool, asked for nothing else, and fetched nothing."""
        said = {each.get("method") for each in self.asked if "error" not in each and "result" not in each}
        assert said <= _MAY_BE_SAID
        assert self.fetched == []


@contextmanager
def host(person: Person, html: str) -> Iterator[Host]:
    """A host, which at the end has heard nothing that a view may not say."""
    host = Host(person, html)
    yield host
    host.heard_nothing_else()
