"""What a position counts for against limits, and which short options have no cover.

Coverage is judged twice, and a plan may make neither worse:

- *covered*: a short call by as many long shares of its underlying as its multiplier (100, or what the API states), or
  by a long call of the same root and multiplier with the same or a later expiration and the same or a lower strike; a
  short put by as many short shares, or by such a long put with the same or a higher strike;
- *protected*: the same, but by a long option at any strike, so that the far leg of a credit spread counts too.

Shares cover standard contracts only: what an adjusted one delivers is not known. Cash is not counted.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.account.quotes import find_underlying, underlying_price
from positions_mcp.domain.enums import InstructionType, OrderSide
from positions_mcp.domain.exercise.instructions import Outstanding
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.instruments import STANDARD_MULTIPLIER, OptionContract, OptionRight, as_root
from positions_mcp.domain.money import ZERO, exact_product, exact_sum
from positions_mcp.domain.operation.plan import InstructionTarget

_EXERCISING = (InstructionType.EXERCISE, InstructionType.CONTRARY_EXERCISE)

Quantities: TypeAlias = dict[InstrumentId, Decimal]
"""Signed quantity assumed for each instrument of a book."""


@dataclass(frozen=True, slots=True)
class Notional:
    """Dollars that count against limits. Not `priced`: a price was missing, so the amount may be too small."""

    amount: Decimal
    priced: bool


def notional_of(
    position: Position, book: Book, quantity: Decimal | None = None, *, price: Decimal | None = None
) -> Notional:
    """The notional of trading `quantity` (by default all) of a position. `price` is its underlying's, where known.

    |market value|, or quantity × price where that is more; for a short option at least what it obliges to: quantity ×
    multiplier × its strike for a put, which needs no price, and for a call the price of its underlying, or its strike
    where that is not known. A value of zero counts as missing: a long option then counts as exercising it does, by its
    strike, since selling it must not need more than that.
    """
    held = abs(position.quantity)
    traded = held if quantity is None else abs(quantity)
    size = book.multiplier_of(position)
    multiplier = size or STANDARD_MULTIPLIER
    value = abs(position.market_value or ZERO)
    amount = value if traded == held else exact_product(value, traded) / held
    amount = max(amount, exact_product(traded, multiplier, max(position.instrument_price or ZERO, ZERO)))
    priced = amount > 0 and size is not None
    if position.is_option and position.counted_quantity < 0:
        obliged, is_known = _obliged(position, book, price)
        amount = max(amount, exact_product(traded, multiplier, obliged))
        priced = amount > 0 and size is not None and is_known
    elif position.contract and not amount and size is not None:
        amount, priced = exact_product(traded, multiplier, position.contract.strike), True
    return Notional(amount, priced)


def _obliged(short: Position, book: Book, price: Decimal | None) -> tuple[Decimal, bool]:
    """Dollars per share that a short option obliges to, and whether that is known: a put's strike is all of it."""
    strike = short.contract.strike if short.contract else ZERO
    if short.contract and short.contract.right is OptionRight.PUT:
        return strike, True
    price = underlying_price(find_underlying(short, book)) if price is None else price
    return (strike, False) if price is None else (price, True)


def expected_quantities(
    book: Book,
    *,
    open_orders: Iterable[Order] | None,
    in_flight: Iterable[InstrumentId] = (),
    outstanding: Outstanding | None = None,
    unlisted: Iterable[InstructionTarget] = (),
    of: Iterable[Position] | None = None,
) -> Quantities:
    """What can be counted on: the book less what open orders and outstanding instructions may still take from it.

    `of` these positions; of all, if omitted.

    A short option counts in full until it is gone: a buy-back on its way covers nothing. Where orders could not be
    read (None), an instrument with a close in flight counts as gone. What a position itself calls locked is not counted
    on either: an order of several legs names no instrument. `unlisted` instructions may have been taken unseen.
    """
    leaving = _leaving(open_orders)
    sent = tuple(unlisted)
    closing, quantities = set(in_flight), Quantities()
    for position in book.positions if of is None else of:
        quantity, key = position.counted_quantity, position.instrument_id
        if position.side_contradicts and not position.is_option:
            # Long or short, nobody knows: it covers neither calls nor puts.
            quantities[key] = ZERO
            continue
        if quantity < 0 and position.is_option:
            quantities[key] = quantity
            continue
        against = OrderSide.SELL if quantity > 0 else OrderSide.BUY
        taken = leaving[key, against]
        if open_orders is None and key in closing:
            taken = abs(quantity)
        if outstanding is not None and not outstanding.is_empty and position.is_option:
            claims = outstanding.on(key)
            taken += abs(quantity) if claims.has_unknown_quantity else claims.quantity
        if sent:
            taken += sum(each.quantity for each in sent if each.instrument_id == key)
        quantities[key] = nearer_zero(quantity, max(taken, position.locked_quantity or ZERO))
    _deliver_exercised(book, outstanding, sent, quantities)
    return quantities


