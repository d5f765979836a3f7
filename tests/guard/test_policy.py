"""Every rule names itself, its words the limit and the value seen; what it cannot know, it does not wave through."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from guard.desk import AAPL, CALLER, POLICY, desk
from guard.exchange import held, raising
from positions_mcp.domain.errors import NothingSent, Refused
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.guard.approval.questions import Rung
from positions_mcp.guard.policy.findings import Rule, Severity, Verdict

WHERE = "on the supervisor's page or in a terminal"


def limited(**changes: object) -> Policy:
    return Policy(**{**POLICY.model_dump(), **changes})


def only(verdict: Verdict | None) -> tuple[Rule, Severity, str]:
    assert verdict is not None
    (finding,) = verdict.findings
    return finding.rule, finding.severity, finding.message


def said(verdict: Verdict | None) -> str:
    assert verdict is not None
    return " ".join(finding.message for finding in verdict.findings)


async def test_a_plan_within_every_limit_is_allowed(tmp_path: Path) -> None:
    async with desk(tmp_path, policy=limited(max_notional=Decimal("15050.00"))) as it:
        verdict = (await it.plan("AAPL")).verdict
        assert verdict.findings == ()
        assert verdict.shown == "allowed"


@pytest.mark.requirement("G-10")
async def test_without_trading_enabled_nothing_is_sent(tmp_path: Path) -> None:
    async with desk(tmp_path, policy=limited(trading_enabled=False)) as it:
        planned = await it.plan("AAPL")
        assert only(planned.verdict) == (
            Rule.TRADING_ENABLED,
            Severity.REFUSE,
            "Trading is not enabled: this server only reads.",
        )
        step = await it.guard.step(planned, can_elicit=True)
        assert step.rung is Rung.REFUSE
        operation = await it.guard.ask(planned.operation)
        with pytest.raises(Refused):
            await it.guard.send_elicited(operation, caller=CALLER, client="Claude")
        assert it.exchange.requests == []


@pytest.mark.requirement("G-10")
@pytest.mark.parametrize(
    ("limit", "rule", "severity", "words"),
    [
        (
            {"max_notional": 15000},
            Rule.NOTIONAL_PER_OPERATION,
            Severity.REFUSE,
            "Notional $15,050.00 exceeds the limit of $15,000 per operation.",
        ),
        (
            {"max_daily_notional": 15000},
            Rule.NOTIONAL_PER_DAY,
            Severity.REFUSE,
            "Notional $15,050.00, with $0 used today, exceeds the limit of $15,000 per day.",
        ),
        (
            {"deny_instruments": {"aapl"}},
            Rule.INSTRUMENT,
            Severity.REFUSE,
            "AAPL may not be traded: AAPL is on the deny list.",
        ),
        (
            {"allow_instruments": {"MSFT"}},
            Rule.INSTRUMENT,
            Severity.REFUSE,
            "AAPL may not be traded: it is not on the allow list.",
        ),
        (
            {"desk_above": 15000},
            Rule.DESK_THRESHOLD,
            Severity.DESK,
            f"Notional $15,050.00, with $0 used today, exceeds $15,000: the supervisor decides, {WHERE}.",
        ),
        ({"channel": "desk"}, Rule.DESK_ONLY, Severity.DESK, f"Only a supervisor decides, {WHERE}."),
    ],
)
async def test_a_limit_names_its_rule_and_the_value_seen(
    tmp_path: Path, limit: dict[str, object], rule: Rule, severity: Severity, words: str
) -> None:
    async with desk(tmp_path, policy=limited(**limit)) as it:
        assert only((await it.plan("AAPL")).verdict) == (rule, severity, words)


async def test_an_option_is_listed_by_its_root_or_its_own_symbol(tmp_path: Path) -> None:
    call = held("AAPL  280121C00195000", 2, number=7)
    for name in ("AAPL", "aapl280121c00195000", "AAPL 280121C00195000", call.instrument_id):
        async with desk(tmp_path / name[:9].strip(), policy=limited(deny_instruments={name}), positions=[call]) as it:
            assert only((await it.plan("AAPL280121C00195000")).verdict)[0] is Rule.INSTRUMENT


@pytest.mark.parametrize(
    ("denied", "symbol"),
    [("BRK.B", "BRKB280121C00300000"), ("AAPL", "AAPL1280121C00195000"), ("brk b", "BRK B"), ("BRK.B", "BRK.B")],
)
async def test_a_denied_name_is_denied_in_every_spelling_and_with_its_options(
    tmp_path: Path, denied: str, symbol: str
) -> None:
    async with desk(tmp_path, policy=limited(deny_instruments={denied}), positions=[held(symbol, 2, number=7)]) as it:
        assert (await it.plan()).verdict.refusals[0].rule is Rule.INSTRUMENT


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"allow_instruments": {"AAPL"}}, "Each of 2 (TSLA, MSFT) may not be traded: it is not on the allow list."),
        ({"allow_instruments": {"AAPL", "TSLA"}}, "MSFT may not be traded: it is not on the allow list."),
    ],
)
async def test_what_refuses_several_alike_is_said_once(tmp_path: Path, limits: dict[str, Any], said: str) -> None:
    async with desk(tmp_path, policy=limited(**limits)) as it:
        (refusal,) = (await it.plan("AAPL", "TSLA", "MSFT")).verdict.refusals
        assert refusal.message == said


async def test_close_all_is_held_to_the_deny_list_and_may_be_forbidden(tmp_path: Path) -> None:
    policy = limited(deny_instruments={"TSLA"}, allow_close_all=False, max_positions=2)
    async with desk(tmp_path, policy=policy) as it:
        verdict = (await it.plan()).verdict
        assert {finding.rule for finding in verdict.refusals} == {
            Rule.INSTRUMENT,
            Rule.CLOSE_ALL,
            Rule.POSITIONS_PER_OPERATION,
        }


async def test_a_live_close_all_is_decided_at_the_desk(tmp_path: Path) -> None:
    async with desk(tmp_path, mode=Mode.LIVE) as it:
        assert only((await it.plan()).verdict)[:2] == (Rule.DESK_ONLY, Severity.DESK)
        planned = await it.plan("AAPL", "TSLA", "MSFT")
        assert planned.verdict.findings == ()


@pytest.mark.requirement("G-10")
@pytest.mark.parametrize("price", [None, "0"])
async def test_a_missing_or_zero_price_needs_the_desk_and_does_not_refuse(tmp_path: Path, price: str | None) -> None:
    async with desk(tmp_path, positions=[held("AAPL", 10, price=price, number=AAPL)]) as it:
        assert only((await it.plan("AAPL")).verdict)[:2] == (Rule.MISSING_PRICE, Severity.DESK)


@pytest.mark.requirement("G-10")
async def test_a_short_option_measures_what_its_shares_are_worth(tmp_path: Path) -> None:
    short = held("AAPL280121C00195000", -2, price="3.00", number=7)
    async with desk(tmp_path, positions=[short, held("AAPL", 300, price="150.00", number=AAPL)]) as it:
        assert (await it.plan("AAPL280121C00195000")).operation.plan.measure == 30_000


@pytest.mark.requirement("G-10")
@pytest.mark.parametrize(("right", "rules"), [("C", [Rule.MISSING_PRICE]), ("P", [])])
async def test_without_its_underlyings_price_a_short_call_needs_the_desk_and_a_put_has_its_strike(
    tmp_path: Path, right: str, rules: list[Rule]
) -> None:
    symbol = f"AAPL280121{right}00195000"
    async with desk(tmp_path, positions=[held(symbol, -2, price="3.00", number=7)]) as it:
        planned = await it.plan(symbol)
        assert planned.operation.plan.measure == 39_000
        assert [finding.rule for finding in planned.verdict.findings] == rules


@pytest.mark.requirement("G-10")
async def test_a_market_value_that_understates_is_not_believed(tmp_path: Path) -> None:
    position = held("AAPL", 100, price="150.00", number=AAPL, market_value=Decimal(1))
    async with desk(tmp_path, positions=[position]) as it:
        assert (await it.plan("AAPL")).operation.plan.measure == 15_000


@pytest.mark.requirement("G-10")
async def test_the_day_counts_what_was_sent_so_splitting_gains_nothing(tmp_path: Path) -> None:
    policy = limited(max_daily_notional=Decimal(20_000), desk_above=Decimal(18_000))
    async with desk(tmp_path, policy=policy) as it:
        assert (await it.close("AAPL")).state is OperationState.SUBMITTED
        verdict = (await it.plan("MSFT")).verdict
        words = f"Notional $19,050.00, with $15,050.00 used today, exceeds $18,000: the supervisor decides, {WHERE}."
        assert only(verdict) == (Rule.DESK_THRESHOLD, Severity.DESK, words)
        assert [finding.rule for finding in (await it.plan("TSLA")).verdict.refusals] == [Rule.NOTIONAL_PER_DAY]
        status = await it.guard.status()
        assert status.use[0].used_today == Decimal("15050.00")


@pytest.mark.requirement("G-10")
async def test_plans_approved_together_cannot_pass_a_limit_one_by_one(tmp_path: Path) -> None:
    async with desk(tmp_path, policy=limited(max_daily_notional=Decimal(20_000))) as it:
        first, second = await it.asked("AAPL"), await it.asked("TSLA")
        await it.guard.send_elicited(first, caller=CALLER, client="Claude")
        with pytest.raises(Refused, match="per day"):
            await it.guard.send_elicited(second, caller=CALLER, client="Claude")
        assert len(it.exchange.requests) == 1


@pytest.mark.requirement("G-10")
async def test_what_was_rejected_or_never_left_is_not_counted(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.reject = "no market"
        assert (await it.close("AAPL")).state is OperationState.REJECTED
        it.exchange.before = [raising(NothingSent("no route"))] * 40
        assert (await it.close("MSFT")).state is OperationState.LAPSED
        assert (await it.guard.status()).use[0].used_today == 0


async def test_an_incomplete_book_refuses_close_all_and_sends_other_closes_to_the_desk(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.consistent = False
        assert only((await it.plan()).verdict)[:2] == (Rule.INCOMPLETE_BOOK, Severity.REFUSE)
        assert only((await it.plan("AAPL")).verdict)[:2] == (Rule.INCOMPLETE_BOOK, Severity.DESK)


@pytest.mark.requirement("G-13")
async def test_locked_quantity_is_called_out_with_what_cancel_orders_would_change(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.exchange.change(AAPL, available_quantity=Decimal(40))
        kept = await it.plan("AAPL")
        assert only(kept.verdict)[:2] == (Rule.LOCKED, Severity.NOTE)
        assert kept.operation.plan.closes[0].order_quantity == 40
        assert "With cancel_orders they would be cancelled" in kept.operation.plan.warnings[0]
        freed = await it.plan("AAPL", cancel_orders=True)
        assert freed.operation.plan.closes[0].order_quantity == 100
        assert "are cancelled first" in freed.operation.plan.warnings[0]


async def test_what_could_not_be_read_is_said(tmp_path: Path) -> None:
    call = held("AAPL280121C00195000", 2, number=7)
    async with desk(tmp_path, positions=[call], instructions=None) as it:
        it.exchange.orders_fail = True
        verdict = (await it.plan("AAPL280121C00195000")).verdict
        assert [finding.rule for finding in verdict.findings] == [Rule.NOT_READ, Rule.NOT_READ]


@pytest.mark.requirement("G-05")
async def test_a_close_in_flight_is_not_closed_again(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        await it.close("AAPL")
        refused, freed = await it.plan("AAPL"), await it.plan("AAPL", cancel_orders=True)
        assert only(refused.verdict)[:2] == (Rule.IN_FLIGHT, Severity.REFUSE)
        assert only(freed.verdict)[:2] == (Rule.IN_FLIGHT, Severity.NOTE)
        (order,) = it.exchange.orders
        assert f"close with cancel_orders, which would cancel order {order} first." in said(refused.verdict)
        assert f"cancel_orders cancels order {order} first." in said(freed.verdict)
        it.exchange.orders_fail = True
        findings = (await it.plan("AAPL")).verdict.findings
        assert (findings[0].rule, findings[0].severity) == (Rule.IN_FLIGHT, Severity.DESK)
        assert not [f for f in (await it.plan("MSFT")).verdict.findings if f.rule is Rule.IN_FLIGHT]
