"""Serves a request under the faults that strike it: before, at and after its effect."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any

import anyio
from anyio.to_thread import run_sync
from starlette.responses import Response

from positions_mcp.paper.answers import JSON, NO_ACCOUNT, Answer, Call, error_response
from positions_mcp.paper.bodies import json_body
from positions_mcp.paper.dialects import Dialect
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.faults import AnswerTruncated, ConnectionDropped, ConnectionRefused, Fault, Strikes, Subject
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.symbols import as_uuid, canonical, instrument_id_of
from positions_mcp.paper.venue import Venue
from positions_mcp.paper.wire import compact

_HTML = "<html><head><title>Service</title></head><body><h1>It works</h1></body></html>"
_WITHOUT_BODY = (204, 205, 304)
"""Statuses that have no body, as HTTP wants it."""
_NEVER_SEEN = {
    "position_type": "LONG_WARRANT",
    "instrument_type": "WARRANT",
    "status": "PENDING_REVIEW",
    "side": "BUY_TO_COVER",
    "queue_state": "PAUSED",
}


def status_response(fault: Fault, status: int, dialect: Dialect, request_id: str) -> Response:
    """The answer of a `status_NNN` fault: its own body, or an error in the dialect's shape, with fitting headers."""
    headers: dict[str, str] = {"x-request-id": request_id}
    if status == 429 or (status == 503 and fault.seconds is not None):
        headers["retry-after"] = str(int(fault.seconds if fault.seconds is not None else Decimal(1)))
    if 300 <= status < 400:
        headers["location"] = "https://redirected.invalid/"
    if status in _WITHOUT_BODY:
        return Response(status_code=status, headers=headers)
    if fault.body is not None:
        return Response(fault.body, status, headers, JSON if _is_json(fault.body) else "text/plain")
    return error_response(dialect, Refusal(status, f"injected: status {status}"), request_id, headers=headers)


def tampered(answer: Answer, fault: Fault) -> Answer:
    """The answer with a row missing, twice or contradicting, with another total, or with what nobody knows."""
    if fault.kind == "changed_total":
        return replace(answer, metadata={**answer.metadata, "total_items": answer.metadata["total_items"] + 1})
    if fault.kind == "unknown_fields":
        strange = [_strange(text) for text in answer.rows]
        return replace(answer, rows=strange, metadata={**answer.metadata, "shard": "b"})
    if fault.kind == "missing_order" and fault.instrument is None:
        return replace(answer, rows=answer.rows[:-1])
    change = _ON_A_ROW.get(fault.kind)
    return answer if change is None else replace(answer, rows=_changed(answer.rows, fault, change))


def _changed(rows: Sequence[str], fault: Fault, change: Callable[[str], list[str]]) -> list[str]:
    """The rows with the first one, or the first of the fault's instrument, changed."""
    found = (number for number, text in enumerate(rows) if fault.is_on(json.loads(text).get("instrument_id") or ""))
    number = next(found, None)
    return list(rows) if number is None else [*rows[:number], *change(rows[number]), *rows[number + 1 :]]


def _foreign(text: str) -> list[str]:
    row = json.loads(text)
    return [compact({**row, "account_id": row["account_id"] + 1})]


def _contradicting(text: str) -> list[str]:
    row = json.loads(text)
    if "position_type" in row:
        side, _, right = row["position_type"].partition("_")
        row["position_type"] = _OPPOSITE[side] + (f"_{right}" if right else "")
    else:
        row["side"] = _OPPOSITE[row["side"]]
    return [compact(row)]


_OPPOSITE = {"LONG": "SHORT", "SHORT": "LONG", "BUY": "SELL", "SELL": "BUY"}
_ON_A_ROW: Mapping[str, Callable[[str], list[str]]] = {
    "missing_order": lambda _: [],
    "repeated_row": lambda text: [text, text],
    "foreign_row": _foreign,
    "contradicting_side": _contradicting,
}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def wrecked(response: Response, fault: Fault, request_id: str) -> Response:
    """The answer as bytes that are no answer: HTML, nothing, or the first half."""
    headers = {"x-request-id": request_id}
    if fault.kind == "non_json_body":
        return Response(_HTML, 200, headers, "text/html")
    if fault.kind == "empty_204":
        return Response(status_code=204, headers=headers)
    if fault.kind == "truncated_body":
        return _HalfResponse(response.body, response.status_code, dict(response.headers))
    return response


