"""The evening of a trading day: exercises are processed, and contracts that expire are exercised, assigned or end.

Exercise by exception: a long contract at least 0.01 in the money at its underlying's closing price is exercised unless
an instruction says otherwise. Short contracts are assigned under the same condition. What has no known price is not
exercised. Index options pay the points in the money in cash. A contract dated on a closed day ends on the evening of
the session before it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.paper.engine.orders import cancel_uncovered, end_expired
from positions_mcp.paper.engine.trades import exercise, expire_worthless, settle_in_cash
from positions_mcp.paper.holdings import ZERO, Holding, Instrument
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.market import CENT, Market
from positions_mcp.paper.model import Instruction, InstructionStatus, InstructionType

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
