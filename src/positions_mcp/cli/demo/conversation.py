"""Who takes part in the demo: an assistant that calls tools, a person or a script who decides, the paper exchange."""

from __future__ import annotations

import io
import json
import shutil
import sys
import textwrap
import time
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio.to_thread
from mcp import Client
from mcp_types import ElicitRequestFormParams, ElicitRequestParams, ElicitResult

from positions_mcp.cli.output import Style, shows_colours, styled
from positions_mcp.cli.terminal import NoTerminal, controlling_terminal
from positions_mcp.domain.errors import ConfigurationError, PositionsError

_LONGEST_ANSWER_LINES = 34


class Screen:
    """Writes to standard output; with colours where it is a terminal and nobody asked for plain text."""

    def __init__(self, *, plain: bool = False) -> None:
        self._colours = not plain and shows_colours(sys.stdout)
        self._width = max(72, min(shutil.get_terminal_size((110, 40)).columns, 140))
        self._steps = 0

    def title(self, text: str) -> None:
        print(f"\n{self._in(Style.BOLD, text)}\n{'─' * min(len(text), self._width)}", flush=True)

    def note(self, text: str) -> None:
        """A paragraph of the demo's own words."""
        print(self._in(Style.DIM, textwrap.fill(text, self._width)), flush=True)

    def question(self, text: str) -> None:
        self._steps += 1
        print(f"\n{self._in(Style.BOLD, f'{self._steps}. “{text}”')}", flush=True)

    def call(self, tool: str, arguments: str) -> None:
        print(self._in(Style.BLUE, f"   → {tool} {arguments}"), flush=True)

    def answer(self, text: str, *, size: str, failed: bool = False) -> None:
        """The tool's text, shortened for the screen where it is long, and how large the whole answer was."""
        lines = text.splitlines()
        shown = lines[:_LONGEST_ANSWER_LINES]
        for line in shown:
            for part in textwrap.wrap(line, self._width - 3, subsequent_indent="  ") or [""]:
                print(f"   {self._in(Style.RED, part) if failed else part}")
        if len(lines) > len(shown):
            print(self._in(Style.DIM, f"   … {len(lines) - len(shown)} more lines of the answer"))
        print(self._in(Style.DIM, f"   [{size}]"), flush=True)

    def asked(self, text: str) -> None:
        """A question the server put to the person."""
        print(self._in(Style.BOLD, "   The server asks the person, not the assistant:"))
        for line in text.splitlines():
            for part in textwrap.wrap(line, self._width - 5, subsequent_indent="  ") or [""]:
                print(f"   │ {part}")

    def decided(self, text: str, *, approved: bool) -> None:
        print(self._in(Style.GREEN if approved else Style.RED, f"   {'✓' if approved else '✗'} {text}"), flush=True)

    def failure(self, text: str) -> None:
        print(self._in(Style.RED, f"The demo failed: {text}"), flush=True)

    def verbatim(self, text: str) -> None:
        """Text to copy, exactly as it is."""
        print(textwrap.indent(text, "  "), flush=True)

    def _in(self, style: Style, text: str) -> str:
        return styled(text, style) if self._colours else text


_YES = ("y", "yes")

READING_S = 0.4
"""How long the script reads a question: what is answered at once counts as the client's own doing."""


class Supervisor:
    """Answers the server's questions as the form of an MCP client would.

    With a terminal, the person there decides. Without one a script does, labelled SCRIPTED: it exists in this demo
    only, and answers yes to nothing but paper.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self.is_person = sys.stdin.isatty() and sys.stdout.isatty()
        self.scripted_answer = False
        """What the script answers next."""
        self._decided: list[dict[str, Any]] = []

    @property
    def introduction(self) -> str:
        if self.is_person:
            return "You are the supervisor: the server's questions come to you, here, and not to the assistant."
        return "There is no terminal, so a SCRIPTED supervisor answers the server's questions. Paper only."

    async def answer(self, context: Any, params: ElicitRequestParams) -> ElicitResult:  # noqa: ARG002 - the SDK's form
        """Put one question to the person, and bring back what they said."""
        if not isinstance(params, ElicitRequestFormParams) or not params.message.startswith("PAPER "):
            return ElicitResult(action="decline")
        self._screen.asked(params.message)
        if not self.is_person:
            await anyio.sleep(READING_S)
        approved = await anyio.to_thread.run_sync(self._decide)
        who = "You" if self.is_person else "SCRIPTED supervisor"
        self._decided.append({"asked": params.message, "who": who, "approved": approved})
        self._screen.decided(f"{who}: {'yes' if approved else 'no'}", approved=approved)
        return ElicitResult(action="accept", content={"approve": True}) if approved else ElicitResult(action="decline")

    def take_what_was_decided(self) -> list[dict[str, Any]]:
        """The questions put since it was last called, with who said what."""
        decided, self._decided = self._decided, []
        return decided

    def _decide(self) -> bool:
        if not self.is_person:
            return self.scripted_answer
        try:
            with controlling_terminal() as terminal:
                return terminal.ask("   Approve? [y/N] ").strip().lower() in _YES
        except NoTerminal:
            return False


class Exchange:
    """Steers the paper book in one data directory from outside the server, as a person in another terminal would."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def run(self, *words: str) -> str:
        """Do `positions-mcp paper WORDS`. Returns what it printed. Raises PositionsError when it failed."""
        from positions_mcp.cli import main

        said, failed = io.StringIO(), io.StringIO()
        with redirect_stdout(said), redirect_stderr(failed):
            code = main(["paper", *words, "--data-dir", str(self.data_dir)])
        if code:
            raise PositionsError(f"`positions-mcp paper {' '.join(words)}` failed: {failed.getvalue().strip()}")
        return said.getvalue().strip()


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
