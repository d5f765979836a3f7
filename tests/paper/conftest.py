"""Fixtures of the paper exchange's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from beginnings import begin_book
from paper.support import MONDAY_MORNING, Opening, SettableClock
from positions_mcp.paper import PaperExchange

PACKAGED = ("demo", "rough", "expiry", "empty")
"""Scenarios that are loaded once in a process, and copied."""
LOADED_BY = {"clock", "ids", "calendar", "accounts", "day", "seed"}
"""What the loading of a scenario goes by as well."""


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(MONDAY_MORNING)


@pytest.fixture
def opened(tmp_path: Path, clock: SettableClock) -> Iterator[Opening]:
    """Opens exchanges on one book in the test's directory, and closes them afterwards."""
    exchanges: list[PaperExchange] = []

    def open_exchange(scenario: str | None = "demo", **options: Any) -> PaperExchange:
        settings: dict[str, Any] = {"clock": clock, "data_dir": tmp_path / "data", **options}
        if scenario in PACKAGED and not LOADED_BY & options.keys():
            begin_book(settings["data_dir"], scenario, clock)
        exchanges.append(PaperExchange.open(settings.pop("data_dir"), scenario=scenario, **settings))
        return exchanges[-1]

    yield open_exchange
    for exchange in exchanges:
        exchange.close()
