"""`PaperExchange`: a paper book with a clock, faults and an ASGI application that speaks the API."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from positions_mcp.clock import RandomIds, SystemClock
from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.market_calendar import NewYorkCalendar
from positions_mcp.paper import database
from positions_mcp.paper.book import Book
from positions_mcp.paper.clock import ClockSetting, PaperClock
from positions_mcp.paper.dialects import ContractName, Dialect, ErrorShape, dialect_of
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.engine.timeline import advance, next_due
from positions_mcp.paper.errors import BookError
from positions_mcp.paper.faults import Fault
from positions_mcp.paper.ledger import Effect, Ledger
from positions_mcp.paper.market import PROCESSING, Market
from positions_mcp.ports import Clock, Ids, MarketCalendar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from positions_mcp.paper.app import PaperApp

DEFAULT_ACCOUNT = 19816
DEFAULT_KEY = "paper.key"
DEFAULT_SCENARIO = "demo"
Sleeper = Callable[[float], Awaitable[None]]


class PaperExchange:
    """The paper exchange over one book. Open it with `PaperExchange.open`; all methods block for a moment.

    `app` is the ASGI application, `clock` the book's clock. Any number of exchanges, in any number of processes, may be
    open on one book: they see one state.
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
        self.ids = ids
        self.sleeper = sleeper
        self._book = book
        self._calendar = calendar
        self._markets: dict[tuple[str, datetime], Market] = {}
        self._due: tuple[int, datetime] | None = None
        self._app: PaperApp | None = None
        self._app_lock = threading.Lock()

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

    def close(self) -> None:
        """Closes the book's file."""
        self.clock.close()
        self._book.close()

    @property
    def app(self) -> PaperApp:
        """The ASGI application. It raises `faults.TransportFault` where a connection is to fail."""
        with self._app_lock:
            if self._app is None:
                from positions_mcp.paper.app import PaperApp

                self._app = PaperApp(self)
            return self._app

    @property
    def revision(self) -> int:
        """A number that grows with every change of the book."""
        return self._book.revision

    def _market(self, ledger: Ledger) -> Market:
        key = (ledger.facts.scenario, ledger.facts.anchor)
        if key not in self._markets:
            self._markets = {key: Market(self._calendar, ledger.facts.anchor, Path(ledger.facts.scenario).stem)}
        return self._markets[key]

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

    def arm(self, kind: str, operation: str = "any", *, times: int = 1, **options: Any) -> Fault:
        """Arms a fault (`faults.KINDS`) for an operation; `options` are `seconds` and `after_effect`.

        Raises:
            PaperError: there is no such fault or operation, or they do not go together.
        """
        seconds = options.pop("seconds", None)
        return self._book.arm(
            Fault(operation, kind, times, None if seconds is None else Decimal(str(seconds)), **options)
        )

    def faults(self) -> list[Fault]:
        """Faults that are armed."""
        return self._book.faults()

    def disarm(self) -> None:
        """Disarms every fault."""
        self._book.disarm()

    def strike(self, operation: str, *, later_page: bool = False) -> Fault | None:
        """Takes the fault that strikes a request now, if one is armed for it."""
        return self._book.claim_fault(lambda fault: fault.applies_to(operation, later_page=later_page))

    def strike_refusal(self) -> Fault | None:
        """Takes an armed `refuse`, for whichever operation: a server that refuses connections cannot tell."""
        return self._book.claim_fault(lambda fault: fault.kind == "refuse")

    def effects(self) -> list[Effect]:
        """Every request that has changed the book since the scenario was loaded, oldest first."""
        with self.reading() as moment:
            return list(moment.ledger.effects)

    def effect_counts(self) -> dict[str, int]:
        """How many requests have changed the book, by operation; operations without an effect are left out."""
        return dict(Counter(effect.operation for effect in self.effects()))


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
