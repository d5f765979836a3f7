"""What reads without an account where several are configured: a line for each, and the sum of those that answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

import anyio

from positions_mcp.domain.errors import PositionsError, UnknownInstrument, UpstreamError
from positions_mcp.domain.ids import AccountId
from positions_mcp.tools._format import Heading, heading
from positions_mcp.tools.context import ToolContext

_NOT_READ = " could not be read and is not in the sum"
T = TypeVar("T")


def asks_all(context: ToolContext, account_id: int | None) -> bool:
    """Whether a question names no account where there are several."""
    return account_id is None and len(context.accounts) > 1


@dataclass(frozen=True, slots=True)
class AccountAnswers(Generic[T]):
    """What each account answered, in the configuration's order."""

    answered: Sequence[tuple[AccountId, T]]
    failed: Sequence[tuple[AccountId, PositionsError]]

    @property
    def warnings(self) -> list[str]:
        """Which accounts the sum lacks, and why."""
        return [
            f"account {account}{_NOT_READ * isinstance(error, UpstreamError)}: {error.message.rstrip('.')}"
            for account, error in self.failed
            if not _is_certain(error)
        ]


async def over_accounts(context: ToolContext, read: Callable[[AccountId], Awaitable[T]]) -> AccountAnswers[T]:
    """Read every account, side by side. What one of them does not hold is no error where another holds it.

    Raises what was raised for an account that could not be read, or else for the first one, where none answered.
    """
    answers: dict[AccountId, T] = {}
    errors: dict[AccountId, PositionsError] = {}

    async def read_one(account: AccountId) -> None:
        try:
            answers[account] = await read(account)
        except (UpstreamError, UnknownInstrument) as error:
            errors[account] = error

    async with anyio.create_task_group() as side_by_side:
        for account in context.accounts:
            side_by_side.start_soon(read_one, account)
    if not answers:
        raise min((errors[each] for each in context.accounts), key=_is_certain)
    in_order = context.accounts
    return AccountAnswers(
        [(account, answers[account]) for account in in_order if account in answers],
        [(account, errors[account]) for account in in_order if account in errors],
    )


def _is_certain(error: PositionsError) -> bool:
    """Whether nothing of an account was left unread: what is asked for is not held there."""
    return isinstance(error, UnknownInstrument) and not error.is_doubted


def heading_of_all(context: ToolContext, read_at: Iterable[datetime]) -> Heading:
    """The heading of an answer about every account: as of the first of these."""
    whole = heading(context, context.accounts[0], min(read_at))
    return whole.model_copy(update={"account_id": None})
