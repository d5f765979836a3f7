"""Lets time pass: everything that is due happens, in order, at the instant at which it was due.

What happens depends on the ledger and the market alone, so it does not matter which process looks first, or when.

Before a session opens shares pay dividends and split, with the contracts over them. On the evening of a trading day
exercises are processed, and contracts that expire are exercised, assigned or end. Exercise by exception: a long
contract at least 0.01 in the money at its underlying's closing price is exercised unless an instruction says otherwise.
Short contracts are assigned under the same condition. What has no known price is not exercised. Index options pay the
points in the money in cash. A contract dated on a closed day ends on the evening of the session before it.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.paper.engine.instructions import clearing_answers
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.engine.orders import cancel_open, cancel_uncovered, end_expired, take_step
from positions_mcp.paper.engine.trades import Trade, book_trade, exercise, expire_worthless, settle_in_cash
from positions_mcp.paper.holdings import ZERO, CompanyEvent, Holding, Instrument, Movement
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.market import CENT, Market
from positions_mcp.paper.model import Instruction, InstructionStatus, InstructionType
from positions_mcp.paper.symbols import Contract, instrument_id_of

_WHOLE = Decimal(1)
_LONGEST_ROOT = 6


def happen(ledger: Ledger, market: Market, symbol: str, at: datetime) -> None:
    """Lets every event of a share happen that is due on the day of `at`."""
    day = new_york_day(at)
    for event in ledger.instruments[symbol].events:
        if event.done or event.day > day:
            continue
        if event.kind == "dividend":
            _pay(ledger, ledger.instruments[symbol], event, at)
        else:
            _split(ledger, market, ledger.instruments[symbol], event, at)
        share = ledger.instruments[symbol]
        events = tuple(replace(known, done=True) if known == event else known for known in share.events)
        ledger.put_instrument(replace(share, events=events))


def _pay(ledger: Ledger, share: Instrument, event: CompanyEvent, at: datetime) -> None:
    """Pays a dividend: the price falls by it; who holds the share receives it, who is short pays it."""
    if share.price is not None:
        ledger.put_instrument(replace(share, price=max(share.price - event.amount, CENT)))
    for holding in _holdings_in(ledger, share.symbol):
        cash = holding.quantity * event.amount
        ledger.pay(holding.account, cash, cash)
        number = len(ledger.movements) + 1
        ledger.add_movement(
            Movement(number, at, "dividend", holding.account, share.symbol, ZERO, event.amount, cash, holding)
        )


def _split(ledger: Ledger, market: Market, share: Instrument, event: CompanyEvent, at: datetime) -> None:
    """Splits a share. Orders in it and its options end; a fraction of a share is paid in cash; options are adjusted."""
    new, old = event.numerator, event.denominator
    options = [i for i in ledger.instruments.values() if i.contract and i.underlying_symbol == share.symbol]
    symbols = {share.symbol, *(option.symbol for option in options)}
    for account in ledger.accounts:
        cancel_open(ledger, account, symbols, at, f"Cancelled by a split, {new} for {old}")
    if share.price is not None:
        share = replace(share, price=share.price * old / new)
        ledger.put_instrument(share)
    for holding in _holdings_in(ledger, share.symbol):
        _exchange(ledger, holding, share, (holding.quantity * new / old).quantize(Decimal("0.000001")), at)
        _pay_fraction(ledger, market, holding.account, share, at)
    for option in options:
        _adjust(ledger, option, (new, old), at)


def _adjust(ledger: Ledger, option: Instrument, ratio: tuple[int, int], at: datetime) -> None:
    """Replaces the positions in a contract: more of them at a lower strike, or the same with another deliverable."""
    held, contract = _holdings_in(ledger, option.symbol), option.contract
    if not held or contract is None:
        return
    new, old = ratio
    strike, times = contract.strike / new, Decimal(1)
    if old == 1 and strike == strike.quantize(Decimal("0.001")) and option.shares == option.multiplier:
        adjusted, times = _listed(ledger, option, replace(contract, strike=strike)), Decimal(new)
    else:
        root = _adjusted_root(contract.root)
        shares = (option.shares * new / old).quantize(_WHOLE, ROUND_DOWN)
        adjusted = _listed(ledger, option, replace(contract, root=root), over=option.underlying_symbol, shares=shares)
    for holding in held:
        _exchange(ledger, holding, adjusted, holding.quantity * times, at)
    for instruction in list(ledger.standing_instructions()):
        if instruction.symbol == option.symbol:
            reason = "The contract was adjusted by a split"
            cancelled = InstructionStatus.CANCELLED
            ledger.put_instruction(replace(instruction, status=cancelled, updated_at=at, due_at=None, reason=reason))


def _listed(
    ledger: Ledger, option: Instrument, contract: Contract, *, over: str | None = None, shares: Decimal | None = None
) -> Instrument:
    symbol = contract.compact
    listed = replace(
        option,
        symbol=symbol,
        instrument_id=instrument_id_of(symbol),
        contract=contract,
        over=option.over if over is None else over,
        shares=option.shares if shares is None else shares,
    )
    ledger.put_instrument(listed)
    return listed


def _adjusted_root(root: str) -> str:
    """The root of an adjusted contract: AAPL becomes AAPL1, and AAPL1 AAPL2."""
    if root[-1].isdigit() and root[-1] != "9":
        return f"{root[:-1]}{int(root[-1]) + 1}"
    return f"{root[: _LONGEST_ROOT - 1]}1"


def _exchange(ledger: Ledger, holding: Holding, into: Instrument, quantity: Decimal, at: datetime) -> None:
    """Turns a position into another quantity, perhaps of another instrument, at the same cost."""
    account, number = holding.account, len(ledger.movements) + 1
    changed = replace(holding, symbol=into.symbol, quantity=quantity.normalize() + ZERO)
    if into.symbol == holding.symbol:
        gone = changed.quantity - holding.quantity
        ledger.add_movement(Movement(number, at, "split", account, holding.symbol, gone, ZERO, ZERO, holding))
    else:
        ledger.put_holding(replace(holding, quantity=ZERO))
        out, more = -holding.quantity, changed.quantity
        ledger.add_movement(Movement(number, at, "split", account, holding.symbol, out, ZERO, ZERO, holding))
        ledger.add_movement(Movement(number + 1, at, "split", account, into.symbol, more, ZERO, ZERO, None))
    ledger.put_holding(changed)


def _pay_fraction(ledger: Ledger, market: Market, account: int, share: Instrument, at: datetime) -> None:
    holding = ledger.holdings.get((account, share.symbol))
    if holding is None:
        return
    fraction = holding.quantity - holding.quantity.quantize(_WHOLE, ROUND_DOWN)
    price = market.price(share, share, market.trading_moment(at))
    if fraction and price is not None:
        book_trade(ledger, Trade(account, share, -fraction, price, market.trading_day(at).day, at))


def _holdings_in(ledger: Ledger, symbol: str) -> list[Holding]:
    return [holding for key, holding in sorted(ledger.holdings.items()) if key[1] == symbol]


_TAKEN = frozenset({InstructionStatus.ACCEPTED, InstructionStatus.CANCEL_FAILED})


def process_evening(ledger: Ledger, market: Market, at: datetime) -> None:
    """Processes one trading day's exercises and expiries, at its processing instant."""
    today = new_york_day(at)
    for instruction in list(ledger.standing_instructions()):
        if _is_exercised(ledger, market, instruction, today):
            _exercise_instructed(ledger, market, instruction, at)
    for key in sorted(ledger.holdings):
        holding = ledger.holdings.get(key)
        if holding is not None and _ends_by(today, market, ledger.instruments[key[1]]):
            _expire(ledger, market, holding, at)
    for instruction in list(ledger.standing_instructions()):
        if _ends_by(today, market, ledger.instruments[instruction.symbol]):
            ledger.put_instruction(replace(instruction, settled=True))
    for order in list(ledger.open_orders()):
        for symbol in order.symbols:
            if _ends_by(today, market, ledger.instruments[symbol]):
                end_expired(ledger, order.account, symbol, at)


