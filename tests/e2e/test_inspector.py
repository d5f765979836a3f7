"""The page of views in the MCP Inspector: a host that wraps pages in its own way, and lets them call what they like."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from e2e import inspector as inspectors
from e2e.inspector import inspector
from e2e.installation import Installation

SAID = {"ui/initialize", "ui/notifications/initialized", "ui/notifications/size-changed"}
WRITES_MARKUP = """() => {
  try { document.body.insertAdjacentHTML("beforeend", "<b>in</b>"); return ""; } catch (error) { return error.name; }
}"""


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """Node and the Inspector, from npm."""
    inspectors.prepare()


def test_the_inspector_shows_answers_and_plans_and_no_view_asks_it_for_anything(
    installation: Installation, browser: Browser, tmp_path: Path
) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(60_000)
    with inspector(installation, context.new_page(), tmp_path) as shown:
        shown.opens("List positions")
        expect(shown.view.get_by_role("heading", level=1)).to_have_text("PAPER Positions, account 19816")
        expect(shown.view.get_by_role("table", name="Unrealized profit and loss").get_by_role("row")).to_have_count(26)
        for theme in ("light", "dark"):
            expect(shown.view.locator("html")).to_have_attribute("data-theme", theme)
            found = Axe().run(shown.view)
            assert found.violations_count == 0, found.generate_report()
            shown.page.get_by_role("button", name="Toggle color scheme").click()
        assert shown.view.evaluate(WRITES_MARKUP) == "TypeError", "the page's own policy holds, however it is wrapped"
        assert shown.said == SAID
        shown.closes()
        shown.opens("Preview a close", underlying="KO")
        expect(shown.view.get_by_role("main")).to_contain_text("This card decides and sends nothing")
        plan = installation.newest()
        expect(shown.view.get_by_role("heading", level=1)).to_contain_text(plan.operation_id)
        assert shown.said == SAID
    context.close()
    assert installation.state(plan.operation_id) == "PLANNED"
    assert installation.effects == {}
