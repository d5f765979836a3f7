"""An expiration evening, twice: as the paper exchange books it, and as the domain is told of it beforehand."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.domain.enums import InstructionType, SecurityType
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, expiry_session
from positions_mcp.domain.exercise.facts import ExpirationFacts, LatestPrice, PriceSource
from positions_mcp.domain.exercise.instructions import Instruction, Outstanding
from positions_mcp.domain.ids import AccountId, InstrumentId
from positions_mcp.domain.money import ZERO
from positions_mcp.market_calendar import NewYorkCalendar
from positions_mcp.paper import holdings as paper
from positions_mcp.paper import model
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.engine.timeline import advance
from positions_mcp.paper.ledger import Facts, Ledger
from positions_mcp.paper.market import Market
from positions_mcp.paper.symbols import instrument_id_of, parse_contract

ACCOUNT = AccountId(19816)
FRIDAY = date(2026, 11, 20)
CALENDAR = NewYorkCalendar()
_CASH = Decimal(1_000_000)


@dataclass(frozen=True)
class OnIndex:
    """How the paper exchange lists the options under a root: on which index, and by which rules."""

    index: str
    at_the_open: bool = False
    european: bool = True


ON_INDEX = {
    "SPX": OnIndex("SPX", at_the_open=True),
    "SPXW": OnIndex("SPX"),
    "XSP": OnIndex("XSP"),
    "OEX": OnIndex("OEX", european=False),
}
_INDEXES = {each.index for each in ON_INDEX.values()}


def new_york(day: date, at: str) -> datetime:
    """The instant at which New York's clocks show `at` on a day."""
    return datetime.combine(day, time.fromisoformat(at), NEW_YORK)


@dataclass(frozen=True)
class Told:
    """An instruction as the account lists it: `status` is what it shows before the evening.

    `accepts` and `fails` decide how clearing ends what is outstanding: contracts accepted (0: it rejects), and
    whether a cancel fails.
    """

    kind: str
    symbol: str
    quantity: int
    status: str = "ACCEPTED"
    accepted: int | None = None


@dataclass(frozen=True)
class Afternoon:
    """What an account holds and has instructed on a day, and where every underlying closes."""

    holds: Mapping[str, int]
    closes: Mapping[str, str]
    told: Sequence[Told] = ()
    day: date = FRIDAY
    at: str = "15:00"
    clearing: Mapping[str, paper.Behaviour] | None = None
    """How clearing answers what is outstanding on a contract."""

    @property
    def now(self) -> datetime:
        """The instant at which the projection is made."""
        return new_york(self.day, self.at)

    @property
    def sent(self) -> datetime:
        """When the instructions were: in time for this evening, as an early one that comes later waits a day."""
        session = expiry_session(self.day, CALENDAR)
        return min(self.now, DeadlineRule().on(session) - timedelta(seconds=1))


@dataclass(frozen=True)
class Booked:
    """What the paper exchange has booked the next morning."""

    cash: Decimal
    """Dollars received; negative: paid."""
    holds: Mapping[str, Decimal]

    def shares(self, symbol: str) -> Decimal:
        """What is held of a symbol."""
        return self.holds.get(symbol, ZERO)


def booked(afternoon: Afternoon) -> Booked:
    """Lets the paper exchange's evening happen, and the night after it."""
    ledger = _ledger(afternoon)
    market = Market(CALENDAR, afternoon.now, "evenings")
    advance(Moment(ledger, market, new_york(afternoon.day + timedelta(days=1), "00:00")))
    held = {symbol: holding.quantity for (_, symbol), holding in ledger.holdings.items()}
    return Booked(ledger.accounts[ACCOUNT].cash - _CASH, held)


def _ledger(afternoon: Afternoon) -> Ledger:
    now, sent = afternoon.now, afternoon.sent
    ledger = Ledger(Facts("evenings", "", now, now, now, ""))
    ledger.put_account(paper.Account(ACCOUNT, _CASH))
    for symbol, price in afternoon.closes.items():
        ledger.put_instrument(listed_underlying(symbol, price))
    for symbol, quantity in afternoon.holds.items():
        contract = parse_contract(symbol)
        if contract is not None:
            ledger.put_instrument(listed_option(symbol, (afternoon.clearing or {}).get(symbol)))
        if quantity:
            ledger.put_holding(paper.Holding(ACCOUNT, symbol, Decimal(quantity), Decimal(quantity)))
    for number, told in enumerate(afternoon.told, start=1):
        outstanding = told.status in ("SENT", "CANCEL_REQUESTED", "UNKNOWN")
        accepted = told.quantity if told.status == "ACCEPTED" and told.accepted is None else told.accepted
        ledger.put_instruction(
            model.Instruction(
                id=_id(number),
                number=number,
                account=ACCOUNT,
                client_key=f"key-{number}",
                instruction_type=model.InstructionType(told.kind),
                symbol=told.symbol,
                quantity=Decimal(told.quantity),
                status=model.InstructionStatus("SENT" if told.status == "UNKNOWN" else told.status),
                created_at=sent,
                updated_at=sent,
                accepted=None if accepted is None else Decimal(accepted),
                due_at=now + timedelta(seconds=5) if outstanding else None,
            )
        )
    return ledger


