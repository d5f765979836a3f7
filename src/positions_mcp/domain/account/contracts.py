"""Option contracts as the API describes them: what a symbol alone does not say."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from positions_mcp.domain.enums import ContractType, ExerciseStyle, ListingType
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.operation.records import Instant, Record, Text


class ContractFacts(Record):
    """What the API says of one option contract. None is not known, never a default."""

    id: InstrumentId
    symbol: Text = ""
    exercise_style: ExerciseStyle | None = None
    is_settle_on_open: bool | None = None
    """AM settlement: the opening price of the day of settlement decides, not the close."""
    last_trade_cutoff: Instant | None = None
    """The last moment at which the option can trade."""
    multiplier: Decimal | None = None
    underlying_instrument_id: InstrumentId | None = None
    is_tradable: bool | None = None
    is_liquidation_only: bool | None = None
    listing_type: ListingType | None = None
    contract_type: ContractType | None = None
    expiry: date | None = None
    strike_price: Decimal | None = None
    currency: str | None = None
    exchange: str | None = None
    """MIC code of the primary listing venue."""
    open_interest: Decimal | None = None
