"""Signing a statement, and finding out who signed one."""

from __future__ import annotations

from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.roster import Member, Roster
from positions_mcp.domain.operation.statements import (
    Credential,
    KeySignature,
    Passkey,
    PasskeyAssertion,
    PassphraseKey,
    SignedStatement,
    Statement,
)
from positions_mcp.signing import keys, passkeys
from positions_mcp.signing.keys import Unlocked


class NotSigned(Refused):
    """No member of the roster signed it."""


def sign(statement: Statement, unlocked: Unlocked) -> SignedStatement:
    """The statement with the signature of a passphrase's key."""
    return SignedStatement(statement=statement, signature=KeySignature(signature=unlocked.sign(statement.canonical)))


def signer(roster: Roster, signed: SignedStatement) -> Member:
    """The member who signed it. Raises NotSigned where none did, or another one than it names."""
    said = signed.statement
    found = roster.holder_of(said.credential)
    if found is None:
        raise NotSigned(
            f"What {signed.by} signed is not signed by an approver of the roster.", hint="Nothing was sent."
        )
    member, credential = found
    if member.name != said.name or not _is_by(credential, signed):
        raise NotSigned(f"The signature of {signed.by} is not theirs.", hint="Nothing was sent.")
    return member


def _is_by(credential: Credential, signed: SignedStatement) -> bool:
    match credential, signed.signature:
        case PassphraseKey(), KeySignature():
            return keys.verifies(credential.public_key, signed.signature.signature, signed.statement.canonical)
        case Passkey(), PasskeyAssertion():
            return passkeys.verifies(credential, signed.statement, signed.signature)
        case _:
            return False