def listed_underlying(symbol: str, price: str) -> paper.Instrument:
    """A share or an index whose price stands still."""
    known = paper.Instrument(symbol, instrument_id_of(symbol), None, Decimal(price), ZERO, "XNAS")
    return replace(known, is_index=symbol in _INDEXES)


def listed_option(symbol: str, behaviour: paper.Behaviour | None = None) -> paper.Instrument:
    """An option as the paper exchange lists it."""
    contract = parse_contract(symbol)
    assert contract, symbol
    listed = ON_INDEX.get(contract.root)
    return paper.Instrument(
        symbol,
        instrument_id_of(symbol),
        contract,
        None,
        ZERO,
        "XCBO",
        behaviour or paper.Behaviour(),
        over=listed.index if listed else "",
        european=listed is not None and listed.european,
        settles_at_open=listed is not None and listed.at_the_open,
    )


def facts(afternoon: Afternoon, *, with_ids: bool = True, **more: Any) -> ExpirationFacts:
    """What the domain is told: the book with the closes as the prices of what is held, and the instructions."""
    positions = tuple(
        _position(symbol, quantity, afternoon, with_ids=with_ids)
        for symbol, quantity in afternoon.holds.items()
        if quantity
    )
    listed = [_instruction(number, told, afternoon.sent) for number, told in enumerate(afternoon.told, start=1)]
    known: dict[str, Any] = {
        "book": Book(account_id=ACCOUNT, positions=positions, as_of=afternoon.now),
        "now": afternoon.now,
        "calendar": CALENDAR,
        "outstanding": Outstanding(listed, now=afternoon.now, calendar=CALENDAR),
    }
    return ExpirationFacts(**(known | more))


def given(afternoon: Afternoon) -> dict[str, Decimal]:
    """The closes, as somebody asks what would happen at them."""
    return {symbol: Decimal(price) for symbol, price in afternoon.closes.items()}


def latest(afternoon: Afternoon) -> dict[str, LatestPrice]:
    """The closes, as the last trades of market data: on this market prices stand still."""
    return {
        symbol: LatestPrice(Decimal(price), afternoon.now, PriceSource.LAST_TRADE)
        for symbol, price in afternoon.closes.items()
    }


def _position(symbol: str, quantity: int, afternoon: Afternoon, *, with_ids: bool) -> Position:
    contract = parse_contract(symbol)
    listed = ON_INDEX.get(contract.root) if contract else None
    underlying = listed.index if listed else contract.root if contract else ""
    price = afternoon.closes.get(symbol)
    return Position(
        account_id=ACCOUNT,
        instrument_id=InstrumentId(instrument_id_of(symbol)),
        quantity=Decimal(quantity),
        symbol=symbol,
        available_quantity=Decimal(quantity),
        instrument_type=SecurityType.OPTION if contract else SecurityType.COMMON_STOCK,
        instrument_price=None if price is None else Decimal(price),
        underlying_instrument_id=InstrumentId(instrument_id_of(underlying)) if contract and with_ids else None,
        underlying_instrument_type=_type_of(underlying) if contract and with_ids else None,
    )


def _type_of(underlying: str) -> SecurityType:
    return SecurityType.INDEX if underlying in _INDEXES else SecurityType.COMMON_STOCK


def _instruction(number: int, told: Told, sent: datetime) -> Instruction:
    return Instruction.model_validate(
        {
            "id": _id(number),
            "account_id": ACCOUNT,
            "instruction_type": InstructionType(told.kind),
            "status": told.status,
            "instrument_id": instrument_id_of(told.symbol),
            "quantity": str(told.quantity),
            "accepted_quantity": None if told.accepted is None else str(told.accepted),
            "symbol": told.symbol,
            "created_at": sent,
            "updated_at": sent,
        }
    )


def _id(number: int) -> str:
    return str(uuid.UUID(int=number))
