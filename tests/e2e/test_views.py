"""Answers of the real server, drawn by its page in a host: what is seen, and what the page may not do."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal
from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult
from playwright.sync_api import Browser, expect

from e2e.agents import agent
from e2e.hosts import Host, host
from e2e.installation import Installation
from e2e.people import Person
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.tools._uris import VIEW
from tools.serving import StandingClock, StubBroker, data_of, held, paper_server, server_over

AFTERNOON = datetime(2026, 11, 20, 19, 30, tzinfo=UTC)
"""14:30 in New York, when contracts of the expiry scenario expire."""
BATCH = {
    "instructions": [
        {"instrument": "AAPL261120C00220000", "instruction_type": "EXERCISE", "quantity": "2"},
        {"instrument": "MSFT261120C00450000", "instruction_type": "DO_NOT_EXERCISE", "quantity": "1"},
    ]
}
TOO_MANY = {"instructions": [{**BATCH["instructions"][0], "quantity": "200"}]}
ANSWERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "positions": ("demo", "list_positions", {}),
    "positions in full": ("demo", "list_positions", {"detail": "full"}),
    "rough positions": ("rough", "list_positions", {"detail": "full"}),
    "many positions": ("large", "list_positions", {"detail": "full", "limit": 200}),
    "positions that expire": ("expiry", "list_positions", {"detail": "full"}),
    "no positions": ("empty", "list_positions", {}),
    "a summary": ("demo", "summarize_positions", {}),
    "a summary by expiry": ("demo", "summarize_positions", {"group_by": "expiry"}),
    "an evening": ("expiry", "project_expiration", {}),
    "no evening": ("empty", "project_expiration", {}),
    "a close": ("demo", "preview_close", {"all": True}),
    "instructions": ("expiry", "preview_instructions", BATCH),
    "no instructions": ("expiry", "preview_instructions", TOO_MANY),
}
Answer = Callable[[str], CallToolResult]


async def asked(server: MCPServer[Any], tool: str, arguments: dict[str, Any]) -> CallToolResult:
    async with Client(server) as client:
        return await client.call_tool(tool, arguments)


@pytest.fixture(scope="module")
def answer(portal: BlockingPortal) -> Answer:
    """The real server's answers, each asked for once."""

    @cache
    def ask(name: str) -> CallToolResult:
        scenario, tool, arguments = ANSWERS[name]
        clock = StandingClock(AFTERNOON) if scenario == "expiry" else None
        with tempfile.TemporaryDirectory() as place, paper_server(Path(place), scenario, clock) as server:
            result = portal.call(asked, server, tool, arguments)
        assert not result.is_error, result.content
        return result

    return ask


@pytest.fixture(scope="module")
def view(portal: BlockingPortal) -> str:
    """The page, as a client reads it."""

    async def read() -> str:
        async with Client(server_over(StubBroker())) as client:
            [content] = (await client.read_resource(VIEW)).contents
            return str(content.model_dump()["text"])

    return portal.call(read)


@pytest.fixture
def claude(somebody: Callable[..., AbstractContextManager[Person]], view: str) -> Iterator[Host]:
    """A host with somebody in front of it."""
    with somebody() as person, host(person, view) as claude:
        yield claude


def over(portal: BlockingPortal, broker: StubBroker, tool: str = "list_positions", **arguments: Any) -> CallToolResult:
    """What the server answers over a book of the test's own."""
    mode = arguments.pop("mode", Mode.PAPER)
    return portal.call(asked, server_over(broker, mode=mode), tool, arguments)


# --- everybody


@pytest.mark.parametrize("name", ANSWERS)
def test_everybody_can_read_every_picture_in_light_in_dark_and_on_320_pixels(
    claude: Host, answer: Answer, name: str
) -> None:
    claude.shows(answer(name), theme="light")
    for figures in claude.view.locator("summary").all():
        figures.click()
    claude.axe_finds_nothing()
    light = claude.view.evaluate("getComputedStyle(document.body).backgroundColor")
    claude.turns("dark")
    assert claude.view.evaluate("getComputedStyle(document.body).backgroundColor") != light
    claude.axe_finds_nothing()
    claude.nothing_is_cut()
    claude.is_as_wide_as(320)
    claude.nothing_is_cut()
    expect(claude.view.locator("#said")).to_be_hidden()


