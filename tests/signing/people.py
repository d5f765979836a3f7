"""People with passphrases, and what they sign."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.roster import Member, Rights, RosterLink, whole_member
from positions_mcp.domain.operation.statements import TERMINAL, Purpose, Statement
from positions_mcp.domain.operation.supervision import Approver
from positions_mcp.signing.keys import ScryptCost, Unlocked, new_key
from positions_mcp.signing.release_1 import Endorsement
from positions_mcp.signing.rosters import RosterChain, next_roster, statement_of
from positions_mcp.signing.statements import sign

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
ACCOUNT = AccountId(19816)
QUICK = ScryptCost(n=2**4)


def key_of(name: str) -> Unlocked:
    """A key of somebody's own passphrase."""
    return new_key(f"the passphrase of {name}", NOW, hardness=QUICK)


ANA, BEN, CARA, EVE = key_of("Ana"), key_of("Ben"), key_of("Cara"), key_of("Eve")


def clerk(name: str, key: Unlocked, up_to: int = 1000) -> Member:
    """A member who approves a little and changes nothing."""
    return Member(name=name, credentials=(key.key,), rights=(Rights(approves=Decimal(up_to)),))


def link(before: RosterChain, key: Unlocked, name: str, *members: Member, **changes: Any) -> RosterLink:
    """A next link, signed with a key in somebody's name, whoever may do so; `changes` are of the statement."""
    roster = next_roster(before, members)
    who = Member(name=name, credentials=(key.key,), rights=(Rights(),))
    said = statement_of(roster, who, key.key.fingerprint, origin=TERMINAL, note="", now=NOW).changed(**changes)
    return RosterLink(roster=roster, signed=sign(said, key))


def chain_of(*links: RosterLink) -> RosterChain:
    """A chain without an approver of 0.1.0."""
    return RosterChain((), links)


FIRST = chain_of(link(RosterChain(), ANA, "Ana", whole_member("Ana", ANA.key)))
"""Ana alone."""
BOTH = chain_of(*FIRST.links, link(FIRST, ANA, "Ana", whole_member("Ana", ANA.key), clerk("Ben", BEN)))
"""Ana and, added by her, Ben, who is a clerk."""


def approver_of(key: Unlocked, after: Unlocked | None = None) -> Approver:
    """The key as 0.1.0 stored it; endorsed by the one before it."""
    approver = Approver.model_validate(key.key.model_dump(exclude={"kind"}))
    if after is None:
        return approver
    endorsement = after.sign(Endorsement(public_key=key.key.public_key).canonical)
    return approver.changed(previous_public_key=after.key.public_key, endorsement=endorsement)


def new_approver(passphrase: str, now: datetime, *, hardness: ScryptCost = QUICK) -> Approver:
    """The approver of a store of 0.1.0."""
    return approver_of(new_key(passphrase, now, hardness=hardness))


def yes(name: str, key: Unlocked, **changes: Any) -> Statement:
    """A yes to some plan."""
    said = Statement(
        purpose=Purpose.APPROVAL,
        mode=Mode.PAPER,
        account=ACCOUNT,
        operation="op-1",
        digest="ab" * 32,
        decision="approve",
        name=name,
        credential=key.key.fingerprint,
        origin=TERMINAL,
        note="the desk asked",
        decided_at=NOW,
        expires_at=NOW,
    )
    return said.changed(**changes)
