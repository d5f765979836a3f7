"""The writing operations: closes, instructions and cancels, with the effects the exchange counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from positions_mcp.paper.bodies import SubmittedRow
from positions_mcp.paper.engine import instructions, orders
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.faults import NO_STRIKES, Fault, Strikes
from positions_mcp.paper.holdings import Behaviour, Holding
from positions_mcp.paper.ledger import Effect, Ledger
from positions_mcp.paper.lookup import known_symbol
from positions_mcp.paper.model import Instruction, Order
from positions_mcp.ports import Ids

_ONE = Decimal(1)
_PARTS = 4
_OVER = Decimal(40)


@dataclass(frozen=True, slots=True)
class Act:
    """One write: on which book and when, for whom, and under which request id."""

    moment: Moment
    ids: Ids
    account: int
    request_id: str
    strikes: Strikes = NO_STRIKES

    @property
    def ledger(self) -> Ledger:
        return self.moment.ledger

    def close_all(self, cancel_orders: bool) -> list[Order]:
        """Closes every position; one order for each, REJECTED where nothing is available."""
        holdings = sorted(self.ledger.holdings_of(self.account), key=lambda holding: holding.symbol)
        placed = self._close(holdings, cancel_orders)
        self._count("close_positions", [order.id for order in placed])
        return placed

    def close(self, instrument: str, cancel_orders: bool) -> list[Order]:
        """Closes one position, given as UUID or symbol.

        Raises Refusal: 404 for an instrument that is not known or not held; 400 if nothing of it is available.
        """
        symbol = known_symbol(self.ledger, instrument)
        holding = self.ledger.holdings.get((self.account, symbol))
        if holding is None:
            raise Refusal(404, f"Position not found: {symbol}")
        if not cancel_orders and not self.ledger.available(self.account, symbol):
            raise Refusal(400, "No quantity is available to close: all of it is locked by open orders or instructions")
        placed = self._close([holding], cancel_orders)
        self._count("close_position", [order.id for order in placed])
        return placed

    def _close(self, holdings: Sequence[Holding], cancel_orders: bool) -> list[Order]:
        other = next((holding for holding in holdings if self._strikes("changed_quantity", holding)), None)
        if other is not None:
            orders.trade_elsewhere(self.moment, other, _ONE, self.ids.new())
            holdings = [self.ledger.holdings[(holding.account, holding.symbol)] for holding in holdings]
        if cancel_orders:
            symbols = {holding.symbol for holding in holdings}
            why = "Cancelled before closing the position"
            orders.cancel_open(self.ledger, self.account, symbols, self.moment.now, why)
        targets = [(holding, self.ledger.available(self.account, holding.symbol)) for holding in holdings]
        return [
            orders.place_close(self.moment, holding, quantity, self.ids.new(), self._conduct(holding))
            for holding, quantity in targets
        ]

    def _strikes(self, kind: str, holding: Holding) -> Fault | None:
        return self.strikes.on(kind, self.ledger.instruments[holding.symbol].instrument_id)

    def _conduct(self, holding: Holding) -> Behaviour:
        """How the order of a close will fare: as its instrument does, unless a fault says otherwise."""
        behaviour = self.ledger.instruments[holding.symbol].behaviour
        if self._strikes("reject_order", holding):
            return replace(behaviour, rejects="at_once")
        if self._strikes("reject_order_later", holding):
            return replace(behaviour, rejects="later")
        if slow := self._strikes("partial_fills", holding):
            share = behaviour.fills if slow.share is None else slow.share
            over = _OVER if slow.seconds is None else slow.seconds
            return replace(behaviour, fills=share, parts=slow.count or _PARTS, over=over)
        return behaviour

    def submit(self, rows: Sequence[SubmittedRow], *, unknown_refuses_all: bool) -> list[instructions.Judged]:
        """Submits a batch of instructions.

        Raises Refusal: 404 for all of it if an instrument is unknown and `unknown_refuses_all`.
        """
        if unknown_refuses_all:
            for number, row in enumerate(rows):
                if self.ledger.instrument_by_id(row.instrument_id.lower()) is None:
                    raise Refusal(404, f"Instrument not found: {row.instrument_id[:64]}", [{"row": str(number)}])
        honour_keys, clearing_up = (self.strikes.of(kind) is None for kind in ("ignored_key", "clearing_down"))
        judged = instructions.submit(
            self.moment, self.ids, self.account, rows, honour_keys=honour_keys, clearing_up=clearing_up
        )
        self._count("submit_position_instructions", [row.id for row in judged if isinstance(row, Instruction)])
        return judged

    def cancel(self, instruction_id: str) -> Instruction:
        """Requests the cancel of an instruction. Raises as `engine.instructions.request_cancel`."""
        instruction = instructions.request_cancel(self.moment, self.account, instruction_id)
        self._count("cancel_position_instruction", [instruction.id])
        return instruction

    def cancel_order(self, order_id: str) -> Order:
        """Requests the cancel of an open order. Raises as `engine.orders.request_cancel`."""
        order = orders.request_cancel(self.moment, self.account, order_id)
        self._count("cancel_order", [order.id])
        return order

    def _count(self, operation: str, made: list[str]) -> None:
        if made:
            number = len(self.ledger.effects) + 1
            self.ledger.add_effect(
                Effect(number, self.moment.now, operation, self.account, self.request_id, tuple(made))
            )
            self.ledger.happened(self.moment.now)
