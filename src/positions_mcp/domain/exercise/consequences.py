"""What each instruction of a batch would do, for the person who decides about it.

Amounts are exact and hold for the prices the book knows; the price at expiration decides what clearing does by itself.
Exercise by exception: clearing exercises an expiring option that is at least 0.01 in the money unless told otherwise
(OCC Rule 805). A contrary exercise advice, in the rules of the exchanges, either gives up an option that would be
exercised or exercises one that would not. The API also has DO_NOT_EXERCISE for the first and does not say what
CONTRARY_EXERCISE does to an option in the money: the card shows the exercise, the costlier reading, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.account.quotes import (
    Moneyness,
    find_underlying,
    intrinsic_value,
    is_exercised_by_exception,
    moneyness,
    points_in_the_money,
    underlying_price,
)
from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.enums import InstructionType, SecurityType
from positions_mcp.domain.exercise.cards import ByException, CardRow, ConsequenceCard, Effect, Uncovered
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.instruments import STANDARD_MULTIPLIER, OptionContract, OptionRight, parse_option_symbol
from positions_mcp.domain.money import ZERO, exact_product, plain
from positions_mcp.domain.portfolio.exposure import Notional, Quantities, exposed, worsened
from positions_mcp.domain.text import label

_EXERCISING = frozenset({InstructionType.EXERCISE, InstructionType.CONTRARY_EXERCISE})


def consequence_cards(
    rows: Sequence[CardRow], book: Book, *, now: datetime, quantities: Quantities | None = None
) -> tuple[ConsequenceCard, ...]:
    """One card per row, in order. Share positions and cover count the rows above as carried out.

    Args:
        rows: valid rows: a long option with a readable symbol, a known type, whole contracts.
        book: all positions of the account.
        now: the present instant, aware.
        quantities: what can be counted on of each instrument (less orders and instructions outstanding); the book's
            own quantities where none are given.

    Raises:
        ValueError: a row whose contract cannot be read.
    """
    desk = _Desk(with_underlyings(rows, book), book, now, quantities or {})
    return tuple(desk.card(row) for row in rows)


def quantities_after(rows: Sequence[CardRow], book: Book, quantities: Quantities) -> Quantities:
    """`quantities` once every row is carried out: contracts gone, shares delivered. `book` from `with_underlyings`."""
    after = dict(quantities)
    for row in rows:
        _carry_out(row.position, row.quantity, row.instruction_type in _EXERCISING, book, after)
    return after


def with_underlyings(rows: Sequence[CardRow], book: Book) -> Book:
    """The book with a flat position for each underlying that the rows deliver and the account does not hold."""
    missing: dict[InstrumentId, Position] = {}
    for row in rows:
        option, contract = row.position, row.position.contract
        if contract is None or find_underlying(option, book) is not None:
            continue
        key = option.underlying_instrument_id or InstrumentId(f"underlying of {contract.root}")
        missing[key] = Position(
            account_id=book.account_id,
            instrument_id=key,
            quantity=ZERO,
            symbol=contract.root,
            instrument_type=option.underlying_instrument_type or SecurityType.COMMON_STOCK,
        )
    return Book(
        account_id=book.account_id,
        positions=(*book.positions, *missing.values()),
        as_of=book.as_of,
        consistent=book.consistent,
        unreadable=book.unreadable,
        of_others=book.of_others,
    )


@dataclass
class _Desk:
    """Writes the cards of one batch, carrying each row out on `quantities` before the next."""

    book: Book
    """With a flat position for every underlying that is not held."""
    read: Book
    """As it was read."""
    now: datetime
    quantities: Quantities
    related: dict[str, Book] = field(default_factory=dict)

    def __post_init__(self) -> None:
        held = {position.instrument_id: position.quantity for position in self.book.positions}
        self.quantities = held | self.quantities

    def card(self, row: CardRow) -> ConsequenceCard:
        option, contract = row.position, row.position.contract
        if contract is None:
            raise ValueError(f"{option.name}: a consequence needs a contract that can be read")
        price = underlying_price(find_underlying(option, self.read), self.read.as_of)
        level = None if price is None else price.price
        exercises = row.instruction_type in _EXERCISING
        effect = effect_of_exercise(option, row.quantity) if exercises else Effect(cash=ZERO, shares=ZERO)
        uncovers = self._uncovered(row, exercises=exercises)
        by_exception = self._by_exception(row, contract, level, {exercises: uncovers})
        _carry_out(option, row.quantity, exercises, self.book, self.quantities)
        return ConsequenceCard(
            symbol=contract.compact,
            instruction_type=row.instruction_type,
            quantity=row.quantity,
            right=contract.right,
            expiration=contract.expiration,
            strike=contract.strike,
            multiplier=option.multiplier,
            moneyness=moneyness(contract, level),
            price=price,
            price_said=price.said(self.now) if price else None,
            effect=effect,
            shares_after=self._shares(option, effect),
            gives_up=self._given_up(row, contract, level),
            by_exception=by_exception,
            uncovers=uncovers,
            unknown=self._unknown(row, contract, level),
        )

    def _by_exception(
        self, row: CardRow, contract: OptionContract, level: Decimal | None, known: dict[bool, tuple[Uncovered, ...]]
    ) -> ByException:
        """What clearing would do with these contracts at the known price if nothing were sent.

        `known`: what exercising them (True) or letting them lapse (False) leaves uncovered, as far as worked out.
        """
        exercised = is_exercised_by_exception(contract, level)
        uncovers: tuple[Uncovered, ...] = ()
        if exercised is not None:
            uncovers = known[exercised] if exercised in known else self._uncovered(row, exercises=exercised)
        return ByException(
            exercised=exercised,
            expires_today=contract.expiration <= new_york_day(self.now),
            effect=effect_of_exercise(row.position, row.quantity) if exercised else Effect(cash=ZERO, shares=ZERO),
            uncovers=uncovers,
        )

    def _uncovered(self, row: CardRow, *, exercises: bool) -> tuple[Uncovered, ...]:
        related = self._related(row.position)
        if not any(each.is_option and each.quantity < 0 for each in related.positions):
            return ()
        before = {each.instrument_id: self.quantities[each.instrument_id] for each in related.positions}
        after = dict(before)
        _carry_out(row.position, row.quantity, exercises, related, after)
        worse = worsened(exposed(related, before), exposed(related, after))
        return tuple(
            Uncovered(
                name=now.name,
                before=was.uncovered,
                after=now.uncovered,
                unprotected_before=was.unprotected,
                unprotected_after=now.unprotected,
            )
            for was, now in worse
        )

    def _related(self, option: Position) -> Book:
        """The part of the book that can cover, or be covered by, what is on the option's underlying."""
        underlying = find_underlying(option, self.book)
        key = underlying.instrument_id if underlying else option.instrument_id
        if key not in self.related:
            root = option.contract.root if option.contract else None
            positions = tuple(
                each
                for each in self.book.positions
                if key in (each.instrument_id, each.underlying_instrument_id)
                or (root is not None and each.contract is not None and each.contract.root == root)
            )
            self.related[key] = Book(account_id=self.book.account_id, positions=positions, as_of=self.book.as_of)
        return self.related[key]

    def _shares(self, option: Position, effect: Effect) -> Decimal | None:
        """The share position after this row and those above; None where it is not known or nothing is delivered."""
        underlying = find_underlying(option, self.book)
        if underlying is None or effect.shares is None or not self.read.is_complete or _is_on_index(option):
            return None
        return self.quantities[underlying.instrument_id]

    def _given_up(self, row: CardRow, contract: OptionContract, level: Decimal | None) -> Decimal | None:
        """Dollars given up at the known price.

        Intrinsic value for not exercising; for exercising what the option's own price holds above its intrinsic value,
        and what the strike is worse than the market.
        """
        multiplier = row.position.multiplier
        if level is None or multiplier is None:
            return None
        intrinsic = intrinsic_value(contract, level)
        if row.instruction_type not in _EXERCISING:
            return exact_product(intrinsic, multiplier, row.quantity)
        worse_than_market = max(-points_in_the_money(contract, level), ZERO)
        time_value = max((row.position.instrument_price or ZERO) - intrinsic, ZERO)
        return exact_product(worse_than_market + time_value, multiplier, row.quantity)

    def _unknown(self, row: CardRow, contract: OptionContract, level: Decimal | None) -> tuple[str, ...]:
        said: list[str] = []
        option = row.position
        if option.multiplier is None:
            said.append("what this adjusted contract delivers, so cash and shares")
        if _is_on_index(option):
            said.append("the settlement value of the index, so the cash; no shares are delivered")
        if level is None:
            said.append("the underlying's price, so moneyness and exercise by exception")
        elif contract.expiration > new_york_day(self.now):
            said.append("the price at expiration, which decides exercise by exception")
        else:
            said.append("the closing price, which decides exercise by exception")
        is_in = moneyness(contract, level) is not Moneyness.OUT
        if row.instruction_type is InstructionType.CONTRARY_EXERCISE and is_in:
            said.append(
                "whether CONTRARY_EXERCISE exercises an option that is not out of the money or gives it up: the API "
                "does not say; EXERCISE and DO_NOT_EXERCISE are unambiguous"
            )
        if not self.read.is_complete:
            said.append("the whole book, so the share position and cover")
        return tuple(said)