class _HalfResponse(Response):
    """Announces the whole body, sends half of it, and fails."""

    async def __call__(
        self,
        _scope: MutableMapping[str, Any],
        _receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        raise AnswerTruncated("injected: the answer ends half way")


def _strange(text: str) -> str:
    row = json.loads(text)
    for field, value in _NEVER_SEEN.items():
        if field in row:
            row[field] = value
    return compact({**row, "settlement_cycle": "T0", "risk": {"score": "0.42", "flags": ["NEW"]}})


Handler = Callable[[Call], Answer | Response]
_PAUSE = 2.0
_LATENCY = 0.2
_NAMING = ("instrument_ids", "instrument_id", "contract_ids")
_BY_ORDER = frozenset({"get_order", "cancel_order"})
_BY_INSTRUMENT = frozenset({"close_position", "get_instrument", "get_instrument_events"})


class Striking:
    """Calls handlers, and lets armed faults do what they say."""

    def __init__(self, exchange: Venue) -> None:
        self._exchange = exchange
        self._dialect = exchange.dialect
        self._dice = random.Random(0)  # noqa: S311  # jitter, the same in every run

    async def serve(self, call: Call, handler: Handler, authorise: Callable[[Call], None]) -> Response:
        """The answer to a call. Raises `TransportFault` where the connection is to fail."""

        def unless_struck() -> Answer | Response | Strikes:
            authorise(call)
            strikes = self._exchange.strike(lambda ledger: subject_of(call, ledger))
            return strikes if strikes.faults else handler(call)

        answer = await run_sync(unless_struck)
        if isinstance(answer, Strikes):
            return await self._struck(replace(call, strikes=answer), answer, handler)
        return _rendered(answer, call)

    async def _struck(self, call: Call, strikes: Strikes, handler: Handler) -> Response:
        fault = next((fault for fault in strikes.faults if not fault.is_condition), None)
        answered = await self._before(call, strikes)
        if answered is not None:
            return answered
        answer = await run_sync(handler, call)
        if strikes.of("drop_after_effect"):
            raise ConnectionDropped("injected: the connection is dropped after the effect")
        if slow := strikes.of("delay"):
            await self._pause(slow, _PAUSE)
        if fault is None:
            return _rendered(answer, call)
        if fault.status is not None and fault.after_effect:
            return status_response(fault, fault.status, self._dialect, call.request_id)
        if isinstance(answer, Answer):
            answer = tampered(answer, fault)
        return wrecked(_rendered(answer, call), fault, call.request_id)

    async def _before(self, call: Call, strikes: Strikes) -> Response | None:
        """What happens before any effect: the connection fails, time passes, or the request is refused."""
        if strikes.of("refuse"):
            raise ConnectionRefused("injected: the connection is refused")
        if strikes.of("drop_before_effect"):
            raise ConnectionDropped("injected: the connection is dropped before any effect")
        for kind, usual in (("latency", _LATENCY), ("delay_before_effect", _PAUSE)):
            if slow := strikes.of(kind):
                await self._pause(slow, usual)
        if limit := strikes.of("rate_limit"):
            return status_response(limit, 429, self._dialect, call.request_id)
        refusing = strikes.refusing
        if refusing is not None and refusing.status is not None and not call.fails_inside:
            return status_response(refusing, refusing.status, self._dialect, call.request_id)
        return None

    async def _pause(self, fault: Fault, usual: float) -> None:
        seconds = usual if fault.seconds is None else float(fault.seconds)
        if fault.jitter:
            seconds = max(seconds + self._dice.uniform(-1, 1) * float(fault.jitter), 0.0)
        await (self._exchange.sleeper or anyio.sleep)(seconds)


def subject_of(call: Call, ledger: Ledger) -> Subject:
    """What faults look at: the operation, the account, and the UUIDs of the instruments that a request names."""
    return Subject(
        call.operation,
        None if call.account == NO_ACCOUNT else call.account,
        frozenset(as_uuid(text) or instrument_id_of(canonical(text)) for text in _named(call, ledger)),
        call.query.text("page_token") is not None,
    )


def _named(call: Call, ledger: Ledger) -> Iterator[str]:
    if call.operation in _BY_INSTRUMENT:
        yield call.target
    elif call.operation in _BY_ORDER:
        order = ledger.orders.get(call.target.lower())
        yield from (order.symbols if order else ())
    elif call.operation == "cancel_position_instruction":
        instruction = ledger.instructions.get(call.target.lower())
        yield from ([instruction.symbol] if instruction else ())
    elif call.operation == "submit_position_instructions":
        yield from _submitted(call.body)
    for name in _NAMING:
        with suppress(Refusal):
            yield from call.query.several(name) or ()


def _submitted(body: bytes) -> Iterator[str]:
    try:
        rows = json_body(body)
    except Refusal:
        return
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and isinstance(row.get("instrument_id"), str):
            yield row["instrument_id"]


def _rendered(answer: Answer | Response, call: Call) -> Response:
    return answer.response(call.request_id) if isinstance(answer, Answer) else answer