def nearer_zero(quantity: Decimal, by: Decimal) -> Decimal:
    """`quantity` with `by` of it traded away, never past zero."""
    left = max(abs(quantity) - by, ZERO)
    return left if quantity > 0 else -left


@dataclass(frozen=True, slots=True)
class Exposed:
    """Short contracts of one root and right that lack cover. `unprotected` lack even a long at another strike."""

    root: str
    right: OptionRight | None
    uncovered: Decimal
    unprotected: Decimal


_Group: TypeAlias = tuple[str, OptionRight | None]


def exposed(book: Book, held: Iterable[Mapping[InstrumentId, Decimal]]) -> tuple[dict[_Group, Exposed], ...]:
    """Every group of short options with what of it lacks cover: for each of these quantities, if they were held."""
    groups = _groups_of(book)
    return tuple(_exposed(book, groups, quantities) for quantities in held)


@dataclass(frozen=True, slots=True)
class CoverGroups:
    """A book's options by root and right where any is short, and the shares that may cover each group; found once."""

    book: Book
    options: Mapping[_Group, Sequence[Position]]
    underlyings: Mapping[_Group, set[InstrumentId]]
    touched_by: Mapping[InstrumentId, Sequence[_Group]]
    """The groups that an instrument is of, or may cover."""

    @classmethod
    def of(cls, book: Book) -> CoverGroups:
        short = {_group_of(option) for option in book.short_options}
        groups = {group: options for group, options in _groups_of(book).items() if group in short} if short else {}
        # Of a group there is one, unless the API says otherwise.
        found = {group: (find_underlying(each, book) for each in options) for group, options in groups.items()}
        underlyings = {group: {each.instrument_id for each in shares if each} for group, shares in found.items()}
        touched_by: defaultdict[InstrumentId, list[_Group]] = defaultdict(list)
        for group, options in groups.items():
            for key in underlyings[group].union(each.instrument_id for each in options):
                touched_by[key].append(group)
        return cls(book, groups, underlyings, touched_by)

    @property
    def positions(self) -> list[Position]:
        """Everything that short options and their cover are made of."""
        return [self.book.by_id[key] for key in self.touched_by]

    def worsened(
        self, before: Quantities, traded: Mapping[InstrumentId, Decimal]
    ) -> tuple[tuple[Exposed, Exposed], ...]:
        """The groups in which more short contracts lack cover once so much of `before` is traded away.

        As `worsened` of everything `exposed`, but only what the trade can touch is looked at: the groups of options
        traded, those over shares traded, and those that share an underlying with one of these.
        """
        changed = {key for key, quantity in traded.items() if quantity and key in before}
        groups, ahead = set[_Group](), list(changed)
        while ahead:
            for group in set(self.touched_by.get(ahead.pop(), ())) - groups:
                groups.add(group)
                ahead += self.underlyings[group]
        if not groups:
            return ()
        after = before | {key: nearer_zero(before[key], traded[key]) for key in changed}
        some = {group: self.options[group] for group in groups}
        return worsened(_exposed(self.book, some, before), _exposed(self.book, some, after))


def _groups_of(book: Book) -> dict[_Group, list[Position]]:
    """Options by root and right."""
    groups: dict[_Group, list[Position]] = defaultdict(list)
    for option in book.options:
        groups[_group_of(option)].append(option)
    return groups


def _exposed(
    book: Book, groups: Mapping[_Group, Sequence[Position]], quantities: Mapping[InstrumentId, Decimal]
) -> dict[_Group, Exposed]:
    shares = dict(quantities)
    result: dict[_Group, Exposed] = {}
    for group in sorted(groups, key=str):
        lacking = []
        for size, options in _by_size(book, groups[group]).items():
            held = [(each, quantities.get(each.instrument_id, ZERO)) for each in options]
            shorts, longs = [(p, -q) for p, q in held if q < 0], [(p, q) for p, q in held if q > 0]
            if not shorts:
                continue
            uncovered, unprotected = (_unmatched(shorts, longs, by_strike=each) for each in (group[1], None))
            by_shares = _use_shares(book, shorts[0][0], size, group[1], shares=shares, wanted=uncovered)
            lacking.append((max(uncovered - by_shares, ZERO), max(unprotected - by_shares, ZERO)))
        if lacking:
            result[group] = Exposed(*group, *map(exact_sum, zip(*lacking, strict=True)))
    return result


def _by_size(book: Book, options: Sequence[Position]) -> Mapping[Decimal | None, Sequence[Position]]:
    """Options by their multiplier, which is nearly always one: one of 100 shares covers no whole one of 150."""
    if not book.sizes:
        return {book.multiplier_of(options[0]): options}
    found: defaultdict[Decimal | None, list[Position]] = defaultdict(list)
    for each in options:
        found[book.multiplier_of(each)].append(each)
    return found


