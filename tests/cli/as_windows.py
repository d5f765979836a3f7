"""Runs `positions-mcp WORDS…` as far as Python lets Linux pass for Windows: a substitution, not Windows.

What POSIX alone has is gone: its modules, the names of `os`, `signal` and `socket`, signal handlers of the event loop,
and the modes of files. `msvcrt` and the console are stand-ins. With `--jobs` it reads a JSON list of commands, each
with what is typed at its console (null where it has none), and prints what became of each.
"""

from __future__ import annotations

import asyncio.unix_events
import errno
import importlib
import importlib.abc
import io
import json
import os
import pathlib
import runpy
import shutil
import signal
import socket
import sys
import sysconfig
import traceback
import types
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, NoReturn

import platformdirs.windows

READY = (
    *("multiprocessing", "shutil", "subprocess", "tempfile", "webbrowser", "anyio._backends._asyncio"),
    *("mcp.server.mcpserver", "mcp.server.stdio", "sqlalchemy", "uvicorn"),
)
"""What loads at once what only Windows has, where `sys.platform` says so."""
ONLY_POSIX = ("fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty")
GONE_FROM_OS = (
    *("chown", "fchmod", "fchown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getpgid", "getuid", "mkfifo"),
    *("setsid", "ttyname", "uname", "O_CLOEXEC", "O_DIRECTORY", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK"),
)
GONE_FROM_SIGNAL = (
    "SIGALRM",
    "SIGCHLD",
    "SIGHUP",
    "SIGKILL",
    "SIGPIPE",
    "SIGQUIT",
    "SIGUSR1",
    "SIGUSR2",
    "pthread_kill",
)
GONE_FROM_SOCKET = ("SO_REUSEPORT", "send_fds")


class _NoSuchModule(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, *_: Any) -> None:
        if name.partition(".")[0] in ONLY_POSIX:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _not_implemented(*_: Any) -> NoReturn:
    raise NotImplementedError


class Keyboard:
    """A person at the console, or nobody. A chunk of several codes, such as an arrow key, comes at once."""

    def __init__(self) -> None:
        self.is_there = False
        self.chunks: list[str] = []
        self.come = ""

    def sit_down(self, keys: list[str] | None) -> None:
        """`keys` begins with what was typed before anything was asked; then each keystroke, None where nobody is."""
        self.is_there = keys is not None
        self.come, *self.chunks = keys or [""]

    def getwch(self) -> str:
        if not self.come:
            self.come = self.chunks.pop(0) if self.chunks else "\uffff"
        key, self.come = self.come[0], self.come[1:]
        return key


KEYBOARD = Keyboard()


def _msvcrt() -> types.ModuleType:
    locked = set[int]()

    def locking(descriptor: int, mode: int, _: int) -> None:
        if mode == 0:
            locked.remove(descriptor)
        else:
            assert descriptor not in locked
            locked.add(descriptor)

    def putwch(character: str) -> None:
        sys.stderr.write(character)

    msvcrt = types.ModuleType("msvcrt")
    msvcrt.LK_UNLCK, msvcrt.LK_LOCK = 0, 1  # type: ignore[attr-defined]
    msvcrt.locking = locking  # type: ignore[attr-defined]
    msvcrt.getwch = KEYBOARD.getwch  # type: ignore[attr-defined]
    msvcrt.kbhit = lambda: bool(KEYBOARD.come)  # type: ignore[attr-defined]
    msvcrt.putwch = putwch  # type: ignore[attr-defined]
    return msvcrt


def become_windows() -> None:
    for name in READY:
        importlib.import_module(name)
    really_open, really_mkdir = os.open, os.mkdir

    def opening(path: Any, flags: int, mode: int = 0o777, **named: Any) -> int:
        if path in ("CONIN$", "CONOUT$"):
            if not KEYBOARD.is_there:
                raise FileNotFoundError(errno.ENOENT, "The system cannot find the file specified", path)
            path = os.devnull
        return really_open(path, flags, **named)

    reusable = signal.SIGUSR2
    for module, names in ((os, GONE_FROM_OS), (signal, GONE_FROM_SIGNAL), (socket, GONE_FROM_SOCKET)):
        for name in names:
            delattr(module, name)
    os.umask(0)
    os.open, os.chmod = opening, lambda *_, **__: None  # type: ignore[assignment]
    os.mkdir = lambda path, _=0o777, **named: really_mkdir(path, **named)  # type: ignore[assignment]
    os.O_NOINHERIT = 0  # type: ignore[attr-defined]
    signal.SIGBREAK = reusable  # type: ignore[attr-defined]
    socket.SO_EXCLUSIVEADDRUSE = socket.SO_KEEPALIVE  # type: ignore[attr-defined]
    if sys.version_info >= (3, 12):  # which asks Windows whether programs in the current directory are found
        shutil._winapi = types.SimpleNamespace(NeedCurrentDirectoryForExePath=lambda _: True)
    asyncio.unix_events._UnixSelectorEventLoop.add_signal_handler = _not_implemented  # type: ignore[method-assign]
    for name in ONLY_POSIX:
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, _NoSuchModule())
    sys.modules["msvcrt"] = _msvcrt()
    platformdirs.windows._RESOLVE_WIN_FOLDER = platformdirs.windows.get_win_folder_from_env_vars
    platformdirs.PlatformDirs = platformdirs.windows.Windows  # type: ignore[misc,assignment]
    sysconfig.get_config_vars()
    sys.platform = "win32"


def done(job: dict[str, Any]) -> dict[str, Any]:
    """What became of a command."""
    from positions_mcp.cli import main

    KEYBOARD.sit_down(job["keys"])
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            code = main(job["words"])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
            code = -1
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


if __name__ == "__main__":
    sys.path.remove(str(pathlib.Path(__file__).parent))
    become_windows()
    if sys.argv[1:] == ["--jobs"]:
        print(json.dumps([done(job) for job in json.load(sys.stdin)]))
    else:
        runpy.run_module("positions_mcp", run_name="__main__", alter_sys=True)
