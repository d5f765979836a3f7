"""Nothing but an identifier becomes one."""

from __future__ import annotations

from typing import Any

import pytest

from positions_mcp.domain import ids
from positions_mcp.domain.errors import InvalidInput, UnsafeIdentifier

UUID = "A1A2A3A4-B1B2-C1C2-D1D2-D3D4D5D6D7D8"
HOSTILE = [
    ".",
    "..",
    "",
    " ",
    "instructions",
    "a/b",
    "%2e%2e",
    "AAPL",
    f"{UUID}/",
    f" {UUID}",
    f"{UUID}\n",
    "x" * 10_000,
]


@pytest.mark.requirement("G-08")
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_identifier_is_refused_in_a_short_message(text: str) -> None:
    for check in (ids.instrument_id, ids.instruction_id, ids.order_id):
        with pytest.raises(UnsafeIdentifier) as caught:
            check(text)
        assert len(str(caught.value)) < 150


@pytest.mark.requirement("G-08")
def test_an_id_is_a_uuid_in_lower_case_and_never_the_nil_one() -> None:
    assert ids.instrument_id(UUID) == UUID.lower()
    with pytest.raises(UnsafeIdentifier):
        ids.instruction_id(ids.NIL_UUID)


@pytest.mark.parametrize("value", [0, -1, 2**63, True, "19816", 1.0, None])
def test_an_account_is_a_positive_integer(value: Any) -> None:
    with pytest.raises(InvalidInput):
        ids.account_id(value)
    assert ids.account_id(19816) == 19816
