"""`get_trading_status`: where the server is, and what may be sent from it."""

from __future__ import annotations

from typing import Annotated

from mcp.server.mcpserver import Resolve
from pydantic import BaseModel

from positions_mcp.domain.plans import Mode
from positions_mcp.tools._deps import Deps, from_lifespan
from positions_mcp.tools._spec import Answer, Effect, ToolSpec
from positions_mcp.tools._words import market_words, moment


class Output(BaseModel):
    """What `get_trading_status` answers as data."""

    mode: str
    accounts: list[int]
    now: str
    market: str
    next_session: str
    trading: str
    api: str
    help: str


async def get_trading_status(*, deps: Annotated[Deps, Resolve(from_lifespan)]) -> Answer:
    """Say where the server is and what may be sent. Asks nobody."""
    data = _reading(deps)
    return Answer(_text(data), data)


def _reading(deps: Deps) -> Output:
    now = deps.clock.now()
    market = deps.calendar.state_at(now)
    early = " early close" if market.next.early_close else ""
    return Output(
        mode=deps.mode.shown,
        accounts=list(deps.accounts),
        now=moment(now),
        market=market_words(market),
        next_session=f"{market.next.opens:%a %Y-%m-%d %H:%M}-{market.next.closes:%H:%M}{early}",
        trading=_trading(deps),
        api=f"{deps.venue}, dialect {deps.contract}",
        help="A person can run `positions-mcp --help` in a terminal.",
    )


def _trading(deps: Deps) -> str:
    if not deps.trading_enabled:
        return "read-only; a person can set trading.enabled in the configuration"
    return "enabled; everything destructive waits for a person's decision"


def _text(data: Output) -> str:
    what = "no real money moves" if data.mode == Mode.PAPER.shown else "REAL MONEY"
    return "\n".join(
        [
            f"{data.mode} ({what}), {data.api}.",
            f"Accounts: {', '.join(map(str, data.accounts))}.",
            f"Trading: {data.trading}.",
            f"Now {data.now} New York; market {data.market}. Next session {data.next_session}.",
            data.help,
        ]
    )


SPEC = ToolSpec(
    name="get_trading_status",
    title="Get trading status",
    description="PAPER or LIVE, accounts, market session and clock, and whether anything may be sent.",
    handler=get_trading_status,
    output=Output,
    effect=Effect.READS,
    leaves_the_machine=False,
)