def _is_exercised(ledger: Ledger, market: Market, instruction: Instruction, today: date) -> bool:
    """Whether it stands, and is for this evening: an early one that came after the day's cut-off is for the next."""
    if instruction.status not in _TAKEN or instruction.instruction_type is InstructionType.DO_NOT_EXERCISE:
        return False
    ends = _ends_by(today, market, ledger.instruments[instruction.symbol])
    return ends or instruction.created_at < market.deadline(today)


def _ends_by(today: date, market: Market, instrument: Instrument) -> bool:
    return instrument.contract is not None and market.last_session(instrument).day <= today


def _exercise_instructed(ledger: Ledger, market: Market, instruction: Instruction, at: datetime) -> None:
    holding = ledger.holdings.get((instruction.account, instruction.symbol))
    if holding is not None and holding.quantity > 0:
        _deliver(ledger, market, holding, min(instruction.contracts, holding.quantity), at)
    ledger.put_instruction(replace(instruction, settled=True))


def _expire(ledger: Ledger, market: Market, holding: Holding, at: datetime) -> None:
    instrument = ledger.instruments[holding.symbol]
    in_the_money = points_in_the_money(ledger, market, instrument, at) >= CENT
    exercised = abs(holding.quantity) if in_the_money else ZERO
    if holding.quantity > 0:
        exercised = max(exercised - _not_to_exercise(ledger, holding), ZERO)
    _deliver(ledger, market, holding, exercised, at)
    left = ledger.holdings.get((holding.account, holding.symbol))
    if left is not None:
        expire_worthless(ledger, left, at)


