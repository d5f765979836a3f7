"""Lengths of time as a person writes them: `300ms`, `2s`, `5m`, `4h` or `1d`."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

LONGEST = timedelta(days=200 * 365)
"""Beyond it there is no instant that the paper clock knows."""
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(ms|s|m|h|d)?", re.ASCII)
_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def duration_of(text: str, *, usual_unit: str = "") -> timedelta | None:
    """The length that a text says, to the millisecond; None where it says none. A number alone has the usual unit."""
    match = _DURATION.fullmatch(text)
    unit = _MILLISECONDS.get((match[2] if match else None) or usual_unit)
    if match is None or unit is None:
        return None
    milliseconds = int(Decimal(match[1]) * unit)
    return timedelta(milliseconds=milliseconds) if milliseconds <= LONGEST // timedelta(milliseconds=1) else None
