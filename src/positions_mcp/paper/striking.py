"""Serves a request under the faults that strike it: before, at and after its effect."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import anyio
from anyio.to_thread import run_sync
from starlette.responses import Response

from positions_mcp.paper import tampering
from positions_mcp.paper.answers import NO_ACCOUNT, Answer, Call
from positions_mcp.paper.bodies import json_body
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.faults import ConnectionDropped, ConnectionRefused, Fault, Strikes, Subject
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.symbols import as_uuid, canonical, instrument_id_of
from positions_mcp.paper.venue import Venue

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
            return tampering.status_response(fault, fault.status, self._dialect, call.request_id)
        if isinstance(answer, Answer):
            answer = tampering.tampered(answer, fault)
        return tampering.wrecked(_rendered(answer, call), fault, call.request_id)

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
            return tampering.status_response(limit, 429, self._dialect, call.request_id)
        refusing = strikes.refusing
        if refusing is not None and refusing.status is not None and not call.fails_inside:
            return tampering.status_response(refusing, refusing.status, self._dialect, call.request_id)
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
