"""`PaperExchange`: a paper book with a clock, faults and an ASGI application that speaks the API."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from positions_mcp.clock import RandomIds, SystemClock
from positions_mcp.market_calendar import NewYorkCalendar
from positions_mcp.paper import database
from positions_mcp.paper.book import Book
from positions_mcp.paper.clock import PaperClock
from positions_mcp.paper.dialects import ContractName, ErrorShape, dialect_of
from positions_mcp.paper.errors import BookError
from positions_mcp.paper.ledger import Facts, Ledger
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
        day: date | None = None,
        seed: str | int | None = None,
    ) -> PaperExchange:
        """Opens the book in `data_dir`, loading `scenario` (default `demo`) if there is none yet.

        Args:
            data_dir: where `paper.sqlite` is, or will be.
            scenario: a packaged one, or the path of a `.toml` file. None: whatever the book has.
            contract: which dialect of the API `app` speaks.
            errors: the shape of its errors, if not the dialect's own.
            clock: what "real time" is; the machine's time if omitted.
            ids: makes identifiers; random ones if omitted.
            calendar: knows the sessions; New York's if omitted.
            accounts: account numbers of a new book; an existing one must have them. None: whichever it has.
            keys: bearer tokens that `app` accepts, in the form `<id>.<secret>`, or `<id>.<secret>:ACCOUNT`.
            sleeper: how faults wait; real time if omitted.
            day: the trading day on which a new book's clock stands.
            seed: what every id and price of a new book follows from; with a day, all its answers do.

        Raises ScenarioError for a wrong scenario or none of that name, BookError where the book has another scenario or
        other accounts, or cannot be opened.
        """
        calendar = calendar or NewYorkCalendar()
        base = clock or SystemClock()
        dialect = dialect_of(contract, errors)
        with ExitStack() as failing:
            book = failing.enter_context(closing(Book(database.connect(data_dir))))
            if book.is_empty():
                from positions_mcp.paper.loading import Loading

                numbers = tuple(accounts or (DEFAULT_ACCOUNT,))
                loading = Loading(base, calendar, ids, numbers, day, "" if seed is None else str(seed))
                loading.load(book, scenario or DEFAULT_SCENARIO, only_if_empty=True)
            with book.reading() as ledger:
                _check(ledger, scenario, accounts or ())
            paper_clock = failing.enter_context(closing(PaperClock(database.connect(data_dir), base)))
            ids = ids or RandomIds()
            exchange = cls(book, paper_clock, dialect=dialect, calendar=calendar, ids=ids, keys=keys, sleeper=sleeper)
            failing.pop_all()
        return exchange

    @classmethod
    def reset(
        cls,
        data_dir: Path,
        scenario: str | None = None,
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
        accounts: Sequence[int] | None = None,
        day: date | None = None,
        seed: str | int | None = None,
    ) -> str:
        """Begins the book again and returns the scenario's name; processes that have it open see the new one at once.

        Without a scenario, the one it has is loaded again; the clock returns to real time, or stands on `day`; faults
        are disarmed. From a `seed`, ids, prices and answers are the same every time. Raises ScenarioError, with the
        book as it was, and BookError where it cannot be opened or an account number is not above zero.
        """
        from positions_mcp.paper.loading import Loading

        with closing(Book(database.connect(data_dir))) as book:
            name, numbers = scenario or DEFAULT_SCENARIO, tuple(accounts or (DEFAULT_ACCOUNT,))
            if not book.is_empty():
                with book.reading() as ledger:
                    name, numbers = scenario or ledger.facts.scenario, tuple(accounts or sorted(ledger.accounts))
            found = "" if seed is None else str(seed)
            loading = Loading(clock or SystemClock(), NewYorkCalendar(), ids, numbers, day, found)
            loading.load(book, name)
        return name

    @cached_property
    def app(self) -> PaperApp:
        """The ASGI application. It raises `faults.TransportFault` where a connection is to fail."""
        from positions_mcp.paper.app import PaperApp

        return PaperApp(self)


def _check(ledger: Ledger, scenario: str | None, accounts: Sequence[int]) -> None:
    """Checks that a book is of a scenario, which is known by what it says and not by where it lies, and has accounts.

    Raises ScenarioError, BookError.
    """
    facts = ledger.facts
    if scenario is not None and not _is_of(facts, scenario):
        raise BookError(
            f"this paper book holds the scenario {facts.scenario!r} as it was loaded, not what {scenario!r} says: "
            f"run `positions-mcp paper reset --scenario {scenario}`, or use another --data-dir"
        )
    if unknown := sorted(set(accounts) - set(ledger.accounts)):
        raise BookError(
            f"this paper book has the accounts {sorted(ledger.accounts)}, not {unknown}: "
            "run `positions-mcp paper reset --account NUMBER`, or use another --data-dir"
        )


def _is_of(facts: Facts, scenario: str) -> bool:
    if scenario == facts.scenario and not scenario.endswith(".toml"):
        return True
    from positions_mcp.paper.loading import is_of

    return is_of(facts, scenario)
