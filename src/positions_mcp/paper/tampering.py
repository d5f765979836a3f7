"""What faults do to an answer that was true."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from positions_mcp.paper.answers import Answer, error_response
from positions_mcp.paper.dialects import Dialect
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.faults import AnswerTruncated, Fault
from positions_mcp.paper.wire import compact

_HTML = "<html><head><title>Service</title></head><body><h1>It works</h1></body></html>"
_NOT_MODIFIED = 304
"""The one status from 300 on that has no body."""
_NEVER_SEEN = {
    "position_type": "LONG_WARRANT",
    "instrument_type": "WARRANT",
    "status": "PENDING_REVIEW",
    "side": "BUY_TO_COVER",
    "queue_state": "PAUSED",
}


def status_response(fault: Fault, status: int, dialect: Dialect, request_id: str) -> Response:
    """The answer of a `status_NNN` fault: an error in the dialect's shape, with the headers the status calls for."""
    headers: dict[str, str] = {}
    if status == 429 or (status == 503 and fault.seconds is not None):
        headers["retry-after"] = str(int(fault.seconds if fault.seconds is not None else Decimal(1)))
    if status < 400:
        headers["location"] = "https://redirected.invalid/"
    if status == _NOT_MODIFIED:
        return Response(status_code=status, headers={"x-request-id": request_id})
    return error_response(dialect, Refusal(status, f"injected: status {status}"), request_id, headers=headers)


def tampered(answer: Answer, fault: Fault) -> Answer:
    """The answer with an order missing, with another total, or with fields and values nobody knows."""
    if fault.kind == "missing_order":
        return replace(answer, rows=answer.rows[:-1])
    if fault.kind == "changed_total":
        return replace(answer, metadata={**answer.metadata, "total_items": answer.metadata["total_items"] + 1})
    if fault.kind == "unknown_fields":
        return replace(
            answer, rows=[_strange(text) for text in answer.rows], metadata={**answer.metadata, "shard": "b"}
        )
    return answer


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
