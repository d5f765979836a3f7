"""The event loop of a server: uvloop's where it is installed, which is everywhere but on Windows."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TypeVarTuple, Unpack

import anyio

Given = TypeVarTuple("Given")


def serve(function: Callable[[Unpack[Given]], Awaitable[None]], *given: *Given) -> None:
    """As `anyio.run`, in the fastest event loop there is: a server spends a tenth of its time in it."""
    is_there = sys.platform != "win32" and find_spec("uvloop") is not None
    anyio.run(function, *given, backend_options={"use_uvloop": is_there})
