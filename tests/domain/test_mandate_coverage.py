"""What goes under a mandate is exactly what a naive reading of the promise allows (G-16, D-05)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from positions_mcp.domain.enums import InstructionType, OrderSide
from positions_mcp.domain.ids import AccountId, InstructionId, InstrumentId
from positions_mcp.domain.operation.coverage import SeenTarget, why_not_covered
from positions_mcp.domain.operation.mandate import Mandate, MandateUse, Standing
from positions_mcp.domain.operation.plan import CancelTarget, CloseTarget, InstructionTarget, Kind, Mode, Plan, Target
from positions_mcp.domain.operation.statements import KeySignature, SignedStatement
from positions_mcp.domain.operation.terms import MandateKind, MandateTerms, PriceBound, Window, end_of_day

pytestmark = pytest.mark.requirement("G-16", "D-05")

NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
NAMES = {"KO": 1, "AAPL": 2, "AAPL280121C00195000": 3, "AAPL1280121C00195000": 4, "KO280121P00060000": 5}
KINDS = {Kind.CLOSE_POSITIONS: "close", Kind.SUBMIT_INSTRUCTIONS: "exercise", Kind.CANCEL_INSTRUCTION: "cancel"}
MOMENTS = [NOON, NOON - timedelta(seconds=1), NOON, NOON + timedelta(minutes=30), end_of_day(date(2026, 11, 20))]
ON = {"AAPL280121C00195000": "AAPL", "KO280121P00060000": "KO"}
MONEY = st.sampled_from([Decimal(n) for n in (1, 50, 99, 100, 101, 250)])


def instrument(name: str) -> InstrumentId:
    return InstrumentId(f"a1a2a3a4-b1b2-c1c2-d1d2-{NAMES[name]:012d}")


def rarely(draw: st.DrawFn) -> bool:
    """What goes wrong goes wrong one by one: otherwise hardly any plan would be covered."""
    return draw(st.integers(0, 14)) == 14


@st.composite
def some_terms(draw: st.DrawFn) -> MandateTerms:
    instruments = draw(st.lists(st.sampled_from([*NAMES, instrument("KO")]), unique=True, max_size=3))
    underlyings = draw(st.lists(st.sampled_from(["KO", "AAPL"]), unique=True, max_size=2))
    kinds = draw(st.sampled_from([(MandateKind.CLOSE,), tuple(MandateKind), (MandateKind.EXERCISE,)]))
    bounded = [name for name in ("KO", "AAPL") if name in (*instruments, *underlyings)]
    prices = [
        PriceBound(instrument=name, at_least=Decimal(10), at_most=draw(st.sampled_from([None, Decimal(20)])))
        for name in bounded
        if draw(st.booleans())
    ]
    only_closes = kinds == (MandateKind.CLOSE,)
    per_operation = draw(MONEY)
    return MandateTerms(
        mode=draw(st.sampled_from(Mode)),
        account_id=AccountId(draw(st.sampled_from([19816, 2]))),
        kinds=kinds,
        instruments=tuple(instruments) or ("KO",),
        underlyings=tuple(underlyings),
        callers=draw(st.sampled_from([(), ("Claude",), ("stdio ana through Claude",)])),
        per_operation=per_operation,
        in_all=per_operation + draw(MONEY),
        operations=draw(st.integers(1, 3)),
        cancel_orders=MandateKind.CLOSE in kinds and draw(st.booleans()),
        prices=tuple(prices),
        loss_at_most=draw(st.sampled_from([None, Decimal(100)])) if only_closes else None,
        until=draw(st.sampled_from([None, time(12, 0), time(12, 1)])),
    )


@st.composite
def some_standing(draw: st.DrawFn, terms: MandateTerms) -> Standing:
    bare = Mandate(
        mandate_id="ma-0000000000",
        terms=terms,
        drafted_by="ana",
        drafted_at=NOON - timedelta(hours=3),
        shadow_until=NOON,
        revoked={"by": "ana", "at": NOON} if rarely(draw) else None,
    )
    uses = tuple(
        MandateUse(
            mandate_id=bare.mandate_id,
            number=number,
            operation_id=f"op-{number}",
            caller="anybody",
            measure=draw(MONEY),
            at=NOON,
            operations_left=0,
            notional_left=Decimal(0),
        )
        for number in range(1, 1 + draw(st.integers(0, terms.operations)))
    )
    more = {"op-1": draw(MONEY)} if uses and draw(st.booleans()) else {}
    if rarely(draw):
        return Standing(bare, uses, more)
    hours = -1 if rarely(draw) and terms.until is None else 1
    window = terms.window(date(2026, 11, 20), NOON - timedelta(hours=hours))
    statement = bare.statement(window, name="ana", credential="0" * 12, origin="terminal", note="", now=NOON)
    signed = SignedStatement(statement=statement, signature=KeySignature(signature="00" * 64))
    return Standing(bare.changed(window=window, signed=signed), uses, more)


@st.composite
def some_plan(draw: st.DrawFn, terms: MandateTerms) -> Plan:
    meant = [kind for kind, name in KINDS.items() if name in [each.value for each in terms.kinds]]
    kind = draw(st.sampled_from([*Kind] if rarely(draw) else meant))
    of_it = [
        name for name in NAMES if {name, instrument(name), ON.get(name, "")} & {*terms.instruments, *terms.underlyings}
    ]
    names = st.lists(st.sampled_from([*NAMES] if rarely(draw) else of_it), min_size=1, max_size=2, unique=True)
    chosen = draw(names)[: 1 if kind is Kind.CANCEL_INSTRUCTION else 2]
    wanted = Mode.PAPER if terms.mode is Mode.LIVE else Mode.LIVE
    return Plan(
        plan_id="op-x",
        mode=wanted if rarely(draw) else terms.mode,
        account_id=AccountId(3) if rarely(draw) else terms.account_id,
        kind=kind,
        caller="stdio ana through " + ("Codex" if rarely(draw) else "Claude"),
        targets=tuple(draw(some_target(kind, name)) for name in chosen),
        cancel_orders=kind.is_close and rarely(draw),
        created_at=NOON,
        expires_at=NOON + timedelta(minutes=5),
        flatten=kind.is_close and rarely(draw),
    )


@st.composite
def some_target(draw: st.DrawFn, kind: Kind, name: str) -> Target:
    common: dict[str, Any] = {
        "symbol": name,
        "instrument_id": instrument(name),
        "measure": draw(MONEY) if rarely(draw) else Decimal(draw(st.sampled_from([1, 50]))),
        "priced": not rarely(draw),
    }
    if kind.is_close:
        size = {"quantity": 1, "available": 1, "order_quantity": 1, "value": 1, "side": OrderSide.SELL}
        return CloseTarget(type_says="SHORT" if rarely(draw) else "", **size, **common)
    common |= {"instruction_type": InstructionType.EXERCISE, "quantity": 1}
    if kind is Kind.SUBMIT_INSTRUCTIONS:
        return InstructionTarget(instruction_key="k", **common)
    return CancelTarget(instruction_id=InstructionId("00000000-0000-4000-8000-000000000009"), **common)


@st.composite
def what_is_seen(draw: st.DrawFn, plan: Plan) -> dict[InstrumentId, SeenTarget]:
    odd = st.sampled_from([None, Decimal("9.99"), Decimal(10), Decimal(20), Decimal("20.01")])
    gains = st.sampled_from([Decimal(-60), Decimal(-40), Decimal(5)])
    return {
        target.instrument_id: SeenTarget(
            is_certain=not rarely(draw),
            price=draw(odd) if rarely(draw) else Decimal(15),
            underlying_price=draw(odd) if rarely(draw) else Decimal(15),
            pnl=draw(st.sampled_from([None, Decimal(-100), Decimal("-100.01")])) if rarely(draw) else draw(gains),
        )
        for target in plan.targets
        if not rarely(draw)
    }


NEW_YORK = ZoneInfo("America/New_York")
Shown = dict[InstrumentId, SeenTarget]


def allows(standing: Standing, plan: Plan, now: datetime, seen: Shown) -> bool:
    """Straight from the promise: signed, one account, mode, kinds and instruments, so much, so often, that day."""
    terms = standing.mandate.terms
    return all(
        [
            is_in_force(standing.mandate, now),
            is_for(terms, plan),
            is_small_enough(standing, plan),
            all(is_fine(terms, target, seen.get(target.instrument_id)) for target in plan.targets),
            terms.loss_at_most is None or is_lost_at_most(terms.loss_at_most, plan, seen),
        ]
    )


def is_in_force(mandate: Mandate, now: datetime) -> bool:
    local, until = now.astimezone(NEW_YORK), mandate.terms.until
    if mandate.signed is None or mandate.window is None or mandate.revoked is not None or now < mandate.window.begins:
        return False
    return local.date() == date(2026, 11, 20) and (until is None or local.time() < until)


def is_for(terms: MandateTerms, plan: Plan) -> bool:
    names = terms.callers
    return (
        KINDS.get(plan.kind) in [kind.value for kind in terms.kinds]
        and not plan.flatten
        and (plan.mode, plan.account_id) == (terms.mode, terms.account_id)
        and (not names or any(plan.caller == name or plan.caller.endswith(f" {name}") for name in names))
        and (terms.cancel_orders or not plan.cancel_orders)
    )


def is_small_enough(standing: Standing, plan: Plan) -> bool:
    terms, counted = standing.mandate.terms, [use.measure for use in standing.uses]
    together = sum(target.measure for target in plan.targets)
    spent = sum(counted) + sum(standing.more.values())
    return together <= terms.per_operation and spent + together <= terms.in_all and len(counted) < terms.operations


def is_fine(terms: MandateTerms, target: Any, shown: SeenTarget | None) -> bool:
    on = ON.get(target.symbol)
    named = {target.symbol, target.instrument_id} & set(terms.instruments)
    if not named and not {target.symbol, on} & set(terms.underlyings):
        return False
    if shown is None or not shown.is_certain or not target.priced or getattr(target, "type_says", ""):
        return False
    root = "AAPL" if target.symbol.startswith("AAPL1") else on
    own = [(bound, shown.price) for bound in terms.prices if bound.instrument == target.symbol]
    of_underlying = [(bound, shown.underlying_price) for bound in terms.prices if bound.instrument == root]
    return all(is_within(bound, price) for bound, price in [*own, *of_underlying])


def is_within(bound: PriceBound, price: Decimal | None) -> bool:
    most = Decimal(10**9) if bound.at_most is None else bound.at_most
    return price is not None and (bound.at_least or 0) <= price <= most


def is_lost_at_most(most: Decimal, plan: Plan, seen: Shown) -> bool:
    gains = [seen[target.instrument_id].pnl if target.instrument_id in seen else None for target in plan.targets]
    return None not in gains and sum(max(-gain, Decimal(0)) for gain in gains if gain is not None) <= most


@settings(max_examples=400)
@given(st.data())
def test_what_goes_without_a_question_is_exactly_what_a_naive_checker_allows(data: st.DataObject) -> None:
    terms = data.draw(some_terms())
    standing, plan = data.draw(some_standing(terms)), data.draw(some_plan(terms))
    seen, now = data.draw(what_is_seen(plan)), data.draw(st.sampled_from(MOMENTS))
    against = data.draw(st.sampled_from([(), (), (), ("Policy says no.",)]))
    why_not = why_not_covered(standing, plan, now, seen=seen, objections=against)
    event("covered" if not why_not else "not covered")
    assert (not why_not) is (allows(standing, plan, now, seen) and not against)
    assert all(reason.endswith(".") for reason in why_not)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-11-20", 24), ("2026-03-08", 23), ("2026-11-01", 25)], ids=["usual", "spring", "autumn"]
)
def test_a_day_ends_at_midnight_in_new_york_however_long_it_is(day: str, hours: int) -> None:
    this = date.fromisoformat(day)
    assert end_of_day(this) - end_of_day(this - timedelta(days=1)) == timedelta(hours=hours)
    assert end_of_day(this).astimezone(ZoneInfo("America/New_York")).time() == time(0)


@pytest.mark.parametrize(("begins", "ends"), [(-1, 10), (0, 25), (5, 5), (5, 4)])
def test_no_mandate_holds_beyond_its_day(begins: int, ends: int) -> None:
    first = end_of_day(date(2026, 11, 19))
    with pytest.raises(ValidationError):
        Window(day=date(2026, 11, 20), begins=first + timedelta(hours=begins), ends=first + timedelta(hours=ends))


WRONG: dict[str, dict[str, Any]] = {
    "no instrument": {"instruments": ()},
    "no kind": {"kinds": ()},
    "no symbol": {"instruments": ("A B",)},
    "an option for an underlying": {"underlyings": ("AAPL280121C00195000",)},
    "nothing an operation": {"per_operation": 0},
    "less than nothing": {"in_all": -1},
    "no number": {"in_all": "NaN"},
    "no operation": {"operations": 0},
    "operations without end": {"operations": 501},
    "more for one than for all": {"per_operation": 11, "in_all": 10},
    "a price of what it does not name": {"prices": ({"instrument": "MSFT", "at_least": "1"},)},
    "no price at all": {"prices": ({"instrument": "KO"},)},
    "no price between": {"prices": ({"instrument": "KO", "at_least": "2", "at_most": "1"},)},
    "a loss of what is not closed": {"kinds": ("exercise",), "loss_at_most": 1},
    "open orders of what is not closed": {"kinds": ("cancel",), "cancel_orders": True},
    "close-all": {"kinds": ("close_all_positions",)},
    "a loss to be exceeded": {"loss_at_least": 100},
    "a caller without a name": {"callers": (" ",)},
}


@pytest.mark.parametrize("name", WRONG)
def test_terms_that_mean_nothing_or_too_much_are_refused(name: str) -> None:
    usual = {
        "mode": "paper",
        "account_id": 19816,
        "kinds": ("close",),
        "instruments": ("KO",),
        "per_operation": 10,
        "in_all": 10,
        "operations": 1,
    }
    assert MandateTerms.model_validate(usual)
    with pytest.raises(ValidationError):
        MandateTerms.model_validate({**usual, **WRONG[name]})
