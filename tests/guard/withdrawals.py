"""A person who withdraws: is shown what could be cancelled, and signs that."""

from __future__ import annotations

from collections.abc import Sequence

from guard.desk import PASSPHRASE
from positions_mcp.domain.operation.roster import FIRST_NAME
from positions_mcp.domain.operation.statements import TERMINAL
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.guard.cancelling import Withdrawn
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.enrolling import Enrolling
from positions_mcp.guard.touches import Person, Touches
from positions_mcp.guard.withdrawing import Offer, Withdrawing, shown_of


async def offered(deps: Dependencies, halts: Sequence[Halt], name: str = FIRST_NAME) -> Offer:
    """What somebody is shown."""
    return await Withdrawing(deps, Touches(deps)).open_now(halts, name)


async def withdraw(
    deps: Dependencies, halts: Sequence[Halt], offer: Offer, passphrase: str = PASSPHRASE, name: str = ""
) -> Sequence[Withdrawn]:
    """What comes of it once that is signed."""
    touches = Touches(deps)
    member, key = await Enrolling(deps, touches).unlocked(name, passphrase)
    who = Person(member.name, key.key.fingerprint, TERMINAL)
    act = await Withdrawing(deps, touches).signing(halts, [shown_of(own) for own in offer.own], who)
    await act.sign(key)
    return await act.run()
