"""Which accounts a signed-in caller may use, and which scopes of its token count, by the token's claims."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from positions_mcp.domain.ids import AccountId
from positions_mcp.tools._scopes import Scope


@dataclass(frozen=True, slots=True)
class Right:
    """What everybody has whose token says `value` in `claim`."""

    name: str
    claim: str
    value: str
    accounts: frozenset[AccountId]
    scopes: frozenset[Scope] = frozenset(Scope)

    def is_of(self, claims: Mapping[str, Any]) -> bool:
        """Whether a token says so: the claim is the value, or a list with it."""
        said = claims.get(self.claim)
        return self.value in said if isinstance(said, list) else said == self.value


@dataclass(frozen=True, slots=True)
class Granted:
    """What a caller may use here."""

    accounts: frozenset[AccountId]
    scopes: frozenset[Scope]
    rights: tuple[str, ...]
    """What the rights are called, sorted: limits go by them."""


def granted(rights: Sequence[Right], claims: Mapping[str, Any], scopes: Collection[str]) -> Granted:
    """The accounts of every right that a token has, and of its scopes those that one of them allows."""
    theirs = [right for right in rights if right.is_of(claims)]
    allowed = frozenset[Scope]().union(*(right.scopes for right in theirs))
    return Granted(
        frozenset[AccountId]().union(*(right.accounts for right in theirs)),
        frozenset(each for each in Scope if each in allowed and each in scopes),
        tuple(sorted(right.name for right in theirs)),
    )
