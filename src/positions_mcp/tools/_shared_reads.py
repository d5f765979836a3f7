"""Readings that several callers have together: who asks within a second of the beginning of one joins it.

Only what is looked at is shared. What a person decides on the guard reads by itself, fresh; whatever it reads or sends
ends what was shared of that account until then, so that nobody is shown less than this program knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

import anyio
from anyio.abc import TaskGroup

from positions_mcp.domain.account import readings
from positions_mcp.domain.account.positions import Book, Holding
from positions_mcp.domain.errors import Forbidden, NotFound, ReadFailed, Sent
from positions_mcp.domain.ids import AccountId, InstrumentId
from positions_mcp.domain.operation.records import Response
from positions_mcp.ports import Clock, Gathering, GatheringT, OnPage, PositionsReader
from positions_mcp.tools._turns import beside_others

T = TypeVar("T")
ReadingT = TypeVar("ReadingT", bound="Reading[Any]")

SHARED_S = 1.0
"""How long after its beginning a reading is still joined."""


@dataclass(frozen=True, slots=True)
class Times:
    """How time passes for readings."""

    clock: Clock
    """What answers tell the time by; a paper exchange may set it."""
    monotonic: Callable[[], float] = anyio.current_time
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep


class Reading(Generic[T]):
    """One reading on its way or just done, for all who have joined it."""

    def __init__(self, read: Callable[[OnPage], Awaitable[T]], times: Times) -> None:
        self._read = read
        self._times = times
        self._begun, self.begun_at = times.monotonic(), times.clock.now()
        self._scope = anyio.CancelScope()
        self._waiting = 0
        self._told: list[tuple[int, int | None]] = []
        self._news = anyio.Event()
        self._found: list[T] = []
        self._error: Exception | None = None
        self.is_over = False

    @property
    def is_open(self) -> bool:
        """Whether somebody may still join it: it began within the last second, also by the clock that may be set."""
        passed, age = self._times.monotonic() - self._begun, self._times.clock.now() - self.begun_at
        is_recent = passed < SHARED_S and timedelta(0) <= age < timedelta(seconds=SHARED_S)
        return is_recent and not self._scope.cancel_called

    async def run(self) -> bool:
        """Read, for as long as anybody waits for it. Returns whether an answer, or a lasting refusal, is to share."""
        # It may lead back here, and what was read would wait for the collector of garbage.
        read, self._read = self._read, _over
        try:
            with self._scope:
                self._found.append(await read(self._tell))
        except Exception as error:  # told to everybody who waits
            self._error = error
        finally:
            self.is_over = True
            self._wake()
        return bool(self._found) or isinstance(self._error, Forbidden | NotFound)

    async def wait(self, on_page: OnPage | None = None) -> T:
        """What it finds; its error, where it fails. `on_page` is told of every page, also of those that came before.

        Who is cancelled leaves it to the others; it ends with the last of them.
        """
        self._waiting += 1
        try:
            await self._follow(on_page)
        finally:
            self._waiting -= 1
            if not self._waiting and not self.is_over:
                self._scope.cancel()
        if self._error is not None:
            raise _own(self._error)
        if not self._found:
            raise ReadFailed("The server is closing: the reading was given up.", sent=Sent.NO)
        return self._found[0]

    async def _follow(self, on_page: OnPage | None) -> None:
        told = 0
        while True:
            news = self._news
            while on_page and told < len(self._told):
                told += 1
                await on_page(*self._told[told - 1])
            if self.is_over:
                return
            if news is self._news:
                await news.wait()

    async def _tell(self, read: int, total: int | None) -> None:
        self._told.append((read, total))
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, anyio.Event()
        news.set()


class SharedReads:
    """The readings that callers of one upstream client share. Inside `async with`, they are made.

    Who may see other things upstream has another client, and so other readings.
    """

    def __init__(self, times: Times) -> None:
        self._times = times
        self._readings: dict[tuple[Hashable, Hashable], Any] = {}
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks, self._tasks = self._tasks, None
        if tasks is not None:
            tasks.cancel_scope.cancel()
            # What the body raised is its own, and not one of a group.
            await tasks.__aexit__(None, None, None)

    def joined(self, account: Hashable, what: Hashable, begin: Callable[[Times], ReadingT]) -> ReadingT:
        """The reading of this under way or just done, or the one that is begun now. To be waited for at once."""
        key = account, what
        reading: ReadingT | None = self._readings.get(key)
        if reading is None or not reading.is_open:
            if self._tasks is None:
                raise ReadFailed("The server is closing: nothing is read any more.", sent=Sent.NO)
            reading = self._readings[key] = begin(self._times)
            self._tasks.start_soon(self._hold, key, reading)
        return reading

    def end(self, account: Hashable) -> None:
        """Let nobody join what has begun to be read of this account: something has changed, or is known better."""
        for key in [key for key in self._readings if key[0] == account]:
            del self._readings[key]

    async def _hold(self, key: tuple[Hashable, Hashable], reading: Reading[Any]) -> None:
        try:
            if await reading.run():
                await self._times.sleep(SHARED_S)
        finally:
            if self._readings.get(key) is reading:
                del self._readings[key]


class SharedReader:
    """Stands for a client by its methods that read: whoever asks the same of it within a second shares the answer."""

    def __init__(self, client: object, shared: SharedReads) -> None:
        self._client = client
        self._shared = shared

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        async def ask(subject: Hashable | Sequence[Hashable], *given: Hashable, **named: Any) -> Any:
            about = tuple(subject) if isinstance(subject, list) else subject
            asked = tuple((key, tuple(each) if isinstance(each, list) else each) for key, each in named.items())

            def begin(times: Times) -> Reading[Any]:
                return Reading(lambda _: method(subject, *given, **named), times)

            reading = self._shared.joined(about, (name, given, asked), begin)
            found = await reading.wait()
            return found.model_copy(update={"read_at": reading.begun_at}) if isinstance(found, Response) else found

        return ask


class UnsharedReader:
    """Stands for a client in the guard's hands: nothing is shared, and what was shared before each answer is over."""

    def __init__(self, client: object, shared: SharedReads) -> None:
        self._client = client
        self._shared = shared

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        async def ask(account: Hashable, *given: Any, **named: Any) -> Any:
            try:
                return await method(account, *given, **named)
            finally:
                self._shared.end(account)

        return ask


async def _over(_: OnPage) -> Any:
    raise RuntimeError("a reading is made once")


def _own(error: Exception) -> Exception:
    """The same error for one more who is told: each is raised, and added to, by itself."""
    own = type(error).__new__(type(error), *error.args)
    own.__dict__.update(error.__dict__)
    own.__cause__, own.__suppress_context__ = error.__cause__, error.__suppress_context__
    return own


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