def test_an_expiration_day_as_the_manual_shows_it(
    claude: Host, answer: Answer, picture: Callable[[Person, str], None]
) -> None:
    claude.person.page.set_viewport_size({"width": 900, "height": 1240})
    claude.shows(answer("positions that expire"))
    claude.view.get_by_role("combobox").select_option("TSLA 2026-11-20")
    claude.is_whole()
    picture(claude.person, "view-positions")


def test_where_a_host_says_no_theme_the_systems_is_taken(claude: Host, answer: Answer) -> None:
    colours = []
    for scheme in ("light", "dark"):
        claude.person.page.emulate_media(color_scheme=scheme)
        claude.shows(answer("a summary"))
        colours.append(claude.view.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]


def test_a_change_of_something_else_than_the_theme_leaves_the_theme(claude: Host, answer: Answer) -> None:
    claude.shows(answer("a summary"), theme="dark")
    claude.says("ui/notifications/host-context-changed", displayMode="fullscreen")
    claude.says("ui/notifications/tool-result", **answer("positions").model_dump(by_alias=True, mode="json"))
    claude.sees("Contracts by expiration")
    expect(claude.view.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_keyboard_reaches_what_there_is_to_use(claude: Host, answer: Answer) -> None:
    claude.shows(answer("positions in full"))
    choice = claude.view.get_by_role("combobox", name="Options on")
    claude.person.page.locator("iframe").focus()
    claude.person.tabs_to(choice, "Tab")
    claude.person.page.keyboard.press("ArrowDown")
    expect(choice).to_have_value("NVDA 2026-11-20")
    expect(claude.view.get_by_role("img", name="Profit or loss of NVDA 2026-11-20")).to_be_visible()
    claude.person.tabs_to(claude.view.locator("summary"), "Tab")
    claude.person.page.keyboard.press("Enter")
    expect(claude.view.get_by_role("table", name="Profit or loss", exact=True)).to_be_visible()


def test_the_host_is_told_a_size_in_which_nothing_is_hidden(claude: Host, answer: Answer) -> None:
    claude.shows(answer("positions"))
    claude.is_whole()


# --- what the pictures say


def test_bars_say_every_figure_as_the_answer_has_it(claude: Host, answer: Answer) -> None:
    data = data_of(answer("positions"))
    claude.shows(answer("positions"))
    names = data["columns"].index
    for title, column in (("Profit and loss of the day", "day_pnl"), ("Unrealized profit and loss", "unrealized_pnl")):
        assert claude.rows(title) == [[row[0], row[names(column)]] for row in data["rows"]]
    claude.sees("PAPER", "Read 2026-11-20 10:30:00 New York", data["totals"]["net"], "25 of 25 positions")


def test_a_bar_is_as_long_as_its_figure_and_on_its_side(claude: Host, answer: Answer) -> None:
    data = data_of(answer("positions"))
    claude.shows(answer("positions"))
    drawn = (
        claude.picture("Profit and loss of the day")
        .locator("tbody tr")
        .evaluate_all(
            "(rows) => rows.map((row) => [...row.querySelectorAll('rect')].map((bar) =>"
            " (bar.matches('.up') ? 1 : -1) * bar.getAttribute('width')).reduce((sum, each) => sum + each, 0))"
        )
    )
    figures = [float(row[data["columns"].index("day_pnl")]) for row in data["rows"]]
    scale = 100 / (max(figures) - min(figures))
    assert drawn == pytest.approx([figure * scale for figure in figures])


def test_exposure_and_contracts_are_summed_by_underlying_and_day(claude: Host, answer: Answer) -> None:
    claude.shows(answer("positions"))
    exposure = dict(claude.rows("Exposure: long to the right, short to the left"))
    assert exposure["NVDA"] == "76657.00"
    assert exposure["TSLA"] == "-15858.50"
    assert claude.rows("Contracts by expiration") == [
        ["2026-11-20", "20 long, 2 short"],
        ["2026-11-27", "2 long, 5 short"],
        ["2026-12-04", "6 long, 0 short"],
        ["2026-12-11", "0 long, 3 short"],
        ["2026-12-18", "11 long, 5 short"],
    ]


def test_only_the_longest_bars_of_a_long_book_are_drawn_and_the_others_are_counted(
    claude: Host, answer: Answer
) -> None:
    data = data_of(answer("many positions"))
    claude.shows(answer("many positions"))
    title = "Unrealized profit and loss"
    at = data["columns"].index("unrealized_pnl")
    sizes = sorted((abs(Decimal(row[at])) for row in data["rows"] if row[at] != "missing"), reverse=True)
    assert [abs(Decimal(figure)) for _, figure in claude.rows(title)] == sizes[:30]
    expect(claude.picture(title)).to_contain_text(f"and {len(data['rows']) - 30} more, in the answer's text")
    claude.sees(
        f"{len(data['rows'])} of {data['held']} positions",
        "Positions that are not in this answer are in no picture.",
    )
    assert claude.view.locator("section tbody tr").count() <= 30 * 5


def test_what_is_missing_is_named_and_has_no_bar(claude: Host, answer: Answer) -> None:
    claude.shows(answer("rough positions"))
    for title in ("Profit and loss of the day", "Unrealized profit and loss"):
        row = claude.view.get_by_role("table", name=title).get_by_role("row", name="HALT")
        expect(row).to_contain_text("missing")
        expect(row.locator("svg")).to_have_count(0)
    assert dict(claude.rows("Exposure: long to the right, short to the left"))["HALT"] == "not known"
    claude.sees("Missing, not zero:", "Cannot be read as contracts")
    expect(claude.picture("Cannot be read as contracts")).to_contain_text("8c770b22")


def test_a_listing_by_account_and_a_filtered_one_say_what_they_are_of(claude: Host, portal: BlockingPortal) -> None:
    book = [held("AAPL", market_value="100.10", unrealized_pnl="1.50"), held("MSFT", number=1, market_value="5.00")]
    server = server_over(StubBroker(positions=book), accounts=(19816, 20000))
    claude.shows(portal.call(asked, server, "list_positions", {}))
    claude.sees("account all")
    assert claude.rows("Unrealized profit and loss") == [["19816", "1.50"], ["20000", "1.50"]]
    claude.shows(over(portal, StubBroker(positions=book), underlying="AAPL"))
    claude.sees("1 of 2 positions", "underlying AAPL", "Positions that are not in this answer are in no picture.")


def test_a_summary_is_drawn_by_its_groups_and_says_what_expires(claude: Host, answer: Answer) -> None:
    data = data_of(answer("a summary"))
    claude.shows(answer("a summary"))
    assert claude.rows("Profit and loss of the day") == [[row[0], row[4]] for row in data["groups"]]
    assert claude.rows("Net exposure by underlying") == [[row[0], f"{row[2]} · {row[3]} %"] for row in data["groups"]]
    claude.sees(*data["expiring"]["evening"], data["expiring"]["cutoff"], data["exposure"]["short_puts"])
    assert [row[0] for row in claude.rows("Expiring first")] == [row[0] for row in data["expiring"]["rows"]]
    claude.shows(answer("a summary by expiry"))
    assert [row[0] for row in claude.rows("Net exposure by expiry")] == [
        row[0] for row in data_of(answer("a summary by expiry"))["groups"]
    ]


def test_an_evening_has_each_strikes_distance_and_outcome_and_open_cash_is_drawn_pale(
    claude: Host, answer: Answer
) -> None:
    data = data_of(answer("an evening"))
    claude.shows(answer("an evening"))
    strikes = dict(claude.rows("Strikes by how far they are in the money"))
    assert strikes["AAPL261120C00220000 × 5"] == "4.53 % · by exception 5"
    assert strikes["AMD261120C00185000 × 10"] == "-11.39 % · lapse 10"
    assert len(strikes) == len(data["options"])
    cash = claude.rows("Cash of the evening")
    assert [figure for _, figure in cash] == [f"{row[6]} · {row[4]} → {row[5]}" for row in data["underlyings"]]
    open_ones = [row for row in data["underlyings"] if " to " in row[6]]
    assert open_ones
    expect(claude.picture("Cash of the evening").locator(".open")).to_have_count(len(open_ones))
    claude.sees(data["cash"], data["buying_power"], *data["watch"], *data["not_known"])


def test_an_outcome_that_is_not_known_is_said_so(claude: Host, answer: Answer) -> None:
    data = data_of(answer("an evening"))
    option = ["AAPL1261120C00220000", "5", "", "0", "", "0"]
    claude.shows({"content": [], "structuredContent": {**data, "options": [option]}})
    assert claude.rows("Strikes by how far they are in the money") == [
        ["AAPL1261120C00220000 × 5", "distance not known · on instruction not known · assigned not known"]
    ]


# --- the payoff

Leg = tuple[str, int, str]
"""Right, contracts and strike."""


def at_expiration(legs: list[Leg], cost: str, price: Decimal) -> Decimal:
    """Profit or loss of calls and puts, by hand."""
    worth = Decimal(0)
    for right, quantity, strike in legs:
        inside = price - Decimal(strike) if right == "C" else Decimal(strike) - price
        worth += quantity * 100 * max(inside, Decimal(0))
    return worth - Decimal(cost)


@pytest.mark.parametrize(
    ("chosen", "legs", "cost", "shares"),
    [
        ("AAPL 2026-11-20", [("C", 5, "225"), ("C", 10, "250")], "2845", (300, "51705")),
        ("NVDA 2026-11-27", [("C", -5, "155")], "-1600", (500, "48200")),
        ("TSLA 2026-11-20", [("P", -2, "330")], "-520", (-50, "-15912.5")),
        ("SPY 2026-12-18", [("P", 5, "600"), ("P", -5, "580")], "2875", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_payoff_is_what_the_contracts_come_to(  # noqa: PLR0917 — a row of the table
    claude: Host, answer: Answer, chosen: str, legs: list[Leg], cost: str, shares: tuple[int, str] | None
) -> None:
    claude.shows(answer("positions in full"))
    claude.view.get_by_role("combobox").select_option(chosen)
    claude.view.get_by_text("Figures of the diagram").click()
    figures = [list(map(Decimal, row)) for row in claude.rows("Profit or loss")]
    cent = Decimal("0.01")
    for price, profit, *both in figures:
        is_even = profit == 0
        wanted = at_expiration(legs, cost, price)
        assert abs(wanted - profit) <= (5 if is_even else cent)  # an even point is a price to the cent
        if shares is not None and not is_even:
            assert abs(wanted + shares[0] * price - Decimal(shares[1]) - both[0]) <= cent
        assert len(both) == (shares is not None)
    assert [price for price, *_ in figures] == sorted(price for price, *_ in figures)
    assert {Decimal(strike) for *_, strike in legs} <= {price for price, *_ in figures}
    signs = [profit for _, profit, *_ in figures]
    assert all(before * after >= 0 for before, after in pairwise(signs)), "every even point is among them"
    assert any(profit == 0 for profit in signs)


def test_without_the_cost_a_payoff_is_what_the_options_are_worth(claude: Host, answer: Answer) -> None:
    claude.shows(answer("positions"))
    claude.view.get_by_text("Figures of the diagram").click()
    worth = {Decimal(row[0]): Decimal(row[1]) for row in claude.rows("Worth")}
    assert worth[Decimal(225)] == 0
    assert worth[Decimal(250)] == 12_500
    claude.sees("The cost is not in this answer: detail=full may have it.")


CALL = "AAPL261120C00225000"
TERMS = {"instrument_type": "OPTION", "instrument_price": "6.71", "market_value": "3355.00"}


@pytest.mark.parametrize(
    ("symbol", "more", "why"),
    [
        ("AAPL1261120C00250000", TERMS, "AAPL1261120C00250000 adjusted"),
        ("1AAPL261120C00250000", TERMS, "1AAPL261120C00250000 adjusted"),
        ("AAPL261120C00250000", {**TERMS, "market_value": "335.50"}, "multiplier not known"),
        ("AAPL261120C00250000", {"instrument_type": "OPTION"}, "no quantity, price or value"),
        (CALL, TERMS, "one of several of that symbol"),
    ],
)
def test_half_a_payoff_is_not_drawn(
    claude: Host, portal: BlockingPortal, symbol: str, more: dict[str, str], why: str
) -> None:
    book = [held(CALL, "5", 1, **TERMS), held(symbol, "5", 2, **more), held("MSFT", "5", 3)]
    claude.shows(over(portal, StubBroker(positions=book), detail="full"))
    claude.sees("Not drawn for AAPL 2026-11-20:")
    expect(claude.picture("Payoff at expiration")).to_contain_text(re.compile(why.replace(" ", ".*")))
    expect(claude.view.get_by_role("img")).to_have_count(0)


# --- a plan's card


def test_a_card_says_what_the_plan_is_and_when_it_ends_and_never_that_it_is_decided(
    claude: Host, answer: Answer
) -> None:
    data = data_of(answer("a close"))
    claude.shows(answer("a close"))
    claude.sees(f"Plan {data['plan_id']}", data["summary"], data["valid_until"], *data["findings"], data["net"])
    claude.sees("This card decides and sends nothing", "get_operation says how it stands", "expires at")
    rows = dict(claude.rows("Rows"))
    assert rows["SELL 60 MSFT"] == "27896.40 · held 100, free 60"
    assert rows["BUY 50 TSLA"] == "-17304.50"
    assert len(rows) == len(data["rows"])
    for word in ("approved", "sent to", "is sent", "executed"):
        expect(claude.view.get_by_role("main")).not_to_contain_text(re.compile(word, re.IGNORECASE))
    assert claude.view.get_by_role("button").count() == 0, "where no page is named there is none to open"


def test_instructions_show_consequences_and_refused_ones_their_problems(claude: Host, answer: Answer) -> None:
    data = data_of(answer("instructions"))
    claude.shows(answer("instructions"))
    claude.sees(
        f"Plan {data['plan_id']}", *data["consequences"], *data["projection"], data["cutoff"], data["valid_until"]
    )
    data = data_of(answer("no instructions"))
    claude.shows(answer("no instructions"))
    claude.sees("No plan", data["summary"], data["rows"][0][-1])


@pytest.mark.parametrize("opens", [True, False])
def test_the_desks_page_is_opened_by_the_host_on_a_click_and_not_before(
    claude: Host, installation: Installation, picture: Callable[[Person, str], None], *, opens: bool
) -> None:
    claude.person.page.set_viewport_size({"width": 900, "height": 520})
    with installation.desk() as desk, agent(installation, name="Claude") as assistant:
        result = assistant.calls("preview_close", instruments=["KO", "TSLA"]).result()
    data = data_of(result)
    page = f"{desk.url}/op/{data['plan_id']}"
    claude.shows(result, opens=opens)
    claude.sees(page)
    claude.axe_finds_nothing()
    picture(claude.person, "view-plan")
    button = claude.view.get_by_role("button", name="Open the supervisor's page")
    claude.person.page.locator("iframe").focus()
    claude.person.tabs_to(button, "Tab")
    assert claude.links == []
    claude.person.page.keyboard.press("Enter")
    if not opens:
        claude.sees("The host did not open the page. Its address is on the card.")
    button.click()
    assert claude.links == [page, page]
    assert installation.state(data["plan_id"]) == "PLANNED"


# --- whose money, and whose text


def test_live_and_paper_are_told_apart_by_word_and_frame(claude: Host, portal: BlockingPortal) -> None:
    frames = []
    for mode, words in ((Mode.PAPER, "PAPER"), (Mode.LIVE, "LIVE, real money")):
        claude.shows(over(portal, StubBroker(positions=[held("AAPL")]), mode=mode))
        badge = claude.view.locator("h1 span")
        expect(badge).to_have_text(words)
        frames.append(badge.evaluate("(badge) => getComputedStyle(badge).borderTopStyle"))
        claude.axe_finds_nothing()
    assert frames == ["dashed", "double"]


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    '"><script>alert(1)</script>',
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{constructor.constructor('alert(1)')()}}",
    "</style><h1>LIVE</h1>",
    "http://localhost:1/op/op-1",
    "__proto__",
    "constructor",
    "\u202eLPAA",
    "W" * 400,
]


def test_names_are_text_whatever_they_say(claude: Host, portal: BlockingPortal) -> None:
    book = [held(name, "5", place, market_value=f"{place}00") for place, name in enumerate(HOSTILE)]
    data = over(portal, StubBroker(positions=book), detail="full")
    claude.shows(data)
    names = [row[0] for row in data_of(data)["rows"]]
    assert [row[0] for row in claude.rows("Unrealized profit and loss")] == names
    assert claude.view.locator("img, script:not([type=module]), a, iframe, svg[onload], [onerror]").count() == 0
    claude.nothing_is_cut()
    claude.is_as_wide_as(320)
    claude.nothing_is_cut()
    claude.axe_finds_nothing()


@pytest.mark.parametrize("evil", [{"onclick": "alert(1)"}, ["<b>", {"id": "said"}], None, 7, True, "x" * 100_000])
def test_values_of_another_kind_than_text_are_no_attributes_and_no_elements(
    claude: Host, answer: Answer, evil: object
) -> None:
    data = data_of(answer("a summary"))
    claude.shows(
        {"structuredContent": {**data, "as_of": evil, "totals": {"net": evil}, "groups": [["AAPL", *[evil] * 7]]}}
    )
    claude.sees("PAPER")
    assert claude.view.evaluate("document.querySelectorAll('[onclick], b, #said ~ #said').length") == 0
    assert claude.view.evaluate("document.body.textContent.length") < 50_000
    claude.nothing_is_cut()


def test_no_markup_gets_in_from_inside_either(browser: Browser, view: str, answer: Answer) -> None:
    page = browser.new_page()  # what is stopped is said on the console, which nobody else's page may say
    claude = Host(Person(page), view)
    claude.shows(answer("positions"))
    caught = claude.view.evaluate(
        """() => {
          const names = [];
          for (const attempt of [
            () => document.body.insertAdjacentHTML("beforeend", "<b>in</b>"),
            () => { document.body.innerHTML = "<b>in</b>"; },
            () => document.write("<b>in</b>"),
            () => { document.createElement("script").text = "alert(1)"; },
          ]) try { attempt(); } catch (error) { names.push(error.name); }
          return names;
        }"""
    )
    assert caught == ["TypeError"] * 4
    page.close()


def test_an_answer_without_anything_to_draw_says_where_everything_is(claude: Host) -> None:
    for result in (
        {"isError": True, "content": [{"type": "text", "text": "Nothing was sent."}]},
        {"isError": True, "structuredContent": {"held": 1}},
        {"content": [{"type": "text", "text": "25 positions"}]},
        {"structuredContent": None},
        {"structuredContent": {"something": "else"}},
    ):
        claude.begins(result)
        claude.sees("There is nothing to draw: the answer's text has everything.")


def test_a_cancelled_call_and_a_host_that_says_nothing_are_said(claude: Host) -> None:
    claude.begins(None)
    claude.sees("Waiting for the answer.")
    claude.says("ui/notifications/tool-cancelled", reason="the person did")
    claude.sees("The call was cancelled: there is nothing to draw.")
    claude.axe_finds_nothing()


def test_a_window_that_is_not_its_host_is_not_heard(claude: Host, answer: Answer) -> None:
    claude.shows(answer("positions"))
    claude.person.page.evaluate(
        """(result) => new Promise((done) => {
          const other = document.createElement("iframe");
          other.onload = () => {
            const script = other.contentDocument.createElement("script");
            script.textContent = `window.tell = (message) => parent.frames[0].postMessage(message, "*")`;
            other.contentDocument.body.append(script);
            other.contentWindow.tell({ jsonrpc: "2.0", method: "ui/notifications/tool-result", params: result });
            done();
          };
          other.srcdoc = "<title>another</title>";
          document.body.append(other);
        })""",
        {"structuredContent": {**data_of(answer("positions")), "account_id": 666}},
    )
    claude.turns("dark")  # what is heard after it
    expect(claude.heading).to_contain_text("account 19816")


def test_a_host_that_asks_for_more_is_told_that_there_is_no_more(claude: Host, answer: Answer) -> None:
    claude.shows(answer("positions"))
    claude.person.page.evaluate(
        """() => { for (const method of ["ping", "ui/resource-teardown", "tools/list", "tools/call"])
          say({ id: method, method, params: {} }); }"""
    )
    claude.turns("dark")
    said = {each["id"]: "result" in each for each in claude.asked if "result" in each or "error" in each}
    assert said == {"ping": True, "ui/resource-teardown": True, "tools/list": False, "tools/call": False}
