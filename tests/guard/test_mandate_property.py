"""What is sent without a question is exactly what a naive reading of the promise allows (G-16, D-05).

Random mandates, closes and what happens between them, through the whole guard, the real store and the paper exchange.
The checker knows the account by what the exchange answers, and shares no code with the guard.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx
import pytest
from hypothesis import HealthCheck, Phase, event, example, given, settings
from hypothesis import strategies as st

from api.paper_book import PaperDesk, paper_desk
from guard.delegated import sent_without_question, terms
from guard.desk import PASSPHRASE, QUICK, Desk, desk
from guard.test_two_persons import BEN, change
from positions_mcp.cli.assembly.paper_transport import PaperTransport
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.operation.roster import ANYTHING, Member, Rights
from positions_mcp.domain.operation.terms import MandateKind
from positions_mcp.guard.delegating import Delegation
from positions_mcp.guard.enrolling import adding_member, removing_member
from positions_mcp.guard.guard import Guard
from positions_mcp.guard.supervisor import Supervisor
from positions_mcp.paper import DEFAULT_ACCOUNT, DEFAULT_KEY
from positions_mcp.signing.keys import new_key

pytestmark = pytest.mark.requirement("G-16", "D-05", "D-04")

EXAMPLES = int(os.environ.get("MANDATE_EXAMPLES", "10"))
"""Few wherever all tests run; `make faults` tries more of them."""
MSFT_PUT, AMD_CALL = "MSFT261218P00450000", "AMD261218C00180000"
ON = {MSFT_PUT: "MSFT", AMD_CALL: "AMD"}
NAMES = ["KO", "MSFT", "GME", "XOM", "PLTR", "AAPL", MSFT_PUT, AMD_CALL]
COVERS = "AAPL"
"""Its shares cover a short call."""
CLAUDE, GEMINI = "root through Claude", "root through Gemini"
MIDNIGHT = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Close:
    names: tuple[str, ...]
    caller: str
    cancel_orders: bool = False


@dataclass(frozen=True)
class Declined:
    """A person says no to a plan of these."""

    names: tuple[str, ...]


Event = Literal["halt", "revoke the first", "remove the signer", "midnight"]
Step = Close | Declined | Event


@dataclass
class Naive:
    """What was promised, as simply as it can be said."""

    account: dict[str, dict[str, Any]]
    """By symbol without spaces, as the API's JSON has it."""
    mandates: list[dict[str, Any]]
    """In the order in which they are taken."""
    sent: set[str] = field(default_factory=set)
    declined: set[str] = field(default_factory=set)
    stopped: bool = False

    def allows(self, close: Close) -> bool:
        """Whether it is sent; what it uses is then used."""
        if self.stopped or not close.names or COVERS in close.names or (self.sent | self.declined) & set(close.names):
            return False
        for mandate in self.mandates:
            if self._covers(mandate, close):
                mandate["operations"] -= 1
                mandate["in_all"] -= self._dollars(close)
                self.sent |= set(close.names)
                return True
        return False

    def _dollars(self, close: Close) -> Decimal:
        return sum((abs(Decimal(self.account[name]["market_value"])) for name in close.names), Decimal(0))

    def _covers(self, mandate: dict[str, Any], close: Close) -> bool:
        lost = [-min(Decimal(self.account[name]["unrealized_pnl"]), Decimal(0)) for name in close.names]
        of = {name: {name, ON.get(name, name)} for name in close.names}
        return (
            not mandate.get("revoked", False)
            and MandateKind.CLOSE in mandate["kinds"]
            and all(name in mandate["instruments"] or of[name] & set(mandate["underlyings"]) for name in close.names)
            and (not mandate["callers"] or close.caller == CLAUDE)
            and (not close.cancel_orders or mandate["cancel_orders"])
            and self._dollars(close) <= min(mandate["per_operation"], mandate["in_all"])
            and mandate["operations"] > 0
            and (mandate["loss_at_most"] is None or sum(lost) <= mandate["loss_at_most"])
            and all(self._is_priced(bound, of) for bound in mandate["prices"])
        )

    def _is_priced(self, bound: dict[str, Any], of: dict[str, set[str]]) -> bool:
        about = bound["instrument"]
        if not any(about in each for each in of.values()):
            return True
        price = Decimal(self.account[about]["instrument_price"])
        return bound.get("at_least", price) <= price <= bound.get("at_most", price)


