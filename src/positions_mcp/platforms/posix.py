"""Linux and its like. Implements `Platform`."""

from __future__ import annotations

import fcntl
import os
import pwd
import resource
import shlex
import signal
import socket
import stat
import sys
import termios
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import anyio

assert sys.platform != "win32"  # for a checker of types: what follows is not there on Windows

_TERMINAL = "/dev/tty"
_LONGEST_LINE = 4096
_OTHERS = 0o077


class Posix:
    """Modes of files, the controlling terminal, signals that the event loop hands on, and `flock`."""

    sqlite_pragmas: Sequence[str] = ()
    spare_folders: Sequence[Path] = (Path("/dev/shm"),)  # noqa: S108 — memory; what is made in it is private
    said_of_closed = "closed to other users"

    def user(self) -> str:
        try:
            return pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            return f"user {os.getuid()}"

    @contextmanager
    def console(self) -> Iterator[_Terminal]:
        descriptor = os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            yield _Terminal(descriptor)
        finally:
            os.close(descriptor)

    def stop_signals(self) -> AbstractContextManager[AsyncIterator[object]]:
        return anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT)

    def make_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def make_file(self, path: Path) -> None:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_RDWR | os.O_CLOEXEC, 0o600))

    def is_open(self, path: Path) -> bool:
        return bool(stat.S_IMODE(path.lstat().st_mode) & _OTHERS)

    def close(self, path: Path) -> None:
        # By name, not by descriptor: closing a descriptor of our own would drop SQLite's locks on the file.
        if (mode := stat.S_IMODE(path.lstat().st_mode)) & _OTHERS:
            path.chmod(mode & 0o700)

    def how_to_close(self, folder: Path) -> str:
        return f"Run: chmod -R go= {folder}"

    @contextmanager
    def locked(self, path: Path) -> Iterator[None]:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def claim_port(self, listener: socket.socket) -> None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def allow_descriptors(self, most: int) -> None:
        # Some systems begin with 256.
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        if soft != resource.RLIM_INFINITY and soft < allowed:
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))

    def program(self, path: str) -> str:
        return shlex.quote(path)

    def word(self, text: str) -> str:
        return shlex.quote(text)

    def with_variable(self, name: str, value: str) -> str:
        return f"{name}={shlex.quote(value)}"

    def needing_variable(self, name: str) -> str:
        return f'{name}="${{{name}:?}}"'


class _Terminal:
    """Implements `Console`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, text: str) -> None:
        left = text.encode()
        while left:
            left = left[os.write(self._descriptor, left) :]

    def ask(self, prompt: str, *, silent: bool) -> str:
        if not silent:
            termios.tcflush(self._descriptor, termios.TCIFLUSH)
            self.write(prompt)
            return self._read_line()
        before = termios.tcgetattr(self._descriptor)
        without_echo = list(before)
        without_echo[3] = (without_echo[3] & ~termios.ECHO) | termios.ICANON | termios.ISIG
        try:
            termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, without_echo)
            self.write(prompt)
            return self._read_line()
        finally:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, before)
            self.write("\n")

    def _read_line(self) -> str:
        line = os.read(self._descriptor, _LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise EOFError
        return line.decode("utf-8", errors="replace").rstrip("\r\n")


class MacOS(Posix):
    """SQLite waits there for the drive itself where it is told to."""

    sqlite_pragmas: Sequence[str] = ("PRAGMA fullfsync=ON", "PRAGMA checkpoint_fullfsync=ON")
    spare_folders: Sequence[Path] = ()
