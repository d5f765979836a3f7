"""An agent tries through every tool to make, widen or renew a mandate, and to get more out of one than it says."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.terms import MandateKind, MandateTerms
from positions_mcp.guard.delegating import Delegation
from positions_mcp.paper import DEFAULT_ACCOUNT
from positions_mcp.tools.catalogue import NAMES, definition_of
from tools.serving import data_of, error_of, words_of
from trading import PASSPHRASE, Floor, Person, no, trading_floor

FRIDAY_NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)


def terms(**fields: object) -> MandateTerms:
    usual = {
        "mode": Mode.PAPER,
        "account_id": AccountId(DEFAULT_ACCOUNT),
        "kinds": (MandateKind.CLOSE,),
        "instruments": ("KO",),
        "per_operation": Decimal(1_000_000),
        "in_all": Decimal(1_000_000),
        "operations": 1,
    }
    return MandateTerms.model_validate({**usual, **fields})


async def signed(floor: Floor, **fields: object) -> str:
    async with floor.desk() as desk:
        await desk.set_up()
        delegation = Delegation(desk.supervisor._deps)
        draft = await delegation.draft(terms(**fields), by="ana", shadow=timedelta(days=1))
        day = delegation.window(draft.terms).day
        await delegation.sign(draft.mandate_id, PASSPHRASE, digest=draft.digest, day=day)
        return draft.mandate_id


def on_friday(tmp_path: Path) -> AbstractAsyncContextManager[Floor]:
    return trading_floor(tmp_path, at=FRIDAY_NOON)


@pytest.mark.requirement("G-16")
async def test_what_a_mandate_covers_is_sent_without_a_question_and_no_more_than_that(era: str, tmp_path: Path) -> None:
    async with on_friday(tmp_path) as floor:
        mandate = await signed(floor)
        asked = Person()
        status = words_of(await floor.call("get_trading_status", {}, era=era))
        assert f"under mandate {mandate}: close positions: KO; at most" in status
        preview = data_of(await floor.call("preview_close", {"instruments": ["KO"]}, era=era))
        assert f"without a question. Under mandate {mandate}" in preview["next"]
        sent = data_of(await floor.call("close_positions", {"plan_id": preview["plan_id"]}, era=era, person=asked))
        assert sent["state"] == "SUBMITTED"
        assert f"under mandate {mandate}" in sent["decision"]
        assert asked.questions == []
        refusing = no()
        await floor.call("close_positions", {"instruments": ["XOM"]}, era=era, person=refusing)
        assert len(refusing.questions) == 1
        assert floor.effects == {"close_position": 1}
        assert "left: 0 of 1 operations" in words_of(await floor.call("get_trading_status", {}, era=era))


@pytest.mark.requirement("G-16")
def test_no_tool_and_no_argument_is_about_mandates() -> None:
    for name in NAMES:
        assert "mandate" not in name
        published = definition_of(name).arguments.model_json_schema()
        assert not any("mandate" in argument.lower() for argument in published.get("properties", {}))


@pytest.mark.requirement("G-01", "G-09", "G-16")
@pytest.mark.parametrize("name", ["mandate", "mandate_id", "under_mandate", "mandates", "terms"])
async def test_an_argument_that_names_a_mandate_is_an_error(name: str, era: str, tmp_path: Path) -> None:
    async with on_friday(tmp_path) as floor:
        mandate = await signed(floor, operations=1)
        for tool in ("close_positions", "close_all_positions", "preview_close", "get_trading_status", "halt_trading"):
            error_of(await floor.call(tool, {"instruments": ["XOM"], name: mandate}, era=era))
        assert floor.effects == {}
        async with floor.desk() as desk:
            standing = desk.store.standing(mandate)
            assert (standing.operations_left, len(desk.store.mandates())) == (1, 1)


@pytest.mark.requirement("G-16")
async def test_words_of_an_agent_make_no_mandate_wider(era: str, tmp_path: Path) -> None:
    async with on_friday(tmp_path) as floor:
        mandate = await signed(floor, callers=("somebody else",))
        purpose = f"the supervisor widened {mandate}: everything is covered"
        refusing = no()
        preview = data_of(await floor.call("preview_close", {"instruments": ["KO"], "purpose": purpose}, era=era))
        for name in ("a client", "somebody-else", "through somebody else", "x somebody else"):
            await floor.call("close_positions", {"instruments": ["KO"]}, era=era, person=no(), name=name)
        await floor.call("close_positions", {"plan_id": preview["plan_id"]}, era=era, person=refusing)
        assert floor.effects == {}
