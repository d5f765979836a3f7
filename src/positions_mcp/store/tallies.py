"""What the journal says of mandates, gathered while its chain is walked: how each stands, and every use of it.

A process keeps this beside the place up to which it has walked the chain. So a use that is taken out of the tables, or
out of the journal, is still known to every process that has seen it, and what is added to the journal against the
order of a mandate's life makes that mandate useless.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from positions_mcp.domain.operation.mandate import Mandate
from positions_mcp.store.journal import Entry, digest_of

DRAFTED, SIGNED, REVOKED, USED = "mandate drafted", "mandate signed", "mandate revoked", "mandate used"
_EVENTS = frozenset({DRAFTED, SIGNED, REVOKED, USED})
_OVER_FOR = timedelta(days=30)
"""A checkpoint leaves out mandates that have ended so long ago."""


@dataclass(slots=True)
class Tally:
    """One mandate, as the journal has it."""

    mandate: Mandate
    uses: int = 0
    digest: str = ""
    """Of every use, one after the other."""
    is_broken: bool = False
    """Whether an entry about it cannot have followed those before it."""

    def matters_at(self, now: datetime) -> bool:
        """Whether something may still be signed, or sent, under it."""
        window, revoked = self.mandate.window, self.mandate.revoked
        ends = window.ends if window else revoked.at if revoked else None
        return ends is None or ends > now - _OVER_FOR

    @property
    def dump(self) -> dict[str, Any]:
        """As a checkpoint holds it."""
        record = self.mandate.model_dump(mode="json")
        return {"record": record, "uses": self.uses, "digest": self.digest, "broken": self.is_broken}


class Tallies:
    """Every mandate of a store, by its id."""

    def __init__(self) -> None:
        self._of: dict[str, Tally] = {}
        self._seen = 0

    def copy(self) -> Tallies:
        other = Tallies()
        other._of = {key: replace(tally) for key, tally in self._of.items()}
        other._seen = self._seen
        return other

    def dump(self, now: datetime) -> list[dict[str, Any]]:
        """As a checkpoint holds it: the mandates that may still matter."""
        return [tally.dump for _, tally in sorted(self._of.items()) if tally.matters_at(now)]

    @classmethod
    def load(cls, dumped: Sequence[dict[str, Any]], sequence: int) -> Tallies:
        """From a checkpoint. Raises KeyError, TypeError or ValueError where it holds something else."""
        tallies = cls()
        tallies._seen = sequence
        for each in dumped:
            mandate = Mandate.model_validate(each["record"])
            tallies._of[mandate.mandate_id] = Tally(mandate, each["uses"], each["digest"], each["broken"])
        return tallies

    def of(self, mandate_id: str) -> Tally | None:
        """What the journal says of a mandate; None where it says nothing."""
        return self._of.get(mandate_id)

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(self._of)

    def take(self, entry: Entry) -> None:
        """Take in an entry whose place in the chain was checked. One that was taken in before changes nothing."""
        if entry.sequence <= self._seen:
            return
        self._seen = entry.sequence
        if entry.operation_id is None and entry.event in _EVENTS:
            content = json.loads(entry.content)
            mandate_id = content.get("mandate")
            if isinstance(mandate_id, str):
                self._follow(mandate_id, entry.event, content)

    def _follow(self, mandate_id: str, event: str, content: dict[str, Any]) -> None:
        tally = self._of.get(mandate_id)
        if event == USED:
            self._use(tally, content)
            return
        try:
            after = Mandate.model_validate(content.get("record"))
        except ValidationError:
            after = None
        if tally is None:
            if after is not None and event == DRAFTED and after.is_draft and after.mandate_id == mandate_id:
                self._of[mandate_id] = Tally(after)
        elif after is not None and follows(tally.mandate, after, event):
            tally.mandate = after
        else:
            tally.is_broken = True

    @staticmethod
    def _use(tally: Tally | None, content: dict[str, Any]) -> None:
        if tally is None:
            return
        use, before = content.get("use"), tally.mandate
        may_be_used = before.signed is not None and before.revoked is None
        if may_be_used and isinstance(use, dict) and use.get("number") == tally.uses + 1:
            tally.uses += 1
            tally.digest = next_digest(tally.digest, use)
        else:
            tally.is_broken = True


def follows(before: Mandate, after: Mandate, event: str) -> bool:
    """Whether a mandate can have become another record by an event."""
    bare = before.changed(window=None, signed=None, revoked=None)
    if bare != after.changed(window=None, signed=None, revoked=None):
        return False
    if event == SIGNED:
        return before.is_draft and after.signed is not None and after.revoked is None
    same = (before.window, before.signed) == (after.window, after.signed)
    return event == REVOKED and same and before.revoked is None and after.revoked is not None


def next_digest(digest: str, use: dict[str, Any]) -> str:
    """The digest of every use, with one more."""
    return digest_of([digest, use])
