"""What the first answer over standard input and output has to wait for, and what it has not.

The SDK imports its client and its HTTP half wherever it serves, and builds a validator of every message in
both forms of the protocol. A conversation over standard streams needs none of the first and a few of the second, and
a host waits for all of it at every start. For a process that serves HTTP there is nothing to defer.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, cast

from positions_mcp.lazy_imports import LazyImports

if TYPE_CHECKING:
    from types import ModuleType

NOT_FOR_STANDARD_STREAMS = (
    "httpx2",
    "mcp.client",
    "mcp.server.auth.middleware",
    "mcp.server.auth.routes",
    "mcp.server.sse",
    "mcp.server.streamable_http",
    "mcp.server.streamable_http_manager",
    "mcp.server.transport_security",
    "starlette",
)
_HANDLER_OF_LOGS = "rich"
"""Where it is installed the SDK makes a handler of it, and leaves the logs to the one that there is already."""


@contextmanager
def importing_what_answers_first() -> Iterator[None]:
    """Import the SDK and build the server inside this; the rest is imported when it is used."""
    with LazyImports(*NOT_FOR_STANDARD_STREAMS), _without(_HANDLER_OF_LOGS):
        with suppress(ImportError):  # a release of the SDK that has it elsewhere starts as fast as it does by itself
            from mcp_types._wire_base import WireModel

            WireModel.model_config["defer_build"] = True
        yield


@contextmanager
def _without(module: str) -> Iterator[None]:
    """Say that a module is not installed, unless it is imported already."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = cast("ModuleType", None)
    try:
        yield
    finally:
        del sys.modules[module]


def warm_up(*, live: bool = False) -> None:
    """Import and fill what the first answers need, in the order in which they need it; run in a thread.

    What only reads needs no store and no desk: those come last. `live`: nothing is asked of a paper exchange.
    """
    import positions_mcp.api._direct
    from positions_mcp.clock import SystemClock
    from positions_mcp.market_calendar import NewYorkCalendar
    from positions_mcp.tools.catalogue import NAMES, definition_of

    if not live:
        import positions_mcp.api._by_httpx
    import positions_mcp.tools._running  # what every call goes through

    NewYorkCalendar().state_at(SystemClock().now())
    for name in NAMES:
        definition_of(name)
    import platformdirs  # noqa: F401 — used when the parts are opened

    import positions_mcp.store.operations  # noqa: F401

    gc.freeze()  # what was imported is there to stay: one look through it takes a tenth of a second of everybody's time
