"""The chain of rosters: each was signed by a member of the one before who may manage it (D-04)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.roster import Member, Roster, RosterLink
from positions_mcp.domain.operation.statements import PassphraseKey, Purpose, SignedStatement, Statement
from positions_mcp.domain.operation.supervision import Approver
from positions_mcp.signing.release_1 import is_chain
from positions_mcp.signing.statements import signer

CHANGE = "change"
"""The decision of a statement that changes the roster."""


@dataclass(frozen=True, slots=True)
class RosterChain:
    """Everybody who ever could decide, oldest first. It is worth nothing before `why_broken` finds nothing."""

    approvers: Sequence[Approver] = ()
    """Of release 0.1.0; the last one is read as the roster that the first link changes."""
    links: Sequence[RosterLink] = ()

    @property
    def roster(self) -> Roster | None:
        """Who may decide now; None where nobody is set up."""
        if self.links:
            return self.links[-1].roster
        return Roster.of(self.approvers[-1]) if self.approvers else None

    @property
    def members(self) -> tuple[Member, ...]:
        return self.roster.members if self.roster else ()

    def member(self, name: str) -> Member | None:
        return self.roster.member(name) if self.roster else None

    @property
    def head(self) -> str:
        """Digest of what stands last; empty where nothing does."""
        if self.links:
            return self.links[-1].digest
        return Roster.of(self.approvers[-1]).digest if self.approvers else ""

    @property
    def heads(self) -> frozenset[str]:
        """Every head that there was, and this one."""
        return frozenset([*(Roster.of(each).digest for each in self.approvers), *(each.digest for each in self.links)])

    def why_broken(self) -> str:
        """Why it is not a chain, for a person; empty where it is one."""
        if not is_chain(self.approvers):
            return "the approver was replaced without the old passphrase"
        for number in range(len(self.links)):
            before = RosterChain(self.approvers, self.links[:number])
            if why := why_not_next(before, self.links[number]):
                return why
        return ""


def next_roster(before: RosterChain, members: Sequence[Member]) -> Roster:
    """The members as the roster that follows a chain.

    Raises ValidationError where they cannot be a roster, Refused where they are those that stand.
    """
    if before.roster is not None and before.roster.members == tuple(members):
        raise Refused("That changes nothing about who may decide.", hint="Nothing was changed.")
    version = before.roster.version + 1 if before.roster else 1
    return Roster(version=version, previous=before.head, members=tuple(members))


def statement_of(
    roster: Roster, member: Member, credential: str, *, origin: str, note: str, now: datetime
) -> Statement:
    """What a member says who puts a roster in place of the one before."""
    return Statement(
        purpose=Purpose.ROSTER,
        digest=roster.digest,
        decision=CHANGE,
        name=member.name,
        credential=credential,
        origin=origin,
        note=note,
        decided_at=now,
    )


def why_not_next(before: RosterChain, link: RosterLink) -> str:
    """Why a link may not follow a chain that holds, for a person; empty where it may."""
    roster, who = link.roster, before.roster or link.roster
    if roster.previous != before.head or roster.version != (before.roster.version + 1 if before.roster else 1):
        return f"roster {roster.version} does not follow the one before it"
    if not _says(link.signed, roster):
        return f"the statement with roster {roster.version} is about something else"
    try:
        member = signer(who, link.signed)
    except Refused:
        return f"roster {roster.version} is not signed by an approver of the one before it"
    if member.manages or (before.roster is not None and _has_only_another_passphrase(member, before.roster, roster)):
        return ""
    return f"{member.name}, who signed roster {roster.version}, may not change rosters"


def _has_only_another_passphrase(member: Member, before: Roster, after: Roster) -> bool:
    """Whether all that a roster changes is the passphrase of who signed it: that is everybody's own to change."""
    now = after.member(member.name)
    if (
        now is None
        or now == member
        or [each.kind for each in now.credentials] != [each.kind for each in member.credentials]
    ):
        return False
    kept = [
        then if isinstance(then, PassphraseKey) else each
        for then, each in zip(member.credentials, now.credentials, strict=True)
    ]
    as_before = [now.changed(credentials=tuple(kept)) if each == now else each for each in after.members]
    return tuple(as_before) == before.members


def _says(signed: SignedStatement, roster: Roster) -> bool:
    said = signed.statement
    about = (said.purpose, said.digest, said.decision, said.mode, said.account, said.operation)
    return about == (Purpose.ROSTER, roster.digest, CHANGE, None, None, "")
