"""What was asked and answered in the demo, as JSON lines for whoever wants to count or compare it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Transcript:
    """Appends one line for each question to a file; without a file it keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        if path is not None:
            path.write_text("", encoding="utf-8")

    def add(self, step: Mapping[str, Any]) -> None:
        """Write one step: question, tool, arguments, what the person was asked and said, text, structured content."""
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(step, ensure_ascii=False) + "\n")