@st.composite
def some_terms(draw: st.DrawFn) -> dict[str, Any]:
    some = st.lists(st.sampled_from(NAMES), unique=True, min_size=4, max_size=8)
    instruments = draw(st.one_of(st.just(NAMES), st.just(NAMES), some))
    underlyings = draw(st.lists(st.sampled_from(["MSFT", "AMD", "KO", COVERS]), unique=True, max_size=3))
    per_operation = Decimal(draw(st.sampled_from([5_282, 27_272, 60_000, 100_000])))
    prices = [("KO", "at_least", "68.18"), ("KO", "at_most", "68.17"), ("MSFT", "at_most", "468.08")]
    bounds = draw(st.sampled_from([[], [], *([each] for each in prices)]))
    named = {*instruments, *underlyings}
    kinds = draw(st.sampled_from([(MandateKind.CLOSE,)] * 19 + [(MandateKind.EXERCISE,)]))
    closes = MandateKind.CLOSE in kinds
    return {
        "kinds": kinds,
        "instruments": tuple(instruments),
        "underlyings": tuple(underlyings),
        "callers": draw(st.sampled_from([(), (), (), ("Claude",)])),
        "per_operation": per_operation,
        "in_all": per_operation + Decimal(draw(st.sampled_from([0, 0, 5_282]))),
        "operations": draw(st.integers(1, 3)),
        "cancel_orders": closes and draw(st.booleans()),
        "prices": tuple({"instrument": name, which: Decimal(to)} for name, which, to in bounds if name in named),
        "loss_at_most": draw(st.sampled_from([None, None, None, Decimal(500), Decimal(2_000)])) if closes else None,
    }


def some_steps() -> st.SearchStrategy[list[Step]]:
    one, two = (st.lists(st.sampled_from(NAMES), unique=True, min_size=n, max_size=n).map(tuple) for n in (1, 2))
    few = st.one_of(one, one, two)
    names = st.one_of(few, few, few, few, few, st.just(()))
    caller = st.sampled_from([CLAUDE, CLAUDE, GEMINI])
    closes = st.builds(Close, names, caller, st.sampled_from([False, False, False, True]))
    events = st.sampled_from(["halt", "revoke the first", "remove the signer", "midnight"])
    noes = st.builds(Declined, few)
    return st.lists(st.one_of(*[closes] * 8, noes, events), min_size=5, max_size=8)


