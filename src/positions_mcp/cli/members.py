"""Who may decide, in lines for a person and as JSON for a program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.operation.roster import ANYTHING, Member, Rights, Roster
from positions_mcp.domain.operation.statements import Credential, Passkey
from positions_mcp.domain.text import clean
from positions_mcp.signing.rosters import RosterChain


def lines_of(member: Member) -> Iterator[str]:
    """A member with what they decide with and how much."""
    yield f"{member.name}{', may change who approves' if member.manages else ''}"
    for credential in member.credentials:
        at = f" at {credential.origin}" if isinstance(credential, Passkey) else ""
        yield f"  {credential.kind} {credential.fingerprint}{at}, since {moment(credential.created_at)}"
    for rights in member.rights:
        yield f"  {said_of(rights)}"
    if member.callers:
        yield f"  asks as {', '.join(clean(each, 200) for each in member.callers)}"


def said_of(rights: Rights) -> str:
    """One line on what somebody may do where."""
    where = "every account" if rights.account_id is None else f"account {rights.account_id}"
    if rights.approves == ANYTHING:
        what = "approves anything"
    else:
        what = f"approves up to ${rights.approves:,f} a day" if rights.approves else "sees"
    return f"{where}: {what}{', ends halts and settles' if rights.resumes_and_settles else ''}"


def lines_of_change(before: Roster, after: Roster) -> Iterator[str]:
    """What another roster changes: each member who is new or other than before, and those who are gone."""
    for member in after.members:
        if member not in before.members:
            yield from lines_of(member)
    for member in before.members:
        if after.member(member.name) is None:
            yield f"{member.name} decides no more."


def shape_of(chain: RosterChain, place: str) -> dict[str, Any]:
    """Everybody who may decide, for a program."""
    signed = chain.links[-1].signed if chain.links else None
    return {
        "place": place,
        "roster": chain.roster.version if chain.roster else 0,
        "signed_by": signed.by if signed else "",
        "signed_at": signed.statement.decided_at if signed else None,
        "members": [_shape(member) for member in (chain.roster.members if chain.roster else ())],
    }


def _shape(member: Member) -> dict[str, Any]:
    return {
        "name": member.name,
        "manages": member.manages,
        "callers": list(member.callers),
        "credentials": [_shape_of_credential(each) for each in member.credentials],
        "rights": [
            {
                "account_id": rights.account_id,
                "approves": rights.approves,
                "resumes_and_settles": rights.resumes_and_settles,
            }
            for rights in member.rights
        ],
    }


def _shape_of_credential(credential: Credential) -> dict[str, Any]:
    page = {"origin": credential.origin, "label": credential.label} if isinstance(credential, Passkey) else {}
    said = {"kind": credential.kind, "fingerprint": credential.fingerprint, "created_at": credential.created_at}
    return said | page
