"""A mandate is worth what its signer may approve, for as long as they may (D-04, D-05, G-16)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from guard.delegated import sent_without_question, terms
from guard.desk import CALLER, PASSPHRASE, POLICY, QUICK, Desk
from guard.test_two_persons import BEN, change, sent, two_people
from positions_mcp.domain.errors import PositionsError, Refused
from positions_mcp.domain.operation.mandate import Mandate
from positions_mcp.domain.operation.roster import ANYTHING, Rights
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.guard.delegating import Delegation
from positions_mcp.guard.enrolling import changing_member, removing_member, replacing_key
from positions_mcp.signing.keys import new_key

pytestmark = pytest.mark.requirement("G-16", "D-05")

AAPL_COSTS, MSFT_COSTS = Decimal("15050.00"), Decimal("4000.00")


async def signed_by_ben(it: Desk, **fields: Any) -> Mandate:
    delegation = Delegation(it.parts)
    draft = await delegation.draft(terms(**fields), by="ana", shadow=timedelta(days=1))
    return (await delegation.sign(draft.mandate_id, BEN, digest=draft.digest, name="Ben")).mandate


async def test_nobody_signs_more_than_they_may_approve_in_a_day(tmp_path: Path) -> None:
    async with two_people(tmp_path, POLICY, approves=AAPL_COSTS) as it:
        with pytest.raises(Refused, match="Ben approves up to"):
            await signed_by_ben(it, in_all=AAPL_COSTS + Decimal("0.01"))
        await change(it, changing_member("Ben", rights=(Rights(),)))
        with pytest.raises(Refused, match="Ben approves up to"):
            await signed_by_ben(it, in_all=Decimal(1))
        assert [each.mandate.signed for each in it.store.mandates()] == [None, None]


async def test_two_mandates_and_a_yes_of_one_approver_come_to_no_more_than_their_amount_of_a_day(
    tmp_path: Path,
) -> None:
    async with two_people(tmp_path, POLICY, approves=AAPL_COSTS + MSFT_COSTS) as it:
        for symbol in ("AAPL", "MSFT", "TSLA"):
            await signed_by_ben(it, instruments=(symbol,), in_all=AAPL_COSTS + MSFT_COSTS)
        assert await sent_without_question(it, "AAPL") is not None
        assert await sent_without_question(it, "MSFT") is not None
        assert await sent_without_question(it, "TSLA") is None
        asked = await it.asked("TSLA")
        with pytest.raises(Refused, match=r"\$19,050.00 is used"):
            await it.supervisor.approve(asked.operation_id, BEN, name="Ben")
    async with two_people(tmp_path / "the other way", POLICY, approves=AAPL_COSTS) as it:
        await signed_by_ben(it, instruments=("AAPL",), in_all=AAPL_COSTS)
        asked = await it.asked("MSFT")
        await it.supervisor.approve(asked.operation_id, BEN, name="Ben")
        assert await sent(it, asked)
        assert await sent_without_question(it, "AAPL") is None


ENDS: dict[str, Callable[[Desk], Awaitable[object]]] = {
    "removed": lambda it: change(it, removing_member("Ben")),
    "approves less than it allows": lambda it: change(
        it, changing_member("Ben", rights=(Rights(approves=Decimal(1)),))
    ),
    "only sees": lambda it: change(it, changing_member("Ben", rights=(Rights(),))),
    "another passphrase": lambda it: change(
        it, replacing_key("Ben", new_key("a new passphrase", it.clock.now(), hardness=QUICK).key)
    ),
    "renamed": lambda it: change(it, changing_member("Ben", name="Benjamin")),
    "may approve elsewhere": lambda it: change(
        it, changing_member("Ben", rights=(Rights(account_id=2, approves=ANYTHING), Rights()))
    ),
}


@pytest.mark.requirement("D-04")
@pytest.mark.parametrize("name", ENDS)
async def test_it_ends_with_the_right_of_who_signed_it_also_between_the_plan_and_each_request(
    name: str, tmp_path: Path
) -> None:
    async with two_people(tmp_path / "before", POLICY) as it:
        mandate = await signed_by_ben(it)
        planned = await it.plan("AAPL")
        await ENDS[name](it)
        with pytest.raises(PositionsError):
            await it.guard.send_under(planned.operation, mandate.mandate_id, caller=CALLER)
        assert await sent_without_question(it, "MSFT") is None
        assert it.exchange.effects == []
        assert (await it.guard.status()).mandates == ()
        assert (await Delegation(it.parts).state(it.store.standing(mandate.mandate_id))) == "NOT SIGNED by who may"

    async with two_people(tmp_path / "between", POLICY) as it:
        mandate = await signed_by_ben(it)
        planned = await it.plan("AAPL", "MSFT")
        ended: list[str] = []

        async def end() -> None:
            if not ended:
                ended.append(name)
                await ENDS[name](it)

        it.exchange.after.append(end)
        report = await it.guard.send_under(planned.operation, mandate.mandate_id, caller=CALLER)
        assert report.state is OperationState.PARTIAL
        assert len(it.exchange.effects) == len(ended) == 1
        assert it.store.verify().intact


@pytest.mark.parametrize("caller", ["Ben through Claude", "ben", "token of Ben", "token of deskbot"])
async def test_what_its_signer_asks_for_is_asked_about(caller: str, tmp_path: Path) -> None:
    async with two_people(tmp_path, POLICY, callers=("deskbot",)) as it:
        await signed_by_ben(it)
        assert await sent_without_question(it, "AAPL", caller=caller) is None
        assert await sent_without_question(it, "AAPL", caller="ana through Claude") is not None


async def test_who_approves_alone_may_use_a_mandate_of_their_own_as_they_may_approve_what_they_ask_for(
    tmp_path: Path,
) -> None:
    async with two_people(tmp_path, POLICY) as it:
        await change(it, removing_member("Ben"))
        delegation = Delegation(it.parts)
        draft = await delegation.draft(terms(), by="ana", shadow=timedelta(days=1))
        await delegation.sign(draft.mandate_id, PASSPHRASE, digest=draft.digest)
        assert await sent_without_question(it, "AAPL", caller="ana through Claude") is not None


async def test_what_goes_under_a_mandate_is_on_the_word_of_who_signed_it(tmp_path: Path) -> None:
    async with two_people(tmp_path, POLICY) as it:
        await signed_by_ben(it)
        report = await sent_without_question(it, "AAPL")
        assert report is not None
        decision = it.store.operation(report.operation_id).decision
        assert decision.on_word_of == ("Ben",)
