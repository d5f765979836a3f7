"""What the journal says of single values, rosters and mandates, gathered while its common chain is walked.

A process keeps this beside the place up to which it has walked the chain. So a halt, a roster or a use of a mandate
that is taken out of the tables, or out of the journal, is still known to every process that has seen it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from positions_mcp.store import journal
from positions_mcp.store.journal import COMMON, Head
from positions_mcp.store.tallies import Tallies

ANCHOR, CHECKPOINT = "chains anchored", "checkpoint"
PASSKEYS = "passkeys"
APPROVER_SET, ROSTER_SET = "approver set", "roster set"
VALUE_EVENTS = {
    "halt": ("halted", "resumed"),
    "approver": (APPROVER_SET,),
    "roster": (ROSTER_SET,),
    PASSKEYS: ("passkey used",),
}
"""The journal's events that set each single value."""
_KEYS = {event: key for key, events in VALUE_EVENTS.items() for event in events}


class ValueEntry(NamedTuple):
    """An entry about a single value."""

    sequence: int
    hash: str
    digest: str | None


class Known:
    """All of it. It is replaced and never changed, so that who reads it meanwhile sees one moment."""

    def __init__(self, tallies: Tallies | None = None, values: Mapping[str, ValueEntry] | None = None) -> None:
        self.tallies = tallies or Tallies()
        self.values = dict(values or {})
        """The last entry about each single value, and what it says of it."""
        self.told: dict[str, tuple[str, ...]] = {APPROVER_SET: (), ROSTER_SET: ()}
        """What every entry about who may decide says, oldest first."""
        self.anchored: dict[str, Head] = {}
        """Where each account's chain ended when it was last anchored."""
        self.anchored_at: datetime | None = None
        self.floor = 0
        """The checkpoint that this began at: entries up to there were not looked at one by one."""

    def digest(self, key: str) -> str | None:
        """What the last entry about a value says of it; None where there is none."""
        return self.values[key].digest if key in self.values else None

    def copy(self) -> Known:
        other = Known(self.tallies.copy(), self.values)
        other.told, other.floor = dict(self.told), self.floor
        other.anchored, other.anchored_at = dict(self.anchored), self.anchored_at
        return other

    def take(self, entry: journal.Entry) -> None:
        """Take in an entry of the common chain whose place was checked."""
        if entry.operation_id is not None:
            return
        if key := _KEYS.get(entry.event):
            self.values[key] = ValueEntry(entry.sequence, entry.hash, entry.state_digest)
            if entry.event in self.told:
                self.told[entry.event] = (*self.told[entry.event], entry.content)
        elif entry.event in (ANCHOR, CHECKPOINT):
            self.anchored |= heads_in(json.loads(entry.content))
            self.anchored_at = datetime.fromisoformat(entry.at)
        else:
            self.tallies.take(entry)

    def moved(self, heads: Mapping[str, Head]) -> dict[str, Head]:
        """The accounts' chains that end elsewhere than they did when they were last anchored."""
        return {chain: head for chain, head in heads.items() if chain != COMMON and head != self.anchored.get(chain)}

    def dump(self, now: datetime) -> dict[str, Any]:
        """As a checkpoint holds it; of mandates those that may still matter."""
        values = {key: list(told) for key, told in self.values.items()}
        return {"values": values, "mandates": self.tallies.dump(now)}

    @classmethod
    def load(cls, connection: Connection, checkpoint: journal.Entry) -> Known:
        """As a checkpoint holds it. Who may decide is read from the entries before: each was signed, the last digested.

        Raises KeyError, TypeError or ValueError where it holds something else.
        """
        content, number = json.loads(checkpoint.content), checkpoint.sequence
        values = {key: ValueEntry(*told) for key, told in content["known"]["values"].items()}
        known = cls(Tallies.load(content["known"]["mandates"], number), values)
        told = journal.contents(connection, tuple(known.told), number)
        known.told, known.floor = {event: tuple(texts) for event, texts in told.items()}, number
        known.take(checkpoint)
        return known


def heads_in(content: Mapping[str, Any]) -> dict[str, Head]:
    """Where an anchor, or a checkpoint, says that chains ended."""
    return {chain: Head(*head) for chain, head in content["heads"].items()}
