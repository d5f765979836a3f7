"""Who is signed in at the desks of a store, as the store keeps it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from positions_mcp.domain.errors import Refused
from positions_mcp.ports.beside import StoredSession
from positions_mcp.store.operations import SqlOperationStore
from store.steps import MINUTE, NOW


def session(cookie: str, *, entered_by: str | None = None) -> StoredSession:
    return StoredSession(cookie, "token", "Ana", "fingerprint", NOW, NOW, NOW + 30 * MINUTE, entered_by)


def test_an_end_is_seen_by_all_and_never_taken_back(opened: Callable[[], SqlOperationStore]) -> None:
    one, two = opened(), opened()
    one.open_session(session("a"), most=100)
    assert two.session("a") == session("a")
    two.keep_session("a", seen_at=NOW + MINUTE, until=NOW + MINUTE)
    one.keep_session("a", seen_at=NOW + 2 * MINUTE, until=NOW + 32 * MINUTE)
    ended = replace(session("a"), seen_at=NOW + MINUTE, until=NOW + MINUTE)
    assert one.session("a") == two.session("a") == ended


def test_a_challenge_opens_one_session_also_where_desks_are_answered_at_once_or_it_has_ended(
    opened: Callable[[], SqlOperationStore],
) -> None:
    stores = [opened(), opened()]

    def enter(number: int) -> bool:
        try:
            stores[number % 2].open_session(session(f"c{number}", entered_by="challenge"), most=100)
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(4) as at_once:
        answered = list(at_once.map(enter, range(8)))
    assert answered.count(True) == 1
    cookie = f"c{answered.index(True)}"
    stores[0].keep_session(cookie, seen_at=NOW, until=NOW)
    stores[0].open_session(session("other"), most=100)
    with pytest.raises(Refused, match="answered before"):
        stores[1].open_session(session("again", entered_by="challenge"), most=100)


def test_guesses_at_several_desks_are_counted_once_each(opened: Callable[[], SqlOperationStore]) -> None:
    stores = [opened(), opened()]
    stores[0].open_session(session("a"), most=100)
    with ThreadPoolExecutor(4) as at_once:
        counted = list(at_once.map(lambda number: stores[number % 2].count_guess("a", 1), range(12)))
    assert sorted(counted) == list(range(1, 13))
    assert stores[0].count_guess("a", -12) == 0
    assert stores[0].count_guess("nobody's", 1) == 0


def test_a_touch_that_began_before_a_sign_out_and_is_written_after_it_does_not_take_it_back(
    opened: Callable[[], SqlOperationStore],
) -> None:
    one, two = opened(), opened()
    one.open_session(session("a"), most=100)
    touched = NOW + 2 * MINUTE
    ended = touched + MINUTE / 100
    two.keep_session("a", seen_at=ended, until=ended)  # signed out
    one.keep_session("a", seen_at=touched, until=touched + 30 * MINUTE)  # a request that had read it as open
    found = one.session("a")
    assert found is not None
    assert found.until <= ended
