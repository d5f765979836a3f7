"""What time it is within a transaction."""

from __future__ import annotations

from datetime import datetime, timedelta
from time import monotonic
from typing import NamedTuple

from sqlalchemy import Connection

TOLD = "positions_mcp_told"
"""Where a session notes what the database's clock said, and when by the machine's steady one."""


class ClockSample(NamedTuple):
    """What the database's clock said, and this machine's two clocks when it was asked."""

    now: datetime
    before: datetime
    began: float


def instant(connection: Connection, now: datetime) -> datetime:
    """By the database's clock where that decides, else as its caller says."""
    told = connection.info.get(TOLD)
    return now if told is None else told[0] + timedelta(seconds=monotonic() - told[1])
