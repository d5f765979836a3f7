"""The person's own terminal: the device itself, never a pipe, an argument or the environment.

A program that only holds the standard streams of this one cannot answer here. A passphrase is not echoed.
"""

from __future__ import annotations

import os
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from positions_mcp.cli.output import coloured
from positions_mcp.domain.errors import PositionsError

DEVICE = "/dev/tty"
_LONGEST_LINE = 4096


class NoTerminal(PositionsError):
    """There is no person at a terminal to ask."""


class Terminal:
    """A conversation with the person at the controlling terminal, line by line."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def show(self, text: str) -> None:
        """Write `text` and end the line."""
        self._write(f"{coloured(text, sys.stdout)}\n")

    def ask(self, prompt: str) -> str:
        """One line the person types after the prompt, without its end; what was typed ahead is thrown away.

        Raises:
            NoTerminal: the terminal is gone.
        """
        termios.tcflush(self._descriptor, termios.TCIFLUSH)
        self._write(coloured(prompt, sys.stdout))
        return self._read_line()

    def ask_secret(self, prompt: str) -> str:
        """One line the person types without seeing it; what was typed ahead of the prompt is thrown away."""
        before = termios.tcgetattr(self._descriptor)
        silent = list(before)
        silent[3] = (silent[3] & ~termios.ECHO) | termios.ICANON | termios.ISIG
        try:
            termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, silent)
            self._write(coloured(prompt, sys.stdout))
            return self._read_line()
        finally:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, before)
            self._write("\n")

    def _write(self, text: str) -> None:
        left = text.encode()
        while left:
            left = left[os.write(self._descriptor, left) :]

    def _read_line(self) -> str:
        line = os.read(self._descriptor, _LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise NoTerminal("The terminal ended before the line did.", hint="Nothing was decided.")
        return line.decode("utf-8", errors="replace").rstrip("\r\n")


@contextmanager
def controlling_terminal() -> Iterator[Terminal]:
    """The terminal this process was started from.

    Raises:
        NoTerminal: there is none, as in a pipe, a service or another program's subprocess.
    """
    try:
        descriptor = os.open(DEVICE, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise NoTerminal(
            "This needs a person at a terminal, and there is none.",
            hint="Run the command yourself in a terminal window: it reads from the terminal device only.",
        ) from error
    try:
        yield Terminal(descriptor)
    finally:
        os.close(descriptor)


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
