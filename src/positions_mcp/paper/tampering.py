"""What faults do to an answer that was true."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from positions_mcp.paper.answers import JSON, Answer, error_response
from positions_mcp.paper.dialects import Dialect
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.faults import AnswerTruncated, Fault
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
