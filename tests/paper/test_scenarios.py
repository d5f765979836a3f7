"""Scenario files: what comes with the program, what a trader writes, and what is said about mistakes."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest

from paper.serving import command
from paper.support import Opening, SettableClock
from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.market_calendar import NewYorkCalendar
from positions_mcp.paper import PaperError, PaperExchange, ScenarioError
from positions_mcp.paper.market import PROCESSING
from positions_mcp.paper.scenario import load_scenario, parse_scenario, scenario_names
from positions_mcp.paper.staging import first_trading_day
from positions_mcp.paper.symbols import expiry_date, parse_contract

OWN = """
title = "Mine"
[[underlyings]]
symbol = "F"
price = 11.25
[[positions]]
symbol = "F"
quantity = 1000
average_price = 9.5
[[positions]]
symbol = "F friday 12.5 call"
quantity = -10
average_price = 0.20
"""


def test_the_packaged_scenarios_are_sound():
    assert scenario_names() == ["demo", "empty", "expiry", "large", "rough"]
    assert all(load_scenario(name).title for name in scenario_names())


@pytest.mark.parametrize(
    ("now", "expiry"),
    [
        (datetime(2026, 11, 23, 11, tzinfo=NEW_YORK), "261123"),
        (datetime(2026, 11, 23, 17, tzinfo=NEW_YORK), "261123"),
        (datetime(2026, 11, 23, 19, tzinfo=NEW_YORK), "261124"),
        (datetime(2026, 11, 22, 11, tzinfo=NEW_YORK), "261123"),
        (datetime(2026, 11, 26, 11, tzinfo=NEW_YORK), "261127"),
        (datetime(2026, 12, 24, 20, tzinfo=NEW_YORK), "261228"),
    ],
)
def test_expiring_today_means_the_next_evening_at_which_options_expire(
    opened: Opening, clock: SettableClock, now: datetime, expiry: str
):
    clock.at = now
    with opened("demo").reading() as moment:
        assert f"AAPL{expiry}C00225000" in {symbol for _, symbol in moment.ledger.holdings}


@pytest.mark.parametrize("hour", [3, 14, 20])
def test_the_expiry_afternoon_is_three_hours_before_its_deadline_on_whatever_day_it_is_opened(hour: int):
    calendar = NewYorkCalendar()
    for day in range(366):
        opened_at = datetime(2026, 1, 1, hour, tzinfo=NEW_YORK) + timedelta(days=day)
        today = first_trading_day(opened_at, calendar, full_length=True)
        session = calendar.session_on(today)
        assert session
        assert session.closes == datetime.combine(today, time(16), NEW_YORK)
        assert opened_at < datetime.combine(today, PROCESSING, NEW_YORK)


def test_a_scenario_with_hours_of_its_own_passes_over_a_day_that_closes_early(opened: Opening, clock: SettableClock):
    clock.at = datetime(2026, 11, 26, 11, tzinfo=NEW_YORK)
    exchange = opened("expiry")
    assert exchange.clock.now() == datetime(2026, 11, 30, 14, 30, tzinfo=NEW_YORK)
    with exchange.reading() as moment:
        assert "AAPL261130C00220000" in {symbol for _, symbol in moment.ledger.holdings}


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("today", date(2026, 11, 25)),
        ("tomorrow", date(2026, 11, 27)),
        ("+3d", date(2026, 11, 30)),
        ("+1w", date(2026, 12, 2)),
        ("friday", date(2026, 11, 27)),
        ("friday+4", date(2026, 12, 24)),
        ("month+0", date(2026, 11, 20)),
        ("month+1", date(2026, 12, 18)),
        ("2027-01-15", date(2027, 1, 15)),
    ],
)
def test_expiries_are_relative_to_the_first_day_and_avoid_holidays(text: str, day: date):
    assert expiry_date(text, date(2026, 11, 25), NewYorkCalendar()) == day


def test_a_trader_can_write_his_own(tmp_path: Path, clock: SettableClock):
    (tmp_path / "mine.toml").write_text(OWN)
    exchange = PaperExchange.open(tmp_path / "data", scenario=str(tmp_path / "mine.toml"), clock=clock)
    with exchange.reading() as moment:
        held = {symbol: holding.quantity for (_, symbol), holding in moment.ledger.holdings.items()}
    exchange.close()
    assert held == {"F": 1000, "F261127C00012500": -10}


POSITION = 'title = "x"\n[[positions]]\naverage_price = 1\n'
INSTRUCTION = 'title = "x"\n[[instructions]]\nsymbol = "AAPL"\nquantity = 1\n'
MISTAKES = {
    "title = ": "is not TOML",
    'title = "x"\ncolour = 1': "colour: unknown key; allowed here: title, about, cash",
    POSITION + 'symbol = "AAPL"\nquantity = "many"': r"positions\[0\].quantity = 'many'",
    POSITION + 'symbol = "AAPL today 5"\nquantity = 1': r"positions\[0\].symbol = 'AAPL today 5'.*AAPL today 190 call",
    POSITION + 'symbol = "AAPL"\nquantity = 0': "a position of 0 is none",
    POSITION + 'symbol = "AAPL"': r"positions\[0\].quantity: Field required",
    INSTRUCTION
    + 'type = "sell"': r"instructions\[0\].type = 'sell'.*'exercise', 'do_not_exercise' or 'contrary_exercise'",
    'title = "x"\n[delays]\nclearing = "soon"': "300ms, 2s, 5m, 4h or 1d",
    'title = "x"\n[delays]\nlast_fill = "99999999999d"': "'99999999999d' is no duration up to 200 years",
    INSTRUCTION + 'type = "exercise"\nage = "999999999d"': r"instructions\[0\].age.*is no duration up to 200 years",
    INSTRUCTION + 'type = "exercise"\nanswered_after = "73001d"': r"answered_after.*is no duration up to 200 years",
    'title = "x"\n[clock]\nat = "9:30"': "'9:30' is no time of day; write HH:MM in New York, such as 15:30",
    'title = "x"\n[[behaviour]]\nsymbol = "AAPL"\nrefuses = "too late"': "is no reason code; write capital letters",
    'title = "x"\n[[underlyings]]\nsymbol = "AAPL"': "give a price, or priced = false",
}


@pytest.mark.parametrize(("wrong", "said"), MISTAKES.items())
def test_a_mistake_is_named_with_its_place_and_what_is_allowed(wrong: str, said: str):
    with pytest.raises(ScenarioError, match=rf"(?s)mine\.toml.*{said}"):
        parse_scenario(wrong, where="mine.toml")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            '[[positions]]\nsymbol = "GM"\nquantity = 1\naverage_price = 1',
            r"\[\[underlyings\]\] entry for 'GM'; defined: F",
        ),
        ('[[positions]]\nsymbol = "F"\nquantity = 1\naverage_price = 1', "'F' is listed twice"),
        ('[[orders]]\nsymbol = "F"\nside = "sell"\nquantity = 1001\nlimit = 99', "more than is free"),
        ('[[instructions]]\nsymbol = "F friday 12.5 call"\ntype = "exercise"\nquantity = 1', "no option held long"),
    ],
)
def test_what_does_not_fit_together_is_refused_and_leaves_no_book(
    tmp_path: Path, clock: SettableClock, more: str, said: str
):
    (tmp_path / "mine.toml").write_text(OWN + more)
    with pytest.raises(ScenarioError, match=said):
        PaperExchange.open(tmp_path / "data", scenario=str(tmp_path / "mine.toml"), clock=clock)
    PaperExchange.open(tmp_path / "data", scenario="empty", clock=clock).close()


def test_an_unknown_scenario_lists_the_known_ones(tmp_path: Path):
    done = command("reset", "--scenario", "boom", data_dir=tmp_path)
    assert done.returncode == 2
    assert "'boom'; there are demo, empty, expiry, large, rough" in done.stderr
    with pytest.raises(ScenarioError, match="cannot be read"):
        load_scenario("nowhere.toml")


def test_an_unknown_contract_or_shape_of_errors_lists_the_known_ones(tmp_path: Path):
    with pytest.raises(PaperError, match="'next'; there are seed, summer, current, auto"):
        PaperExchange.open(tmp_path, contract="next")  # type: ignore[arg-type]  # what a configuration might say
    with pytest.raises(PaperError, match="'round'; there are flat, enveloped"):
        PaperExchange.open(tmp_path, errors="round")  # type: ignore[arg-type]  # what a configuration might say


@pytest.mark.parametrize("spelling", ["AAPL  280121C00195000", "AAPL 280121C00195000", "AAPL280121C00195000"])
def test_an_osi_symbol_is_read_in_any_spacing(spelling: str):
    contract = parse_contract(spelling)
    assert contract is not None
    assert (contract.compact, contract.padded) == ("AAPL280121C00195000", "AAPL  280121C00195000")


@pytest.mark.parametrize(
    "text", ["", "AAPL", "AAPL281321C00195000", "AAPL280121X00195000", "aapl280121C00195000", "AAPL280121C٠٠195000"]
)
def test_what_is_no_osi_symbol_is_none(text: str):
    assert parse_contract(text) is None