def worsened(before: Mapping[_Group, Exposed], after: Mapping[_Group, Exposed]) -> tuple[tuple[Exposed, Exposed], ...]:
    """The groups in which more short contracts lack cover after than before, as (before, after)."""
    worse = []
    for group, now in after.items():
        was = before.get(group, Exposed(*group, ZERO, ZERO))
        if now.uncovered > was.uncovered or now.unprotected > was.unprotected:
            worse.append((was, now))
    return tuple(worse)


def _group_of(option: Position) -> _Group:
    if option.contract is None:
        return (str(option.underlying_instrument_id or option.instrument_id), None)
    return (as_root(option.contract.root), option.contract.right)


def _unmatched(
    shorts: list[tuple[Position, Decimal]], longs: list[tuple[Position, Decimal]], *, by_strike: OptionRight | None
) -> Decimal:
    """Short contracts left when long ones are matched to them as well as possible.

    Shorts are served from the latest expiration back, so every long once late enough stays so; of those the one that
    is good for the fewest other shorts is used first, which leaves the fewest unmatched.
    """
    pool: list[tuple[Decimal, int]] = []
    left = [quantity for _, quantity in longs]
    waiting = sorted(range(len(longs)), key=lambda i: _expiry(longs[i][0]))
    unmatched = ZERO
    for short, quantity in sorted(shorts, key=lambda pair: _expiry(pair[0]), reverse=True):
        wanted = quantity
        while waiting and _expiry(longs[waiting[-1]][0]) >= _expiry(short):
            late_enough = waiting.pop()
            insort(pool, (_rank(longs[late_enough][0].contract, by_strike), late_enough))
        end = bisect_right(pool, (_rank(short.contract, by_strike), len(longs)))
        for place in range(end - 1, -1, -1):
            index = pool[place][1]
            used = min(wanted, left[index])
            left[index] -= used
            wanted -= used
            if not wanted:
                break
        unmatched += wanted
    return unmatched


def _expiry(option: Position) -> str:
    return option.contract.expiration.isoformat() if option.contract else ""


def _rank(contract: OptionContract | None, right: OptionRight | None) -> Decimal:
    """A long covers shorts of the same or a higher rank: calls by strike upwards, puts downwards, else all alike."""
    if contract is None or right is None:
        return ZERO
    return contract.strike if right is OptionRight.CALL else -contract.strike


def _use_shares(
    book: Book,
    short: Position,
    size: Decimal | None,
    right: OptionRight | None,
    *,
    shares: dict[InstrumentId, Decimal],
    wanted: Decimal,
) -> Decimal:
    """Contracts that shares cover; what is used is taken from `shares`, so that no other group counts it again."""
    underlying = find_underlying(short, book)
    if underlying is None or not underlying.is_closable or size is None or not wanted:
        return ZERO
    held = shares.get(underlying.instrument_id, ZERO)
    sign = 1 if right is OptionRight.CALL else -1
    covered = min(max(held * sign, ZERO) // size, wanted)
    shares[underlying.instrument_id] = held - sign * covered * size
    return covered


def _leaving(open_orders: Iterable[Order] | None) -> defaultdict[tuple[InstrumentId, OrderSide], Decimal]:
    leaving: defaultdict[tuple[InstrumentId, OrderSide], Decimal] = defaultdict(lambda: ZERO)
    for order in open_orders or ():
        if order.instrument_id is None or order.side is None or not order.is_open:
            continue
        leaving[order.instrument_id, order.side] += order.leaves or ZERO
    return leaving


def _deliver_exercised(
    book: Book, outstanding: Outstanding | None, unlisted: Iterable[InstructionTarget], quantities: Quantities
) -> None:
    """Exercising a put sells shares that may be covering a call; a call buys back short ones that may cover a put."""
    exercised: defaultdict[InstrumentId, Decimal] = defaultdict(lambda: ZERO)
    for each in unlisted:
        if each.instruction_type in _EXERCISING:
            exercised[each.instrument_id] += each.quantity
    if not exercised and (outstanding is None or outstanding.is_empty):
        return
    for position in book.positions:
        key, contract = position.instrument_id, position.contract
        if not contract or (position.quantity <= 0 and not position.side_contradicts):
            continue
        if outstanding is not None:
            exercised[key] += outstanding.on(key).of_type(*_EXERCISING)
        underlying = find_underlying(position, book)
        takes_long = contract.right is OptionRight.PUT
        if underlying is not None and exercised[key] and (underlying.quantity > 0) is takes_long:
            shares = underlying.instrument_id
            if shares in quantities:
                size = book.multiplier_of(position) or STANDARD_MULTIPLIER
                quantities[shares] = nearer_zero(quantities[shares], exercised[key] * size)
