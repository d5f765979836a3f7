"""The keys by which the servers of a store seal what a client carries from one of them to another.

A new key is made once a day and seals only when every server has had time to read it; an old one opens what it sealed
for as long as that is good for anything. They decide nothing: what is sealed is the name of a plan.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from positions_mcp.store import keeping
from positions_mcp.store.access import Access

KNOWN_AFTER = timedelta(minutes=2)
"""By when every server has read a new key: they read several times a minute."""
ROTATED_AFTER = timedelta(days=1)
OPENS_FOR = timedelta(minutes=20)
"""How long a key opens what it sealed last: twice as long as anything sealed is good for."""
_KEYS = "request_state_keys"


class Sealing(Access):
    """The part of the operation store that keeps them."""

    def sealing_keys(self, now: datetime) -> tuple[str, ...]:
        """The one that seals now, and then all others that open. Makes and forgets what is due."""
        with self._reading() as connection:
            kept = _read(connection)
        if _brought_up(kept, now) != [made_at for _, made_at in kept]:
            with self._writing() as transaction:
                now, kept = transaction.at(now), _read(transaction.connection)
                made = {made_at: key for key, made_at in kept}
                kept = [(made.get(each) or secrets.token_hex(32), each) for each in _brought_up(kept, now)]
                told = json.dumps([{"key": key, "made_at": made_at.isoformat()} for key, made_at in kept])
                keeping.put(transaction.connection, _KEYS, told)
        sealing = next((key for key, made_at in reversed(kept) if made_at + KNOWN_AFTER <= now), kept[0][0])
        return sealing, *(key for key, _ in kept if key != sealing)


def _brought_up(kept: Sequence[tuple[str, datetime]], now: datetime) -> list[datetime]:
    """When each key was made that there has to be now, oldest first."""
    times = [made_at for _, made_at in kept]
    if not times or times[-1] + ROTATED_AFTER <= now:
        times.append(now)
    return [at for at, after in zip(times, [*times[1:], now], strict=True) if after + KNOWN_AFTER + OPENS_FOR > now]


def _read(connection: Connection) -> list[tuple[str, datetime]]:
    stored = keeping.get(connection, _KEYS)
    try:
        found: Any = json.loads(stored) if stored else []
        return [(str(each["key"]), datetime.fromisoformat(each["made_at"])) for each in found]
    except (ValueError, KeyError, TypeError):
        return []  # then they are made anew: whoever was asked is asked again
