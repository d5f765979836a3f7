"""Before a session opens shares pay dividends and split, with the contracts over them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import ROUND_DOWN, Decimal

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.paper.engine.orders import cancel_open
from positions_mcp.paper.engine.trades import Trade, book_trade
from positions_mcp.paper.holdings import ZERO, CompanyEvent, Holding, Instrument, Movement
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.market import CENT, Market
from positions_mcp.paper.model import InstructionStatus
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
