"""Listings between their pages, shared by the servers of a PostgreSQL store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from databases import new_database
from positions_mcp.domain.account.listings import LIFETIME, MOST_KEPT
from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.ports.beside import StoredListing
from positions_mcp.store import listings
from positions_mcp.store.operations import SqlOperationStore
from store.steps import NOW

ALL = range(1000)
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def servers(postgres_url: str) -> Iterator[list[SqlOperationStore]]:
    """The stores of two servers over one database."""
    url = new_database(postgres_url)
    stores = [SqlOperationStore(url), SqlOperationStore(url)]
    yield stores
    for each in stores:
        each.close()


def listing(name: str, owner: str = "me", packs: Sequence[bytes] = (b"1", b"2", b"3")) -> StoredListing:
    return StoredListing(name, owner, f"what {name} asked", 10 * len(packs), packs)


@pytest.mark.requirement("T-03")
def test_what_one_server_keeps_another_goes_on_with_pack_by_pack(servers: list[SqlOperationStore]) -> None:
    one, two = servers
    kept = listing("a", packs=[bytes([number]) * 100 for number in range(5)])
    one.keep_listing(kept, NOW)
    assert two.listing("a", "me", ALL, NOW) == kept
    assert two.listing("a", "me", range(3, 5), NOW) == replace(kept, packs=kept.packs[3:5])
    assert two.listing("a", "me", range(9, 11), NOW) == replace(kept, packs=[])


@pytest.mark.requirement("T-03")
def test_nobody_goes_on_with_anothers(servers: list[SqlOperationStore]) -> None:
    one, two = servers
    one.keep_listing(listing("a"), NOW)
    assert two.listing("a", "you", ALL, NOW) is None
    assert two.listing("b", "me", ALL, NOW) is None


@pytest.mark.requirement("T-03")
def test_it_is_kept_ten_minutes_and_swept_by_the_next_one(servers: list[SqlOperationStore]) -> None:
    one, two = servers
    one.keep_listing(listing("a"), NOW)
    assert two.listing("a", "me", ALL, NOW + LIFETIME - MICROSECOND)
    assert two.listing("a", "me", ALL, NOW + LIFETIME) is None
    two.keep_listing(listing("b"), NOW + LIFETIME)
    assert one.listing("a", "me", ALL, NOW) is None


@pytest.mark.requirement("T-03")
def test_the_ninth_takes_the_place_of_the_oldest_of_the_same_owner(servers: list[SqlOperationStore]) -> None:
    one, two = servers
    one.keep_listing(listing("yours", "you"), NOW)
    for number in range(MOST_KEPT + 1):
        servers[number % 2].keep_listing(listing(f"m{number}"), NOW + number * MICROSECOND)
    assert two.listing("yours", "you", ALL, NOW)
    assert [one.listing(f"m{number}", "me", ALL, NOW) is not None for number in range(MOST_KEPT + 1)] == [
        False,
        *[True] * MOST_KEPT,
    ]


@pytest.mark.requirement("T-03")
def test_where_there_is_too_much_who_has_most_gives_way(
    servers: list[SqlOperationStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "MOST_STORED_BYTES", 3_500)
    one, two = servers
    one.keep_listing(listing("small", "you", [b"y" * 400]), NOW)
    for number in range(5):
        two.keep_listing(listing(f"m{number}", packs=[b"m" * 1_000]), NOW + number * MICROSECOND)
    assert one.listing("small", "you", ALL, NOW)
    assert [one.listing(f"m{number}", "me", ALL, NOW) is not None for number in range(5)] == [False] * 2 + [True] * 3


def test_servers_that_keep_and_sweep_at_once_do_not_stop_each_other(servers: list[SqlOperationStore]) -> None:
    def keep(number: int) -> None:
        servers[number % 2].keep_listing(listing(f"n{number}", f"owner {number % 3}"), NOW + number * LIFETIME / 9)

    with ThreadPoolExecutor(8) as at_once:
        list(at_once.map(keep, range(60)))
    assert servers[0].listing("n59", "owner 2", ALL, NOW)


def test_a_file_which_is_one_machines_keeps_none(tmp_path: Path) -> None:
    store = SqlOperationStore(tmp_path / "operations.sqlite")
    with pytest.raises(StoreUnavailable):
        store.keep_listing(listing("a"), NOW)
    store.close()
