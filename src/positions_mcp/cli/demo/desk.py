"""`positions-mcp demo --desk`: an agent asks to close a paper account, and you decide on the supervisor's page."""

from __future__ import annotations

import secrets
import tempfile
import webbrowser
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

from positions_mcp.cli.assembly.stores import open_operations
from positions_mcp.cli.commands import Commands
from positions_mcp.cli.demo.conversation import Exchange, Screen
from positions_mcp.cli.demo.story import PROGRAM, trading_hours
from positions_mcp.cli.record import Record
from positions_mcp.domain.errors import PositionsError
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.states import OperationState
from positions_mcp.settings import load

_SCENARIO = """
title = "Four positions to close"
about = "Small enough to be read at a glance: shares long and short, and an option."
cash = 50_000

underlyings = [
    { symbol = "AAPL", price = 231.40, volatility = 0.26 },
    { symbol = "KO", price = 68.20, volatility = 0.15, venue = "XNYS" },
    { symbol = "PLTR", price = 74.15, volatility = 0.60 },
]
positions = [
    { symbol = "AAPL", quantity = 300, average_price = 172.35 },
    { symbol = "AAPL month+1 260 call", quantity = 5, average_price = 3.85 },
    { symbol = "KO", quantity = 400, average_price = 61.15 },
    { symbol = "PLTR", quantity = -150, average_price = 69.90 },
]
"""
_WORDS = """
amber anchor apple autumn basil beacon birch bridge canal candle cedar cherry clover copper coral cotton ferry garden
ginger harbor hazel island ivory juniper lantern lemon linen maple marble meadow mint morning nutmeg olive orchard
parade pebble pepper planet plum quartz river saddle sailor silver spruce summer thistle timber tulip valley velvet
violet walnut water willow window winter wool
"""
_MOVING = (
    OperationState.PLANNED,
    OperationState.AWAITING_APPROVAL,
    OperationState.APPROVED,
    OperationState.SENDING,
    OperationState.SUBMITTED,
    OperationState.UNKNOWN,
)
_AGAIN_S = 3.0


async def supervise(screen: Screen, *, open_browser: bool) -> None:
    """Set up a paper account with an approver, and let the agent ask until it is flat. Ends when interrupted."""
    screen.title("positions-mcp desk: an agent asks, and you decide on a page that it cannot write to")
    screen.note(
        "Paper only: no key, no network, no money. An agent, at the other end of a real MCP server, wants to close "
        "every position of the account. Ctrl-C ends it, and throws all of it away."
    )
    with tempfile.TemporaryDirectory(prefix="positions-mcp-desk-") as folder:
        data_dir, scenario = Path(folder) / "data", Path(folder) / "desk.toml"
        scenario.write_text(_SCENARIO, encoding="utf-8")
        exchange = Exchange(data_dir)
        exchange.run("reset", "--scenario", str(scenario))
        exchange.run("clock", "set", trading_hours(), "--running")
        passphrase = " ".join(secrets.choice(_WORDS.split()) for _ in range(4))
        await set_up_approver(data_dir, passphrase)
        environment = {"POSITIONS_MCP_DATA_DIR": str(data_dir), "POSITIONS_MCP_MODE": "paper"}
        server = StdioServerParameters(command=PROGRAM[0], args=[*PROGRAM[1:], "serve"], env=environment)
        async with Client(server) as client:
            await _Agent(client, screen, passphrase, open_browser=open_browser).asks_until_flat()


async def set_up_approver(data_dir: Path, passphrase: str) -> None:
    """What `positions-mcp approver init` does at a terminal; here the passphrase is made up, and shown."""
    settings = load({"mode": Mode.PAPER, "data_dir": data_dir})
    with open_operations(settings) as store:
        await Record(settings, store, Commands(settings)).supervisor().set_up_approver(passphrase)


class _Agent:
    """Calls tools as an assistant does whose host can show neither a form nor a link by itself."""

    def __init__(self, client: Client, screen: Screen, passphrase: str, *, open_browser: bool) -> None:
        self._client = client
        self._screen = screen
        self._passphrase = passphrase
        self._open_browser = open_browser

    async def asks_until_flat(self) -> None:
        """Ask, wait for the person, follow; where they say no, or let it expire, ask again a little later."""
        while (await self._call("list_positions", {"limit": 1})).get("rows"):
            plan = await self._call("preview_close", {"all": True, "cancel_orders": True})
            self._screen.question("Close everything, please.")
            self._screen.call("close_all_positions", f'{{"plan_id": "{plan["plan_id"]}"}}')
            await self._introduce(plan["next"])
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._call, "close_all_positions", {"plan_id": plan["plan_id"]})
                state = await self._told(plan["plan_id"])
                tasks.cancel_scope.cancel()
            if state is not OperationState.CLOSED:
                self._screen.note("The agent asks again in a moment.")
                await anyio.sleep(_AGAIN_S)
        self._screen.note("The account is FLAT. The page stays for a look around; Ctrl-C ends it.")
        await anyio.sleep_forever()

    async def _introduce(self, words: str) -> None:
        """Where the plan is decided, and by what."""
        link = next(word.rstrip(".,") for word in words.split() if word.startswith("http://"))
        self._screen.note("Open this page, sign in, and decide. The passphrase is for this demo alone:")
        self._screen.verbatim(f"page        {link}\npassphrase  {self._passphrase}")
        if self._open_browser:
            self._open_browser = False
            await anyio.to_thread.run_sync(webbrowser.open, link)

    async def _told(self, operation_id: str) -> OperationState:
        """Say each state as it comes, until nothing more will happen by itself."""
        shown = ""
        while True:
            said = await self._call("get_operation", {"operation_id": operation_id})
            if said["summary"] != shown:
                shown = said["summary"]
                self._screen.note(shown)
            if (state := OperationState(said["state"])) not in _MOVING:
                return state
            await anyio.sleep(1)

    async def _call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        result = await self._client.call_tool(tool, arguments)
        if result.is_error:
            raise PositionsError(f"{tool} failed: {result.content}")
        return result.structured_content or {}
