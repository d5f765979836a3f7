"""What tests start with `python -m`, as forks of one process that has imported what is needed: a second less for each.

A test begins `subprocess.Popen([sys.executable, "-m", MODULE, …])` as ever, or lets anyio or the MCP client begin it,
and has a process that it may signal, wait for and kill. What a start itself takes is proved by the installed
`positions-mcp` and by `python -c`, which are never forks. Where the system is not Linux, nothing is. A fork with a
session of its own has the terminal that is its standard input as its controlling one.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import gc
import importlib
import inspect
import io
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import termios
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

TESTS = Path(__file__).parent
MODULES = {
    "positions_mcp",
    "cli.asking",
    "faults.victim",
    *("guard.asker", "guard.delegate", "guard.racer", "guard.sender"),
}
"""What is forked; of the tests' own programs what they import is ready, they themselves are not."""
AT_START = ("LD_", "FAKETIME", "PYTHON", "SCHEMAS_LATER")
"""What a process goes by only when it is started: those that differ in it are forks of different processes."""
BY_STREAM = ("PYTHONIOENCODING", "PYTHONUNBUFFERED")
"""What each fork goes by when it makes its streams."""
HEEDED = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
"""What a shell or `nohup` makes a process ignore that is not in the foreground."""
_BECOME_SUBREAPER = 36
_LONGEST_JOB = 1 << 20


class Forks:
    """One process that others are forks of. They become children of this one, as if it had started them."""

    def __init__(self, at_start: Mapping[str, str]) -> None:
        ctypes.CDLL(None).prctl(_BECOME_SUBREAPER, 1, 0, 0, 0)
        self._lock = threading.Lock()
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("POSITIONS_", "CLEAR_"))
        }
        environment = {name: value for name, value in environment.items() if not name.startswith(AT_START)}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "forking", str(theirs.fileno())],
                cwd=TESTS,
                env=environment | at_start,
                pass_fds=[theirs.fileno()],
            )

    def start(self, job: dict[str, Any], streams: Sequence[int]) -> int:
        """The process id of a new fork that does a job with these streams."""
        with self._lock:
            socket.send_fds(self._ours, [json.dumps(job).encode()], streams)
            return int(self._ours.recv(_LONGEST_JOB))

    def end(self) -> None:
        with self._process:
            self._ours.close()


@contextmanager
def forked() -> Iterator[None]:
    """Until the block ends, start what is in `MODULES` as a fork."""
    if sys.platform != "linux":
        yield
        return
    really, started = subprocess.Popen._execute_child, dict[str, Forks]()
    signature = inspect.signature(really)

    def execute(self: subprocess.Popen[Any], *arguments: Any, **named: Any) -> None:
        said = signature.bind(self, *arguments, **named).arguments
        if not _is_forked(said):
            really(self, *arguments, **named)
            return
        environment = dict(os.environ if said["env"] is None else said["env"])
        at_start = {
            name: value for name, value in environment.items() if name.startswith(AT_START) and name not in BY_STREAM
        }
        forks = started.get(key := json.dumps(at_start, sort_keys=True)) or Forks(at_start)
        started[key] = forks
        _, _, module, *words = map(str, said["args"])
        cwd, session = os.fspath(said["cwd"] or Path.cwd()), said["start_new_session"]
        job = {"module": module, "words": words, "environment": environment, "cwd": cwd, "session": session}
        given = (said["p2cread"], said["c2pwrite"], said["errwrite"])
        self.pid = forks.start(job, [number if each == -1 else each for number, each in enumerate(given)])
        self._child_created = True
        ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(said[end] for end in ends))

    with mock.patch.object(subprocess.Popen, "_execute_child", execute):
        try:
            yield
        finally:
            for forks in started.values():
                forks.end()


def _is_forked(said: Mapping[str, Any]) -> bool:
    words = said["args"]
    named = isinstance(words, list | tuple) and [*words[:2]] == [sys.executable, "-m"] and words[2] in MODULES
    return named and not (said["preexec_fn"] or said["pass_fds"] or said["shell"] or said["executable"])


def serve(jobs: socket.socket) -> None:
    """Do each job in a fork, and answer its process id."""
    import positions_mcp
    from positions_mcp.cli.serving.first_answer import warm_up

    for module in pkgutil.walk_packages(positions_mcp.__path__, "positions_mcp."):
        if not module.name.startswith("positions_mcp.platforms.") and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in (
        "anyio._backends._asyncio",
        "psycopg",
        "sqlalchemy.dialects.postgresql.psycopg",
        "uvicorn",
        "uvloop",
        "faults.campaign",
        "guard.desk",
    ):
        importlib.import_module(name)
    warm_up()
    gc.freeze()
    while True:
        said, streams, _, _ = socket.recv_fds(jobs, _LONGEST_JOB, 3)
        if not said:
            return
        told, tell = os.pipe()
        between = os.fork()
        if between == 0:
            if process := os.fork():  # it is without a parent once this one ends, and falls to the tests
                os.write(tell, str(process).encode())
                os._exit(0)
            become(json.loads(said), streams)
        for each in (tell, *streams):
            os.close(each)
        os.waitpid(between, 0)
        jobs.send(os.read(told, 32))
        os.close(told)


def become(job: dict[str, Any], streams: Sequence[int]) -> NoReturn:
    """Do the job in this process and end it, as `python -m` does."""
    for number in HEEDED:  # however the tests were started
        signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
    if job["session"]:
        os.setsid()
    for number, each in enumerate(streams):
        os.dup2(each, number)
    if job["session"] and os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.stdin, sys.stdout, sys.stderr = (_stream(*each) for each in ((0, "r"), (1, "w"), (2, "w")))
    sys.argv[1:] = job["words"]
    code = _end_of(job["module"])
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _stream(number: int, mode: str) -> io.TextIOWrapper:
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "").partition(":")
    raw = os.fdopen(number, f"{mode}b", closefd=False)
    lines = number == 2 or os.isatty(number)
    errors = "backslashreplace" if number == 2 else errors or "strict"
    return io.TextIOWrapper(
        raw,
        encoding=encoding or "utf-8",
        errors=errors,
        line_buffering=lines,
        write_through="PYTHONUNBUFFERED" in os.environ,
    )


def _end_of(module: str) -> int:
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
