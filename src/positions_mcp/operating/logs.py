"""How everything is logged, to standard error: in words for a person, or as JSON, one line an event.

JSON is for machines that keep it for long: no amount, key or token is in it, and callers are hashes.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

Format = Literal["text", "json"]
ABOUT: ContextVar[Mapping[str, Any] | None] = ContextVar("about", default=None)
"""What is known of the request that is being answered: its id, and its caller's hash once that is known."""

_OURS = "positions_mcp"
_SECRET = re.compile(
    r"(?i)(bearer\s+)\S+|\bpmcp_[\w-]+|\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?|(?<=://)[^/@\s]+(?=@)|"
    r"((?:password|secret|token|api_?key)\s*[=:]\s*)\S+"
)
_AMOUNT = re.compile(r"(?<![\w.])[-+]?(?:\$\s?\d[\d,]*(?:\.\d+)?|\d[\d,]*\.\d+|\d[\d,]*(?=\s*dollars?\b))(?![\w.])")
_LONGEST = 2_000


def log_to_stderr(form: Format = "text") -> None:
    """In words warnings only; as JSON also what this program does."""
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        handler.setFormatter(JsonLines())
        logging.getLogger(_OURS).setLevel(logging.INFO)
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class JsonLines(logging.Formatter):
    """One JSON object a record, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "from": record.name,
            "event": without_secrets(record.getMessage()),
            **(ABOUT.get() or {}),
            **getattr(record, "said", {}),
        }
        if record.exc_info:
            line["exception"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=True)


def without_secrets(text: str) -> str:
    """A text of anybody's without keys, tokens and amounts."""
    scrubbed = _SECRET.sub(lambda found: f"{found[1] or found[2] or ''}[secret]", text)
    return _AMOUNT.sub("[amount]", scrubbed)[:_LONGEST]
