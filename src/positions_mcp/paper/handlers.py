"""From a request that was let in to an answer: one function for each operation of the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.responses import Response

from positions_mcp.paper.answers import Answer, error_body, error_response
from positions_mcp.paper.engine.instructions import Judged, RefusedRow
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.faults import NO_STRIKES, Strikes
from positions_mcp.paper.keys import EVERY_ACCOUNT, Access
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.model import Instruction, Order
from positions_mcp.paper.reading import Reader
from positions_mcp.paper.requests import Query, cancel_orders, submitted_rows
from positions_mcp.paper.venue import Venue
from positions_mcp.paper.views import OrderView
from positions_mcp.paper.wire import NIL_ID, Row, compact, instruction_row, plain, rejection
from positions_mcp.paper.writing import Act

_CLEARING_DOWN = Refusal(503, "the clearing service is unavailable")


NO_ACCOUNT = -1


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in: authenticated, for an account of the book, with a body of allowed size."""

    operation: str
    account: int
    """`NO_ACCOUNT` where the operation is for none in particular."""
    request_id: str
    query: Query
    body: bytes = b""
    target: str = ""
    strikes: Strikes = NO_STRIKES
    access: Access = EVERY_ACCOUNT

    def struck_by(self, kind: str) -> bool:
        """Whether a fault of this kind strikes it."""
        return self.strikes.of(kind) is not None


class Handlers:
    """Answers calls. Each method is named after its operation and raises `Refusal` for what is wrong."""

    def __init__(self, exchange: Venue) -> None:
        self._exchange = exchange
        self._dialect = exchange.dialect
        self._reader = Reader(exchange.dialect)

    def get_positions(self, call: Call) -> Answer:
        """GET positions: 200 with a page."""
        with self._exchange.reading() as moment:
            late = call.strikes.of("stale_positions")
            listing = self._reader.positions(moment, self._exchange.revision, call.account, call.query, late)
        return Answer(listing.rows, metadata=listing.metadata)

    def get_position_instructions(self, call: Call) -> Answer:
        """GET instructions: 200 with all of them."""
        if call.struck_by("clearing_down"):
            raise _CLEARING_DOWN
        with self._exchange.reading() as moment:
            return Answer(self._reader.instructions(moment.ledger, call.account, call.query))

    def get_orders(self, call: Call) -> Answer:
        """GET orders: 200 with a page."""
        with self._exchange.reading() as moment:
            shown = OrderView(call.strikes, moment)
            listing = self._reader.orders(moment.ledger, call.account, call.query, shown.listed)
        return Answer(listing.rows, metadata=listing.metadata)

    def get_order(self, call: Call) -> Answer:
        """GET one order: 200 with one object."""
        with self._exchange.reading() as moment:
            shown = OrderView(call.strikes, moment)
            return Answer([self._reader.order(moment.ledger, call.account, call.target, shown.known)], many=False)

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
        with self._acting(call) as act:
            judged = act.submit(
                rows,
                honour_keys=not call.struck_by("ignored_key"),
                clearing_up=not call.struck_by("clearing_down"),
                unknown_refuses_all=not self._dialect.is_current,
            )
            texts = [compact(self._judged_row(row, act.ledger, call.account)) for row in judged]
        return self._batch(judged, texts, call.request_id)

    def cancel_position_instruction(self, call: Call) -> Answer:
        """DELETE one instruction: 200 with the instruction, CANCEL_REQUESTED."""
        if call.struck_by("clearing_down"):
            raise _CLEARING_DOWN
        with self._acting(call) as act:
            cancelled = act.cancel(call.target)
            return Answer([compact(instruction_row(cancelled, act.ledger, self._dialect))], many=False)

    @contextmanager
    def _acting(self, call: Call) -> Iterator[Act]:
        exchange = self._exchange
        with exchange.changing() as moment:
            yield Act(moment, exchange.ids_of(moment.ledger), call.account, call.request_id, call.strikes)

    def _orders(self, orders: list[Order], ledger: Ledger) -> Answer:
        return Answer([self._reader.order_text(order, ledger) for order in orders])

    def _batch(self, judged: list[Judged], texts: list[str], request_id: str) -> Answer | Response:
        refused = [row for row in judged if isinstance(row, RefusedRow)]
        if not refused:
            return Answer(texts)
        message = f"{len(refused)} of {len(judged)} instructions were rejected"
        if len(refused) < len(judged):
            return Answer(texts, status=207, error=error_body(207, message))
        causes = {row.status for row in refused}
        status = causes.pop() if len(causes) == 1 else 400
        details = [{"row": str(number), "reason": row.description} for number, row in enumerate(refused)]
        return error_response(
            self._dialect, Refusal(status, f"{message}: {refused[0].description}", details), request_id, texts
        )

    def _judged_row(self, judged: Judged, ledger: Ledger, account: int) -> Row:
        if isinstance(judged, Instruction):
            return instruction_row(judged, ledger, self._dialect)
        instrument = ledger.instrument_by_id(judged.row.instrument_id.lower())
        contract = instrument.contract if instrument else None
        row: Row = {
            "id": NIL_ID,
            "account_id": account,
            self._dialect.key_field: judged.key,
            "instruction_type": judged.row.instruction_type.value,
            "instrument_id": judged.row.instrument_id,
            "quantity": plain(judged.row.quantity),
            "status": "REJECTED" if self._dialect.is_current else "ENGINE_REJECTED",
            "symbol": contract.spaced if contract else instrument.symbol if instrument else "",
            "accepted_quantity": None,
            "created_at": None,
            "rejection_reason": judged.description,
            "updated_at": None,
        }
        if self._dialect.is_current:
            row["rejection"] = rejection(judged.reason, judged.description, judged.metadata)
            row["underlying_instrument_id"] = (
                ledger.underlying(instrument).instrument_id if instrument and contract else None
            )
        return row
