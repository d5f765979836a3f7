"""Orders as the API reports them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import model_validator

from positions_mcp.domain.enums import (
    OrderSide,
    OrderStatus,
    OrderType,
    QueueState,
    SecurityType,
    TimeInForce,
    TrailingOffsetType,
)
from positions_mcp.domain.ids import NIL_UUID, AccountId, InstrumentId, OrderId
from positions_mcp.domain.instruments import OptionContract, parse_option_symbol
from positions_mcp.domain.operation.records import Instant, Record, reasons_in, says_a_refusal, texts_in

_LEG_TEXTS = ("instrument_id", "symbol", "side")


@dataclass(frozen=True, slots=True)
class OrderLeg:
    """One leg of an order of several: `ratio` units of an instrument for each unit of the order. None is not said."""

    instrument_id: str | None
    symbol: str | None
    side: str | None
    ratio: Decimal | None


class Order(Record):
    """An order of one account.

    Quantities are shares or contracts and never negative; prices are dollars per unit. A multi-leg order has no
    instrument of its own, so `instrument_id`, `symbol` and `instrument_type` may be None; `client_order_id` may be
    absent though the seed contract requires it.
    """

    id: OrderId
    account_id: AccountId
    status: OrderStatus
    side: OrderSide | None = None
    quantity: Decimal | None = None
    filled_quantity: Decimal | None = None
    """Cumulative filled quantity."""
    leaves_quantity: Decimal | None = None
    """What is still to be filled."""
    symbol: str | None = None
    instrument_id: InstrumentId | None = None
    instrument_type: SecurityType | None = None
    order_type: OrderType | None = None
    time_in_force: TimeInForce | None = None
    client_order_id: str | None = None
    venue: str | None = None
    """MIC code of the venue where the order is routed."""
    created_at: Instant | None = None
    updated_at: Instant | None = None
    average_fill_price: Decimal | None = None
    details: list[str] | None = None
    """Execution, rejection or cancellation details: free text of the API, whatever field or shape it came in."""
    expires_at: Instant | None = None
    extended_hours: bool | None = None
    limit_offset: Decimal | None = None
    limit_price: Decimal | None = None
    queue_state: QueueState | None = None
    releases_at: Instant | None = None
    """When an order that awaits release is to be released."""
    stop_price: Decimal | None = None
    trailing_limit_px: Decimal | None = None
    trailing_offset: Decimal | None = None
    trailing_offset_type: TrailingOffsetType | None = None
    trailing_stop_px: Decimal | None = None
    trailing_watermark_px: Decimal | None = None
    trailing_watermark_ts: Instant | None = None
    underlying_instrument_id: InstrumentId | None = None
    underlying_instrument_type: SecurityType | None = None
    strategy: object = None
    legs: list[object] | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_details_wherever_they_are(cls, row: Any) -> Any:
        if not isinstance(row, Mapping):
            return row
        details = row.get("details")
        is_list = isinstance(details, list) and all(isinstance(each, str) for each in details)
        said = details if is_list else texts_in(details)
        if says_a_refusal(row.get("status")):
            said = reasons_in(row, cls.model_fields, said or ())
        # What holds no text stays as it came: it is left out as any other field that makes no sense.
        return {**row, "details": said} if said else row

    @property
    def contract(self) -> OptionContract | None:
        return parse_option_symbol(self.symbol) if self.symbol else None

    @property
    def readable_legs(self) -> tuple[OrderLeg, ...]:
        """The legs of an order of several, as far as they can be read; empty for a single one."""
        return tuple(_leg(each) for each in self.legs or () if isinstance(each, Mapping))

    @property
    def has_legs(self) -> bool:
        """Whether it is an order of several legs: those name no instrument of their own, or the nil one."""
        return bool(self.legs) or (self.instrument_id in (None, "", NIL_UUID) and not self.symbol)

    @property
    def leaves(self) -> Decimal | None:
        """What may still fill, as stated or as it follows; None where the API says neither."""
        if self.leaves_quantity is not None:
            return max(self.leaves_quantity, Decimal(0))
        if self.quantity is None:
            return None
        return max(self.quantity - (self.filled_quantity or Decimal(0)), Decimal(0))

    @property
    def is_open(self) -> bool:
        """Whether the order may still fill. An unknown status counts as open."""
        done = self.status is OrderStatus.DONE_FOR_DAY and self.time_in_force is TimeInForce.DAY
        return not (done or self.status.is_terminal)

    @property
    def was_refused(self) -> bool:
        """Whether it was rejected and has traded nothing."""
        return self.status is OrderStatus.REJECTED and not self.filled_quantity

    @property
    def is_queued(self) -> bool:
        """Whether the order waits for a session to be released into."""
        return self.status is OrderStatus.QUEUED or self.queue_state is QueueState.AWAITING_RELEASE


def distinct_orders(orders: Iterable[Order]) -> list[Order]:
    """The orders, each once: the same one several times in one answer is one order, as it was last updated.

    Under one id there may still be several where they are for something else: that is a contradiction, to be seen.
    Orders without an id are all different.
    """
    kept: dict[object, Order] = {}
    for order in orders:
        has_id = order.id not in ("", NIL_UUID)
        same = (order.id, order.account_id, order.instrument_id, order.side, order.quantity) if has_id else len(kept)
        earlier = kept.get(same)
        if earlier is None or _updated(order) >= _updated(earlier):
            kept[same] = order
    return list(kept.values())


def _leg(row: Mapping[Any, Any]) -> OrderLeg:
    texts = {name: value if isinstance(value := row.get(name), str) and value else None for name in _LEG_TEXTS}
    contract = parse_option_symbol(texts["symbol"]) if texts["symbol"] else None
    return OrderLeg(
        instrument_id=texts["instrument_id"],
        symbol=contract.compact if contract else texts["symbol"],
        side=texts["side"],
        ratio=_number(row.get("ratio", row.get("quantity"))),
    )


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and number > 0 else None


def _updated(order: Order) -> tuple[Decimal, float]:
    return order.filled_quantity or Decimal(0), order.updated_at.timestamp() if order.updated_at else 0
