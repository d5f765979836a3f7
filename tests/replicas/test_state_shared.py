"""What one replica knows, every other one knows: plans, questions and what was sent."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import anyio.to_thread
import pytest

from databases import postgres_url
from replicas.firm import Firm, Replica, balanced, calling, firm_in
from tools.serving import ERAS, data_of
from trading import no, yes

__all__ = ["postgres_url"]


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Firm]:
    with firm_in(tmp_path_factory.mktemp("firm"), postgres_url) as opened:
        for name in ("alice", "bob", "carol"):
            opened.token(name)
        yield opened


@pytest.fixture(scope="module")
def replicas(firm: Firm) -> Iterator[list[Replica]]:
    """Two that stay, for all that ends none."""
    with firm.replica("one") as one, firm.replica("two") as two:
        yield [one, two]


@pytest.mark.requirement("G-02", "G-06")
@pytest.mark.parametrize("era", ERAS)
async def test_a_plan_of_one_replica_is_closed_at_another(firm: Firm, replicas: list[Replica], era: str) -> None:
    one, two = replicas
    before = firm.sent.get("close_position", 0)
    with anyio.fail_after(60):
        async with calling(one, firm.tokens["alice"], era) as first:
            plan = data_of(await first.call_tool("preview_close", {"instruments": [firm.symbol()]}))
        async with calling(two, firm.tokens["alice"], era, yes()) as second:
            done = data_of(await second.call_tool("close_positions", {"plan_id": plan["plan_id"]}))
    assert done["sent"] == "yes"
    assert firm.sent["close_position"] == before + 1


@pytest.mark.requirement("G-02", "G-06")
async def test_what_is_asked_at_one_replica_is_answered_at_another_and_sent_once(
    firm: Firm, replicas: list[Replica]
) -> None:
    before, person = firm.sent.get("close_position", 0), yes()
    with anyio.fail_after(60):
        async with balanced(replicas, firm.tokens["bob"], person) as client:
            done = data_of(await client.call_tool("close_positions", {"instruments": [firm.symbol()]}))
            again = data_of(await client.call_tool("get_operation", {"operation_id": done["operation_id"]}))
    assert done["sent"] == again["sent"] == "yes"
    assert len(person.questions) == 1
    assert firm.sent["close_position"] == before + 1


@pytest.mark.requirement("G-02", "G-06")
@pytest.mark.parametrize("answer", ["yes", "no"])
async def test_a_question_outlives_the_replica_that_asked_it(firm: Firm, replicas: list[Replica], answer: str) -> None:
    before, person = firm.sent.get("close_position", 0), yes() if answer == "yes" else no()
    with firm.replica("short-lived") as asking, anyio.fail_after(60):

        async def meanwhile() -> None:
            asking.process.kill()
            await anyio.to_thread.run_sync(asking.process.wait)
            turns.remove(asking)

        person.meanwhile = meanwhile
        turns = [asking, replicas[1]]
        async with balanced(turns, firm.tokens["carol"], person) as client:
            done = data_of(await client.call_tool("close_positions", {"instruments": [firm.symbol()]}))
    assert (done["sent"], done["state"] == "DECLINED") == (("yes", False) if answer == "yes" else ("no", True))
    assert firm.sent.get("close_position", 0) == before + (answer == "yes")
