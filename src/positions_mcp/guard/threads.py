"""Running what blocks, such as the store, beside the event loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio.to_thread

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `function` in a worker thread. A cancelled caller still waits for it: a write is never left half known."""
    return await anyio.to_thread.run_sync(partial(function, *args, **kwargs))
