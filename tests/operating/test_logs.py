"""Logs for machines: one line of JSON an event, and nothing in it that is secret."""

from __future__ import annotations

import json
import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from operating.test_limits import answering
from positions_mcp.operating import requests
from positions_mcp.operating.logs import JsonLines, without_secrets


@pytest.mark.requirement("A-05")
@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Authorization: Bearer abc.def", "Authorization: Bearer [secret]"),
        ("token pmcp_AbC-123_x was refused", "token [secret] was refused"),
        ("eyJhbGciOi.eyJzdWIi.c2ln is old", "[secret] is old"),
        ("at postgresql://desk:hunter2@db/positions", "at postgresql://[secret]@db/positions"),
        ("password=hunter2 is wrong", "password=[secret] is wrong"),
        ("api_key: id.secret", "api_key: [secret]"),
        ("more than $50,000 a day", "more than [amount] a day"),
        ("closes 26497.20 of -1,234.5", "closes [amount] of [amount]"),
        ("above 25000 dollars", "above [amount] dollars"),
        ("op-58nm18emf0 after 3 s by process 4711", "op-58nm18emf0 after 3 s by process 4711"),
        ("version 3.13.9 at 127.0.0.1:8420", "version 3.13.9 at 127.0.0.1:8420"),
    ],
)
def test_no_key_token_or_amount_gets_into_a_line(text: str, left: str) -> None:
    assert without_secrets(text) == left


def line(**said: Any) -> dict[str, Any]:
    record = logging.LogRecord("positions_mcp.x", logging.WARNING, "x.py", 1, "%s\nsaid $5", ("two lines",), None)
    record.__dict__.update(said)
    written = JsonLines().format(record)
    assert "\n" not in written
    found: dict[str, Any] = json.loads(written)
    return found


def test_an_event_is_one_line_with_what_is_known_of_it() -> None:
    found = line(said={"status": 200})
    assert found["level"] == "WARNING"
    assert found["event"] == "two lines\nsaid [amount]"
    assert found["status"] == 200


def test_an_exception_stays_on_the_line_of_its_event() -> None:
    try:
        int("pmcp_secret")
    except ValueError:
        found = line(exc_info=sys.exc_info())
    assert "ValueError" in found["exception"]
    assert "pmcp_secret" not in found["exception"]


class Lines(logging.Handler):
    """What this program logs, as JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


async def ask(app: ASGIApp, body: bytes, *headers: tuple[bytes, bytes]) -> tuple[dict[str, Any], list[Message]]:
    """The line about one request, and what its client heard."""
    handler, heard = Lines(), list[Message]()
    log = logging.getLogger("positions_mcp.operating")
    log.addHandler(handler)
    log.setLevel(logging.INFO)

    async def send(message: Message) -> None:
        heard.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    try:
        await app({"type": "http", "path": "/mcp", "headers": list(headers)}, receive, send)
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
    (found,) = handler.lines
    return found, heard


def with_caller(app: ASGIApp) -> ASGIApp:
    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        scope["user"] = SimpleNamespace(username="alice of the desk")
        await app(scope, receive, send)

    return named


async def reading(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await answering(scope, receive, send)


APP = requests.outside(with_caller(requests.inside(reading)))
CALL = {"method": "tools/call", "params": {"name": "close_positions", "arguments": {"instruments": ["KO"]}}}


async def test_a_request_is_one_line_that_names_the_tool_and_neither_caller_nor_arguments() -> None:
    found, heard = await ask(APP, json.dumps(CALL).encode())
    assert {name: found[name] for name in ("path", "status", "method", "tool", "event")} == {
        "path": "/mcp",
        "status": 200,
        "method": "tools/call",
        "tool": "close_positions",
        "event": "request",
    }
    assert found["caller"] == requests.caller_hash("alice of the desk")
    assert "alice" not in json.dumps(found)
    assert "KO" not in json.dumps(found)
    assert (b"x-request-id", found["request"].encode()) in heard[0]["headers"]


@pytest.mark.parametrize("given", [b"abc-1.2_3", b"0" * 64])
async def test_the_id_of_a_balancer_is_kept(given: bytes) -> None:
    found, _ = await ask(APP, b"{}", (b"x-request-id", given))
    assert found["request"] == given.decode()


@pytest.mark.parametrize("given", [b"", b"0" * 65, b"a b", b"a\nb", b'"', "é".encode("latin-1")])
async def test_an_id_that_is_none_is_replaced(given: bytes) -> None:
    found, _ = await ask(APP, b"{}", (b"x-request-id", given))
    assert len(found["request"]) == 32


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b"null", b'{"method": 1}', b"[" * 100_000])
async def test_a_body_that_is_no_request_is_logged_without_a_method(body: bytes) -> None:
    found, _ = await ask(APP, body)
    assert "method" not in found


async def test_a_name_that_somebody_made_up_is_not_repeated() -> None:
    found, _ = await ask(APP, json.dumps({"method": "tools/call", "params": {"name": "a b\n" * 50}}).encode())
    assert found["tool"] == "other"
