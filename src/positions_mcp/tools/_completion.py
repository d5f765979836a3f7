"""What could complete an argument that somebody is typing: accounts, symbols held, operations."""

from __future__ import annotations

from collections.abc import Iterable

from positions_mcp.domain.errors import PositionsError
from positions_mcp.tools._call import Call

_MOST_OPERATIONS = 100


def completing_accounts(call: Call, typed: str) -> list[str]:
    """The configured accounts that begin so."""
    return _beginning(typed, map(str, call.context.accounts))


async def completing_symbols(call: Call, typed: str, account: str | None, *, several: bool) -> list[str]:
    """The symbols held that begin so, in either case; none where the account is not known or cannot be read.

    With `several` the last symbol of a list is completed, and the others stand before it.
    """
    before, comma, last = typed.rpartition(",") if several else ("", "", typed)
    try:
        held = await call.context.symbols.of(call.context.account(_number(account)), call.context.positions)
    except PositionsError:
        return []
    listed = f"{before.strip()}, " if comma else ""
    return [f"{listed}{symbol}" for symbol in _beginning(last.strip(), held)]


async def completing_operations(call: Call, typed: str) -> list[str]:
    """The caller's recent operations that begin so, newest first; none where the store cannot be read."""
    try:
        recent, _ = await call.context.guard.operations(limit=_MOST_OPERATIONS, viewer=call.caller.viewer)
    except PositionsError:
        return []
    return _beginning(typed, (operation.operation_id for operation in recent))


def _beginning(typed: str, candidates: Iterable[str]) -> list[str]:
    return [each for each in candidates if each.upper().startswith(typed.upper())]


def _number(account: str | None) -> int | None:
    """The account named beside; -1, which is none, where it is no number."""
    if not account:
        return None
    return int(account) if account.isascii() and account.isdigit() and len(account) < 20 else -1
