"""When Python looks for garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collecting_garbage() -> Iterator[None]:
    """For a while in which what is made is there to stay; it is not looked through later either."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
