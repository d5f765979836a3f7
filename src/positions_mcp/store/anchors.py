"""Anchors and checkpoints: entries of the common chain that say where every account's chain ended.

They are written while nobody else writes, so that at an anchor every entry of a lower number stands. An anchor names
the chains that have moved since the one before: an account's past that is cut off or written anew contradicts it. A
checkpoint names all of them, and what the common chain says by then of values and mandates: a process begins there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from positions_mcp.domain.operation.plan import canonical_json
from positions_mcp.store import journal, keeping
from positions_mcp.store.journal import COMMON, Head
from positions_mcp.store.known import ANCHOR, CHECKPOINT, Known, heads_in

if TYPE_CHECKING:
    from positions_mcp.store.transaction import Transaction

_LATEST = "checkpoint"
"""The name of the value that says where the latest checkpoint stands."""


def is_checkpoint(entry: journal.Entry) -> bool:
    """Whether a process may begin at this entry of the common chain."""
    return entry.event == CHECKPOINT and entry.operation_id is None


def write_anchor(transaction: Transaction, heads: Mapping[str, Head], known: Known, now: datetime) -> None:
    """Say where the chains end that have moved since the last anchor."""
    if moved := known.moved(heads):
        transaction.append_alone(ANCHOR, _told(moved), now)


def write_checkpoint(transaction: Transaction, heads: Mapping[str, Head], known: Known, now: datetime) -> None:
    """Say where all chains end, and what is known by then."""
    transaction.append_alone(CHECKPOINT, _told(heads) | {"known": known.dump(now)}, now)
    keeping.put(transaction.connection, _LATEST, str(transaction.written[-1].sequence))


def latest_checkpoint(connection: Connection) -> tuple[dict[str, Head], Known] | None:
    """Where the chains ended at the latest checkpoint, and what was known. Raises StoreUnavailable where it is no more.

    It is found by a note beside the journal. Where that names an older one, or none, there is only more to walk.
    """
    noted = keeping.get(connection, _LATEST)
    if noted is None:
        return None
    row = journal.entry_at(connection, int(noted)) if noted.isdecimal() else None
    if row is None or row.chain != COMMON or not is_checkpoint(row) or journal.hash_of(row) != row.hash:
        raise journal.broken(f"the checkpoint at entry {noted:.20} was altered")
    heads = heads_in(json.loads(row.content))
    return heads | {COMMON: heads[COMMON].then(row)}, Known.load(connection, row)


def expect_right(entry: journal.Entry, heads: Mapping[str, Head], known: Known) -> None:
    """Raise StoreUnavailable where an anchor or a checkpoint contradicts the entries before it."""
    if entry.operation_id is not None or entry.event not in (ANCHOR, CHECKPOINT):
        return
    content = json.loads(entry.content)
    said = heads_in(content)
    if differing := sorted(chain for chain, head in said.items() if heads.get(chain, Head()) != head):
        raise journal.broken(f"the chain of {differing[0] or 'no account'} is not what entry {entry.sequence} anchors")
    if is_checkpoint(entry):
        whole = _told(heads) | {"known": known.dump(datetime.fromisoformat(entry.at))}
        if canonical_json(whole) != canonical_json(content):
            raise journal.broken(f"the checkpoint at entry {entry.sequence} is not what was known then")


def _told(heads: Mapping[str, Head]) -> dict[str, Any]:
    return {"heads": {chain: list(head) for chain, head in heads.items()}}
