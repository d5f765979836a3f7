"""`PaperExchange`: a paper book with a clock, faults and an ASGI application that speaks the API."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from positions_mcp.clock import RandomIds, SystemClock
from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.market_calendar import NewYorkCalendar
from positions_mcp.paper import database
from positions_mcp.paper.book import Book
from positions_mcp.paper.clock import ClockSetting, PaperClock
from positions_mcp.paper.dialects import ContractName, ErrorShape, dialect_of
from positions_mcp.paper.errors import BookError
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.market import PROCESSING
from positions_mcp.paper.venue import Sleeper, Venue
from positions_mcp.ports import Clock, Ids, MarketCalendar

if TYPE_CHECKING:
    from positions_mcp.paper.app import PaperApp

DEFAULT_ACCOUNT = 19816
DEFAULT_KEY = "paper.key"
DEFAULT_SCENARIO = "demo"


class PaperExchange(Venue):
    """The paper exchange over one book. Open it with `PaperExchange.open`; all methods block for a moment.

    `app` is the ASGI application, `clock` the book's clock. Any number of exchanges, in any number of processes, may be
    open on one book: they see one state.
    """

    @classmethod
    def open(
        cls,
        data_dir: Path,
        *,
        scenario: str | None = None,
        contract: ContractName = "current",
        errors: ErrorShape | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
        calendar: MarketCalendar | None = None,
        accounts: Sequence[int] | None = (DEFAULT_ACCOUNT,),
        keys: Sequence[str] = (DEFAULT_KEY,),
        sleeper: Sleeper | None = None,
    ) -> PaperExchange:
        """Opens the book in `data_dir`, loading `scenario` (default `demo`) if there is none yet.

        Args:
            data_dir: where `paper.sqlite` is, or will be.
            scenario: a packaged scenario, or the path of a `.toml` file. None: whatever the book has.
            contract: which dialect of the API `app` speaks.
            errors: the shape of its errors, if not the dialect's own.
            clock: what "real time" is; the machine's time if omitted.
            ids: makes identifiers; random ones if omitted.
            calendar: knows the sessions; New York's if omitted.
            accounts: account numbers of a new book; an existing one must have them. None: whichever it has.
            keys: bearer tokens that `app` accepts, in the form `<id>.<secret>`.
            sleeper: how faults wait; real time if omitted.

        Raises:
            ScenarioError: the scenario does not exist or is wrong.
            BookError: the book has another scenario or other accounts, or cannot be opened.
        """
        calendar = calendar or NewYorkCalendar()
        base, identifiers = clock or SystemClock(), ids or RandomIds()
        dialect = dialect_of(contract, errors)
        book = Book(database.connect(data_dir))
        try:
            if book.is_empty():
                loading = _Loading(base, calendar, identifiers, tuple(accounts or (DEFAULT_ACCOUNT,)))
                loading.load(book, scenario or DEFAULT_SCENARIO, only_if_empty=True)
            with book.reading() as ledger:
                _check(ledger, scenario, accounts or ())
            paper_clock = PaperClock(database.connect(data_dir), base)
        except BaseException:
            book.close()
            raise
        return cls(book, paper_clock, dialect=dialect, calendar=calendar, ids=identifiers, keys=keys, sleeper=sleeper)

    @classmethod
    def reset(
        cls,
        data_dir: Path,
        scenario: str | None = None,
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
        calendar: MarketCalendar | None = None,
        accounts: Sequence[int] | None = None,
    ) -> str:
        """Begins the book again and returns the scenario's name; processes that have it open see the new one at once.

        Without a scenario, the one it has is loaded again; the clock returns to real time, faults are disarmed.

        Raises:
            ScenarioError: the scenario does not exist or is wrong; the book is then as it was.
            BookError: the book cannot be opened, or an account number is not above zero.
        """
        book = Book(database.connect(data_dir))
        try:
            name, numbers = scenario or DEFAULT_SCENARIO, tuple(accounts or (DEFAULT_ACCOUNT,))
            if not book.is_empty():
                with book.reading() as ledger:
                    name, numbers = scenario or ledger.facts.scenario, tuple(accounts or sorted(ledger.accounts))
            loading = _Loading(clock or SystemClock(), calendar or NewYorkCalendar(), ids or RandomIds(), numbers)
            loading.load(book, name)
        finally:
            book.close()
        return name

    @cached_property
    def app(self) -> PaperApp:
        """The ASGI application. It raises `faults.TransportFault` where a connection is to fail."""
        from positions_mcp.paper.app import PaperApp

        return PaperApp(self)


@dataclass(frozen=True, slots=True)
class _Loading:
    """What a scenario is loaded with."""

    clock: Clock
    calendar: MarketCalendar
    ids: Ids
    accounts: tuple[int, ...]

    def load(self, book: Book, name: str, *, only_if_empty: bool = False) -> None:
        """Begins the book with a scenario, at the present instant or at the one its `[clock]` says."""
        from positions_mcp.paper.scenario import load_scenario
        from positions_mcp.paper.staging import Stage, first_trading_day

        scenario = load_scenario(name)
        if min(self.accounts) < 1:
            raise BookError(f"an account number is above zero, not {min(self.accounts)}")
        real = self.clock.now()
        now, setting = real, ClockSetting()
        # A scenario's own time of day means the same whenever it is opened: its day has all its hours.
        has_hours = scenario.clock is not None
        today = first_trading_day(real, self.calendar, PROCESSING, full_length=has_hours)
        if scenario.clock is not None:
            now = datetime.combine(today, time.fromisoformat(scenario.clock.at), NEW_YORK).astimezone(UTC)
            standing = scenario.clock.standing
            setting = ClockSetting("set", now) if standing else ClockSetting("running", None, now - real)
        stage = Stage(name, now, today, self.calendar, self.ids)
        book.begin_again(
            lambda: stage.ledger(scenario, self.accounts, secrets.token_hex(16)),
            {"clock": setting.as_text()},
            only_if_empty=only_if_empty,
        )


def _check(ledger: Ledger, scenario: str | None, accounts: Sequence[int]) -> None:
    if scenario is not None and scenario != ledger.facts.scenario:
        raise BookError(
            f"this paper book holds the scenario {ledger.facts.scenario!r}, not {scenario!r}: "
            f"run `positions-mcp paper reset --scenario {scenario}`, or use another --data-dir"
        )
    if unknown := sorted(set(accounts) - set(ledger.accounts)):
        raise BookError(
            f"this paper book has the accounts {sorted(ledger.accounts)}, not {unknown}: "
            "run `positions-mcp paper reset --account NUMBER`, or use another --data-dir"
        )
