"""Windows. Implements `Platform`.

Files are protected by the user profile they are in, whose access list lets in the user, the system and administrators:
what is elsewhere is refused, because this program does not read access lists. Commands are worded for PowerShell.
"""

from __future__ import annotations

import msvcrt
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio

from positions_mcp.platforms.interface import NotProtected

assert sys.platform == "win32"  # for a checker of types: what follows is there on Windows only

_CONSOLE = "CONIN$"
_LOOK_EVERY_S = 0.2
_ENTER, _INTERRUPT, _END, _BACKSPACE = ("\r", "\n"), "\x03", "\x1a", ("\b", "\x7f")
_NO_CONSOLE = "\uffff"
_BEFORE_A_KEY_WITHOUT_A_CHARACTER = ("\x00", "\xe0")


class Windows:
    """The user profile, the console, and signals that interrupt the interpreter."""

    sqlite_pragmas: Sequence[str] = ()
    spare_folders: Sequence[Path] = ()
    said_of_closed = "in your user profile, and closed as that is"

    def user(self) -> str:
        try:
            return os.getlogin()
        except OSError:
            return os.environ.get("USERNAME", "").strip() or "an unknown user"

    @contextmanager
    def console(self) -> Iterator[_Console]:
        # Opened to see whether there is one: a service or another program's hidden process has none.
        os.close(os.open(_CONSOLE, os.O_RDWR))
        yield _Console()

    @contextmanager
    def stop_signals(self) -> Iterator[AsyncIterator[object]]:
        # The event loop of Windows hands on no signals, so that they are looked for.
        pressed: deque[int] = deque()
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
        before = {number: signal.signal(number, lambda came, _: pressed.append(came)) for number in numbers}
        try:
            yield _each(pressed)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def make_folder(self, folder: Path) -> None:
        if not folder.exists():
            self._expect_in_profile(folder)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def make_file(self, path: Path) -> None:
        self._expect_in_profile(path)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOINHERIT, 0o600))

    def is_open(self, path: Path) -> bool:
        return not path.resolve().is_relative_to(Path.home().resolve())

    def close(self, path: Path) -> None:
        self._expect_in_profile(path)

    def how_to_close(self, folder: Path) -> str:
        return f"Move {folder} into your user profile, {Path.home()}"

    @contextmanager
    def locked(self, path: Path) -> Iterator[None]:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOINHERIT, 0o600)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)  # waits for ten seconds
            try:
                yield
            finally:
                os.lseek(descriptor, 0, os.SEEK_SET)
                msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        finally:
            os.close(descriptor)

    def claim_port(self, listener: socket.socket) -> None:
        # SO_REUSEADDR would let another process listen at the same port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)

    def allow_descriptors(self, most: int) -> None:
        """There is no limit to raise."""

    def program(self, path: str) -> str:
        return path if self.word(path) == path else f"& {self.word(path)}"

    def word(self, text: str) -> str:
        if text and all(letter.isalnum() or letter in "_-./\\:=+" for letter in text):
            return text
        return "'" + text.replace("'", "''") + "'"

    def with_variable(self, name: str, value: str) -> str:
        return f"$env:{name}={self.word(value)};"

    def needing_variable(self, name: str) -> str:
        return f"if (-not $env:{name}) {{ throw 'set {name}' }};"

    def _expect_in_profile(self, path: Path) -> None:
        if self.is_open(path):
            raise NotProtected(
                f"it is outside your user profile {Path.home()}, and elsewhere Windows lets other users in"
            )


async def _each(pressed: deque[int]) -> AsyncIterator[object]:
    while True:
        while pressed:
            yield pressed.popleft()
        await anyio.sleep(_LOOK_EVERY_S)


class _Console:
    """Implements `Console`, key by key: nothing that is typed is shown by the console itself."""

    def write(self, text: str) -> None:
        for character in text.replace("\n", "\r\n"):
            msvcrt.putwch(character)

    def ask(self, prompt: str, *, silent: bool) -> str:
        while msvcrt.kbhit():
            msvcrt.getwch()
        self.write(prompt)
        line = ""
        while (key := msvcrt.getwch()) not in _ENTER:
            if key in (_INTERRUPT, _END, _NO_CONSOLE):
                self.write("\n")
                raise KeyboardInterrupt if key == _INTERRUPT else EOFError
            if key in _BEFORE_A_KEY_WITHOUT_A_CHARACTER and msvcrt.kbhit():
                msvcrt.getwch()  # an arrow or a function key: both of its codes come at once
            elif key in _BACKSPACE:
                self.write("\b \b" if line and not silent else "")
                line = line[:-1]
            elif key.isprintable():
                line += key
                self.write("" if silent else key)
        self.write("\n")
        return line
