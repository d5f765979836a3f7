"""Everything is tried in both protocol eras."""

from __future__ import annotations

import pytest

from trading import ERAS


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    """The protocol era that a client asks for."""
    return str(request.param)
