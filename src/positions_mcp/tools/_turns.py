"""Letting others have their turn between the pieces of work that takes long."""

from __future__ import annotations

import anyio.lowlevel

_TURNS = 6
"""Of the event loop: a short call needs several to get on by one request or answer."""


async def give_way() -> None:
    """Let whatever else is ready run, several steps of it. Costs next to nothing where nothing is."""
    for _ in range(_TURNS):
        await anyio.lowlevel.checkpoint()