WIDE: dict[str, Any] = {
    "kinds": (MandateKind.CLOSE,),
    "instruments": tuple(NAMES),
    "underlyings": (),
    "callers": (),
    "per_operation": Decimal(27_272),
    "in_all": Decimal(30_000),
    "operations": 2,
    "cancel_orders": False,
    "prices": (),
    "loss_at_most": None,
}
CLOSES: list[Step] = [Close((name,), CLAUDE) for name in ("MSFT", "KO", "GME", AMD_CALL, MSFT_PUT)]
"""Too dear at once, sent, too dear together with that, sent, once too often."""


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@example([WIDE], CLOSES)
@example([WIDE | {"in_all": Decimal(100_000), "operations": 3}], [CLOSES[1], "revoke the first", CLOSES[2]])
@given(st.lists(some_terms(), min_size=1, max_size=2), some_steps())
def test_what_is_sent_without_a_question_is_exactly_what_a_naive_checker_allows(
    mandates: list[dict[str, Any]], steps: list[Step]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        anyio.run(_played, Path(folder), mandates, steps)


@asynccontextmanager
async def over(bare: Desk, paper: PaperDesk) -> AsyncIterator[Desk]:
    """The guard over the paper exchange in place of the small one."""
    seams = ("positions", "orders", "order_writer", "order_canceller", "instructions")
    parts = replace(bare.parts, market_clock=paper.exchange.clock, **dict.fromkeys(seams, paper.client))
    async with Guard(parts) as guard:
        yield replace(bare, guard=guard, supervisor=Supervisor(parts, hardness=QUICK), parts=parts)


async def _played(folder: Path, mandates: list[dict[str, Any]], steps: list[Step]) -> None:
    async with paper_desk(folder / "paper") as paper, desk(folder) as bare, over(bare, paper) as it:
        signed = [await _signed(it, said) for said in mandates]
        taken = sorted(zip(signed, mandates, strict=True), key=lambda each: each[0])
        checker = Naive(await _account(paper), [dict(said) for _, said in taken])
        for step in steps:
            if isinstance(step, Declined):
                checker.declined |= await _declines(it, step)
                continue
            if not isinstance(step, Close):
                await _happens(it, step, taken[0][0])
                checker.mandates[0]["revoked"] = checker.mandates[0].get("revoked") or step == "revoke the first"
                checker.stopped = checker.stopped or step != "revoke the first"
                continue
            expected, before = checker.allows(step), len(paper.writes)
            event("sent" if expected else "stopped" if checker.stopped else "asked about")
            assert await _is_sent(it, step) is expected, step
            assert len(paper.writes) - before == (len(step.names) if expected else 0)
        assert it.store.verify().intact


async def _signed(it: Desk, said: dict[str, Any]) -> str:
    """By Ben, whom Ana has let."""
    if it.store.rosters().roster is None:
        await it.supervisor.set_up_approver(PASSPHRASE, "Ana")
        key = new_key(BEN, it.clock.now(), hardness=QUICK).key
        await change(it, adding_member(Member(name="Ben", credentials=(key,), rights=(Rights(approves=ANYTHING),))))
    delegation = Delegation(it.parts)
    draft = await delegation.draft(terms(**said), by="ana", shadow=timedelta(0))
    await delegation.sign(draft.mandate_id, BEN, digest=draft.digest, name="Ben")
    return draft.mandate_id


async def _account(paper: PaperDesk) -> dict[str, dict[str, Any]]:
    own = httpx.AsyncClient(transport=PaperTransport(paper.exchange), base_url="http://localhost")
    async with own as http:
        key = {"Authorization": f"Bearer {DEFAULT_KEY}"}
        answer = (await http.get(f"/v1/accounts/{DEFAULT_ACCOUNT}/positions", headers=key)).json()
    return {str(row["symbol"]).replace(" ", ""): row for row in answer["data"]}


async def _is_sent(it: Desk, step: Close) -> bool:
    """What a close of it is under way cannot even be planned."""
    try:
        report = await sent_without_question(it, *step.names, caller=step.caller, cancel_orders=step.cancel_orders)
    except InvalidInput:
        return False
    return report is not None


async def _declines(it: Desk, step: Declined) -> set[str]:
    """What was declined, where there was something to decline."""
    try:
        operation = (await it.plan(*step.names)).operation
    except InvalidInput:
        return set()
    await it.supervisor.reject(operation.operation_id, by="Ana")
    return set(step.names)


async def _happens(it: Desk, event: Event, first: str) -> None:
    match event:
        case "halt":
            await it.supervisor.halt("news", by="Ana")
        case "revoke the first":
            if (await Delegation(it.parts).show(first)).mandate.revoked is None:
                await Delegation(it.parts).revoke(first, by="Ana")
        case "remove the signer":
            if it.store.rosters().roster.member("Ben") is not None:
                await change(it, removing_member("Ben"))
        case "midnight":
            it.clock.at = max(it.clock.at, MIDNIGHT)