def notional_of_instruction(row: CardRow, book: Book) -> Notional:
    """What a row counts for against limits: the money of an exercise, or the intrinsic value given up.

    Not `priced`, and at least zero, where the deliverable or, for not exercising, the underlying's price is not known.
    """
    option, contract = row.position, row.position.contract
    if contract is None:
        return Notional(ZERO, priced=False)
    level: Decimal | None = contract.strike
    if row.instruction_type not in _EXERCISING:
        price = underlying_price(find_underlying(option, book), book.as_of)
        level = None if price is None else intrinsic_value(contract, price.price)
    amount = exact_product(level or ZERO, option.multiplier or STANDARD_MULTIPLIER, row.quantity)
    return Notional(amount, priced=level is not None and option.multiplier is not None)


def cancel_lines(
    instruction: Instruction, book: Book, *, now: datetime, quantities: Quantities | None = None
) -> tuple[str, ...]:
    """What cancelling an instruction would bring back, in sentences. Never raises for what cannot be known."""
    kind = label(instruction.instruction_type)
    again = "exercise by exception applies to them again"
    if instruction.instruction_type is InstructionType.DO_NOT_EXERCISE:
        again = "exercise by exception is re-armed and applies to them again"
    lines = [f"Cancelling withdraws {kind} {_contracts(instruction)}: {again}."]
    option = book.by_id.get(instruction.instrument_id) if instruction.instrument_id else None
    quantity = instruction.quantity
    if option is None or option.contract is None or option.quantity <= 0 or not quantity or quantity % 1:
        return (*lines, "Not known: the contract or its position, so what exercise by exception would then do.")
    row = CardRow(position=option, instruction_type=InstructionType.DO_NOT_EXERCISE, quantity=int(quantity))
    card = consequence_cards([row], book, now=now, quantities=quantities)[0]
    lines.append(card.underlying_said)
    lines.append(f"If nothing else is sent: {card.by_exception.said}.")
    return (*lines, f"Not known: {'; '.join(card.unknown)}.") if card.unknown else tuple(lines)


