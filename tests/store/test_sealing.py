"""Keys that the servers of a store share: known to all before one seals, and kept while anything sealed is good."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import anyio
import pytest
from mcp.server.request_state import InvalidRequestState

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.request_states import RequestStates
from positions_mcp.store import keeping
from positions_mcp.store.operations import SqlOperationStore
from positions_mcp.store.sealing import KNOWN_AFTER, OPENS_FOR, ROTATED_AFTER
from store.steps import NOW

SECOND = timedelta(seconds=1)
GOOD_FOR = timedelta(minutes=10)
"""The SDK's own limit for what is sealed."""


def test_every_server_of_a_store_has_the_same_keys(opened: Callable[[], SqlOperationStore]) -> None:
    stores = [opened() for _ in range(4)]
    with ThreadPoolExecutor() as at_once:
        found = set(at_once.map(lambda store: store.sealing_keys(NOW), stores))
    assert len(found) == 1
    assert [len(key) >= 32 for keys in found for key in keys] == [True]


def test_a_new_key_seals_only_when_every_server_had_time_to_read_it(store: SqlOperationStore) -> None:
    (first,) = store.sealing_keys(NOW)
    rotated = NOW + ROTATED_AFTER
    assert store.sealing_keys(rotated - SECOND) == (first,)
    sealing, new = store.sealing_keys(rotated)
    assert sealing == first
    assert store.sealing_keys(rotated + KNOWN_AFTER - SECOND) == (first, new)
    assert store.sealing_keys(rotated + KNOWN_AFTER) == (new, first)


def test_an_old_key_opens_what_it_sealed_for_as_long_as_that_is_good(store: SqlOperationStore) -> None:
    (first,) = store.sealing_keys(NOW)
    store.sealing_keys(NOW + ROTATED_AFTER)
    sealed_last = NOW + ROTATED_AFTER + KNOWN_AFTER
    assert first in store.sealing_keys(sealed_last + GOOD_FOR + GOOD_FOR - SECOND)
    assert first not in store.sealing_keys(sealed_last + OPENS_FOR)


def test_keys_stay_few_however_long_a_store_is_used_or_left_alone(store: SqlOperationStore) -> None:
    for day in (0, 1, 2, 3, 40, 41):
        for minute in (0, 1, 5, 30):
            keys = store.sealing_keys(NOW + timedelta(days=day, minutes=minute))
            assert 1 <= len(keys) <= 2
            assert len(set(keys)) == len(keys)


def test_keys_that_cannot_be_read_are_made_anew(store: SqlOperationStore) -> None:
    store.sealing_keys(NOW)
    for damaged in ("", "[{}]", "nonsense", '[{"key": "k", "made_at": "never"}]', "7"):
        with store._database.writing() as connection:
            keeping.put(connection, "request_state_keys", damaged)
        assert len(store.sealing_keys(NOW)) == 1
    assert store.verify().intact, "they are no part of the record"


@pytest.mark.requirement("G-02")
async def test_what_one_server_seals_another_opens_and_nobody_else() -> None:
    keys = ["a" * 64, "b" * 64]
    one, two, stranger = RequestStates(lambda: keys), RequestStates(lambda: keys[::-1]), RequestStates(list)
    early = one.seal(b"asked before the keys were read")
    for each in (one, two):
        await started(each)
    assert two.unseal(one.seal(b"plan")) == one.unseal(two.seal(b"plan")) == b"plan"
    assert one.unseal(early) == b"asked before the keys were read"
    for other in (stranger, two):
        with pytest.raises(InvalidRequestState):
            other.unseal(early)


async def test_a_store_that_cannot_be_read_keeps_nobody_from_starting() -> None:
    def fail() -> list[str]:
        raise StoreUnavailable("It is away.")

    states = RequestStates(fail)
    await started(states)
    assert states.unseal(states.seal(b"plan")) == b"plan"


async def started(states: RequestStates) -> None:
    """Let it read the keys once."""
    async with anyio.create_task_group() as tasks:
        await tasks.start(states.follow)
        tasks.cancel_scope.cancel()
