"""The projection against what the paper exchange has booked the next morning, for random books and closing prices."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import evenings
from evenings import FRIDAY, Afternoon, Told, booked, facts
from positions_mcp.domain.enums import InstructionType
from positions_mcp.domain.exercise.projected import ProjectedUnderlying
from positions_mcp.domain.exercise.projection import project
from positions_mcp.domain.exercise.settlement import Span
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.paper.holdings import Behaviour
from positions_mcp.paper.symbols import instrument_id_of

EXAMPLES = int(os.environ.get("PROJECTION_EXAMPLES", "500"))
"""Fewer wherever all tests run; `make faults` tries more of them."""
_STRIKES = (90, 95, 100, 105, 110)
_OUTSTANDING = ("SENT", "CANCEL_REQUESTED", "UNKNOWN")
_SETTLED = ("ACCEPTED", "REJECTED", "CANCELLED", "CANCEL_FAILED")
_UNKIND = (Behaviour(clearing_rejects=True), Behaviour(accepts=Decimal(1)), Behaviour(cancel_fails=True))
EARLY_CLOSE = date(2026, 11, 27)
_DAYS = {
    FRIDAY: ("261120", "261121", {"before the close": "15:00", "close not known": "16:20", "given": "15:00"}),
    date(2026, 11, 27): (
        "261127",
        "261128",
        {"before the close": "12:30", "close not known": "13:20", "given": "14:40"},
    ),
}
"""An ordinary Friday and one that closes at 13:00: what ends that evening, and when the projection is made."""


@dataclass(frozen=True)
class Row:
    """A row of a batch under preview."""

    instrument_id: InstrumentId
    instruction_type: InstructionType
    quantity: int


@dataclass(frozen=True)
class Case:
    """An afternoon, the batch beside it, and what is known of the price."""

    afternoon: Afternoon
    batch: tuple[Told, ...]
    knows: str
    with_ids: bool

    @property
    def is_kind(self) -> bool:
        """Whether clearing does what is expected of it, so that nothing ends otherwise."""
        return not self.afternoon.clearing and all(told.status != "CANCEL_FAILED" for told in self.afternoon.told)

    @property
    def evening(self) -> Afternoon:
        """With the batch accepted."""
        return replace(self.afternoon, told=(*self.afternoon.told, *self.batch))


def _tail(expiration: str, right: str, strike: int, scale: int = 1) -> str:
    return f"{expiration}{right}{strike * scale * 1000:08d}"


@st.composite
def _option(draw: st.DrawFn, day: date) -> str:
    root = draw(st.sampled_from(["AAPL", "AAPL", "AAPL", "MSFT", "AAPL1", "1AAPL", "SPXW", "SPX", "OEX"]))
    today, saturday, _ = _DAYS[day]
    expiration = draw(st.sampled_from([today, today, today, saturday, "261218"]))
    right, strike = draw(st.sampled_from("CP")), draw(st.sampled_from(_STRIKES))
    return f"{root}{_tail(expiration, right, strike)}"


@st.composite
def _told(draw: st.DrawFn, symbol: str, held: int) -> list[Told]:
    """Instructions on a long option; where the position has shrunk since, they speak for more than is held."""
    has_shrunk = draw(st.integers(0, 9)) == 0
    later = symbol[-15:-9] == "261218"
    kinds = ["EXERCISE"] if later else ["EXERCISE", "DO_NOT_EXERCISE", "CONTRARY_EXERCISE"]
    found = []
    for _ in range(draw(st.integers(0, 3))):
        if not held or (later and symbol.startswith("SPX")):
            break
        quantity = draw(st.integers(1, held))
        held -= 0 if has_shrunk else quantity
        status = draw(st.sampled_from(_OUTSTANDING + _SETTLED))
        accepted = draw(st.none() | st.integers(0, quantity)) if status == "ACCEPTED" else None
        found.append(Told(draw(st.sampled_from(kinds)), symbol, quantity, status, accepted))
    return found


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Shares, calls, puts, index and adjusted options, with instructions in every state."""
    day = draw(st.sampled_from(sorted(_DAYS)))
    _, _, hours = _DAYS[day]
    symbols = draw(st.lists(_option(day), min_size=1, max_size=6, unique=True))
    holds = {symbol: draw(st.integers(-5, 5)) for symbol in symbols}
    knows = draw(st.sampled_from(sorted(hours)))
    for share in ("AAPL", "MSFT"):
        holds[share] = draw(st.integers(-3, 3)) * 100 + draw(st.sampled_from([0, 0, 37]))
    told = [each for symbol in symbols if holds[symbol] > 0 for each in draw(_told(symbol, holds[symbol]))]
    cut = draw(st.integers(0, len(told)))
    batch = tuple(replace(each, status="ACCEPTED", accepted=None) for each in told[cut:])
    near = st.sampled_from(_STRIKES).flatmap(
        lambda strike: st.sampled_from([-300, -1, 0, 1, 250]).map(lambda cents: f"{strike + Decimal(cents) / 100}")
    )
    closes = {symbol: draw(near) for symbol in ("AAPL", "MSFT", "AAPL1", "1AAPL", "SPX", "OEX")}
    clearing = {symbol: draw(st.sampled_from(_UNKIND)) for symbol in symbols} if draw(st.booleans()) else None
    afternoon = Afternoon(holds=holds, closes=closes, told=told[:cut], day=day, at=hours[knows], clearing=clearing)
    return Case(afternoon, batch, knows, draw(st.booleans()))


