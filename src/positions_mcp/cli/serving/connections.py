"""Who is connected to a server of this machine: how many, for how long in silence, and who goes when it is full.

Until a request has shown a token, a connection belongs to the address it comes from; then to its caller. Each of them
has a limit of its own. Where it is reached, the connection that has waited longest for its client goes, never one whose
request is being answered: so a flood takes the place of the flood, and not that of a call that waits for a person.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

LONGEST_WITHOUT_A_REQUEST_S = 10.0
_MINUTE_S = 60


class Phase(Enum):
    """What a connection waits for."""

    REQUEST = LONGEST_WITHOUT_A_REQUEST_S, "a request"
    """The head of the first request, or of the next one."""
    BODY = 20.0, "the rest of a request"
    ANSWER = None, "this program"
    READING = 60.0, "the client to read its answer"

    def __init__(self, longest_s: float | None, awaited: str) -> None:
        self.longest_s = longest_s
        """Seconds after which the client is not waited for any longer; None has no end."""
        self.awaited = awaited

    @property
    def is_up_to_the_client(self) -> bool:
        """Whether nothing goes on here before the client has done something."""
        return self is not Phase.ANSWER


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody at an address who has shown no token."""

    address: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose token is known."""

    name: str


Owner = Stranger | Caller


class Connected(Protocol):
    """One connection, as its protocol drives it."""

    address: str

    @property
    def phase(self) -> Phase:
        """What it waits for now."""

    @property
    def request(self) -> object:
        """What differs for every request, so that two in a row are told apart."""

    def end(self) -> None:
        """Close it at once, without a word."""

    def give_up(self) -> None:
        """Close it because its client took too long, and say so where an answer is owed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections there may be at once, and how many requests without a token in a minute."""

    of_a_caller: int = 64
    of_an_address: int = 128
    of_strangers: int = 192
    of_all: int = 512
    refused_of_an_address: int = 120
    refused_of_all: int = 1_200


BEHIND_A_PROXY = Limits(of_an_address=512, of_strangers=512)
"""Its connections are everybody's."""


@dataclass(slots=True)
class _Silence:
    """Since when a connection has waited for the same thing."""

    about: tuple[Phase, object]
    since: float


class Connections:
    """All connections of one server. `now` is in seconds, from any beginning."""

    def __init__(self, limits: Limits = Limits(), now: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._now = now
        self._silences: dict[Connected, _Silence] = {}
        self._owners: dict[Connected, Owner] = {}
        self._of: defaultdict[Owner, dict[Connected, None]] = defaultdict(dict)
        self._refused: Counter[str] = Counter()
        self._refused_since = now()

    def __iter__(self) -> Iterator[Connected]:
        return iter(list(self._owners))

    def add(self, connection: Connected) -> None:
        """A client has connected. It, or one that waits for longer, is ended where there are too many."""
        self._silences[connection] = _Silence((connection.phase, connection.request), self._now())
        self._move(connection, owner := Stranger(connection.address))
        if len(self._of[owner]) > self._limits.of_an_address:
            self._make_room(self._of[owner], connection)
        elif sum(len(self._of[each]) for each in self._of if isinstance(each, Stranger)) > self._limits.of_strangers:
            self._make_room(self._strangers(), connection)
        elif len(self._owners) > self._limits.of_all:
            self._make_room([*self._strangers(), *self._owners], connection)

    def remove(self, connection: Connected) -> None:
        self._silences.pop(connection, None)
        self._leave(connection)

    def belongs_to(self, connection: Connected, caller: str) -> bool:
        """Its request has shown the token of `caller`. False where all that this caller may have are being answered."""
        owner = Caller(caller)
        others = [other for other in self._of[owner] if other is not connection]
        if len(others) >= self._limits.of_a_caller:
            waiting = next(_up_to_the_client(others), None)
            if waiting is None:
                return False
            self._end(waiting)
        self._move(connection, owner)
        return True

    def refused(self, connection: Connected, address: str = "") -> bool:
        """Its request has shown no token that is known. False where there have been too many of those this minute.

        They count for `address`, where that is not the connection's own: its proxy says who asks.
        """
        address = address or connection.address
        self._move(connection, Stranger(connection.address))
        if self._now() - self._refused_since >= _MINUTE_S:
            self._refused.clear()
            self._refused_since = self._now()
        if self._refused.total() >= self._limits.refused_of_all:
            return False
        self._refused[address] += 1
        return self._refused[address] <= self._limits.refused_of_an_address

    def keep_callers(self, known: Collection[str]) -> None:
        """End at once what belongs to a caller who is not among `known`: a stream ends with its token."""
        for owner, theirs in list(self._of.items()):
            if isinstance(owner, Caller) and owner.name not in known:
                for connection in list(theirs):
                    self._end(connection)

    def sweep(self) -> None:
        """Give up every connection whose client has taken too long."""
        now = self._now()
        for connection, silence in list(self._silences.items()):
            about = (connection.phase, connection.request)
            if about != silence.about:
                self._silences[connection] = _Silence(about, now)
            elif about[0].longest_s is not None and now - silence.since >= about[0].longest_s:
                connection.give_up()

    def _strangers(self) -> Iterator[Connected]:
        return (connection for connection, owner in self._owners.items() if isinstance(owner, Stranger))

    def _make_room(self, among: Iterable[Connected], newest: Connected) -> None:
        self._end(next(_up_to_the_client(other for other in among if other is not newest), newest))

    def _end(self, connection: Connected) -> None:
        self.remove(connection)
        connection.end()

    def _move(self, connection: Connected, owner: Owner) -> None:
        """Put it last among those of `owner`."""
        self._leave(connection)
        self._owners[connection] = owner
        self._of[owner][connection] = None

    def _leave(self, connection: Connected) -> None:
        owner = self._owners.pop(connection, None)
        if owner is not None:
            theirs = self._of[owner]
            del theirs[connection]
            if not theirs:
                del self._of[owner]


def connections_for(*, behind_a_proxy: bool) -> Connections:
    """Those of a server that clients reach themselves, or of one that only a proxy does."""
    return Connections(BEHIND_A_PROXY if behind_a_proxy else Limits())


def _up_to_the_client(among: Iterable[Connected]) -> Iterator[Connected]:
    return (connection for connection in among if connection.phase.is_up_to_the_client)
