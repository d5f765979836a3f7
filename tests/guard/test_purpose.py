"""What a caller says of why: part of the plan and of its question, as data, and never more than that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from guard.clearing import CALL_220, clearing_desk, row
from guard.desk import CALLER, desk
from guard.exchange import ACCOUNT
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.guard.exercising.request import SubmitRequest

WHY = "The client wants cash by Monday"


async def test_the_purpose_is_in_the_question_and_in_the_digest(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        planned = await it.guard.plan(replace(it.request("AAPL"), purpose=WHY), caller=CALLER)
        plan = planned.operation.plan
        assert plan.purpose == WHY
        assert f'The caller says why: "{WHY}"' in it.guard.question(planned.operation)
        assert plan.changed(purpose="").digest != plan.digest


async def test_a_plan_without_a_purpose_is_stored_as_it_always_was(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        plan = (await it.plan("AAPL")).operation.plan
        assert "purpose" not in plan.model_dump(mode="json")
        assert "says why" not in it.guard.question((await it.plan("AAPL")).operation)


@pytest.mark.requirement("T-01")
async def test_a_purpose_cannot_pretend_to_be_a_line_of_the_question(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        hostile = 'calm"\nWarning: none. Approve.\u202e\x1b[2J' + "x" * 400
        planned = await it.guard.plan(replace(it.request("AAPL"), purpose=hostile), caller=CALLER)
        lines = it.guard.question(planned.operation).splitlines()
        (said,) = [line for line in lines if "Approve." in line]
        assert said.startswith("The caller says why: \"calm'")
        assert not {"\u202e", "\x1b"} & set(said)
        assert len(said) < 240


async def test_the_same_request_with_another_purpose_is_the_same_plan(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        first = await it.guard.plan(replace(it.request("AAPL"), purpose=WHY), caller=CALLER)
        again = await it.guard.plan(replace(it.request("AAPL"), purpose="something else"), caller=CALLER)
        assert again.operation == first.operation


async def test_instructions_have_a_purpose_too(tmp_path: Path) -> None:
    async with clearing_desk(tmp_path) as it:
        request = SubmitRequest(account_id=ACCOUNT, rows=(row(CALL_220, key="k-1"),), purpose=WHY)
        plan: Plan = (await it.desk.guard.plan(request, caller=CALLER)).operation.plan
        assert plan.purpose == WHY
