"""The machine's own clock and identifiers: the production ends of `ports.Clock` and `ports.Ids`."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime


class SystemClock:
    """Implements `positions_mcp.ports.Clock` with the machine's time, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class RandomIds:
    """Implements `positions_mcp.ports.Ids` with random version 4 UUIDs."""

    def new(self) -> str:
        return str(uuid.uuid4())
