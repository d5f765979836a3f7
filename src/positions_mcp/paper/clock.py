"""The paper exchange's clock: real time, or a time that is set and moved, shared by every process on the book."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from positions_mcp.domain.account.sessions import moment
from positions_mcp.paper import database
from positions_mcp.paper.database import Microseconds, Records
from positions_mcp.paper.errors import BookError
from positions_mcp.ports import Clock

Mode = Literal["real", "set", "running"]
_KEY = "clock"
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(2200, 1, 1, tzinfo=UTC)
"""Beyond it the clock cannot be set: no calendar knows the sessions there, and every evening until then happens."""


@dataclass(frozen=True, slots=True)
class ClockSetting:
    """How the clock goes: `real`, `set` and standing still at `at`, or `running`, `ahead` of real time."""

    mode: Mode = "real"
    at: datetime | None = None
    ahead: Microseconds = timedelta(0)

    def reading(self, real: datetime) -> datetime:
        """What the clock shows when the real time is `real`."""
        if self.mode == "set" and self.at is not None:
            return self.at
        return real + self.ahead

    def as_text(self) -> str:
        """The form in which the book keeps it."""
        return _SETTINGS.text(self)

    @classmethod
    def from_text(cls, text: str | None) -> ClockSetting:
        """The inverse of `as_text`; real time where nothing is kept."""
        return cls() if text is None else _SETTINGS.value(text)


_SETTINGS = Records(ClockSetting)


def instant_of(text: str) -> datetime:
    """An instant as a person writes it, with or without a zone. Raises BookError."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise BookError(f"{text!r:.40} is no instant; write 2026-11-23T14:30") from None


class PaperClock:
    """Implements `positions_mcp.ports.Clock` with the time of a paper book.

    It never goes back behind what the book has already lived through: an order that has filled stays filled.
    """

    def __init__(self, connection: sqlite3.Connection, base: Clock) -> None:
        self._connection = connection
        self._base = base
        self._lock = threading.Lock()
        self._version = -1
        self._setting = ClockSetting()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def now(self) -> datetime:
        return self.setting().reading(self._base.now()).astimezone(UTC)

    def real_now(self) -> datetime:
        """The present instant outside the book."""
        return self._base.now()

    def setting(self) -> ClockSetting:
        """How the clock goes now, as the last process to change it left it."""
        with self._lock:
            version = database.data_version(self._connection)
            if version != self._version:
                self._setting = ClockSetting.from_text(database.state(self._connection, _KEY))
                self._version = version
            return self._setting

    def set(self, instant: datetime, *, running: bool = False) -> datetime:
        """Sets the clock to `instant`, standing still or `running` on from there at the real pace.

        Raises BookError where the book has lived beyond `instant`, or it is after 2199; ValueError where it has no
        zone.
        """
        if instant.tzinfo is None:
            raise ValueError("the clock is set to an instant with a zone")
        if instant < _BEGINNING:
            raise BookError("the clock goes no further back than 1970")
        _check_end(instant - _END)
        if running:
            return self._change(ClockSetting("running", None, instant - self._base.now()))
        return self._change(ClockSetting("set", instant.astimezone(UTC)))

    def advance(self, by: timedelta) -> datetime:
        """Moves the clock forward. A clock on real time is set, and stands still from then on.

        Raises BookError below zero or beyond 2199.
        """
        if by < timedelta(0):
            raise BookError("the clock only goes forward; `positions-mcp paper reset` begins again")
        _check_end(self.now() - _END, by)
        setting = self.setting()
        if setting.mode == "running":
            return self._change(ClockSetting("running", None, setting.ahead + by))
        return self._change(ClockSetting("set", self.now() + by))

    def real(self) -> datetime:
        """Returns to real time. Raises BookError where the book has lived beyond it."""
        return self._change(ClockSetting())

    def _change(self, setting: ClockSetting) -> datetime:
        reading = setting.reading(self._base.now()).astimezone(UTC)
        with self._lock:
            with database.transaction(self._connection):
                lived = database.state(self._connection, "as_of")
                if lived and reading < datetime.fromisoformat(lived):
                    raise BookError(
                        f"the book has lived until {moment(datetime.fromisoformat(lived))} and cannot go back to "
                        f"{moment(reading)}: "
                        "`positions-mcp paper reset` begins again"
                    )
                database.set_state(self._connection, _KEY, setting.as_text())
            self._setting = setting
        return reading


def _check_end(distance: timedelta, by: timedelta = timedelta(0)) -> None:
    if distance > -by:
        raise BookError("the clock goes no further than the end of 2199")
