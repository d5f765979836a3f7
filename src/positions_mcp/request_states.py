"""What a question leaves with the client, sealed so that any server of the store opens it and nobody else can.

In the era of 2026 a question is the result of a call, and the client calls again with the answer: perhaps at another
server, because the one that asked has ended or a balancer chose so.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence

import anyio
import anyio.abc
import anyio.to_thread
from mcp.server.request_state import AESGCMRequestStateCodec

from positions_mcp.domain.errors import PositionsError

_READ_EVERY_S = 30.0
_TRY_AGAIN_S = 2.0

_log = logging.getLogger(__name__)


class RequestStates:
    """Implements the SDK's `RequestStateCodec` with the keys that the servers of a store share.

    Until they have been read, and only then, it seals with a key of this process's own.
    """

    def __init__(self, read: Callable[[], Sequence[str]]) -> None:
        self._read = read
        self._own = secrets.token_hex(32)
        self._codec = AESGCMRequestStateCodec([self._own])

    def seal(self, payload: bytes) -> str:
        """What the client carries."""
        return self._codec.seal(payload)

    def unseal(self, token: str) -> bytes:
        """What was sealed. Raises InvalidRequestState for anything else."""
        return self._codec.unseal(token)

    async def follow(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Read the keys, and again and again, until cancelled. Has started once it has tried."""
        while True:
            try:
                keys = await anyio.to_thread.run_sync(self._read, abandon_on_cancel=True)
                self._codec, pause = AESGCMRequestStateCodec([*keys, self._own]), _READ_EVERY_S
            except PositionsError as error:
                _log.debug("the keys that the servers share are not read: %s", error.message)
                pause = _TRY_AGAIN_S
            task_status.started()
            task_status = anyio.TASK_STATUS_IGNORED
            await anyio.sleep(pause)
