"""A client that asks for discovery over standard streams, and goes on in the era it likes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from test_command_line import PROGRAM, environment

FORM = {"elicitation": {"form": {}}}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": FORM,
}
OF_2026 = {"_meta": ENVELOPE}
NOT_SERVED = {"_meta": ENVELOPE | {"io.modelcontextprotocol/protocolVersion": "2031-01-01"}}
HALF = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}
DISCOVER = ("server/discover", OF_2026)
CLOSE = {"name": "close_positions", "arguments": {"instruments": ["KO"]}}
UNSUPPORTED_VERSION, INVALID_REQUEST = -32022, -32600

Message = dict[str, Any]


class Pipe:
    """The standard streams of a server in a process of its own, message by message."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin
        assert process.stdout
        self.process = process
        self._to, self._from = process.stdin, process.stdout
        self._ids = count(1)

    def send(self, *messages: Message) -> None:
        """Write them in one piece."""
        self._to.write("".join(json.dumps({"jsonrpc": "2.0"} | message) + "\n" for message in messages))
        self._to.flush()

    def receive(self) -> Message:
        """The next message of the server."""
        message: Message = json.loads(self._from.readline())
        return message

    def ask(self, method: str, params: Message) -> Message:
        """Ask for something and wait for what comes next."""
        self.send({"id": next(self._ids), "method": method, "params": params})
        return self.receive()

    def initialize(self, capabilities: Message | None = None) -> Message:
        """Begin in the era of 2025."""
        answer = self.ask("initialize", of_2025(capabilities))
        self.send({"method": "notifications/initialized"})
        return answer

    def end(self) -> list[Message]:
        """What the server still says when the client ends the conversation."""
        self._to.close()
        return [json.loads(line) for line in self._from]


def of_2025(capabilities: Message | None = None) -> Message:
    who = {"name": "test", "version": "1"}
    return {"protocolVersion": "2025-11-25", "capabilities": capabilities or {}, "clientInfo": who}


@contextmanager
def serving(folder: Path) -> Iterator[Pipe]:
    with subprocess.Popen(
        [*PROGRAM, "serve", "--data-dir", str(folder)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Pipe(process)
        finally:
            process.kill()


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    with serving(tmp_path) as served:
        yield served


def text_of(answer: Message) -> str:
    return str(answer["result"]["content"][0]["text"])


def plan_of(question: Message) -> str:
    """The plan that a question is about."""
    found = re.search(r"Plan (op-\w+)", json.dumps(question))
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("first", "ids"),
    [
        ([DISCOVER, DISCOVER], (1, 1, 1)),
        (
            [("server/discover", NOT_SERVED), ("server/discover", HALF), ("tools/call", NOT_SERVED | CLOSE)],
            (1, 2, 3, 4),
        ),
    ],
    ids=["ids that repeat", "what no era serves"],
)
def test_a_client_that_falls_back_before_discovery_is_answered_is_served_and_each_request_answered_once(
    pipe: Pipe, first: list[tuple[str, Message]], ids: tuple[int, ...]
) -> None:
    asked = [*first, ("initialize", of_2025())]
    pipe.send(
        *({"id": key, "method": method, "params": params} for key, (method, params) in zip(ids, asked, strict=True))
    )
    answers = [pipe.receive() for _ in asked]
    assert sorted(answer["id"] for answer in answers) == sorted(ids)
    begun = [answer for answer in answers if "protocolVersion" in answer.get("result", {})]
    assert [answer["result"]["protocolVersion"] for answer in begun] == ["2025-11-25"]
    pipe.send({"method": "notifications/initialized"}, {"id": 9, "method": "tools/call", "params": CLOSE})
    assert "question cannot be shown" in text_of(pipe.receive()), "what it said of itself in discovery has no effect"
    assert pipe.end() == []


def test_discovery_that_is_answered_taken_back_and_asked_again_leaves_the_choice_open(pipe: Pipe) -> None:
    for _ in range(2):
        assert pipe.ask(*DISCOVER)["result"]["supportedVersions"] == ["2026-07-28"]
        pipe.send({"method": "notifications/cancelled", "params": {"requestId": 1}})
    assert pipe.initialize(FORM)["result"]["protocolVersion"] == "2025-11-25"
    question = pipe.ask("tools/call", CLOSE)
    assert question["method"] == "elicitation/create"
    assert pipe.ask(*DISCOVER)["error"]["code"] == INVALID_REQUEST
    pipe.send({"id": question["id"], "result": {"action": "decline"}})
    assert plan_of(question) in text_of(pipe.receive())


def test_behind_a_request_of_2026_initialize_is_refused_and_an_open_question_stays(pipe: Pipe) -> None:
    assert "result" in pipe.ask(*DISCOVER)
    question = pipe.ask("tools/call", OF_2026 | CLOSE)["result"]
    assert pipe.initialize()["error"]["code"] == UNSUPPORTED_VERSION
    assert "result" in pipe.ask(*DISCOVER)
    assert pipe.initialize()["error"]["code"] == UNSUPPORTED_VERSION
    no = {key: {"action": "decline"} for key in question["inputRequests"]}
    decided = OF_2026 | CLOSE | {"inputResponses": no, "requestState": question["requestState"]}
    assert plan_of(question) in text_of(pipe.ask("tools/call", decided))
    listed = pipe.ask("tools/call", OF_2026 | {"name": "list_operations", "arguments": {}})
    assert len(listed["result"]["structuredContent"]["rows"]) == 1


def test_a_process_of_which_only_discovery_was_asked_ends_when_it_is_told_or_the_client_leaves(tmp_path: Path) -> None:
    with serving(tmp_path / "told") as told, serving(tmp_path / "left") as left:
        for pipe in (told, left):
            assert "result" in pipe.ask(*DISCOVER)
        told.process.send_signal(signal.SIGTERM)
        assert left.end() == []
        assert (told.process.wait(), left.process.wait()) == (0, 0)
