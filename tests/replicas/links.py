"""A link between two processes that a test watches, cuts and blocks: TCP on the one side, TCP or a socket on the other.

It knows nothing of what it carries but where a step of sending begins: a commit at the database, a request that closes
something at the exchange. What is to happen there happens before another byte passes.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import anyio
import anyio.abc

_CLOSING = re.compile(rb"^(?:DELETE|POST) (/v1/accounts/\d+/(?:positions|orders)\S*) HTTP/1\.1\r\n", re.MULTILINE)
_COMMIT = b"COMMIT"
_RESET = struct.pack("ii", 1, 0)
_LARGEST = 65_536
_GONE = (OSError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)

Step = Literal["commit asked", "commit done", "request asked", "request answered", "any"]
"""Before a commit reaches the database; after it, before its process hears of it; the same of a request."""
Happening = Callable[[int], Awaitable[object]]
"""What happens, to the process of this number."""


@dataclass
class Trap:
    """What happens at the n-th passing of a step on any of the links that share it, once."""

    step: Step
    nth: int
    happening: Happening
    sprung: anyio.Event = field(default_factory=anyio.Event)
    over: anyio.Event = field(default_factory=anyio.Event)
    """Set once what happens has happened, whoever has gone meanwhile."""

    async def passing(self, step: Step, process: int) -> None:
        if step != self.step or self.sprung.is_set():
            return
        self.nth -= 1
        if self.nth <= 0:
            self.sprung.set()
            try:
                with anyio.CancelScope(shield=True):
                    await self.happening(process)
            finally:
                self.over.set()


@dataclass(eq=False)
class Link:
    """From a port of its own to `target`, for one process."""

    target: str
    """HOST:PORT, or the path of a socket."""
    process: int
    arrived: Callable[[str], None] = lambda _: None
    """Told the path of each closing request that left its process."""
    passed: Callable[[str], None] = lambda _: None
    """Told the path of each of them that has been let through."""
    port: int = 0
    trap: Trap | None = None
    _open: set[tuple[anyio.abc.SocketStream, anyio.abc.ByteStream]] = field(default_factory=set)
    _blocked: anyio.Event | None = None
    _torn: bool = False

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Carry until cancelled."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self.port)
        self.port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with listener:
            task_status.started()
            await listener.serve(self._carry)

    async def cut(self) -> None:
        """Reset every connection on both sides."""
        for pair in list(self._open):
            for side in pair:
                with suppress(OSError, anyio.ClosedResourceError, anyio.TypedAttributeLookupError):
                    raw = side.extra(anyio.abc.SocketAttribute.raw_socket)
                    if raw.family == socket.AF_UNIX:
                        raw.shutdown(socket.SHUT_RDWR)  # closed by who receives from it: anyio fails if it is not
                        continue
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                await anyio.aclose_forcefully(side)

    def block(self) -> None:
        """Swallow everything from now on, as a network does that drops packets."""
        self._blocked = self._blocked or anyio.Event()

    def tear(self) -> None:
        """Let half of what comes back next pass, and reset every connection then."""
        self._torn = True

    async def unblock(self) -> None:
        """Connections that were blocked are gone; new ones pass."""
        self._torn = False
        if self._blocked is not None:
            blocked, self._blocked = self._blocked, None
            await self.cut()
            blocked.set()

    async def _carry(self, near: anyio.abc.SocketStream) -> None:
        async with near:
            with suppress(*_GONE):
                async with await self._reach() as far, anyio.create_task_group() as tasks:
                    self._open.add(pair := (near, far))
                    awaited: list[Step] = []
                    try:
                        tasks.start_soon(self._forth, near, far, awaited)
                        with suppress(*_GONE):
                            await self._back(far, near, awaited)
                        tasks.cancel_scope.cancel()
                    finally:
                        self._open.discard(pair)

    async def _reach(self) -> anyio.abc.ByteStream:
        if self._blocked is not None:
            await self._blocked.wait()
        if self.target.startswith("/"):
            return await anyio.connect_unix(self.target)
        host, _, port = self.target.rpartition(":")
        return await anyio.connect_tcp(host, int(port))

    async def _forth(self, near: anyio.abc.ByteReceiveStream, far: anyio.abc.ByteStream, awaited: list[Step]) -> None:
        with suppress(*_GONE):
            while data := await near.receive(_LARGEST):
                closing = _CLOSING.search(data)
                if closing:
                    self.arrived(closing[1].decode())
                    await self._pass("request asked")
                    awaited.append("request answered")
                elif _COMMIT in data:
                    await self._pass("commit asked")
                    awaited.append("commit done")
                await self._pass("any")
                await self._wait_if_blocked()
                if closing:
                    self.passed(closing[1].decode())
                await far.send(data)
        with suppress(*_GONE):
            await far.send_eof()  # it closes, and what comes back ends

    async def _back(
        self, far: anyio.abc.ByteReceiveStream, near: anyio.abc.ByteSendStream, awaited: list[Step]
    ) -> None:
        while data := await far.receive(_LARGEST):
            while awaited:
                await self._pass(awaited.pop(0))
            await self._wait_if_blocked()
            await near.send(data[: len(data) // 2] if self._torn else data)
            if self._torn:
                self._torn = False
                await self.cut()

    async def _pass(self, step: Step) -> None:
        if self.trap is not None:
            await self.trap.passing(step, self.process)

    async def _wait_if_blocked(self) -> None:
        if self._blocked is not None:
            await self._blocked.wait()
