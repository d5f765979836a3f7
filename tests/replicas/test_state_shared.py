"""What one replica knows, every other one knows: plans, questions and what was sent."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest

from databases import postgres_url
from replicas.firm import Firm, calling, firm_in
from tools.serving import ERAS, data_of
from trading import yes

__all__ = ["postgres_url"]


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Firm]:
    with firm_in(tmp_path_factory.mktemp("firm"), postgres_url) as opened:
        opened.token("alice")
        yield opened


@pytest.mark.parametrize("era", ERAS)
async def test_a_plan_of_one_replica_is_closed_at_another(firm: Firm, era: str) -> None:
    token = firm.token(f"a-{era[:4]}")
    with firm.replica("one") as one, firm.replica("two") as two, anyio.fail_after(60):
        async with calling(one, token, era) as first, calling(two, token, era, yes()) as second:
            plan = data_of(await first.call_tool("preview_close", {"instruments": ["KO"]}))
            done = data_of(await second.call_tool("close_positions", {"plan_id": plan["plan_id"]}))
            assert done["sent"] == "yes"
    print(firm.sent)
