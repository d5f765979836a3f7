"""Every row: what grows, by which name it is measured alone, and by what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.report import Finding
from benchmarks.scale import books, callers, closes, operations, waiting
from benchmarks.scale.place import Place


@dataclass(frozen=True, slots=True)
class Row:
    """Something that must stay flat."""

    name: str
    """By which it is measured alone."""
    must: str
    measure: Callable[[Place], Iterator[Finding]]


ROWS = (
    Row("callers", "≤ 1.2 × a bare server, throughput and p99 at 1, 10, 50, 100 callers", callers.list_positions),
    Row("summaries", "all answered, bounded upstream requests", callers.summaries_at_once),
    Row("close", "≤ 45 ms of the processor, ≤ 4 store writes", closes.one_close),
    Row("closes", "≥ 40 a second on PostgreSQL with 4 processes over distinct accounts", closes.closes_a_second),
    Row("hot", "a hot account does not slow another", closes.hot_account),
    Row("hundred", "≤ 10 ms a row", closes.hundred_rows),
    Row("operations", "≤ 0.3 s, ≤ 0.5 s, ≤ 20 s in 200 MB and without the write lock", operations.hundred_thousand),
    Row("orders", "flat: only orders that matter", books.many_orders),
    Row("positions", "≤ 1.1 × reading the pages once each", books.many_positions),
    Row("listings", "≤ 200 MB, given back", books.listings),
    Row("loop", "other calls wait ≤ 50 ms", waiting.event_loop),
    Row("start", "≤ 1.15 × a bare server with httpx and the page", waiting.start),
    Row("subscribers", "≤ 0.5 % of a processor, ≤ 60 upstream requests a minute", waiting.subscribers),
)
