"""A request that was let in, and the API's answers: envelopes and both shapes of error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from positions_mcp.paper.dialects import Dialect
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.faults import NO_STRIKES, Strikes
from positions_mcp.paper.keys import EVERY_ACCOUNT, Access
from positions_mcp.paper.operations import SUBMITTING
from positions_mcp.paper.requests import Query
from positions_mcp.paper.wire import Row, compact

JSON = "application/json"
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
        return self.strikes.of(kind) is not None

    @property
    def fails_inside(self) -> bool:
        """Whether a `status_500` strikes a submission before any effect: the API answers it row by row."""
        fault = self.strikes.refusing
        if fault is None or fault.body is not None:
            return False
        return fault.status == 500 and self.operation == SUBMITTING


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers: the rows as JSON texts (`many`: a list, otherwise one object)."""

    rows: Sequence[str]
    many: bool = True
    status: int = 200
    metadata: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None

    @classmethod
    def one(cls, row: Row) -> Answer:
        return cls([compact(row)], many=False)

    def response(self, request_id: str) -> Response:
        """The answer as HTTP. Rows are joined, not parsed again: a large page costs little more than its bytes."""
        data = f"[{','.join(self.rows)}]" if self.many else self.rows[0]
        error = compact(self.error)
        metadata = compact({"request_id": request_id, **self.metadata})
        body = f'{{"data":{data},"error":{error},"metadata":{metadata}}}'
        return Response(body, self.status, {"x-request-id": request_id}, JSON)


def error_body(status: int, message: str, details: Sequence[Mapping[str, object]] = ()) -> dict[str, Any]:
    """The `error` of an envelope, and a flat error's whole body."""
    return {"code": status, "message": message, "details": [dict(detail) for detail in details]}


def error_response(
    dialect: Dialect,
    refusal: Refusal,
    request_id: str,
    rows: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error in the dialect's shape. A flat one has its request id among the details; both have it as a header.

    `rows`: rejected rows, which only the enveloped shape has room for.
    """
    if dialect.errors == "flat":
        body = compact(error_body(refusal.status, refusal.message, [*refusal.details, {"request_id": request_id}]))
    else:
        error = compact(error_body(refusal.status, refusal.message, refusal.details))
        data = f'"data":[{",".join(rows)}],' if rows else ""
        body = f'{{{data}"error":{error},"metadata":{compact({"request_id": request_id})}}}'
    return Response(body, refusal.status, {"x-request-id": request_id, **(headers or {})}, JSON)
