"""The operations that change the book: from a request that was let in to what is done, counted, and answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NoReturn

from starlette.responses import Response

from positions_mcp.paper.answers import Answer, Call, error_body, error_response
from positions_mcp.paper.bodies import SubmittedRow, cancel_orders, submitted_rows
from positions_mcp.paper.engine import instructions, orders
from positions_mcp.paper.engine.instructions import NOT_PROCESSED, Judged, RefusedRow
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.faults import NO_STRIKES, Fault, Strikes
from positions_mcp.paper.holdings import Behaviour, Holding
from positions_mcp.paper.ledger import Effect, Ledger, known_symbol
from positions_mcp.paper.model import Instruction, Order
from positions_mcp.paper.reading import CLEARING_DOWN
from positions_mcp.paper.venue import Venue
from positions_mcp.paper.wire import (
    NIL_ID,
    Row,
    compact,
    instruction_row,
    order_row,
    plain,
    rejection,
    shown_symbol,
    underlying_id,
)
from positions_mcp.ports import Ids


class Writes:
    """Answers calls. Each method is named after its operation and raises `Refusal` for what is wrong."""

    def __init__(self, exchange: Venue) -> None:
        self._exchange = exchange
        self._dialect = exchange.dialect

    def close_positions(self, call: Call) -> Answer:
        """DELETE positions: 200 with one order for each position."""
        wanted = cancel_orders(call.body)
        with self._acting(call) as act:
            return self._orders(act.close_all(wanted), act.ledger)

    def close_position(self, call: Call) -> Answer:
        """DELETE one position: 200 with a list of one order."""
        wanted = cancel_orders(call.body)
        with self._acting(call) as act:
            return self._orders(act.close(call.target, wanted), act.ledger)

    def submit_position_instructions(self, call: Call) -> Answer | Response:
        """POST instructions: 200 if all were taken in, 207 if some were, otherwise the error that fits."""
        rows = submitted_rows(call.body, self._dialect)
        if call.fails_inside:
            return self._failed(rows, call)
        with self._acting(call) as act:
            judged = act.submit(rows, unknown_refuses_all=not self._dialect.is_current)
            return self._batch(judged, act.ledger, call)

    def cancel_position_instruction(self, call: Call) -> Answer:
        """DELETE one instruction: 200 with the instruction, CANCEL_REQUESTED."""
        if call.struck_by("clearing_down"):
            raise CLEARING_DOWN
        with self._acting(call) as act:
            return Answer.one(instruction_row(act.cancel(call.target), act.ledger, self._dialect))

    def cancel_order(self, call: Call) -> Answer:
        """DELETE one order: 200 with the order, PENDING_CANCEL. The first contract has no such operation."""
        if self._dialect.is_seed:
            raise Refusal(404, "no such resource: this contract cancels no order by its id")
        with self._acting(call) as act:
            return Answer.one(order_row(act.cancel_order(call.target), act.ledger, self._dialect))

    def submit_orders(self, _: Call) -> NoReturn:
        """POST orders: not on the paper exchange."""
        raise Refusal(
            405,
            "the paper exchange takes no orders: it closes what is held, with DELETE …/positions/{instrument_id}",
            headers={"Allow": "GET"},
        )

    @contextmanager
    def _acting(self, call: Call) -> Iterator[Act]:
        exchange = self._exchange
        with exchange.changing() as moment:
            yield Act(moment, exchange.ids_of(moment.ledger), call.account, call.request_id, call.strikes)

    def _orders(self, orders: list[Order], ledger: Ledger) -> Answer:
        return Answer([compact(order_row(order, ledger, self._dialect)) for order in orders])

    def _failed(self, rows: Sequence[SubmittedRow], call: Call) -> Answer | Response:
        failed = [RefusedRow(row, row.key or NIL_ID, "INTERNAL", NOT_PROCESSED, 500) for row in rows]
        with self._exchange.reading() as moment:
            return self._batch(failed, moment.ledger, call)

    def _batch(self, judged: Sequence[Judged], ledger: Ledger, call: Call) -> Answer | Response:
        """The answer to a batch. Its error has the cause of the first refused row; mixed causes are 400."""
        texts = [compact(self._judged_row(row, ledger, call.account)) for row in judged]
        refused = [(number, row) for number, row in enumerate(judged) if isinstance(row, RefusedRow)]
        if not refused:
            return Answer(texts)
        causes = {row.status for _, row in refused}
        status, message = causes.pop() if len(causes) == 1 else 400, refused[0][1].cause
        details = [
            {"row": str(number), "reason": row.reason, "description": row.description} for number, row in refused
        ]
        if len(refused) < len(judged):
            return Answer(texts, status=207, error=error_body(status, message, details))
        return error_response(self._dialect, Refusal(status, message, details), call.request_id, texts)

    def _judged_row(self, judged: Judged, ledger: Ledger, account: int) -> Row:
        if isinstance(judged, Instruction):
            return instruction_row(judged, ledger, self._dialect)
        instrument = ledger.instrument_by_id(judged.row.instrument_id.lower())
        row: Row = {
            "id": NIL_ID,
            "account_id": account,
            **dict.fromkeys(self._dialect.key_fields, judged.key),
            "instruction_type": judged.row.instruction_type.value,
            "instrument_id": judged.row.instrument_id,
            "quantity": plain(judged.row.quantity),
            "status": self._dialect.refused_status,
            "symbol": shown_symbol(instrument) if instrument else "",
            "accepted_quantity": None,
            "created_at": None,
            "rejection_reason": judged.description,
            "updated_at": None,
        }
        if self._dialect.is_current:
            row["rejection"] = rejection(judged.reason, judged.description, judged.metadata)
            row["underlying_instrument_id"] = underlying_id(instrument, ledger) if instrument else None
        return row


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
