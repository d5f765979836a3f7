"""How often each passkey has signed, by its own count: where that does not grow, there are two of it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.statements import Passkey, PasskeyAssertion, SignedStatement
from positions_mcp.ports import Signing
from positions_mcp.signing.passkeys import counted
from positions_mcp.store.known import PASSKEYS
from positions_mcp.store.transaction import Transaction


def use(transaction: Transaction, signed: SignedStatement | None, now: datetime) -> None:
    """Note the count of a signature by a passkey within the transaction that uses it.

    Raises Refused where it did not grow, or the passkey is no longer one of the roster. A passkey that is synchronised
    between devices does not count, and stays at 0.
    """
    if signed is None or not isinstance(signed.signature, PasskeyAssertion):
        return
    roster = transaction.rosters().roster
    _, passkey = (roster and roster.holder_of(signed.statement.credential)) or (None, None)
    if not isinstance(passkey, Passkey):
        raise Refused(f"Passkey {signed.statement.credential} is no approver's any more.", hint="Nothing was decided.")
    count(transaction, passkey, signed.signature, now)


def told(transaction: Transaction, signing: Signing | None, now: datetime) -> dict[str, Any]:
    """What the journal says of a signature that is used now, by who may. Raises as `use`, and what its check raises."""
    if signing is None:
        return {}
    signing.check(transaction)
    use(transaction, signing.signed, now)
    return {"signed": signing.signed.model_dump(mode="json")}


def count(transaction: Transaction, passkey: Passkey, assertion: PasskeyAssertion, now: datetime) -> None:
    """Note how often a passkey says it has signed. Raises Refused where that did not grow."""
    seen: dict[str, int] = json.loads(transaction.single(PASSKEYS) or "{}")
    before, counter = seen.get(passkey.fingerprint, passkey.sign_count), counted(assertion)
    if not before and not counter:
        return
    if counter <= before:
        raise Refused(
            f"Passkey {passkey.fingerprint} says that it signed {counter} times, after {before} before: it was copied, "
            "or its signature was used before.",
            hint="Nothing was decided. Remove that passkey, and look at who has the device.",
        )
    value = json.dumps({**seen, passkey.fingerprint: counter}, sort_keys=True)
    transaction.note("passkey used", PASSKEYS, value, now, {"passkey": passkey.fingerprint, "count": counter})
