"""Whatever an answer calls an instrument is taken back as its name, in every spelling that people write."""

from __future__ import annotations

import pytest

from domain.books import POSITIONS, identifier
from positions_mcp.domain.account.positions import Position
from positions_mcp.domain.errors import InvalidInput, UnknownInstrument
from positions_mcp.domain.instruments import as_asked
from positions_mcp.domain.portfolio.groups import Underlyings
from positions_mcp.domain.portfolio.resolve import Holdings, Spellings, find_underlying
from positions_mcp.domain.text import label
from positions_mcp.guard.kind import checked_name, folded
from positions_mcp.tools._format import names_of

CALL = "AAPL  261218C00245000"
UUID = identifier(1)


def held(symbol: str, number: int = 1, kind: str | None = None) -> Position:
    row = {"account_id": 19816, "instrument_id": identifier(number), "symbol": symbol, "quantity": "1"}
    return POSITIONS.validate_python(row | {"instrument_type": kind})


@pytest.mark.requirement("T-02")
@pytest.mark.parametrize(
    "asked",
    [
        CALL,
        "AAPL261218C00245000",
        "aapl 261218c00245000",
        f"AAPL261218C00245000 [{UUID}]",
        f"AAPL261218C00245000[{UUID.upper()}]",
        f'"AAPL  261218C00245000" [{UUID}]',
        "AAPL 2026-12-18 C 245.00",
        "AAPL 2026-12-18 C 245",
        "aapl 2026-12-18 call 245",
        "AAPL 2026-12-18 245C",
        "AAPL 2026-12-18 245.000 CALL",
        '"AAPL 2026-12-18 245 calls"',
        UUID,
        UUID.upper(),
        f" {UUID} ",
    ],
)
def test_an_option_is_found_however_it_is_written(asked: str) -> None:
    option = held(CALL)
    assert Holdings([option, held("AAPL", 2)]).find(checked_name(asked)) is option
    assert folded(asked) in (folded(CALL), UUID.upper())


@pytest.mark.parametrize("symbol", ["BRK.B", "BRK/B", "BRK B", "BRKB", "brk.b", "AAPL", "BF.B"])
@pytest.mark.parametrize("written", ["{0}", '"{0}"', "{0} [{1}]", '"{0}" [{1}]', "{0}  [{1}]", "[{1}]{0}"])
def test_a_share_is_found_as_answers_show_it(symbol: str, written: str) -> None:
    share, asked = held(symbol), written.format(symbol, UUID)
    if asked.startswith("["):
        with pytest.raises(UnknownInstrument):
            Holdings([share]).find(asked)
        return
    assert Holdings([share, held("KO", 2)]).find(asked) is share
    underlyings = Underlyings([share])
    assert underlyings.matches(share, find_underlying(asked, [share], underlyings))


@pytest.mark.parametrize(
    "symbol",
    [
        "AAPL",
        "BRK B",
        CALL,
        "2AAPL 261218C00245000",
        "",
        "AA\u200bPL",
        UUID,
        'A"B',
        "ABC pr A",
        "BABA2 261218P00100000",
    ],
)
def test_what_answers_call_a_position_is_taken_back_as_its_name(symbol: str) -> None:
    position, other = held(symbol), held(symbol, 2)
    for book in ([position], [position, other]):
        shown = names_of(Spellings(book))(position)
        assert Holdings(book).find(shown) is position
        assert Holdings(book).find(label(shown, 100)) is position


@pytest.mark.parametrize("asked", [f"KO [{UUID}]", f"AAPL261218P00245000 [{UUID}]", f"AAPL [{UUID}]"])
def test_a_symbol_beside_the_uuid_of_something_else_is_refused(asked: str) -> None:
    with pytest.raises(InvalidInput, match="Give one of them alone"):
        Holdings([held(CALL), held("KO", 2)]).find(asked)


@pytest.mark.parametrize("text", ["AAPL 2026-13-18 C 245", "AAPL 2026-12-18 245", "2026-12-18 245C", "AAPL 245C", '"'])
def test_what_names_no_contract_is_left_as_it_is(text: str) -> None:
    with pytest.raises(InvalidInput):
        Holdings([held(CALL)]).find(as_asked(text))
