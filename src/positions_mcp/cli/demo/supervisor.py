"""The person of the demo: somebody at the terminal, or a script that says so on every line."""

from __future__ import annotations

import sys
from typing import Any

import anyio.to_thread
from mcp_types import ElicitRequestFormParams, ElicitRequestParams, ElicitResult

from positions_mcp.cli.demo.screen import Screen
from positions_mcp.cli.terminal import NoTerminal, controlling_terminal

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
