"""The symbols an account holds, for completing what somebody types."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from positions_mcp.domain.account.positions import Holding, Whole
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.many import in_order
from positions_mcp.ports import PositionsReader
from positions_mcp.tools._turns import beside_others

KEPT_S = 10.0


@dataclass(slots=True)
class SymbolCache:
    """Read at most once in ten seconds for each account, because completion asks at every key."""

    _read: dict[AccountId, tuple[float, tuple[str, ...]]] = field(default_factory=dict)

    async def of(self, account: AccountId, positions: PositionsReader) -> tuple[str, ...]:
        """In alphabetical order, options by their compact symbol. Raises UpstreamError."""
        now = anyio.current_time()
        read_at, symbols = self._read.get(account, (now - KEPT_S, ()))
        if now - read_at >= KEPT_S:
            held, _ = await positions.gather_positions(account, Whole[Holding])
            symbols = await beside_others(
                len(held), lambda: tuple(in_order([each.name for each in held if each.symbol], str))
            )
            self._read[account] = (now, symbols)
        return symbols
