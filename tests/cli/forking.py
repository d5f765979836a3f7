"""Commands as processes of their own without a second of imports each: forks of one process that has imported them.

Run as a script it takes a JSON job for each line of input: `start` (answers the process id) or `wait` (answers the exit
code). Each fork has a session of its own, with the named terminal as its controlling terminal, or with none, and
handles signals as a command does that a person starts, however the tests themselves were started.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import signal
import sys
import termios
import traceback
from typing import Any, NoReturn

from positions_mcp.cli.serving.first_answer import warm_up

COMMANDS = ("approve", "approver", "flatten", "halt", "mandate", "operations", "reject", "resume")
READY = (
    *(f"positions_mcp.cli.{name}" for name in COMMANDS),
    "positions_mcp.store.operations",
    "positions_mcp.paper.app",
    "positions_mcp.paper.exchange",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "cryptography.hazmat.primitives.kdf.scrypt",
    "anyio._backends._asyncio",
    "cli.asking",
)

SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
"""What a shell or `nohup` makes a process ignore that is not in the foreground."""


def serve() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # as in the background of a script: no fork may depend on that
    for name in READY:
        importlib.import_module(name)
    warm_up()
    for line in sys.stdin:
        job: dict[str, Any] = json.loads(line)
        if "wait" in job:
            _, status = os.waitpid(job["wait"], 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        terminal = os.open(job["terminal"], os.O_RDWR | os.O_NOCTTY) if job["terminal"] else None
        process = os.fork()
        if process == 0:
            become(job, terminal)
        if terminal is not None:
            os.close(terminal)
        print(process, flush=True)


def become(job: dict[str, Any], terminal: int | None) -> NoReturn:
    """Run the job in this fork and end it."""
    code = 1
    try:
        for number in SIGNALS:
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
        os.setsid()
        if terminal is not None:
            fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
            streams = [terminal] * 3
        else:
            modes = (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)
            streams = [os.open(path, mode) for path, mode in zip(job["streams"], modes, strict=True)]
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        os.environ.clear()
        os.environ.update(job["environment"])
        module = importlib.import_module(job["module"])
        code = module.main(job["words"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
