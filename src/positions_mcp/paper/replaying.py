"""An upstream made of a recorded session: each request gets what it got then, in its order, and the last again.

`positions-mcp serve --record FILE` writes such a file. Nothing is computed: what was not asked then is 404 now.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Self

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Send

from positions_mcp.paper.answers import JSON, error_response
from positions_mcp.paper.dialects import dialect_of
from positions_mcp.paper.errors import BookError, Refusal
from positions_mcp.paper.faults import ConnectionDropped

Key = tuple[str, str, str, str]


class Replay:
    """An ASGI application that answers from the lines of a recording. Any key opens it: it holds nothing."""

    def __init__(self, lines: list[Mapping[str, Any]]) -> None:
        self._answers: dict[Key, list[Mapping[str, Any]]] = {}
        for line in lines:
            query = {name: str(value) for name, value in line.get("query", {}).items()}
            key = _key(line["method"], line["path"], query, line.get("sent"))
            self._answers.setdefault(key, []).append(line)
        self._served = 0
        self._lock = Lock()

    @classmethod
    def read(cls, file: Path) -> Self:
        """The recording in a file.

        Raises BookError where it cannot be read, holds nothing, or a line is not one of a recording.
        """
        lines: list[Mapping[str, Any]] = []
        try:
            texts = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise BookError(f"{file} cannot be read: {reason}") from error
        for number, text in enumerate(texts, 1):
            line = _parsed(text)
            if line is None:
                raise BookError(f"line {number} of {file} is not one of a recording")
            lines.append(line)
        if not lines:
            raise BookError(f"{file} holds no request: record one with `positions-mcp serve --record FILE`")
        return cls(lines)

    @property
    def requests(self) -> int:
        return len(self._answers)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serves one request. Raises `ConnectionDropped` where there was no answer then."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        await self._response(request, await request.body())(scope, receive, send)

    def _response(self, request: Request, body: bytes) -> Response:
        path = request.scope.get("raw_path", request.url.path.encode()).decode("latin-1")
        try:
            sent = json.loads(body) if body else None
        except (ValueError, RecursionError):
            sent = None
        with self._lock:
            self._served += 1
            request_id = f"replay-{self._served}"
            found = self._answers.get(_key(request.method, path, dict(request.query_params), sent), [])
            line = found.pop(0) if len(found) > 1 else found[0] if found else None
        if line is None:
            refusal = Refusal(404, "this request is not in the recording")
            return error_response(dialect_of("current"), refusal, request_id)
        if "failure" in line:
            raise ConnectionDropped(line["failure"])
        headers = {"x-request-id": request_id}
        if "retry_after" in line:
            headers["retry-after"] = str(line["retry_after"])
        return Response(line.get("body", ""), line["status"], headers, JSON)


def _key(method: str, path: str, query: Mapping[str, str], sent: object) -> Key:
    return method, path, json.dumps(query, sort_keys=True), json.dumps(sent, sort_keys=True)


def _parsed(text: str) -> Mapping[str, Any] | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    right = isinstance(line, dict) and all(isinstance(line.get(name), str) for name in ("method", "path"))
    whole = right and isinstance(line.get("query", {}), dict)
    outcome = whole and (isinstance(line.get("failure"), str) or isinstance(line.get("status"), int))
    return line if outcome else None
