"""New York Stock Exchange sessions, from the maintained `holidays` library.

The library is imported when the first session is asked for, so that it costs nothing at start-up.
Regular trading is 09:30–16:00 New York time, until 13:00 on the early closes the exchange publishes.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import date, datetime, time, timedelta
from functools import cache
from importlib.util import find_spec
from pkgutil import iter_modules
from threading import Lock

from positions_mcp.domain.account.sessions import NEW_YORK, MarketState, Session, new_york_day
from positions_mcp.lazy_imports import LazyImports

_OPEN = time(9, 30)
_CLOSE = time(16, 0)
_EARLY_CLOSE = time(13, 0)
_LONGEST_CLOSURE_DAYS = 14
_OF_OTHERS = (
    "countries",
    *(
        f"calendars.{name}"
        for name in (
            "australia_school",
            "buddhist",
            "chinese",
            "germany_school",
            "hebrew",
            "hindu",
            "islamic",
            "mongolian",
            "persian",
            "sinhala",
            "thai",
        )
    ),
)
_IMPORTING = Lock()


class NewYorkCalendar:
    """Implements `positions_mcp.ports.MarketCalendar` for the New York exchanges."""

    def session_on(self, day: date) -> Session | None:
        if day.weekday() >= 5 or day in _holidays(day.year):
            return None
        early = day in _early_closes(day.year)
        return Session(
            day=day,
            opens=datetime.combine(day, _OPEN, NEW_YORK),
            closes=datetime.combine(day, _EARLY_CLOSE if early else _CLOSE, NEW_YORK),
            early_close=early,
        )

    def next_session(self, day: date) -> Session:
        for offset in range(_LONGEST_CLOSURE_DAYS):
            if session := self.session_on(day + timedelta(days=offset)):
                return session
        raise LookupError(f"no session within {_LONGEST_CLOSURE_DAYS} days of {day}")

    def previous_session(self, day: date) -> Session:
        for offset in range(1, _LONGEST_CLOSURE_DAYS):
            if session := self.session_on(day - timedelta(days=offset)):
                return session
        raise LookupError(f"no session within {_LONGEST_CLOSURE_DAYS} days before {day}")

    def state_at(self, instant: datetime) -> MarketState:
        today = new_york_day(instant)
        session = self.session_on(today)
        if session and instant < session.opens:
            return MarketState(instant, None, session)
        current = session if session and session.contains(instant) else None
        return MarketState(instant, current, self.next_session(today + timedelta(days=1)))


@cache
def _holidays(year: int) -> Container[date]:
    return _nyse(year, "public")


@cache
def _early_closes(year: int) -> Container[date]:
    return _nyse(year, "half_day")


def _nyse(year: int, category: str) -> Container[date]:
    """The days of a category. The library imports every country for its other exchanges: here only what this one needs.

    A release of it that is arranged otherwise is imported whole, as the first caller then has to wait for.
    """
    with _IMPORTING:
        try:
            with LazyImports(*_not_needed()):
                import holidays

                return holidays.financial_holidays("NYSE", years=year, categories=(category,))
        except Exception:  # whatever a stand-in made of it
            import holidays

            return holidays.financial_holidays("NYSE", years=year, categories=(category,))


@cache
def _not_needed() -> tuple[str, ...]:
    library = find_spec("holidays")
    folders = library.submodule_search_locations if library else None
    exchanges = (name for folder in folders or () for _, name, _ in iter_modules([f"{folder}/financial"]))
    return tuple(f"holidays.{name}" for name in _OF_OTHERS) + tuple(
        f"holidays.financial.{name}" for name in exchanges if name != "ny_stock_exchange"
    )
