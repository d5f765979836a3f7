"""What a program tries: text that pretends to be markup, a script in the page, a robot in a signed-in tab."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from e2e.agents import agent
from e2e.installation import Installation
from e2e.people import Person
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.paper import DEFAULT_ACCOUNT
from positions_mcp.paper.symbols import instrument_id_of

MARKUP = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
TURNED = "\u202eEVORPPA\u2066"
HOSTILE = f"{TURNED} {MARKUP} </bdi></li><h1>APPROVED"


def lists_an_instrument(installation: Installation, symbol: str) -> None:
    """Hold ten of an instrument that the broker calls so."""
    with installation.exchange() as exchange, exchange.changing() as moment:
        ledger = moment.ledger
        instrument = replace(ledger.instruments["KO"], symbol=symbol, instrument_id=instrument_id_of(symbol))
        held = next(each for each in ledger.holdings_of(DEFAULT_ACCOUNT) if each.symbol == "KO")
        ledger.put_instrument(instrument)
        ledger.put_holding(replace(held, symbol=symbol, quantity=Decimal(10)))


def shows_only_text(somebody: Person) -> None:
    """Nothing of the text has become an element, has run, or can turn what stands beside it."""
    page = somebody.page
    assert page.locator("img[src=x], main script, bdi h1, main h1 h1").count() == 0
    assert "owned" not in page.title()
    assert page.get_by_role("heading", name="APPROVED", exact=True).count() == 0
    assert page.locator("body").evaluate(TURNING) == []


TURNING = r"""(body) => [...body.querySelectorAll(":not(bdi)")]
  .flatMap((element) => [...element.childNodes])
  .filter((node) => node.nodeType === 3 && /[\u202a-\u202e\u2066-\u2069]/.test(node.data))
  .map((node) => node.data)"""


@pytest.mark.requirement("D-02", "T-01")
def test_text_of_agents_hosts_people_and_the_broker_stays_text_on_every_page(
    installation: Installation, ana: Person
) -> None:
    lists_an_instrument(installation, f"K<b>O{TURNED}")
    with installation.exchange() as exchange:
        exchange.arm("status_422", "close_position", body=f'{{"message": "{MARKUP}{TURNED}"}}')
    with agent(installation, name=HOSTILE) as claude:
        call = claude.closes("XOM")
        link = call.link()
        ana.opens(link)
        ana.sees("asked for by", "<img src=x")
        shows_only_text(ana)
        ana.approves(HOSTILE)
        ana.sees("REJECTED", "<img src=x")
        shows_only_text(ana)
        assert call.answer()["state"] == "REJECTED"
        claude.calls("close_all_positions").link()
        for name in ("Queue", "History", "Book", "State"):
            ana.goes_to(name)
            ana.sees("<")
            shows_only_text(ana)
        ana.halts(HOSTILE)
        expect(ana.page.get_by_role("alert")).to_contain_text("<img src=x")
        shows_only_text(ana)


@pytest.mark.requirement("D-01", "D-02", "G-01")
def test_a_script_in_a_signed_in_page_can_neither_be_put_there_nor_approve_anything(
    installation: Installation, ana: Person
) -> None:
    (waiting,) = installation.planned("KO")
    with installation.desk() as desk:
        ana.opens(f"{desk.url}/op/{waiting.operation_id}")
        ana.sees("WAITS FOR A DECISION")
        assert ana.page.evaluate("document.cookie") == "", "no script can read the session"
        refused = ana.page.evaluate(PUT_THERE)
        assert refused == ["TypeError"] * len(refused)
        stopped = ana.page.evaluate("() => document.title")
        assert "owned" not in stopped
        answers = ana.page.evaluate(GUESSES, [waiting.operation_id, waiting.plan.digest])
        assert set(answers) <= {400, 401, 403}
        assert answers[-1] == 401, "too many guesses end the session"
        expect(ana.page.get_by_role("button", name="Sign in")).to_be_visible()
        elsewhere = ana.page.evaluate("() => fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'stopped')")
        assert elsewhere == "stopped"
        ana.complaints.clear()  # the browser's own, of what its policy has stopped
    assert installation.state(waiting.operation_id) is OperationState.AWAITING_APPROVAL
    assert installation.events(waiting.operation_id).count("decision refused") >= 5
    assert installation.effects == {}


PUT_THERE = """() => [
  () => { document.body.innerHTML = '<p>owned'; },
  () => { document.createElement('div').insertAdjacentHTML('beforeend', '<p>owned'); },
  () => { document.createElement('script').src = '/owned.js'; },
  () => { document.createElement('script').text = "document.title = 'owned'"; },
  () => { document.write('<p>owned'); },
].map((attempt) => { try { attempt(); return 'done'; } catch (error) { return error.name; } })"""

GUESSES = """async ([id, digest]) => {
  const token = sessionStorage.getItem(Object.keys(sessionStorage).find((key) => key.includes('token')));
  const statuses = [];
  for (const body of [{}, {passphrase: ''}, {passphrase: 'a'}, {passphrase: 'b'}, {passphrase: 'c'}, {passphrase: 'd'},
                      {passphrase: 'e'}, {passphrase: 'f'}]) {
    const answer = await fetch(`/api/operations/${id}/approve`, {
      method: 'POST', body: JSON.stringify({digest, ...body}),
      headers: {'Content-Type': 'application/json', 'X-Desk-Token': token},
    });
    statuses.push(answer.status);
  }
  return statuses;
}"""


@pytest.mark.requirement("D-01", "G-01")
def test_a_robot_that_clicks_everything_in_a_signed_in_tab_approves_nothing(
    installation: Installation, ana: Person
) -> None:
    plans = installation.planned("KO", "XOM")
    first, last = (f"/op/{plan.operation_id}" for plan in plans)
    with installation.desk() as desk, agent(installation) as claude:
        claude.calls("preview_close", instruments=["JPM"]).answer()
        ana.opens(desk.url)
        for path in (first, "/", "/history", "/book", "/state", last):
            ana.page.goto(f"{desk.url}{path}")
            expect(ana.page.get_by_role("main").get_by_role("heading").first).to_be_visible()
            ana.page.evaluate(ROBOT)
            if ana.page.get_by_role("button", name="Sign in").is_visible():
                ana.signs_in()
        journal = installation.events()
    assert {"halted", "decision refused"} <= set(journal), "it has clicked where it hurts"
    assert not {"approved", "sending", "resumed"} & set(journal)
    states = {installation.state(plan.operation_id) for plan in plans}
    assert states <= {OperationState.AWAITING_APPROVAL, OperationState.DECLINED}
    assert installation.effects == {}


ROBOT = """async () => {
  const pause = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 20)));
  const clicked = new Set();
  for (;;) {
    const next = [...document.querySelectorAll('button, summary, input[type=checkbox]')]
      .find((each) => !clicked.has(each) && !each.disabled && each.textContent !== 'Sign out');
    if (!next || clicked.size > 60) return;
    clicked.add(next);
    for (const field of document.querySelectorAll('textarea, input:not([type=checkbox])'))
      field.value = field.inputMode === 'numeric' ? '19816' : 'open sesame';
    next.click();
    document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'a', bubbles: true}));
    await pause();
  }
}"""
