"""How a listing of an account's positions was read, and what is therefore not known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from positions_mcp.domain.operation.records import said_of_left_out


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a listing of an account's positions was read.

    `consistent` is False when pages contradicted each other even after reading again, `unreadable` counts rows that
    were not positions, and `of_others` rows of another account, which are left out: with any of these, what the
    account holds is not fully known.
    """

    as_of: datetime
    consistent: bool = True
    unreadable: int = 0
    of_others: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether this is known to be everything the account holds."""
        return self.consistent and not self.unreadable and not self.of_others

    @property
    def doubts(self) -> list[str]:
        """What is known to be wrong with it, in words; nothing for a complete one."""
        words = said_of_left_out(self.unreadable, self.of_others)
        if not self.consistent:
            words.append(
                "the API's pages contradicted each other even when read again; this may not be everything held"
            )
        return words
