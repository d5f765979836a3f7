"""What this program submitted and cancelled over TCP, read back by the official SDK."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path

import httpx
import pytest
from clearstreet import ClearStreet
from mcp import Client

from paper.serving import serving
from positions_mcp.api import PositionsClient
from positions_mcp.cli.assembly.composition import Venue, open_deps
from positions_mcp.clock import SystemClock
from positions_mcp.paper import DEFAULT_KEY
from positions_mcp.server import build_server
from positions_mcp.settings import load
from tools.expiry_day import batch, cell, ids_by_key, row
from tools.serving import data_of
from trading import yes


class ServedClock:
    """The exchange's clock, which stands where it was set."""

    def __init__(self, url: str) -> None:
        self._url = url

    def now(self) -> datetime:
        return datetime.fromisoformat(httpx.get(f"{self._url}/paper/status").json()["clock"]["now"])


@pytest.mark.requirement("P-04", "I-01", "I-02", "I-05")
async def test_the_official_sdk_reads_back_what_this_program_submitted_and_cancelled(tmp_path: Path) -> None:
    with serving(tmp_path / "exchange", "expiry") as served:
        clock = ServedClock(served.url)
        settings = load({"mode": "paper", "data_dir": tmp_path / "program", "approval": {"give_up_above": 10_000}})
        venue = Venue(
            partial(PositionsClient, served.url, DEFAULT_KEY, clock=clock), clock, "a served exchange", SystemClock()
        )
        server = build_server(lambda: open_deps(settings, venue), mode=settings.mode, accounts=(19816,))
        async with Client(server, elicitation_callback=yes()) as client:
            held = data_of(await client.call_tool("list_positions", {"instrument_type": "OPTION", "side": "long"}))
            amd = next(each[0] for each in held["rows"] if each[0].startswith("AMD"))
            msft = next(each[0] for each in held["rows"] if each[0].startswith("MSFT"))
            rows = batch(row(amd, "CONTRARY_EXERCISE", "2", instruction_id="mine"), row(msft))
            sent = data_of(await client.call_tool("submit_instructions", rows))
            assert sent["summary"].startswith("PAPER account 19816: 1 of 2 sent, awaiting clearing; 1 rejected")
            wanted = (await ids_by_key(client))["morning-2"]
            assert data_of(await client.call_tool("cancel_instruction", {"id": wanted}))["state"] == "SUBMITTED"
        with ClearStreet(api_key=DEFAULT_KEY, base_url=served.url, max_retries=0) as sdk:
            listed = {each.id: each for each in sdk.v1.positions.get_position_instructions(19816).data}
    made = listed[cell(sent, 0, "id")]
    assert (made.client_instruction_id, made.instruction_type, made.quantity) == ("mine", "CONTRARY_EXERCISE", "2")
    assert made.symbol.replace(" ", "") == amd
    assert listed[wanted].status in ("CANCEL_REQUESTED", "CANCELLED")
    assert len(listed) == 4
