"""How positions, orders and instructions look on the wire: decimals are strings, times have nine digits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from positions_mcp.paper.dialects import Dialect
from positions_mcp.paper.holdings import Instrument
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.market import cents
from positions_mcp.paper.model import Instruction, InstructionStatus, Order, OrderStatus
from positions_mcp.paper.valuation import ValuedPosition, trimmed

Row = dict[str, Any]
NIL_ID = "00000000-0000-0000-0000-000000000000"
"""The id of an instruction that was refused before it was taken in."""


compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""JSON as the API sends it, without spaces."""


def position_row(valued: ValuedPosition, ledger: Ledger, dialect: Dialect) -> Row:
    """One position. `available_quantity` has no sign; where no price is known, prices and profits are null."""
    holding, instrument = valued.holding, valued.instrument
    row: Row = {
        "account_id": holding.account,
        "available_quantity": plain(valued.available),
        "avg_price": plain(valued.average_price),
        "closing_price": _optional(valued.closing_price),
        "closing_price_date": None if valued.closing_price is None else valued.closing_date.isoformat(),
        "cost_basis": plain(cents(holding.cost)),
        "daily_unrealized_pnl": _optional(valued.daily),
        "daily_unrealized_pnl_pct": _optional(valued.daily_pct),
        "instrument_id": instrument.instrument_id,
        "instrument_price": _optional(valued.price),
        "instrument_type": instrument.kind,
        "market_value": plain(valued.market_value),
        "position_type": position_type(holding.quantity, instrument, dialect),
        "quantity": plain(holding.quantity),
        "symbol": shown_symbol(instrument),
        "underlying_instrument_id": underlying_id(instrument, ledger),
        "unrealized_pnl": _optional(valued.unrealized),
        "unrealized_pnl_pct": _optional(valued.unrealized_pct),
    }
    if not dialect.is_seed:
        row["daily_realized_pnl"] = plain(cents(valued.daily_realized))
    if dialect.is_current:
        row["underlying_instrument_type"] = _underlying_type(instrument, ledger)
    return row


def order_row(order: Order, ledger: Ledger, dialect: Dialect) -> Row:
    """One order. Before `current` there is no QUEUED, and a multi-leg order, too, must name an instrument."""
    instrument = ledger.instruments[order.symbol] if order.symbol else None
    status = order.status
    if status is OrderStatus.QUEUED and not dialect.is_current:
        status = OrderStatus.PENDING_NEW
    row: Row = {
        "id": order.id,
        "account_id": order.account,
        "average_fill_price": plain(trimmed(order.filled_value / order.filled)) if order.filled else None,
        "client_order_id": order.id,
        "created_at": timestamp(order.created_at),
        "details": list(order.details) or None,
        "expires_at": None,
        "extended_hours": False,
        "filled_quantity": plain(order.filled),
        "instrument_id": instrument.instrument_id if instrument else None,
        "instrument_type": instrument.kind if instrument else None,
        "leaves_quantity": plain(order.leaves),
        "limit_price": _optional(order.limit_price),
        "order_type": order.order_type,
        "quantity": plain(order.quantity),
        "queue_state": _queue_state(order),
        "releases_at": timestamp(order.releases_at) if order.releases_at else None,
        "side": order.side,
        "status": status.value,
        "stop_price": None,
        "symbol": shown_symbol(instrument) if instrument else None,
        "time_in_force": order.time_in_force,
        "underlying_instrument_id": underlying_id(instrument, ledger) if instrument else None,
        "updated_at": timestamp(order.updated_at),
        "venue": order.venue,
    }
    if instrument is None and not dialect.is_current:
        row |= {"instrument_id": NIL_ID, "instrument_type": "OPTION", "symbol": ""}
    if dialect.is_current:
        row["strategy"] = {"type": "SOR"}
        row["underlying_instrument_type"] = _underlying_type(instrument, ledger) if instrument else None
        row["legs"] = [
            {
                "instrument_id": ledger.instruments[leg.symbol].instrument_id,
                "symbol": shown_symbol(ledger.instruments[leg.symbol]),
                "side": leg.side,
                "ratio": plain(leg.ratio),
            }
            for leg in order.legs
        ] or None
    return row


def instruction_row(instruction: Instruction, ledger: Ledger, dialect: Dialect) -> Row:
    instrument = ledger.instruments[instruction.symbol]
    row: Row = {
        "id": instruction.id,
        "account_id": instruction.account,
        **dict.fromkeys(dialect.key_fields, instruction.client_key),
        "instruction_type": instruction.instruction_type.value,
        "instrument_id": instrument.instrument_id,
        "quantity": plain(instruction.quantity),
        "status": instruction.status.value,
        "symbol": shown_symbol(instrument),
        "accepted_quantity": _optional(instruction.accepted),
        "created_at": timestamp(instruction.created_at),
        "rejection_reason": instruction.reason or None,
        "updated_at": timestamp(instruction.updated_at),
    }
    if dialect.is_current:
        row["underlying_instrument_id"] = underlying_id(instrument, ledger)
        row["rejection"] = None
        if instruction.status in (InstructionStatus.REJECTED, InstructionStatus.CANCEL_FAILED):
            code = instruction.reason_code or "CLEARING_REJECTED"
            row["rejection"] = rejection(code, instruction.reason, {}, clearing=True)
    return row


def rejection(reason: str, description: str, metadata: Mapping[str, str], *, clearing: bool = False) -> Row:
    """The machine-readable reason of a rejected instruction, as the current dialect has it."""
    domain = "com.clearstreet.oems.clearing" if clearing else "com.clearstreet.oems.exercise"
    return {"reason": reason, "domain": domain, "description": description, "metadata": dict(metadata)}


def position_type(quantity: Decimal, instrument: Instrument, dialect: Dialect) -> str:
    """LONG or SHORT; in `seed` an option's right as well."""
    side = "LONG" if quantity > 0 else "SHORT"
    if instrument.contract is None or not dialect.is_seed:
        return side
    return f"{side}_{instrument.contract.right.upper()}"


def shown_symbol(instrument: Instrument) -> str:
    """The symbol as the API writes it, an option's root padded to six; empty for an option it could not resolve."""
    if instrument.behaviour.unresolvable:
        return ""
    return instrument.written


def plain(value: Decimal) -> str:
    """A decimal without exponent; whole numbers without a point, others as they were kept."""
    text = format(value, "f")
    whole, point, fraction = text.partition(".")
    if point and not fraction.strip("0") and len(fraction) != 2:
        return whole
    return text


def timestamp(instant: datetime) -> str:
    """RFC 3339 in UTC with nine fractional digits, as the API writes them."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def _optional(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _queue_state(order: Order) -> str | None:
    if order.status is OrderStatus.QUEUED:
        return "AWAITING_RELEASE"
    # One that ended before its release was never released.
    return "RELEASED" if order.releases_at is not None and order.updated_at >= order.releases_at else None


def underlying_of(instrument: Instrument, ledger: Ledger) -> Instrument | None:
    """What an option is over; None where there is nothing, or the API could not resolve it."""
    if instrument.contract is None or instrument.behaviour.unresolvable:
        return None
    return ledger.underlying(instrument)


def underlying_id(instrument: Instrument, ledger: Ledger) -> str | None:
    """The UUID of what an option is over."""
    underlying = underlying_of(instrument, ledger)
    return underlying.instrument_id if underlying else None


def _underlying_type(instrument: Instrument, ledger: Ledger) -> str | None:
    underlying = underlying_of(instrument, ledger)
    return underlying.kind if underlying else None
