"""Turns a scenario into a ledger, at the instant at which it is loaded."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

from positions_mcp.domain.account.sessions import NEW_YORK, new_york_day
from positions_mcp.paper.errors import ScenarioError
from positions_mcp.paper.holdings import Account, Behaviour, CompanyEvent, Holding, Instrument
from positions_mcp.paper.ledger import Delays, Ledger, order_parts
from positions_mcp.paper.market import PROCESSING, Market
from positions_mcp.paper.model import Instruction, InstructionStatus, InstructionType, Leg, Order, OrderStatus
from positions_mcp.paper.scenario import (
    BehaviourSection,
    GenerateSection,
    InstructionSection,
    OrderSection,
    RootSection,
    Scenario,
    UnderlyingSection,
    span_of,
)
from positions_mcp.paper.symbols import (
    Contract,
    canonical,
    expiry_date,
    instrument_id_of,
    parse_contract,
    parse_series,
    root_names,
)
from positions_mcp.ports import Ids, MarketCalendar

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CENT = Decimal("0.01")
_HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class GeneratedPosition:
    """A position that was made up: shares of `symbol`, or a contract, and what was paid for each unit."""

    symbol: str
    contract: Contract | None
    quantity: Decimal
    average_price: Decimal


class Generator:
    """The same section and expiries always give the same underlyings and positions."""

    def __init__(self, section: GenerateSection, expiries: list[date]) -> None:
        self._section = section
        self._expiries = expiries
        self._dice = random.Random(f"{section.seed}|{section.positions}")  # noqa: S311  # repeatable on purpose
        self.underlyings = [self._underlying(_ticker(number)) for number in range(section.underlyings)]

    def positions(self) -> list[GeneratedPosition]:
        """As many positions as the section asks for, no two in the same instrument."""
        section, dice = self._section, self._dice
        shares = self.underlyings[: section.positions - int(section.positions * section.options)]
        made = {share.symbol: self._holding(share, None, dice.randrange(1, 2000)) for share in shares}
        while len(made) < section.positions:
            underlying = dice.choice(self.underlyings)
            price = underlying.price or Decimal(1)
            strike = max((price * dice.randrange(60, 141) / 100).quantize(_HALF), _HALF)
            right = dice.choice(("call", "put"))
            contract = Contract(
                underlying.symbol, dice.choice(self._expiries), "call" if right == "call" else "put", strike
            )
            if contract.compact not in made:
                made[contract.compact] = self._holding(underlying, contract, dice.randrange(1, 60))
        return list(made.values())

    def _underlying(self, symbol: str) -> Instrument:
        price, volatility = (
            Decimal(self._dice.randrange(500, 60_000)) / 100,
            Decimal(self._dice.randrange(15, 80)) / 100,
        )
        return Instrument(symbol, instrument_id_of(symbol), None, price, volatility, "XNYS")

    def _holding(self, underlying: Instrument, contract: Contract | None, units: int) -> GeneratedPosition:
        dice, price = self._dice, underlying.price or Decimal(1)
        if contract:
            price = price * dice.randrange(1, 120) / 1000
        paid = max((price * dice.randrange(70, 131) / 100).quantize(_CENT), _CENT)
        quantity = Decimal(-units if dice.random() < self._section.short else units)
        return GeneratedPosition(underlying.symbol, contract, quantity, paid)


def _ticker(number: int) -> str:
    """A four-letter ticker that is none of the usual ones: QAAA, QAAB and so on."""
    letters = ""
    for _ in range(3):
        number, place = divmod(number, 26)
        letters = _LETTERS[place] + letters
    return "Q" + letters


_OPTION_VENUE = "XCBO"
_GENERATED_EXPIRIES = ("friday", "friday+1", "month+1", "month+2", "month+6")
_REJECTS: dict[str, Literal["", "at_once", "later"]] = {"fill": "", "reject": "at_once", "reject_later": "later"}
_ACCEPTED_SO_FAR = frozenset({InstructionStatus.ACCEPTED})


def first_trading_day(now: datetime, calendar: MarketCalendar, *, full_length: bool) -> date:
    """What "today" means in a scenario: this session's day until its contracts have expired, then the next one's.

    With `full_length` days that close early are passed over.
    """
    day = new_york_day(now)
    is_over = now >= datetime.combine(day, PROCESSING, NEW_YORK)
    session = calendar.next_session(day + timedelta(days=1) if is_over else day)
    while full_length and session.early_close:
        session = calendar.next_session(session.day + timedelta(days=1))
    return session.day


@dataclass(frozen=True, slots=True)
class Stage:
    """A scenario and everything it is loaded with. `now` is the book's first instant, `today` its first trading day."""

    name: str
    now: datetime
    today: date
    calendar: MarketCalendar
    ids: Ids
    scenario: Scenario

    def fill(self, ledger: Ledger, accounts: tuple[int, ...]) -> Ledger:
        """The ledger, with what the scenario says in every account.

        Raises ScenarioError where what it names is not defined, or does not fit.
        """
        scenario = self.scenario
        market = Market(self.calendar, self.now, ledger.facts.market_path)
        delays = Delays(**{name: span_of(text) for name, text in scenario.delays.model_dump().items()})
        ledger.put_facts(replace(ledger.facts, anchor=market.previous_close(self.now).closes, delays=delays))
        for underlying in scenario.underlyings:
            ledger.put_instrument(self._underlying(underlying))
        for root in scenario.option_roots:
            if root.over not in ledger.instruments:
                raise ScenarioError(
                    f"{self.name}: option_roots: {root.root!r} is over {root.over!r}, "
                    "which has no [[underlyings]] entry"
                )
        for account in accounts:
            ledger.put_account(Account(account, scenario.cash))
            self._stage_account(ledger, market, account)
        for section in scenario.behaviour:
            self._behave(ledger, section)
        return ledger

    def _underlying(self, section: UnderlyingSection) -> Instrument:
        """A share or an index, with what will happen to its company."""
        events = [
            CompanyEvent("dividend", expiry_date(paid.day, self.today, self.calendar), paid.amount)
            for paid in self.scenario.dividends
            if paid.symbol == section.symbol
        ] + [
            CompanyEvent(
                "split",
                expiry_date(split.day, self.today, self.calendar),
                numerator=split.new,
                denominator=split.old,
                done=False,
            )
            for split in self.scenario.splits
            if split.symbol == section.symbol
        ]
        return Instrument(
            section.symbol,
            instrument_id_of(section.symbol),
            None,
            section.price,
            section.volatility,
            section.venue,
            is_index=section.index,
            events=tuple(replace(event, done=event.day <= new_york_day(self.now)) for event in events),
        )

    def _stage_account(self, ledger: Ledger, market: Market, account: int) -> None:
        scenario = self.scenario
        for position in scenario.positions:
            instrument = self._instrument(ledger, position.symbol)
            if (account, instrument.symbol) in ledger.holdings:
                raise ScenarioError(f"{self.name}: positions: {position.symbol!r} is listed twice")
            self._hold(ledger, account, instrument, (position.quantity, position.average_price))
        if scenario.generate:
            expiries = [expiry_date(text, self.today, self.calendar) for text in _GENERATED_EXPIRIES]
            generator = Generator(scenario.generate, expiries)
            for underlying in generator.underlyings:
                ledger.put_instrument(underlying)
            for made in generator.positions():
                instrument = (
                    self.list_contract(ledger, made.contract) if made.contract else ledger.instruments[made.symbol]
                )
                self._hold(ledger, account, instrument, (made.quantity, made.average_price))
        for order in scenario.orders:
            self._rest(ledger, order, account)
        for instruction in scenario.instructions:
            self._instruct(ledger, market, instruction, account)

    @staticmethod
    def _hold(ledger: Ledger, account: int, instrument: Instrument, bought: tuple[Decimal, Decimal]) -> None:
        quantity, average_price = bought
        cost = quantity * average_price * instrument.multiplier
        ledger.put_holding(Holding(account, instrument.symbol, quantity, cost))

    def _instrument(self, ledger: Ledger, text: str) -> Instrument:
        series = parse_series(text)
        contract = series.contract(self.today, self.calendar) if series else parse_contract(text)
        symbol = contract.compact if contract else canonical(text)
        root = contract.root if contract else symbol
        underlying = self._underlying_symbol(ledger, contract) if contract else root
        if underlying not in ledger.instruments:
            defined = ", ".join(sorted(ledger.instruments)) or "none"
            other = ", or an [[option_roots]] entry that says what it is over" if contract else ""
            raise ScenarioError(
                f"{self.name}: {text!r} needs an [[underlyings]] entry for {root!r}{other}; defined: {defined}"
            )
        if symbol not in ledger.instruments:
            self.list_contract(ledger, contract) if contract else None
        return ledger.instruments[symbol]

    def _root(self, contract: Contract) -> RootSection | None:
        return next((section for section in self.scenario.option_roots if section.root == contract.root), None)

    def _underlying_symbol(self, ledger: Ledger, contract: Contract) -> str:
        """What a contract is over: as the scenario says of its root, or what the root names."""
        if (root := self._root(contract)) is not None:
            return root.over
        return contract.root if contract.root in ledger.instruments else _underlying_of(contract.root, ledger) or ""

    def list_contract(self, ledger: Ledger, contract: Contract) -> Instrument:
        """Adds a contract on a defined underlying to the market; its root need not be the underlying's ticker."""
        root = self._root(contract)
        underlying = ledger.instruments[self._underlying_symbol(ledger, contract)]
        symbol = contract.compact
        instrument = Instrument(
            symbol,
            instrument_id_of(symbol),
            contract,
            None,
            underlying.volatility,
            _OPTION_VENUE,
            over=underlying.symbol if underlying.symbol != contract.root else "",
            european=root.style == "european" if root else underlying.is_index,
            settles_at_open=root is not None and root.settles == "open",
        )
        ledger.put_instrument(instrument)
        return instrument

    def _rest(self, ledger: Ledger, section: OrderSection, account: int) -> None:
        instrument = self._instrument(ledger, section.symbol) if section.symbol else None
        legs = tuple(
            Leg(self._instrument(ledger, leg.symbol).symbol, "BUY" if leg.side == "buy" else "SELL", Decimal(leg.ratio))
            for leg in section.legs
        )
        created = self.now - span_of(section.age)
        order = Order(
            id=self.ids.new(),
            number=len(ledger.orders) + 1,
            account=account,
            symbol=instrument.symbol if instrument else None,
            side="BUY" if section.side == "buy" else "SELL",
            quantity=section.quantity,
            status=OrderStatus.NEW,
            created_at=created,
            updated_at=created,
            venue=instrument.venue if instrument else _OPTION_VENUE,
            order_type="LIMIT",
            time_in_force="GOOD_TILL_CANCEL",
            limit_price=section.limit,
            legs=legs,
        )
        self._must_fit(ledger, order)
        ledger.put_order(order)

    def _must_fit(self, ledger: Ledger, order: Order) -> None:
        for symbol, side, ratio in order_parts(order):
            holding = ledger.holdings.get((order.account, symbol))
            reduces = holding is not None and (holding.quantity > 0) == (side == "SELL")
            if reduces and ledger.available(order.account, symbol) < order.quantity * ratio:
                raise ScenarioError(
                    f"{self.name}: orders: {order.quantity * ratio} of {symbol} are more than is free there"
                )

    def _instruct(self, ledger: Ledger, market: Market, section: InstructionSection, account: int) -> None:
        instrument = self._instrument(ledger, section.symbol)
        holding = ledger.holdings.get((account, instrument.symbol))
        if instrument.contract is None or holding is None or holding.quantity <= 0:
            raise ScenarioError(f"{self.name}: instructions: {section.symbol!r} is no option held long")
        status = InstructionStatus[section.status.upper()]
        created = self.now - span_of(section.age)
        outstanding = status in (InstructionStatus.SENT, InstructionStatus.CANCEL_REQUESTED)
        key = self.ids.new()
        accepted = section.quantity if section.accepted is None else min(section.accepted, section.quantity)
        instruction = Instruction(
            id=key,
            number=len(ledger.instructions) + 1,
            account=account,
            client_key=section.key or key,
            instruction_type=InstructionType[section.type.upper()],
            symbol=instrument.symbol,
            quantity=Decimal(section.quantity),
            status=status,
            created_at=created,
            updated_at=created if outstanding else created + timedelta(seconds=5),
            accepted=Decimal(accepted) if status in _ACCEPTED_SO_FAR else None,
            reason=section.reason,
            reason_code="CLEARING_REJECTED" if status is InstructionStatus.REJECTED else "",
            due_at=min(self.now + span_of(section.answered_after), market.ends(instrument)) if outstanding else None,
        )
        spoken_for = ledger.instructed(account, instrument.symbol) + (
            instruction.contracts if instruction.stands else 0
        )
        if spoken_for > holding.quantity:
            raise ScenarioError(
                f"{self.name}: instructions: {spoken_for} of {section.symbol!r}, but {holding.quantity} are held"
            )
        ledger.put_instruction(instruction)

    def _behave(self, ledger: Ledger, section: BehaviourSection) -> None:
        instrument = self._instrument(ledger, section.symbol)
        behaviour = Behaviour(
            fills=section.fills,
            rejects=_REJECTS[section.orders],
            reason=section.reason,
            accepts=None if section.accepts is None else Decimal(section.accepts),
            clearing_rejects=section.clearing == "reject",
            cancel_fails=section.cancel == "fail",
            unresolvable=section.unresolvable,
            refuses=section.refuses or "",
        )
        ledger.put_instrument(replace(instrument, behaviour=behaviour))


def _underlying_of(root: str, ledger: Ledger) -> str | None:
    """The ticker that an adjusted, FLEX or folded root names, if one is defined."""
    tickers = (symbol for symbol, found in ledger.instruments.items() if not found.contract)
    return next((ticker for ticker in tickers if root_names(root, ticker)), None)
