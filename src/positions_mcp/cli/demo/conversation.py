"""One assistant's side of the demo: it calls tools, and the screen shows what came back and how large it was."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp import Client

from positions_mcp.cli.demo.exchange import Exchange
from positions_mcp.cli.demo.screen import Screen
from positions_mcp.cli.demo.supervisor import Supervisor
from positions_mcp.domain.errors import ConfigurationError


class Transcript:
    """What was asked and answered, as a JSON line for each question in a file; without a file nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        if path is not None:
            try:
                path.write_text("", encoding="utf-8")
            except OSError as error:
                raise ConfigurationError(f"--transcript {path} cannot be written: {error.strerror}.") from None

    def add(self, step: Mapping[str, Any]) -> None:
        """Write one step: question, tool, arguments, what the person was asked and said, text, structured content."""
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(step, ensure_ascii=False) + "\n")


@dataclass(slots=True)
class Conversation:
    """Calls tools of one server. What does not go as the story says is noted, and ends the demo with exit code 1."""

    client: Client
    screen: Screen
    supervisor: Supervisor
    exchange: Exchange
    transcript: Transcript
    unexpected: list[str] = field(default_factory=list)

    async def ask(
        self, question: str, tool: str, arguments: Mapping[str, Any] | None = None, *, approve: bool = False
    ) -> dict[str, Any]:
        """Ask `question` by calling `tool`; show the answer and its size. Returns the structured content.

        `approve` is what a scripted supervisor would answer, should the server ask.
        """
        self.supervisor.scripted_answer = approve
        self.screen.question(question)
        self.screen.call(tool, json.dumps(arguments or {}, ensure_ascii=False))
        started = time.perf_counter()
        result = await self.client.call_tool(tool, dict(arguments or {}))
        milliseconds = (time.perf_counter() - started) * 1000
        text = "\n".join(block.text for block in result.content if block.type == "text")
        structured: dict[str, Any] = result.structured_content or {}
        size = f"{len(text):,} characters of text"
        if structured:
            compact = json.dumps(structured, separators=(",", ":"), ensure_ascii=False)
            size += f" · {len(compact):,} of structured content"
        self.screen.answer(text, size=f"{size} · {milliseconds:,.0f} ms", failed=bool(result.is_error))
        self.transcript.add(
            {
                "question": question,
                "tool": tool,
                "arguments": dict(arguments or {}),
                "person": self.supervisor.take_what_was_decided(),
                "text": text,
                "structured": structured,
            }
        )
        if result.is_error:
            self.unexpected.append(f"{tool} failed: {text[:200]}")
        return structured

    def expect(self, holds: bool, promise: str) -> None:
        """Note a promise of the story that did not hold. With a person deciding, the story is theirs."""
        if not holds and not self.supervisor.is_person:
            self.unexpected.append(f"it was to be seen that {promise}")
