"""What a browser is asked for, so that a passkey is made or signs: options in the JSON form that browsers read."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from positions_mcp.desk.offers import PATIENCE
from positions_mcp.domain.operation.statements import Passkey, Statement, relying_party_of
from positions_mcp.signing.passkeys import ALGORITHMS, encoded

_TIMEOUT_MS = int(PATIENCE.total_seconds() * 1000)
_TITLE = "Positions desk"


def to_sign(statement: Statement, passkey: Passkey) -> dict[str, Any]:
    """For `navigator.credentials.get()`: one statement, one passkey, the person verified."""
    return to_prove(statement.challenge, [passkey])


def to_prove(challenge: bytes, passkeys: Sequence[Passkey]) -> dict[str, Any]:
    """For `navigator.credentials.get()`, that one of somebody's passkeys is there, with its owner verified."""
    return {
        "challenge": encoded(challenge),
        "rpId": relying_party_of(passkeys[0].origin),
        "allowCredentials": [_named(passkey) for passkey in passkeys],
        "userVerification": "required",
        "timeout": _TIMEOUT_MS,
    }


def to_make(challenge: bytes, name: str, origin: str, held: Sequence[Passkey]) -> dict[str, Any]:
    """For `navigator.credentials.create()`. A device that has one of those that are `held` makes no second one."""
    return {
        "challenge": encoded(challenge),
        "rp": {"id": relying_party_of(origin), "name": _TITLE},
        # A new handle each time: with one that it knows, a device would write over the passkey that it has.
        "user": {"id": encoded(secrets.token_bytes(32)), "name": name, "displayName": name},
        "pubKeyCredParams": [{"type": "public-key", "alg": algorithm} for algorithm in ALGORITHMS],
        "excludeCredentials": [_named(passkey) for passkey in held],
        "authenticatorSelection": {"userVerification": "required", "residentKey": "preferred"},
        "attestation": "none",
        "timeout": _TIMEOUT_MS,
    }


def _named(passkey: Passkey) -> dict[str, str]:
    return {"type": "public-key", "id": passkey.credential_id}
