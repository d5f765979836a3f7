"""Cash-settled index options by their root: what is known of them where the API says nothing.

Reviewed on 27 November 2026 against the product specifications that the listing exchanges publish (Cboe: SPX, XSP, OEX,
XEO, DJX, RUT and VIX; Nasdaq: NDX and XND). A root that is not here is not known, which is not the same as settled in
shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from positions_mcp.domain.enums import ExerciseStyle

REVIEWED: Final = date(2026, 11, 27)
"""When the list was last gone through."""


class SettlesAt(StrEnum):
    """Which level settles the option on its expiration day."""

    OPEN = "open"
    """AM settlement, by the opening prices of the index's components; the last session is the one before."""
    CLOSE = "close"
    """PM settlement, by the closing level of the expiration day."""


@dataclass(frozen=True, slots=True)
class IndexRoot:
    """The options under one root: on which index, exercised when, settled by which level, and who publishes so."""

    root: str
    index: str
    settles_at: SettlesAt
    source: str
    style: ExerciseStyle = ExerciseStyle.EUROPEAN


_CBOE, _NASDAQ = "Cboe product specifications", "Nasdaq product specifications"

_LISTED = (
    IndexRoot("SPX", "SPX", SettlesAt.OPEN, _CBOE),
    IndexRoot("SPXW", "SPX", SettlesAt.CLOSE, _CBOE),
    IndexRoot("XSP", "XSP", SettlesAt.CLOSE, _CBOE),
    IndexRoot("NDX", "NDX", SettlesAt.OPEN, _NASDAQ),
    IndexRoot("NDXP", "NDX", SettlesAt.CLOSE, _NASDAQ),
    IndexRoot("XND", "XND", SettlesAt.CLOSE, _NASDAQ),
    IndexRoot("RUT", "RUT", SettlesAt.OPEN, _CBOE),
    IndexRoot("RUTW", "RUT", SettlesAt.CLOSE, _CBOE),
    IndexRoot("MRUT", "MRUT", SettlesAt.CLOSE, _CBOE),
    IndexRoot("DJX", "DJX", SettlesAt.OPEN, _CBOE),
    IndexRoot("VIX", "VIX", SettlesAt.OPEN, _CBOE),
    IndexRoot("VIXW", "VIX", SettlesAt.OPEN, _CBOE),
    IndexRoot("OEX", "OEX", SettlesAt.CLOSE, _CBOE, ExerciseStyle.AMERICAN),
    IndexRoot("XEO", "OEX", SettlesAt.CLOSE, _CBOE),
)

INDEX_ROOTS: Final = {each.root: each for each in _LISTED}
"""By root, as OSI symbols write it."""
