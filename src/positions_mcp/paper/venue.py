"""`Venue`: a paper book as it is now, with its clock, its faults and what has changed it. It knows no HTTP."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from threading import Lock
from typing import Any

from positions_mcp.paper.book import Book
from positions_mcp.paper.clock import PaperClock
from positions_mcp.paper.dialects import Dialect
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.engine.timeline import advance, next_due
from positions_mcp.paper.faults import NO_STRIKES, Fault, Strikes, Subject
from positions_mcp.paper.keys import KeyRing
from positions_mcp.paper.ledger import Effect, Ledger
from positions_mcp.paper.market import Market
from positions_mcp.ports import Ids, MarketCalendar

_NAMESPACE = uuid.UUID("c0a4b0d5-52a6-5b1c-9e37-3b7a6f0e5d11")


class SeededIds:
    """Implements `positions_mcp.ports.Ids` for what a ledger keeps; it counts in the ledger's own transaction."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def new(self) -> str:
        facts = self._ledger.facts
        number = facts.ids_made + 1
        self._ledger.put_facts(replace(facts, ids_made=number))
        return str(uuid.uuid5(_NAMESPACE, f"{facts.token_secret}|{number}"))


class RequestIds:
    """The ids of requests to one process on a book that began from a seed, as the process's n-th request."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._book = ""
        self._made = 0

    def new(self, token_secret: str, born: str, process: int) -> str:
        """The next id. `born` tells books of one seed apart, `process` the processes on one book."""
        with self._lock:
            self._made = self._made + 1 if born == self._book else 1
            self._book = born
            return str(uuid.uuid5(_NAMESPACE, f"{token_secret}|{process}|{self._made}"))


Sleeper = Callable[[float], Awaitable[None]]


class Venue:
    """A paper book, looked at now: everything that was due has happened. All methods block for a moment.

    `clock` is the book's clock, `dialect` the API it is served in, `keys` the bearer tokens that are let in.
    """

    def __init__(
        self,
        book: Book,
        clock: PaperClock,
        *,
        dialect: Dialect,
        calendar: MarketCalendar,
        ids: Ids,
        keys: Sequence[str],
        sleeper: Sleeper | None,
    ) -> None:
        self.clock = clock
        self.dialect = dialect
        self.keys = tuple(keys)
        self.key_ring = KeyRing(keys)
        self._ids = ids
        self._request_ids = RequestIds()
        self._process = ("", 0)
        self.sleeper = sleeper
        self._book = book
        self._calendar = calendar
        self._markets: dict[tuple[str, datetime], Market] = {}
        self._due: tuple[int, datetime] | None = None
        self.control_needs_key = False
        """Whether the control endpoint asks for a key: where others than this machine can reach it."""
        self.listener: Callable[[Fault], None] | None = None
        """Set by a server: stops listening for as long as a `refuse` says, before the call returns."""

    def close(self) -> None:
        self.clock.close()
        self._book.close()

    @property
    def identity(self) -> str:
        """What tells this exchange from every other one, however often its book begins again."""
        return self._book.identity

    @property
    def revision(self) -> int:
        """A number that grows with every change of the book."""
        return self._book.revision

    def _market(self, ledger: Ledger) -> Market:
        key = (ledger.facts.market_path, ledger.facts.anchor)
        if key not in self._markets:
            self._markets = {key: Market(self._calendar, ledger.facts.anchor, ledger.facts.market_path)}
        return self._markets[key]

    def ids_of(self, ledger: Ledger) -> Ids:
        """What makes ids of orders and instructions: random, or following from the book's seed."""
        return SeededIds(ledger) if ledger.facts.seed else self._ids

    def request_id(self) -> str:
        with self._book.reading() as ledger:
            facts = ledger.facts
        if not facts.seed:
            return self._ids.new()
        if self._process[0] != facts.born:
            self._process = (facts.born, self._book.process_number())
        return self._request_ids.new(facts.token_secret, *self._process)

    @contextmanager
    def reading(self) -> Iterator[Moment]:
        """The book as of now; everything that was due has happened, durably. Do not change it."""
        self._settle()
        with self._book.reading() as ledger:
            yield self._moment(ledger)

    @contextmanager
    def changing(self) -> Iterator[Moment]:
        """The book as of now in a transaction; what is changed is durable when the block ends."""
        self._settle()
        with self._book.changing() as ledger:
            moment = self._moment(ledger)
            advance(moment)
            yield moment

    def _settle(self) -> None:
        with self._book.reading() as ledger:
            moment = self._moment(ledger)
            if self._due is None or self._due[0] != self._book.revision:
                self._due = (self._book.revision, next_due(ledger, moment.market))
            if self._due[1] > moment.now:
                return
        with self._book.changing() as ledger:
            advance(self._moment(ledger))

    def _moment(self, ledger: Ledger) -> Moment:
        return Moment(ledger, self._market(ledger), max(self.clock.now(), ledger.facts.as_of))

    def arm(self, kind: str, operation: str = "any", **options: Any) -> Fault:
        """Arms a fault (`fault_kinds.KINDS`) for an operation; `options` are the fields of `faults.Fault`.

        `times=None` lets it strike until it is cleared. Raises PaperError where there is no such fault or operation, or
        they do not go together.
        """
        return self._book.arm(Fault.from_record(0, {"kind": kind, "operation": operation, **options}))

    def faults(self) -> list[Fault]:
        return self._book.faults()

    def disarm(self) -> None:
        self._book.disarm()

    def strike(self, about: Callable[[Ledger], Subject]) -> Strikes:
        """Takes the faults that strike a request now; what it is about is only asked for if any is armed."""
        if not self._book.has_faults():
            return NO_STRIKES
        with self.reading() as moment:
            subject = about(moment.ledger)
        return self._book.claim_faults(lambda fault: fault.applies_to(subject), self.clock.real_now())

    def strike_refusal(self) -> Fault | None:
        """Takes an armed `refuse`, for whichever operation: a server that refuses connections cannot tell."""
        if not self._book.has_faults():
            return None
        return self._book.claim_faults(lambda fault: fault.kind == "refuse", self.clock.real_now()).of("refuse")

    def effects(self) -> list[Effect]:
        """Every request that has changed the book since the scenario was loaded, oldest first."""
        with self.reading() as moment:
            return list(moment.ledger.effects)

    def effect_counts(self) -> dict[str, int]:
        """How many requests have changed the book, by operation; operations without an effect are left out."""
        return dict(Counter(effect.operation for effect in self.effects()))
