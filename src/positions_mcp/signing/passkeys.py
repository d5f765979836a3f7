"""Signatures by passkeys (WebAuthn): what a browser gave, checked against a statement."""

from __future__ import annotations

from positions_mcp.domain.operation.credentials import Passkey
from positions_mcp.domain.operation.statements import PasskeyAssertion, Statement


def verifies(passkey: Passkey, statement: Statement, assertion: PasskeyAssertion) -> bool:
    """Whether the passkey signed this statement, at the origin that it names, with the person verified.

    No passkey can be enrolled yet, so none verifies.
    """
    del passkey, statement, assertion
    return False
