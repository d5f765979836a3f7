"""Who watches the store hears of what time has decided, and a store in which nothing happens is asked little."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from guard.desk import desk
from positions_mcp.domain.operation.states import Stage
from positions_mcp.store.operations import SqlOperationStore


async def test_a_plan_that_expired_is_heard_of_within_seconds(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        operation = await it.asked("MSFT")
        seen, _ = await it.guard.changes.since({})
        it.clock.advance(operation.plan.expires_at - it.clock.now() - timedelta(seconds=1))
        seen, changed = await it.guard.changes.since(seen)
        assert not changed
        for _ in range(4):
            it.clock.advance(timedelta(seconds=1))
            seen, now_changed = await it.guard.changes.since(seen)
            changed += now_changed
        assert [(each.operation_id, each.stage) for each in changed] == [(operation.operation_id, Stage.EXPIRED)]


async def test_what_others_write_is_heard_of_at_the_next_look_whatever_the_time(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        seen, _ = await it.guard.changes.since({})
        for name in ("MSFT", "AAPL"):
            operation = await it.asked(name)
            seen, changed = await it.guard.changes.since(seen)
            assert operation.operation_id in [each.operation_id for each in changed]


async def test_time_is_noted_every_three_seconds_and_at_once_where_a_clock_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path) as it:
        noted: list[datetime] = []
        expire = SqlOperationStore.expire

        def counting(store: SqlOperationStore, now: datetime, **options: int) -> object:
            noted.append(now)
            return expire(store, now, **options)

        monkeypatch.setattr(SqlOperationStore, "expire", counting)
        begun = it.clock.now()
        for _ in range(7):
            await it.guard.changes.since({})
            it.clock.advance(timedelta(seconds=1))
        it.clock.advance(timedelta(hours=-1))
        await it.guard.changes.since({})
        assert [round((each - begun).total_seconds()) for each in noted] == [0, 3, 6, 7 - 3600]
