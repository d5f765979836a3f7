"""Whether real money can move."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """PAPER runs on the embedded exchange and cannot reach a real account; LIVE talks to Clear Street."""

    PAPER = "paper"
    LIVE = "live"

    @property
    def label(self) -> str:
        """How answers, plans and questions say it: in capitals, so that it is never overlooked."""
        return self.value.upper()
