"""What differs between operating systems, as one interface. `platforms` has the implementation of this machine."""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class NotProtected(OSError):
    """A place cannot be kept from other users."""

    def __init__(self, words: str) -> None:
        super().__init__(errno.EPERM, words)

    def __str__(self) -> str:
        return str(self.strerror)


class Console(Protocol):
    """The terminal that a person sits at: the device itself, whatever the standard streams are."""

    def write(self, text: str) -> None:
        """Show `text` as it is."""

    def ask(self, prompt: str, *, silent: bool) -> str:
        """The line that is typed after the prompt, without its end; what was typed ahead is thrown away.

        With `silent`, what is typed is not shown. Raises EOFError where the terminal ended before the line did, and
        KeyboardInterrupt.
        """


class Platform(Protocol):
    """What differs between operating systems."""

    sqlite_pragmas: Sequence[str]
    """What a connection is told so that a commit survives a power cut."""
    spare_folders: Sequence[Path]
    """Where a file can still be written when the disk of temporary files is full."""

    said_of_closed: str
    """What is known of a folder that `is_open` finds nothing wrong with."""

    def user(self) -> str:
        """Who the operating system says is running this: a label, not evidence."""

    def console(self) -> AbstractContextManager[Console]:
        """The terminal this process was started from. Raises OSError where there is none."""

    def stop_signals(self) -> AbstractContextManager[AsyncIterator[object]]:
        """What tells this process to stop, each time it does. In the main thread only."""

    def make_folder(self, folder: Path) -> None:
        """Make a folder that only this user reads, and its parents; one that is there stays as it is."""

    def make_file(self, path: Path) -> None:
        """Make an empty file that only this user reads. Raises OSError for one that is there, a link included."""

    def is_open(self, path: Path) -> bool:
        """Whether other users may get at a file or folder that is there."""

    def close(self, path: Path) -> None:
        """Keep other users from a file or folder that is there. Raises OSError where that cannot be done."""

    def how_to_close(self, folder: Path) -> str:
        """What a person does about a folder in which something is open."""

    def locked(self, path: Path) -> AbstractContextManager[None]:
        """Alone among all processes that take the same lock file, which is made if it is not there."""

    def claim_port(self, listener: socket.socket) -> None:
        """Before it is bound: nobody else takes the port while it listens, and a new process takes it at once after."""

    def allow_descriptors(self, most: int) -> None:
        """Let this process have that many files and connections open, or as many as it may."""

    def program(self, path: str) -> str:
        """A program, named by its path, as a line of the person's shell begins with it."""

    def word(self, text: str) -> str:
        """A word of the person's shell."""

    def with_variable(self, name: str, value: str) -> str:
        """What stands before a command that is run with an environment variable."""

    def needing_variable(self, name: str) -> str:
        """The same for a variable that the person has set, whose value is not shown: without it nothing is run."""
