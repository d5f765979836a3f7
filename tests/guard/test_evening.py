"""What a plan of instructions reads beside the book, and what of the evening it lets pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

from guard.clearing import CALL, CALL_220, CALL_230, GIVING_UP, PUT, PUT_220, SHARES, SHORT, clearing_desk, row
from guard.exchange import held, instrument
from positions_mcp.desk.shapes import not_known
from positions_mcp.domain.account.balances import Balances
from positions_mcp.domain.account.market import ContractFacts, Dividend, Snapshot
from positions_mcp.domain.enums import SecurityType
from positions_mcp.domain.errors import InvalidBatch, RequestRejected
from positions_mcp.domain.ids import AccountId, InstrumentId
from positions_mcp.guard.approval.questions import question
from positions_mcp.guard.planner import Planned
from positions_mcp.guard.policy.findings import Rule, Severity
from positions_mcp.ports import Neighbours

PUT_250, LATER, LATER_PUT = "AAPL261120P00250000", "AAPL261218C00220000", "AAPL261218P00200000"
FACTS = {"underlying_instrument_id": instrument(SHARES)}


@dataclass
class Refusing:
    """Every neighbour, counted, and refused."""

    asked: list[str] = field(default_factory=list)

    async def read_option_contracts(self, ids: Sequence[InstrumentId]) -> dict[InstrumentId, ContractFacts]:
        raise self._refused("contracts")

    async def read_snapshots(self, ids: Sequence[InstrumentId]) -> dict[InstrumentId, Snapshot]:
        raise self._refused("snapshots")

    async def read_balances(self, account_id: AccountId) -> Balances:
        raise self._refused("balances")

    async def read_dividends(self, instrument_id: InstrumentId, *, since: date | None = None) -> tuple[Dividend, ...]:
        raise self._refused("dividends")

    def _refused(self, what: str) -> RequestRejected:
        self.asked.append(what)
        return RequestRejected("no", status=403)


def findings(planned: Planned) -> dict[Rule, Severity]:
    assert planned.verdict is not None
    return {each.rule: each.severity for each in planned.verdict.findings}


@pytest.mark.requirement("I-04")
async def test_a_plan_asks_each_neighbour_once_and_names_what_was_refused(tmp_path: Path) -> None:
    refusing = Refusing()
    neighbours = Neighbours(contracts=refusing, market_data=refusing, balances=refusing, events=refusing)
    positions = (
        held("AAPL", 600, price="231.00", number=SHARES),
        held(CALL_220, 5, price="11.10", number=CALL, **FACTS),
        held(LATER, 5, price="14.10", number=PUT, **FACTS),
        held(CALL_230, 5, price="1.20", number=SHORT, **FACTS),
    )
    async with clearing_desk(tmp_path, positions=positions, neighbours=neighbours) as it:
        plan = (await it.plan(row(CALL_220, quantity=2), row(LATER), row(CALL_230))).operation.plan
    assert sorted(refusing.asked) == ["balances", "contracts", "dividends", "snapshots"]
    for named in ("market data (refused)", "the API's own terms of contracts (refused)", "buying power"):
        assert named in plan.projection[-1]
    assert "The next ex-dividend date is not known." in plan.instructions[1].consequences


@pytest.mark.requirement("G-12", "I-08")
@pytest.mark.parametrize("kind", ["EXERCISE", "DO_NOT_EXERCISE"])
async def test_a_protective_put_may_be_exercised_where_its_calls_end_the_same_evening(
    tmp_path: Path, kind: str
) -> None:
    positions = (
        held("AAPL", 200, price="231.00", number=SHARES),
        held(PUT_250, 2, price="19.00", number=PUT, **FACTS),
        held("AAPL261120C00240000", -2, price="0.05", number=SHORT, **FACTS),
    )
    async with clearing_desk(tmp_path, positions=positions, policy=GIVING_UP) as it:
        assert Rule.UNCOVERED not in findings(await it.plan(row(PUT_250, kind, 2)))


@pytest.mark.requirement("G-12")
@pytest.mark.parametrize("covered", [True, False])
async def test_short_stock_that_an_exercise_buys_back_covers_a_short_put_no_more(
    tmp_path: Path, *, covered: bool
) -> None:
    """The call out of the money: nothing takes the shares away if nothing is sent."""
    positions = (
        held("AAPL", -200 if covered else -100, price="210.00", number=SHARES),
        held(CALL_220, 1, price="0.05", number=CALL, **FACTS),
        held(LATER_PUT, -2 if covered else 0, price="3.00", number=SHORT, **FACTS),
    )
    async with clearing_desk(tmp_path, positions=positions, policy=GIVING_UP) as it:
        found = findings(await it.plan(row(CALL_220, "EXERCISE", 1))).get(Rule.UNCOVERED)
    assert found is (Severity.REFUSE if covered else None)


@pytest.mark.requirement("G-12", "I-08")
@pytest.mark.parametrize(
    ("symbol", "kind", "limit", "severity"),
    [
        (CALL_220, "DO_NOT_EXERCISE", 100, Severity.DESK),  # 1,100 in the money
        (CALL_220, "DO_NOT_EXERCISE", 1_100, None),
        (PUT_220, "EXERCISE", 100, Severity.DESK),  # 1,100 out of the money
        (PUT_220, "CONTRARY_EXERCISE", 100, Severity.DESK),
        (CALL_220, "CONTRARY_EXERCISE", 100, Severity.DESK),  # it may mean that it is given up
        (CALL_220, "EXERCISE", 0, None),
        (PUT_220, "DO_NOT_EXERCISE", 0, None),
    ],
)
async def test_giving_up_more_than_the_limit_needs_the_supervisor_dollars_first(
    tmp_path: Path, symbol: str, kind: str, limit: int, severity: Severity | None
) -> None:
    policy = GIVING_UP.model_copy(update={"give_up_above": limit})
    async with clearing_desk(tmp_path, policy=policy) as it:
        planned = await it.plan(row(symbol, kind, 1))
    assert findings(planned).get(Rule.GIVEN_UP) is severity
    assert planned.verdict is not None
    said = [each.message for each in planned.verdict.findings if each.rule is Rule.GIVEN_UP]
    assert all(each.startswith("$1,100.00 ") for each in said)


@pytest.mark.requirement("I-03")
@pytest.mark.parametrize(("symbol", "is_european"), [("XSP261218C00600000", True), ("OEX261218C00600000", False)])
async def test_an_early_exercise_of_a_european_option_is_refused_with_the_reason(
    tmp_path: Path, symbol: str, *, is_european: bool
) -> None:
    index = held(symbol, 1, price="10", number=9, underlying_instrument_type=SecurityType.INDEX)
    async with clearing_desk(tmp_path, positions=[index]) as it:
        if is_european:
            with pytest.raises(InvalidBatch, match="is European: it is exercised at expiration only, on 2026-12-18"):
                await it.plan(row(symbol))
        else:
            assert (await it.plan(row(symbol))).operation.plan.instructions


@pytest.mark.requirement("G-10", "I-04")
@pytest.mark.parametrize(("kind", "counted"), [("EXERCISE", "22,000"), ("DO_NOT_EXERCISE", "0")])
async def test_the_notional_of_an_adjusted_contract_is_said_to_be_more_and_not_for_want_of_a_price(
    tmp_path: Path, kind: str, counted: str
) -> None:
    adjusted = "AAPL1261120C00220000"
    positions = (held("AAPL", 100, price="231.00", number=SHARES), held(adjusted, 1, number=CALL, **FACTS))
    async with clearing_desk(tmp_path, positions=positions, policy=GIVING_UP) as it:
        planned = await it.plan(row(adjusted, kind))
        assert planned.verdict is not None
        assert f"Notional: ${counted} or more: not all of it is known." in question(planned.operation.plan)
        (missing,) = [each.message for each in planned.verdict.findings if each.rule is Rule.MISSING_PRICE]
        assert missing == f"What is delivered by {adjusted} is not known, so the value may be more."
        larger = "the notional may be larger."
        assert not_known(planned.operation.plan) == [f"What is owed or delivered by {adjusted}: {larger}"]
