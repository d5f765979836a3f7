"""A session with the API kept in a file, one exchange a line: what `positions-mcp paper replay` answers from.

No header is kept, so the key is in no line; what a body repeats of it is taken out before it comes here.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from positions_mcp.api._exchange import Answer, Failure, Request
from positions_mcp.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from positions_mcp.ports import Clock


class Recording:
    """Takes note of every exchange when it is over, in a file that is new and that only its owner can read.

    A line is `{"at", "method", "path", "query"?, "sent"?, "status"?, "body"?, "retry_after"?, "failure"?}`: `body` is
    the text of the answer as it came, `failure` says why there was no whole answer.

    Raises:
        ConfigurationError: the file cannot be made, or is there already.
    """

    def __init__(self, file: Path, clock: Clock, *, reads_only: bool) -> None:
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"{file} cannot be recorded to: {error.strerror}.", hint="Name a file that is not there yet."
            ) from None
        self._lines = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1, newline="\n")
        self._clock = clock
        self._reads_only = reads_only

    def keep(self, request: Request, outcome: Answer | Failure) -> None:
        """Write one line. What moves real money is not recorded."""
        if self._reads_only and request.method != "GET":
            return
        self._lines.write(json.dumps(_line(request, outcome) | {"at": self._clock.now().isoformat()}) + "\n")

    def close(self) -> None:
        """End the file."""
        self._lines.close()


def _line(request: Request, outcome: Answer | Failure) -> dict[str, Any]:
    line: dict[str, Any] = {"method": request.method, "path": request.path, "status": outcome.status}
    line |= {"query": dict(request.query or {}), "sent": request.json}
    if isinstance(outcome, Failure):
        line["failure"] = outcome.reason
    else:
        line |= {"retry_after": outcome.retry_after, "body": outcome.body.decode(errors="replace")}
    return {name: value for name, value in line.items() if value not in (None, {})}
