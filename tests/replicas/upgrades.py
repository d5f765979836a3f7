"""Releases with another schema, as `campaign` has it: the store is migrated while older servers are at work on it.

Or one of the newer servers is replaced by an older one. Then all are replaced, as docs/deployment.md says.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread
import httpx2

from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.store.migrations import MIGRATIONS
from positions_mcp.store.operations import SqlOperationStore
from replicas.campaign import Campaign, Case
from replicas.cluster import Replica
from replicas.later.sitecustomize import SCHEMAS, schemas

# ruff: noqa: ASYNC110 — what is waited for happens in other processes
LATER = Path(__file__).parent / "later"
_BEHIND_THE_COMMIT_S = 0.3
"""Until who migrates waits for a commit that is on its way."""
_UNREADY_WITHIN_S = 10.0


class Upgrades(Campaign):
    """All that happens to one cluster whose releases change."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._migrating: threading.Thread | None = None
        self.unready: list[float] = []
        """Seconds after which each older replica said that it is not ready."""

    async def begin(self, deps: Dependencies) -> None:
        """Every server knows a schema that the program itself does not."""
        await super().begin(deps)
        self._of_desk = cast("SqlOperationStore", deps.store)
        await anyio.to_thread.run_sync(self._migrate)
        await self._replace()

    def breaking(self, case: Case) -> Callable[[int], Awaitable[object]]:
        """What happens at a step, to the replica of a number."""

        async def migrated(_: int) -> None:
            self._migrating = threading.Thread(target=self._migrate)
            self._migrating.start()
            await anyio.sleep(_BEHIND_THE_COMMIT_S)
            if case.step != "commit asked":
                await anyio.to_thread.run_sync(self._migrating.join)

        async def older(number: int) -> None:
            replica = self.cluster.replicas[(number + 1) % len(self.cluster.replicas)]
            await anyio.to_thread.run_sync(replica.stop)
            replica.beside = {}
            await anyio.to_thread.run_sync(replica.start)

        return migrated if case.fault == "schema" else older

    async def put_right(self) -> None:
        """The older ones say that they are not ready, and are replaced."""
        if self._migrating is not None:
            await anyio.to_thread.run_sync(self._migrating.join)
            self._migrating = None
        for replica in self.cluster.replicas:
            if replica.is_up and replica.beside.get(SCHEMAS, "0") != str(self.cluster.later):
                self.unready.append(await self._until_unready(replica))
        await self._replace()

    def _migrate(self) -> None:
        self.cluster.later += 1
        before, self._of_desk._migrations = self._of_desk._database, (*MIGRATIONS, *schemas(self.cluster.later))
        self._of_desk._open()  # the desk is of the later release
        before.close()

    async def _replace(self) -> None:
        older = [each for each in self.cluster.replicas if each.beside.get(SCHEMAS, "0") != str(self.cluster.later)]
        for replica in older:
            code = await anyio.to_thread.run_sync(replica.stop)
            self.story.faults.append({"fault": "replaced", "replica": replica.number, "code": code})
            replica.beside = {"PYTHONPATH": str(LATER), SCHEMAS: str(self.cluster.later)}
        for replica in older:
            await anyio.to_thread.run_sync(replica.start)

    async def _until_unready(self, replica: Replica) -> float:
        began, url = time.monotonic(), f"http://127.0.0.1:{replica.port}/readyz"
        with anyio.fail_after(_UNREADY_WITHIN_S):
            async with httpx2.AsyncClient(timeout=_UNREADY_WITHIN_S) as http:
                while (answer := await http.get(url)).status_code == httpx2.codes.OK:
                    await anyio.sleep(0.05)
        assert "and this program knows" in answer.json()["checks"]["store"], answer.text
        return time.monotonic() - began
