"""A model that answers "what do I hold?" as a host's model does: it calls the tool, then says what came back.

It stands where the model's service would, on this machine. The host in front of it is the real one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOOL, WAITING = "mcp__positions__list_positions", "WaitForMcpServers"
MOST_WAITS = 20


class _Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "messages" not in asked or "count_tokens" in self.path:
            self._send("application/json", json.dumps({"input_tokens": 1}).encode())
            return
        block = _next(asked)
        message = _message(asked["model"], block)
        if asked.get("stream"):
            self._send("text/event-stream", b"".join(_events(message)))
        else:
            self._send("application/json", json.dumps(message).encode())

    def do_GET(self) -> None:
        self._send("application/json", b"{}")

    do_HEAD = do_GET  # noqa: N815 — the name that the library calls

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _next(asked: Any) -> dict[str, Any]:
    """What such a model does next: wait for the servers while the tool is not there, call it, and repeat its answer."""
    results = {
        block["tool_use_id"]: block["content"]
        for message in asked["messages"]
        for block in _blocks(message)
        if block["type"] == "tool_result"
    }
    answers = [content for id_, content in results.items() if id_.startswith(TOOL)]
    if answers:
        return {"type": "text", "text": json.dumps(answers)}
    tools = [tool.get("name") for tool in asked.get("tools", [])]
    wanted = TOOL if TOOL in tools else WAITING
    if wanted not in tools or len(results) == MOST_WAITS:
        return {"type": "text", "text": f"no such tool: {results}"}
    return {"type": "tool_use", "id": f"{wanted}_{len(results)}", "name": wanted, "input": {}}


def _blocks(message: Any) -> list[Any]:
    content = message["content"]
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def _message(model: str, block: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [block],
        "stop_reason": "tool_use" if block["type"] == "tool_use" else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


def _events(message: dict[str, Any]) -> Iterator[bytes]:
    """The same message as the service streams it."""
    (block,) = message["content"]
    if block["type"] == "text":
        empty, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
    else:
        empty, delta = block, {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    for event in (
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ):
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


@contextmanager
def answering() -> Iterator[str]:
    """The address of such a model."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Model) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()
