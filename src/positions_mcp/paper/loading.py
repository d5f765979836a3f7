"""Begins a paper book with a scenario: now, or on a day and from a seed that make it the same again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from hashlib import blake2b

from positions_mcp.clock import RandomIds
from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.paper.book import Book
from positions_mcp.paper.clock import ClockSetting
from positions_mcp.paper.errors import BookError
from positions_mcp.paper.ledger import Facts, Ledger
from positions_mcp.paper.scenario import Scenario, digest_of, load_scenario, scenario_name, scenario_names
from positions_mcp.paper.staging import Stage, first_trading_day
from positions_mcp.paper.venue import SeededIds
from positions_mcp.ports import Clock, Ids, MarketCalendar

_HOUR = "10:00"
"""When a day that is asked for begins, where the scenario has no hour of its own."""


@dataclass(frozen=True, slots=True)
class Loading:
    """What a scenario is loaded with. `day`: the clock stands there; `seed`: every id and price follows from it."""

    clock: Clock
    calendar: MarketCalendar
    ids: Ids | None
    accounts: tuple[int, ...]
    day: date | None = None
    seed: str = ""

    def load(self, book: Book, name: str, *, only_if_empty: bool = False) -> None:
        """Begins the book with a scenario, at the present instant or at the one its `[clock]` or `day` says."""
        scenario = load_scenario(name)
        if min(self.accounts) < 1:
            raise BookError(f"an account number is above zero, not {min(self.accounts)}")
        now, today, setting = self._beginning(scenario)
        facts = Facts(
            scenario=scenario_name(name),
            title=scenario.title,
            loaded_at=now,
            anchor=now,
            as_of=now,
            token_secret=self._secret(scenario),
            seed=self.seed,
            digest=digest_of(scenario),
            born=secrets.token_hex(8),
        )

        def begin() -> Ledger:
            ledger = Ledger(facts)
            ids = SeededIds(ledger) if self.seed else self.ids or RandomIds()
            return Stage(name, now, today, self.calendar, ids, scenario).fill(ledger, self.accounts)

        book.begin_again(begin, {"clock": setting.as_text()}, only_if_empty=only_if_empty)

    def _beginning(self, scenario: Scenario) -> tuple[datetime, date, ClockSetting]:
        """The book's first instant, its first trading day, and how its clock goes."""
        real = self.clock.now()
        hour = scenario.clock.at if scenario.clock else _HOUR
        if self.day is not None:
            if self.calendar.session_on(self.day) is None:
                following = self.calendar.next_session(self.day).day
                raise BookError(f"{self.day} is no trading day in New York; the next one is {following}")
            now = _at(self.day, hour)
            return now, self.day, ClockSetting("set", now)
        # A scenario's own time of day means the same whenever it is opened: its day has all its hours.
        today = first_trading_day(real, self.calendar, full_length=scenario.clock is not None)
        if scenario.clock is None:
            return real, today, ClockSetting()
        now = _at(today, hour)
        standing = scenario.clock.standing
        return now, today, ClockSetting("set", now) if standing else ClockSetting("running", None, now - real)

    def _secret(self, scenario: Scenario) -> str:
        if not self.seed:
            return secrets.token_hex(16)
        return blake2b(f"{digest_of(scenario)}|{self.seed}".encode(), digest_size=16).hexdigest()


def is_of(facts: Facts, scenario: str) -> bool:
    """Whether a book is of a scenario, which is known by what it says and not by where it lies.

    Packaged scenarios go by their name as well, so that a release may improve them under books that exist. Raises
    ScenarioError.
    """
    name = scenario_name(scenario)
    if name == facts.scenario and (name in scenario_names() or not facts.digest):
        return True
    return bool(facts.digest) and digest_of(load_scenario(name)) == facts.digest


def _at(day: date, hour: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(hour), NEW_YORK).astimezone(UTC)