def _is_in(value: Decimal, span: Span) -> bool:
    return span.least <= value <= span.most


def _outcome(underlying: ProjectedUnderlying, close: Decimal):
    (found,) = [outcome for outcome in underlying.outcomes if outcome.contains(close)]
    return found


@pytest.mark.requirement("I-06")
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases())
def test_the_projection_is_what_is_booked_the_next_morning(case: Case) -> None:
    afternoon = case.afternoon
    prices = evenings.given(afternoon)
    latest = {} if case.knows == "given" else evenings.latest(afternoon)
    known = facts(
        afternoon,
        with_ids=case.with_ids,
        given=prices if case.knows == "given" else {},
        latest=latest,
    )
    batch = [
        Row(InstrumentId(instrument_id_of(row.symbol)), InstructionType(row.kind), row.quantity) for row in case.batch
    ]
    projection = project(known, afternoon.day, batch=batch)
    night = booked(case.evening)

    unstated: set[str] = set()
    cash = {"expected": Decimal(0), "least": Decimal(0), "most": Decimal(0)}
    projected: set[str] = set()
    for underlying in projection.underlyings:
        unstated |= {option.settling.position.symbol for option in underlying.not_stated}
        flow = _outcome(underlying, prices[underlying.name]).flow
        moved = night.shares(underlying.name) - afternoon.holds.get(underlying.name, 0)
        if underlying.name in ("AAPL", "MSFT"):
            assert _is_in(moved, flow.shares)
            assert moved == flow.shares.expected or not case.is_kind
            assert _is_in(night.shares(underlying.name), underlying.shares_after)
        else:
            assert flow.shares == Span()
        for name in cash:
            cash[name] += getattr(flow.cash, name)
        for option in underlying.options:
            projected.add(option.settling.position.symbol)
            _check_contracts(option, night.holds.get(option.settling.position.symbol, Decimal(0)), case)
    # What the projection does not state is booked apart: nothing on it touches the rest.
    apart = replace(
        case.evening,
        holds={symbol: quantity for symbol, quantity in afternoon.holds.items() if symbol in unstated},
        told=[told for told in case.evening.told if told.symbol in unstated],
    )
    stated = night.cash - booked(apart).cash
    assert cash["least"] <= stated <= cash["most"]
    assert stated == cash["expected"] or not case.is_kind
    untouched = {s: q for s, q in afternoon.holds.items() if len(s) > 6 and q and s not in projected}
    assert untouched == {s: q for s, q in night.holds.items() if s in untouched}


def _check_contracts(option, left: Decimal, case: Case) -> None:
    settling = option.settling
    held = abs(settling.position.quantity)
    if settling.expires:
        assert left == 0
        parts = (settling.on_instruction, settling.by_batch, option.by_exception, option.assigned, option.lapses)
        assert None in parts or sum(parts) == held
    else:
        exercised = settling.exercised(in_the_money=False)
        assert _is_in(held - left, exercised)
        assert held - left == exercised.expected or not case.is_kind


@pytest.mark.requirement("I-07")
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases(), close=st.sampled_from(_STRIKES), cents=st.sampled_from([-1, 0, 1]))
def test_a_close_that_is_not_known_has_every_outcome_a_given_one_has(case: Case, close: int, cents: int) -> None:
    price = Decimal(close) + Decimal(cents) / 100
    after = replace(case.afternoon, at="16:20")
    outcomes = project(facts(after), after.day)
    supposed = project(facts(after, given=dict.fromkeys(after.closes, price)), after.day)
    for unknown, known in zip(outcomes.underlyings, supposed.underlyings, strict=True):
        if unknown.not_stated:
            continue
        assert _outcome(unknown, price).flow == known.flow
        assert unknown.cash.least <= known.cash.least <= known.cash.most <= unknown.cash.most
