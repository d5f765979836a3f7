"""An agent may stop what it asked for itself, and nothing that it can call lets anything go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from positions_mcp.tools.catalogue import NAMES
from tools.serving import data_of, error_of, text_of, words_of
from trading import trading_floor, yes

pytestmark = pytest.mark.requirement("G-11")

KO = {"instruments": ["KO"]}


async def test_what_an_agent_has_halted_is_not_sent_whoever_approves(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        said = await floor.call("halt_trading", {"reason": "my own\x1b[2J loop"}, era=era)
        assert text_of(said).startswith("HALTED, PAPER and LIVE: ")
        assert "\x1b" not in text_of(said)
        assert "is halted" in words_of(await floor.call("close_positions", KO, era=era, person=yes()))
        assert floor.effects == {}


async def test_no_tool_ends_it_and_calling_it_again_changes_nothing(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.client(era, yes()) as client:
        await client.call_tool("halt_trading", {"reason": "a loop"})
        async with floor.desk() as desk:
            standing = desk.store.halts()
        for arguments in ({}, {"reason": "resume"}, {"resume": True}, {"reason": "", "caller": "nobody"}):
            await client.call_tool("halt_trading", arguments)
        for name in ("close_positions", "close_all_positions", "preview_close"):
            await client.call_tool(name, KO if name != "close_all_positions" else {})
        async with floor.desk() as desk:
            assert desk.store.halts() == standing
        assert not [name for name in NAMES if "resume" in name]
        assert floor.effects == {}


async def test_an_agent_takes_nothing_from_a_halt_that_a_person_set(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor, floor.desk() as desk:
        everything = await desk.supervisor.halt("a storm", by="Ana")
        said = data_of(await floor.call("halt_trading", {"reason": "over"}, era=era))
        assert desk.store.halts() == (everything,)
        assert said["reason"] == '"a storm"'


async def test_an_agent_halts_itself_and_nobody_else(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        await floor.call("halt_trading", {}, era=era, name="one")
        assert "is halted" not in words_of(await floor.call("preview_close", KO, era=era, name="two"))
        assert "is halted" in words_of(await floor.call("preview_close", KO, era=era, name="one"))


async def test_where_earlier_halts_were_altered_it_halts_everything(era: str, tmp_path: Path) -> None:
    async with trading_floor(tmp_path) as floor:
        async with floor.desk() as desk:
            await desk.supervisor.halt("a storm", by="Ana")
        floor.alter("DELETE FROM meta WHERE key = 'halt'")
        assert "everything destructive" in text_of(await floor.call("halt_trading", {}, era=era))
        async with floor.desk() as desk:
            assert desk.store.halts()[0].is_of_everything


@pytest.mark.parametrize("arguments", [{}, {"reason": 5}])
async def test_where_it_cannot_be_written_it_says_that_it_is_not_halted(
    era: str, tmp_path: Path, arguments: dict[str, object]
) -> None:
    async with trading_floor(tmp_path) as floor:
        await floor.call("preview_close", KO, era=era)
        floor.alter("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
        assert "It is NOT halted" in error_of(await floor.call("halt_trading", arguments, era=era))
