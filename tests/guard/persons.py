"""Ana and Ben at one desk, on either database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from guard.desk import CALLER, PASSPHRASE, POLICY, QUICK, Desk, desk
from positions_mcp.domain.errors import PositionsError
from positions_mcp.domain.operation.operation import Operation
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.roster import ANYTHING, Member, Rights
from positions_mcp.domain.operation.statements import TERMINAL
from positions_mcp.guard.dependencies import Checkpoint, no_checkpoint
from positions_mcp.guard.enrolling import adding_member
from positions_mcp.signing.keys import new_key

BEN = "the passphrase of Ben"
TWO = POLICY.model_copy(update={"two_persons_above": Decimal(0)})
Place = Path | str


@asynccontextmanager
async def two_people(
    folder: Path,
    policy: Policy = TWO,
    *,
    place: Place | None = None,
    checkpoint: Checkpoint = no_checkpoint,
    **of_ben: Any,
) -> AsyncIterator[Desk]:
    """Ana, who may do anything, and Ben, who approves anything unless it is said otherwise."""
    async with desk(folder, policy=policy, place=place, checkpoint=checkpoint) as it:
        await it.supervisor.set_up_approver(PASSPHRASE, "Ana")
        key = new_key(BEN, it.clock.now(), hardness=QUICK).key
        rights = (Rights(approves=of_ben.pop("approves", ANYTHING), **of_ben.pop("rights", {})),)
        await change(it, adding_member(Member(name="Ben", credentials=(key,), rights=rights, **of_ben)))
        yield it


async def change(it: Desk, made: Any, name: str = "Ana", passphrase: str = PASSPHRASE) -> None:
    """Change who may decide, signed by somebody."""
    await it.supervisor.enrolling.with_passphrase(made, name, passphrase, origin=TERMINAL)


async def sent(it: Desk, operation: Operation) -> bool:
    """Whether a server sends it now."""
    before = len(it.exchange.requests)
    try:
        await it.guard.send_approved(operation.operation_id, caller=CALLER)
    except PositionsError:
        return len(it.exchange.requests) > before
    return len(it.exchange.requests) > before