def _deliver(ledger: Ledger, market: Market, holding: Holding, contracts: Decimal, at: datetime) -> None:
    instrument = ledger.instruments[holding.symbol]
    underlying = ledger.underlying(instrument)
    if underlying.is_index:
        settle_in_cash(ledger, holding, contracts, points_in_the_money(ledger, market, instrument, at), at)
    else:
        exercise(ledger, holding, contracts, at)
    for symbol in (holding.symbol, underlying.symbol):
        cancel_uncovered(ledger, holding.account, symbol, at)


def points_in_the_money(ledger: Ledger, market: Market, instrument: Instrument, at: datetime) -> Decimal:
    """Dollars a share, or points of an index, by which an option is in the money where it is settled; negative if out.

    A contract that ends is settled by the close, or the opening, of its last session; one that is exercised before, by
    the close of the day.
    """
    contract = instrument.contract
    if contract is None:
        return ZERO
    underlying = ledger.underlying(instrument)
    spot = market.price(underlying, underlying, min(market.settlement(instrument), market.trading_moment(at)))
    if spot is None:
        return ZERO
    spot = spot * instrument.shares / instrument.multiplier
    return spot - contract.strike if contract.right == "call" else contract.strike - spot


def _not_to_exercise(ledger: Ledger, holding: Holding) -> Decimal:
    return sum(
        (
            instruction.contracts
            for instruction in ledger.standing_instructions()
            if instruction.account == holding.account
            and instruction.symbol == holding.symbol
            and instruction.instruction_type is InstructionType.DO_NOT_EXERCISE
            and instruction.status in _TAKEN
        ),
        ZERO,
    )


_ORDER, _INSTRUCTION, _EVENING, _COMPANY = 0, 1, 2, 3
Due = tuple[datetime, int, int, str]


def next_due(ledger: Ledger, market: Market) -> datetime:
    """When something happens next."""
    return min(_all_due(ledger, market))[0]


def advance(moment: Moment) -> None:
    """Lets everything happen that is due until `now`, inclusive."""
    ledger, market, now = moment.ledger, moment.market, moment.now
    due = _all_due(ledger, market)
    heapq.heapify(due)
    while due and due[0][0] <= now:
        at, kind, _, key = heapq.heappop(due)
        if kind in (_EVENING, _COMPANY):
            if kind == _EVENING:
                process_evening(ledger, market, at)
            else:
                happen(ledger, market, key, at)
            ledger.happened(at)
            due = _all_due(ledger, market)
            heapq.heapify(due)
            continue
        if kind == _ORDER:
            order = ledger.orders[key]
            if not order.steps or order.steps[0].at != at:
                continue
            take_step(ledger, market, order)
            if following := ledger.orders[key].steps:
                heapq.heappush(due, (following[0].at, _ORDER, order.number, key))
        else:
            clearing_answers(ledger, ledger.instructions[key])
        ledger.happened(at)


def _all_due(ledger: Ledger, market: Market) -> list[Due]:
    due: list[Due] = [(market.next_processing(ledger.facts.as_of), _EVENING, 0, "")]
    due.extend((market.morning(day), _COMPANY, 0, symbol) for symbol, day in ledger.next_events())
    due.extend((order.steps[0].at, _ORDER, order.number, order.id) for order in ledger.open_orders() if order.steps)
    due.extend(
        (instruction.due_at, _INSTRUCTION, instruction.number, instruction.id)
        for instruction in ledger.standing_instructions()
        if instruction.due_at is not None
    )
    return due
