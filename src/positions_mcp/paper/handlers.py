"""From a request that was let in to an answer: one method for each operation that changes the book."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from starlette.responses import Response

from positions_mcp.paper.answers import Answer, Call, error_body, error_response
from positions_mcp.paper.bodies import SubmittedRow, cancel_orders, submitted_rows
from positions_mcp.paper.engine.instructions import NOT_PROCESSED, Judged, RefusedRow
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.ledger import Ledger
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
from positions_mcp.paper.writing import Act


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
