"""A store serves one paper exchange: with two books, what is closed in one would be closed in the other as well."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from positions_mcp.clock import SystemClock
from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.paper import PaperExchange
from positions_mcp.paper.snapshots import restore, take
from positions_mcp.store.operations import SqlOperationStore
from store.steps import finished

pytestmark = pytest.mark.requirement("G-06", "G-15")


def test_the_first_exchange_has_the_store_and_another_one_is_refused(opened: Callable[[], SqlOperationStore]) -> None:
    one, other = opened(), opened()
    finished(one)
    one.bind("a")
    other.bind("a")
    with pytest.raises(StoreUnavailable, match="belongs to another paper exchange"):
        other.bind("b")
    one.bind("a")
    assert one.verify().intact


def test_of_two_exchanges_at_the_same_time_one_is_refused(opened: Callable[[], SqlOperationStore]) -> None:
    def bind(exchange: str) -> bool:
        try:
            stores[exchange].bind(exchange)
        except StoreUnavailable:
            return False
        return True

    stores = {name: opened() for name in "abcd"}
    with ThreadPoolExecutor() as at_once:
        assert sum(at_once.map(bind, stores)) == 1


def test_a_store_has_one_name_however_often_it_is_opened(opened: Callable[[], SqlOperationStore]) -> None:
    with ThreadPoolExecutor() as at_once:
        assert len(set(at_once.map(lambda _: opened().name(), range(4)))) == 1


def test_an_exchange_is_the_same_one_when_its_book_begins_again(tmp_path: Path) -> None:
    def identity(folder: str) -> str:
        exchange = PaperExchange.open(tmp_path / folder)
        try:
            return exchange.identity
        finally:
            exchange.close()

    first, other = identity("one"), identity("other")
    assert first != other
    take(tmp_path / "one", "kept", SystemClock())
    PaperExchange.reset(tmp_path / "one", "large")
    assert identity("one") == first
    restore(tmp_path / "one", "kept", SystemClock())
    assert identity("one") == first
