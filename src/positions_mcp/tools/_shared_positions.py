"""The positions of an account, read once for all who look at them within a second, whatever each makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import anyio

from positions_mcp.domain.account import readings
from positions_mcp.domain.account.positions import Book, Holding
from positions_mcp.domain.ids import AccountId, InstrumentId
from positions_mcp.ports import Gathering, GatheringT, OnPage, PositionsReader
from positions_mcp.tools._shared_reads import Reading, SharedReads, Times
from positions_mcp.tools._turns import beside_others


class SharedPositions:
    """Implements `ports.PositionsReader` over another one."""

    def __init__(self, positions: PositionsReader, shared: SharedReads) -> None:
        self._positions = positions
        self._shared = shared

    async def read_book(
        self, account_id: AccountId, *, instrument_ids: Sequence[InstrumentId] = (), on_page: OnPage | None = None
    ) -> Book:
        """As the port says, by a reading that others may have begun within the last second."""
        wanted = tuple(instrument_ids)

        async def read(tell: OnPage) -> Book:
            return await self._positions.read_book(account_id, instrument_ids=wanted, on_page=tell)

        reading = self._shared.joined(account_id, ("book", wanted), lambda times: Reading(read, times))
        return await reading.wait(on_page)

    async def gather_positions(
        self, account_id: AccountId, begin: Callable[[], GatheringT], *, on_page: OnPage | None = None
    ) -> tuple[GatheringT, readings.Reading]:
        """As the port says, from pages that others may have begun to read within the last second.

        Who gives an equal `begin` shares what it makes too: it is to be looked at, not changed.
        """
        pages = self._shared.joined(account_id, "positions", lambda times: _Pages(self._positions, account_id, times))
        with pages.kept_for(begin):
            how = await pages.wait(on_page)
            return cast("GatheringT", await pages.taken_by(begin)), how


@dataclass(slots=True)
class _Gathered:
    into: Gathering
    pages: int = 0
    """How many it has taken in."""
    callers: int = 0
    """How many wait for it."""
    taking: anyio.Lock = field(default_factory=partial(anyio.Lock, fast_acquire=True))


class _Pages(Reading[readings.Reading]):
    """The pages of one reading as they come, and what is made of them."""

    def __init__(self, positions: PositionsReader, account_id: AccountId, times: Times) -> None:
        async def read(tell: OnPage) -> readings.Reading:
            async def take(read: int, total: int | None) -> None:
                for begin in list(self._begins):
                    await self._take(begin)
                await tell(read, total)

            _, how = await positions.gather_positions(account_id, self._again, on_page=take)
            return how

        super().__init__(read, times)
        self._begins: dict[Callable[[], Any], _Gathered] = {}
        self._pages: list[Sequence[Holding]] = []
        self._rows = 0

    def add(self, positions: Sequence[Holding]) -> None:
        """Take in one more page, as the listing's `Gathering`."""
        self._pages.append(positions)
        self._rows += len(positions)

    @contextmanager
    def kept_for(self, begin: Callable[[], Any]) -> Iterator[None]:
        """Within, this takes in every page as it comes."""
        self._begins.setdefault(begin, _Gathered(begin())).callers += 1
        try:
            yield
        finally:
            gathered = self._begins[begin]
            gathered.callers -= 1
            if not gathered.callers and not self.is_over:
                del self._begins[begin]

    async def taken_by(self, begin: Callable[[], Any]) -> Gathering:
        """What this makes of all pages that have come, also of those that came before it."""
        await self._take(begin)
        return self._begins[begin].into

    async def _take(self, begin: Callable[[], Any]) -> None:
        while (gathered := self._begins.get(begin)) and gathered.pages < len(self._pages):
            async with gathered.taking:
                if gathered is self._begins.get(begin) and gathered.pages < len(self._pages):
                    page = self._pages[gathered.pages]
                    await beside_others(self._rows, partial(gathered.into.add, page))
                    gathered.pages += 1

    def _again(self) -> _Pages:
        """The listing begins, or begins once more because its pages contradicted each other."""
        self._pages, self._rows = [], 0
        self._begins = {begin: _Gathered(begin(), callers=each.callers) for begin, each in self._begins.items()}
        return self
