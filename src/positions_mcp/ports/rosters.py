"""Who may decide, as a store keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from positions_mcp.domain.operation.credentials import Passkey
    from positions_mcp.domain.operation.operation import Operation
    from positions_mcp.domain.operation.roster import RosterLink
    from positions_mcp.domain.operation.statements import PasskeyAssertion, SignedStatement


class RosterStore(Protocol):
    """The rosters, each signed by who could change the one before it, and yeses that wait for a second person."""

    def set_roster(self, link: RosterLink, now: datetime) -> None:
        """Keep who may decide. Raises Refused where it does not follow, or was not signed by who may change it."""

    def count_passkey(self, passkey: Passkey, assertion: PasskeyAssertion, now: datetime) -> None:
        """Note the count of a passkey that was used to sign in. Raises Refused where it did not grow: it was copied."""

    def say_yes_first(
        self, operation_id: str, signed: SignedStatement, now: datetime, *, instead_of: SignedStatement | None
    ) -> Operation:
        """Keep the yes of the first of two people, or one in place of a yes that counts no more.

        Raises Overtaken where another one is there by now, or the operation is decided.
        """
