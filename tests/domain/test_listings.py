"""A listing is one snapshot: pages add up, and it is kept for a while and no longer."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from positions_mcp.domain.account import listings as domain
from positions_mcp.domain.account.listings import MOST_KEPT, Listings, Packed, page_of
from positions_mcp.domain.errors import CursorExpired, InvalidInput
from tools.serving import CountingIds, StandingClock


def listings(clock: StandingClock | None = None) -> Listings[str, int]:
    return Listings((clock or StandingClock()).now, CountingIds().new)


@pytest.mark.requirement("T-03")
@given(st.lists(st.integers(), max_size=60), st.integers(1, 20))
def test_walking_the_cursors_shows_every_row_once_in_order(rows: list[int], limit: int) -> None:
    kept = listings()
    page = page_of(kept.keep("all", rows, owner="me", limit=limit), 0, limit)
    seen = list(page.rows)
    while page.next_cursor:
        listing, start = kept.resume(page.next_cursor, owner="me")
        page = page_of(listing, start, limit)
        seen += page.rows
        assert page.total == len(rows)
    assert seen == rows


@pytest.mark.requirement("T-03")
def test_a_listing_is_kept_ten_minutes() -> None:
    clock = StandingClock()
    kept = listings(clock)
    cursor = page_of(kept.keep("all", [1, 2], owner="me", limit=1), 0, 1).next_cursor
    assert cursor
    clock.advance(timedelta(minutes=9, seconds=59))
    assert kept.resume(cursor, owner="me")[1] == 1
    clock.advance(timedelta(seconds=1))
    with pytest.raises(CursorExpired, match="List again"):
        kept.resume(cursor, owner="me")


@pytest.mark.requirement("T-03")
def test_the_oldest_listing_gives_way_to_the_ninth() -> None:
    kept = listings()
    cursors = [
        page_of(kept.keep(str(n), [1, 2], owner="me", limit=1), 0, 1).next_cursor or "" for n in range(MOST_KEPT + 1)
    ]
    with pytest.raises(CursorExpired):
        kept.resume(cursors[0], owner="me")
    assert [kept.resume(cursor, owner="me")[0].question for cursor in cursors[1:]] == [
        str(n) for n in range(1, MOST_KEPT + 1)
    ]


@pytest.mark.requirement("T-03")
@pytest.mark.parametrize(
    "cursor", ["", "x", "000000000001-0", "000000000001--1", "000000000001-2", "000000000001-01", "../etc"]
)
def test_what_is_not_a_cursor_of_the_listing_is_refused(cursor: str) -> None:
    kept = listings()
    kept.keep("all", [1, 2], owner="me", limit=1)
    with pytest.raises(InvalidInput):
        kept.resume(cursor, owner="me")


@pytest.mark.requirement("T-03")
def test_nobody_goes_on_with_the_listing_of_another_or_pushes_it_out() -> None:
    kept = listings()
    mine = page_of(kept.keep("mine", [1, 2], owner="me", limit=1), 0, 1).next_cursor or ""
    for _ in range(2 * MOST_KEPT):
        kept.keep("theirs", [1, 2], owner="you", limit=1)
    with pytest.raises(CursorExpired):
        kept.resume(mine, owner="you")
    assert kept.resume(mine, owner="me")[0].question == "mine"


@dataclass
class Few(Sequence[int], Packed):
    """Packs rows into a byte each."""

    rows: Sequence[int]

    @property
    def size(self) -> int:
        return len(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]


def weighed(rows: int, most: int, monkeypatch: pytest.MonkeyPatch, pack: Any = None) -> tuple[Any, Any]:
    """Listings of so many rows, of which so many find room, and how to keep one more for somebody."""
    monkeypatch.setattr(domain, "MOST_BYTES", most * rows * domain._ROW_BYTES)
    kept: Listings[str, int] = Listings(StandingClock().now, CountingIds().new, pack)

    def keep(owner: str) -> str:
        return page_of(kept.keep("all", list(range(rows)), owner=owner, limit=1), 0, 1).next_cursor or ""

    return kept, keep


@pytest.mark.requirement("T-03")
def test_rows_count_and_not_listings_and_who_has_most_gives_way_first(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, keep = weighed(100, 4, monkeypatch)
    mine = keep("me")
    theirs = [keep("you") for _ in range(6)]
    assert kept.resume(mine, owner="me")
    gone = 0
    for cursor in theirs:
        try:
            kept.resume(cursor, owner="you")
        except CursorExpired:
            gone += 1
    assert gone == 3
    assert kept.resume(theirs[-1], owner="you")


@pytest.mark.requirement("T-03")
def test_what_is_too_much_is_packed_before_any_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, keep = weighed(100, 2, monkeypatch, Few)
    cursors = [keep("me") for _ in range(MOST_KEPT)]
    listings = [kept.resume(cursor, owner="me")[0] for cursor in cursors]
    assert [isinstance(each.rows, Few) for each in listings] == [True] * (MOST_KEPT - 1) + [False]
    assert [page_of(each, 1, 3).rows for each in listings] == [(1, 2, 3)] * MOST_KEPT


@pytest.mark.requirement("T-03")
def test_rows_that_callers_share_weigh_once_and_are_packed_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Few] = []

    def pack(rows: Sequence[int]) -> Few:
        made.append(Few(rows))
        return made[-1]

    kept, keep = weighed(100, 2, monkeypatch, pack)
    rows, owners = list(range(100)), [f"caller {number}" for number in range(50)]
    cursors = [
        page_of(kept.keep("all", rows, owner=owner, limit=1), 0, 1).next_cursor or "" for owner in (*owners, "me")
    ]
    assert not made
    keep("me")
    keep("me")
    listings = [kept.resume(cursor, owner=owner)[0] for cursor, owner in zip(cursors, (*owners, "me"), strict=True)]
    assert [rows == each.rows for each in made] == [True, True]  # those of all callers, and then one's own
    assert all(each.rows is made[0] for each in listings)
    assert page_of(listings[0], 1, 3).rows == (1, 2, 3)


@pytest.mark.requirement("T-03")
def test_one_listing_that_is_too_much_by_itself_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, keep = weighed(100, 0, monkeypatch)
    with pytest.raises(CursorExpired):
        kept.resume(keep("me"), owner="me")


@pytest.mark.requirement("T-03")
def test_memory_is_given_back_where_nobody_lists_again() -> None:
    clock, rows = StandingClock(), Few([1, 2])
    kept = listings(clock)
    kept.keep("all", rows, owner="me", limit=1)
    there, _ = weakref.ref(rows), rows
    del rows, _
    clock.advance(timedelta(minutes=9))
    kept.sweep()
    assert there() is not None
    clock.advance(timedelta(minutes=1))
    kept.sweep()
    assert there() is None


@pytest.mark.requirement("T-03")
def test_a_listing_that_fits_on_one_page_pushes_nothing_out() -> None:
    kept = listings()
    cursor = page_of(kept.keep("long", [1, 2], owner="me", limit=1), 0, 1).next_cursor or ""
    for _ in range(2 * MOST_KEPT):
        assert page_of(kept.keep("short", [1], owner="me", limit=1), 0, 1).next_cursor is None
    assert kept.resume(cursor, owner="me")[0].question == "long"
