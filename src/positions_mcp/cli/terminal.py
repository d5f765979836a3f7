"""The person's own terminal: the device itself, never a pipe, an argument or the environment.

A program that only holds the standard streams of this one cannot answer here. A passphrase is not echoed.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from positions_mcp.cli.output import coloured
from positions_mcp.domain.errors import PositionsError
from positions_mcp.platforms import this_platform
from positions_mcp.platforms.interface import Console

INTERRUPTED = 130
"""The exit code of a command that a person broke off."""


class NoTerminal(PositionsError):
    """There is no person at a terminal to ask."""


class Terminal:
    """A conversation with the person at the controlling terminal, line by line."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, text: str) -> None:
        self._console.write(f"{coloured(text, sys.stdout)}\n")

    def ask(self, prompt: str) -> str:
        """One line the person types after the prompt, without its end; what was typed ahead is thrown away.

        Raises NoTerminal where it is gone.
        """
        return self._ask(prompt, silent=False)

    def ask_secret(self, prompt: str) -> str:
        """One line the person types without seeing it; what was typed ahead of the prompt is thrown away."""
        return self._ask(prompt, silent=True)

    def _ask(self, prompt: str, *, silent: bool) -> str:
        try:
            return self._console.ask(coloured(prompt, sys.stdout), silent=silent)
        except EOFError:
            raise NoTerminal("The terminal ended before the line did.", hint="Nothing was decided.") from None


@contextmanager
def controlling_terminal() -> Iterator[Terminal]:
    """The terminal this process was started from. Raises NoTerminal where there is none, as in a pipe or a service."""
    with ExitStack() as stack:
        try:
            console = stack.enter_context(this_platform().console())
        except OSError as error:
            raise NoTerminal(
                "This needs a person at a terminal, and there is none.",
                hint="Run the command yourself in a terminal window: it reads from the terminal device only. "
                "Nothing was decided, nothing was sent.",
            ) from error
        yield Terminal(console)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Within, Ctrl-C waits for the end: a decision is stored or it is not, and what is said next knows which."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
