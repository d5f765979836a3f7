"""The benchmark of what must stay flat: it measures every row that is asked of it, and its parts work."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from benchmarks.scale.closes import one_close
from benchmarks.scale.many_operations import Template, fill
from benchmarks.scale.place import QUICK, Place
from benchmarks.scale.rows import ROWS
from benchmarks.scale.stores import Store, sqlite
from benchmarks.scale.thin import Thin, close, server, share, thin_upstream

from positions_mcp.store.operations import SqlOperationStore

MUSTS = {
    "callers": ["1.2 × a bare server", "throughput and p99", "1, 10, 50, 100 callers"],
    "summaries": ["all answered", "bounded upstream requests"],
    "close": ["45 ms", "4 store writes"],
    "closes": ["40 a second", "PostgreSQL", "4 processes", "distinct accounts"],
    "hot": ["does not slow another"],
    "hundred": ["10 ms a row"],
    "operations": ["0.3 s", "0.5 s", "20 s in 200 MB", "without the write lock"],
    "orders": ["only orders that matter"],
    "positions": ["1.1 × reading the pages once each"],
    "listings": ["200 MB", "given back"],
    "loop": ["50 ms"],
    "start": ["1.15 ×"],
    "subscribers": ["0.5 %", "60 upstream requests a minute"],
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Thin]:
    with thin_upstream(40) as api:
        yield api


@pytest.fixture(scope="module")
def closed(upstream: Thin, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with one close that the program has made."""
    store = sqlite(tmp_path_factory.mktemp("scale") / "closed")
    with server(upstream, store) as ours:
        close(ours, [share(0)])
    return store


def test_every_must_has_its_row_which_can_be_measured_alone() -> None:
    assert [row.name for row in ROWS] == list(MUSTS)
    for row in ROWS:
        assert all(part in row.must for part in MUSTS[row.name]), row.must


def test_a_store_of_copies_is_one_that_verify_accepts(upstream: Thin, closed: Store, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir(mode=0o700)
    many = sqlite(tmp_path / "many")
    fill(many, 300, Template.of(closed, {datetime.now(UTC).date(), upstream.market_day}))
    store = SqlOperationStore(many.place)
    try:
        checked = store.verify()
        assert checked.intact, checked.problem
        assert len({each.plan.created_at.date() for each in store.operations(limit=1000)}) > 200
    finally:
        store.close()


def test_a_close_is_measured_in_time_of_the_processor_and_in_writes(tmp_path: Path) -> None:
    processor, writes = one_close(Place(tmp_path, lambda name: iter([sqlite(tmp_path / name)]), QUICK))
    assert processor.measured is not None
    assert processor.measured > 0
    assert writes.measured is not None
    assert 1 <= writes.measured <= 20
