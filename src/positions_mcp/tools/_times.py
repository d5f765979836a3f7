"""How times are said: every one with its zone, which is New York's."""

from __future__ import annotations

from datetime import datetime

from positions_mcp.domain.account.sessions import NEW_YORK


def moment(instant: datetime) -> str:
    """An instant to the second: `2026-11-20 10:30:00 New York`."""
    return f"{instant.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S} New York"
