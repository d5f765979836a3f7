"""Bearer keys: which are let in, and to which accounts."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from positions_mcp.paper.errors import PaperError


@dataclass(frozen=True, slots=True)
class Access:
    """What a key opens. `accounts`: None for every account of the book."""

    accounts: frozenset[int] | None = None

    def to(self, account: int) -> bool:
        return self.accounts is None or account in self.accounts


EVERY_ACCOUNT = Access()


class KeyRing:
    """Keys as they are configured: `KEY`, or `KEY:ACCOUNT`; a key that is given with several accounts opens each."""

    def __init__(self, keys: Sequence[str]) -> None:
        found: dict[str, frozenset[int] | None] = {}
        for text in keys:
            key, accounts = _read(text)
            before = found.get(key, frozenset())
            found[key] = None if accounts is None or before is None else before | accounts
        self._access = {key.encode(): Access(accounts) for key, accounts in found.items()}

    @property
    def first(self) -> str:
        return next(iter(self._access)).decode()

    @property
    def accounts(self) -> frozenset[int]:
        return frozenset(number for access in self._access.values() for number in access.accounts or ())

    def access(self, key: str) -> Access | None:
        """What a key opens; None if it is not known. Takes as long for a wrong key as for a right one."""
        matches = [access for known, access in self._access.items() if hmac.compare_digest(key.encode(), known)]
        return matches[0] if matches else None


def _read(text: str) -> tuple[str, frozenset[int] | None]:
    key, colon, account = text.rpartition(":")
    if not colon:
        key, account = text, ""
    if not key or not key.isascii() or any(letter.isspace() for letter in key):
        raise PaperError("a key is KEY or KEY:ACCOUNT, of letters, digits and dots, such as paper.key:19816")
    if not colon:
        return key, None
    if not (account.isascii() and account.isdigit() and int(account) > 0):
        raise PaperError(f"the account of a key is a number above zero, not {account!r}")
    return key, frozenset({int(account)})
