"""Books for tests, of every kind that the API could send."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import strategies as st
from pydantic import TypeAdapter

from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.ids import AccountId

POSITIONS = TypeAdapter(Position)
"""Makes positions of rows."""
AS_OF = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
_UNDERLYINGS = ("AAPL", "MSFT", "SPX", "BRK.B", "TSLA")

amounts = st.none() | st.integers(-(10**13), 10**13).map(lambda units: Decimal(units).scaleb(-4))
_equities = st.sampled_from([*_UNDERLYINGS, "GOOG", ""])
_options = st.builds(
    lambda root, day, right, strike: f"{root}{day}{right}{strike:08d}",
    st.sampled_from(["AAPL", "AAPL1", "MSFT", "SPX", "SPXW", "BRKB", "ZZZ"]),
    st.sampled_from(["261120", "261124", "261127", "270115"]),
    st.sampled_from("CP"),
    st.integers(1, 900_000),
)


def identifier(number: int) -> str:
    """A UUID that counts."""
    return f"a1a2a3a4-b1b2-c1c2-d1d2-{number:012d}"


def book_of(*positions: Position) -> Book:
    """A book of these positions."""
    return Book(account_id=AccountId(19816), positions=positions, as_of=AS_OF)


@st.composite
def positions(draw: st.DrawFn, number: int) -> Position:
    """A position whose optional values may all be missing; long, short or flat; of a known kind or not."""
    is_option = draw(st.booleans())
    quantity = draw(st.integers(-1000, 1000))
    row = {
        "account_id": 19816,
        "instrument_id": identifier(number),
        "quantity": Decimal(quantity),
        "symbol": draw(_options if is_option else _equities),
        "instrument_type": draw(st.sampled_from(["OPTION" if is_option else "COMMON_STOCK", "NEW_TYPE", None])),
        "available_quantity": draw(st.none() | st.integers(0, abs(quantity)).map(Decimal)),
        "underlying_instrument_id": draw(st.none() | st.integers(0, 5).map(identifier)) if is_option else None,
    }
    names = ("market_value", "instrument_price", "unrealized_pnl", "daily_unrealized_pnl")
    return POSITIONS.validate_python(row | {name: draw(amounts) for name in names})


@st.composite
def books(draw: st.DrawFn) -> Book:
    """A book of up to eight such positions."""
    count = draw(st.integers(0, 8))
    return book_of(*(draw(positions(number)) for number in range(count)))
