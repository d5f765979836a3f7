"""OSI symbols mean the same in every spacing, and nothing else is taken for one."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from positions_mcp.domain.instruments import OptionContract, OptionRight, parse_option_symbol

contracts = st.builds(
    OptionContract,
    root=st.from_regex(r"[A-Z][A-Z0-9]{0,5}", fullmatch=True).filter(lambda root: not root[1:].isdigit()),
    expiration=st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    right=st.sampled_from(OptionRight),
    strike=st.integers(0, 99_999_999).map(lambda thousandths: Decimal(thousandths) / 1000),
)


@given(contracts, st.integers(0, 6), st.booleans())
def test_a_symbol_is_read_in_any_spacing_and_case(contract: OptionContract, spaces: int, lower: bool) -> None:
    root, tail = contract.osi[:6].strip(), contract.osi[6:]
    text = f" {root}{' ' * spaces}{tail} "
    assert parse_option_symbol(text.lower() if lower else text) == contract


@given(contracts)
def test_what_is_written_is_read_back(contract: OptionContract) -> None:
    assert len(contract.osi) == 21
    assert parse_option_symbol(contract.osi) == contract
    assert parse_option_symbol(contract.compact) == contract


@given(st.text(max_size=40))
def test_any_text_is_a_contract_or_none(text: str) -> None:
    contract = parse_option_symbol(text)
    assert contract is None or parse_option_symbol(contract.osi) == contract


@pytest.mark.parametrize(
    "text", ["", "AAPL", "AAPL261332C00195000", "AAPL280121X00195000", "AAPL٢٨٠١٢١C00195000", "\u202eAAPL"]
)
def test_what_is_not_an_osi_symbol_is_none(text: str) -> None:
    assert parse_option_symbol(text) is None


def test_strikes_are_thousandths_and_the_forms_are_those_of_the_api() -> None:
    contract = parse_option_symbol("AAPL  280121C00195000")
    assert contract == OptionContract("AAPL", date(2028, 1, 21), OptionRight.CALL, Decimal(195))
    assert contract.compact == "AAPL280121C00195000"
    with pytest.raises(ValueError, match="multiple of"):
        OptionContract("AAPL", date(2028, 1, 21), OptionRight.CALL, Decimal("0.0001"))