def _contracts(instruction: Instruction) -> str:
    quantity = "of an unknown quantity" if instruction.quantity is None else plain(instruction.quantity)
    contract = parse_option_symbol(instruction.symbol)
    named = contract.compact if contract else label(instruction.symbol or instruction.instrument_id or "of no name")
    return f"{quantity} {named}"


def effect_of_exercise(option: Position, quantity: int) -> Effect:
    """Cash and shares of exercising whole contracts of a long option; None where the deliverable is not known."""
    contract, multiplier = option.contract, option.multiplier
    if contract is None or multiplier is None:
        return Effect(cash=None, shares=None)
    if _is_on_index(option):
        return Effect(cash=None, shares=ZERO)
    shares = Decimal(multiplier * quantity)
    sign = 1 if contract.right is OptionRight.CALL else -1
    return Effect(cash=exact_product(-sign, contract.strike, shares), shares=sign * shares)


def _carry_out(option: Position, quantity: int, exercises: bool, book: Book, quantities: Quantities) -> None:
    """Take the contracts away and, where they are exercised, move the shares."""
    left = quantities.get(option.instrument_id, option.quantity) - quantity
    quantities[option.instrument_id] = max(left, ZERO)
    underlying = find_underlying(option, book)
    shares = effect_of_exercise(option, quantity).shares if exercises else None
    if underlying is not None and shares:
        held = quantities.get(underlying.instrument_id, underlying.quantity)
        quantities[underlying.instrument_id] = held + shares


def _is_on_index(option: Position) -> bool:
    return option.underlying_instrument_type is SecurityType.INDEX
