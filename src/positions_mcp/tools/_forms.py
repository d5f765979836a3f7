"""How long forms were open: what comes back within a blink was not a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

TOO_QUICK_S = 0.25
"""Nobody reads a question and answers it in less."""
_MOST_REMEMBERED = 1000


@dataclass(slots=True)
class Forms:
    """The forms that a server has shown, by operation. `clock` counts seconds."""

    clock: Callable[[], float] = anyio.current_time
    _shown: dict[str, float] = field(default_factory=dict)

    def shown(self, operation_id: str) -> None:
        """A form is shown, perhaps once more."""
        self._shown.pop(operation_id, None)
        if len(self._shown) >= _MOST_REMEMBERED:
            del self._shown[next(iter(self._shown))]
        self._shown[operation_id] = self.clock()

    def answered(self, operation_id: str) -> float | None:
        """Seconds since it was last shown; None where another process, or an earlier life, showed it."""
        shown = self._shown.get(operation_id)
        return None if shown is None else self.clock() - shown


def is_too_quick(seconds: float | None) -> bool:
    """Whether the client answered before a person can have."""
    return seconds is not None and seconds < TOO_QUICK_S
