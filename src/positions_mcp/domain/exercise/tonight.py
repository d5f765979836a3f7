"""What an evening does if no more is sent: to one expiring option, for a listing, and to all of them in a few lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from positions_mcp.domain.account.market import ContractFacts, Dividend
from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.account.quotes import points_in_the_money
from positions_mcp.domain.exercise.cutoffs import TradingDays, expiry_session
from positions_mcp.domain.exercise.facts import Basis, LatestPrice, closing_price_of, deciding_price, latest_price
from positions_mcp.domain.exercise.instructions import Outstanding
from positions_mcp.domain.exercise.projected import ProjectedOption
from positions_mcp.domain.exercise.settlement import Instructed, Settling, instructed_by
from positions_mcp.domain.exercise.terms import SettlesAt, terms_of
from positions_mcp.domain.instruments import OptionContract, OptionRight
from positions_mcp.domain.money import ZERO, dollars, exact_product, exact_sum, plain
from positions_mcp.domain.portfolio.select import ExpiringOption
from positions_mcp.domain.text import counted, first_of

NOT_KNOWN = "not known"


def untouched(
    option: ExpiringOption,
    outstanding: Outstanding,
    *,
    now: datetime,
    read_at: datetime,
    calendar: TradingDays,
    facts: ContractFacts | None = None,
    quoted: LatestPrice | None = None,
) -> ProjectedOption:
    """The option as its expiration leaves it, at the price that decides or the latest one known.

    Without `facts` the terms follow from the root alone, and without a `quoted` price it is the book's.
    """
    held, underlying = option.position, option.underlying
    session = expiry_session(option.contract.expiration, calendar)
    listed = Instructed()
    if held.quantity > 0:
        listed = instructed_by(outstanding.on(held.instrument_id).each, held.quantity)
    settling = Settling(
        position=held,
        contract=option.contract,
        terms=terms_of(held, facts),
        listed=listed,
        has_namesakes=option.has_namesakes,
    )
    price = deciding_price(
        settling.terms,
        session,
        now,
        latest=latest_price(underlying, read_at, calendar, quoted),
        close=closing_price_of(underlying, session.day),
    )
    return ProjectedOption(settling, price)


def is_settled_at_opening(
    option: ExpiringOption, now: datetime, calendar: TradingDays, facts: ContractFacts | None = None
) -> bool:
    """Whether an opening has decided it: what its index does since then says nothing of it."""
    if terms_of(option.position, facts).settles_at is not SettlesAt.OPEN:
        return False
    return now >= expiry_session(option.contract.expiration, calendar).opens


def outcome_words(option: ProjectedOption) -> str:
    """`exercised 5`, `assigned 2`, `exercised 1 lapses 2`, or that it is not known and why."""
    exercised, assigned, lapses = option.by_exception, option.assigned, option.lapses
    if exercised is None or assigned is None or lapses is None:
        return _WHY.get(option.price.basis, NOT_KNOWN)
    counts = {"exercised": exercised + option.settling.on_instruction, "assigned": assigned, "lapses": lapses}
    return " ".join(f"{word} {plain(count)}" for word, count in counts.items() if count) or "nothing held"


_WHY = {
    Basis.NO_PRICE: "no price",
    Basis.CLOSE_NOT_KNOWN: "no close yet",
    Basis.OPENING_SETTLEMENT: "opening settlement",
    Basis.NOT_SAID: "settlement not known",
    Basis.ADJUSTED: "adjusted contract",
}


_MOST_NAMED = 4
"""So many short options are named; more are only counted: the projection has them."""


@dataclass(frozen=True, slots=True)
class Tonight:
    """The options whose last session is that of `day`, as its evening leaves them if nothing more is sent."""

    day: date
    options: Sequence[ProjectedOption]
    buying_power: Decimal | None
    """None is not known."""
    unread: int = 0
    """Long options that expire then, and whose instructions are not known."""
    beside: int = 0
    """Instructions on options that expire later: early exercises, of which nothing is counted here."""

    @property
    def cash(self) -> Decimal:
        """Dollars received in all at worst, of the options of which that is known; negative: paid."""
        return exact_sum(flow.cash.least for each in self.options if (flow := each.flow) is not None)

    @property
    def unknown(self) -> int:
        """Options whose cash is not known."""
        return self.unread + sum(1 for each in self.options if each.flow is None)

    @property
    def near(self) -> int:
        """Options whose strike is too near to call, so that their cash may be other."""
        return sum(each.is_too_near for each in self.options)

    @property
    def lines(self) -> list[str]:
        """Each short option that may be assigned, and the cash that the evening takes or brings."""
        said = [words for each in self.options if (words := assignment_said(each))]
        many = [f"{len(said)} short options may be assigned: project_expiration"]
        if not (said or self.cash or self.unknown or self.near):
            count = len(self.options)
            all_said = [f"{counted(count, 'option')} expire{'s' if count == 1 else ''} and nothing moves"]
        else:
            all_said = [*(said if len(said) <= _MOST_NAMED else many), self._cash_said]
        beside = f"{counted(self.beside, 'early exercise')} not counted: project_expiration"
        return [*all_said, *([beside] if self.beside else [])]

    @property
    def _cash_said(self) -> str:
        if self.unknown == len(self.options) + self.unread:
            return "cash not known"
        lacking = "".join(
            f", {count} {words}"
            for count, words in ((self.unknown, "not known"), (self.near, "too near to call"))
            if count
        )
        if self.cash >= ZERO:
            return f"cash {dollars(self.cash)}{lacking}"
        needed = f"cash needed {dollars(-self.cash)}{lacking}"
        if self.buying_power is None:
            return f"{needed}; buying power not known"
        return f"{needed}, {against_power(-self.cash, self.buying_power)}"


def against_power(needed: Decimal, power: Decimal) -> str:
    """`within the buying power of 40,000`, or by how much it is more."""
    more = f"{dollars(needed - power)} more than" if needed > power else "within"
    return f"{more} the buying power of {dollars(power)}"


def assignment_said(option: ProjectedOption) -> str:
    """`short 2 AAPL 230C: in the money by 1.40, expect assignment: sells 200 AAPL for 46,000`; empty for no such."""
    settling, contract = option.settling, option.settling.contract
    if not settling.is_short or not settling.expires:
        return ""
    named = f"{_named(settling.position, contract)}{settling.identified}"
    if not option.is_stated:
        return f"{named}: adjusted contract, so what an assignment delivers is not known"
    price = option.price.price
    if price is None:
        return f"{named}: assignment not known ({option.price.basis}){_would(option)}"
    points = points_in_the_money(contract, price)
    if option.in_the_money:
        doubt = " (too near to call)" if option.is_too_near and not option.price.is_final else ""
        return f"{named}: in the money by {plain(points)}, expect assignment{doubt}: {_moves(option, points)}"
    if not option.is_too_near:
        return ""
    return f"{named}: out of the money by {plain(-points)}, too near to call{_would(option)}"


def _named(short: Holding, contract: OptionContract, day: str = "") -> str:
    strike = f"{plain(contract.strike.normalize())}{contract.right[0]}"
    return f"short {plain(abs(short.quantity))} {contract.root} {day}{strike}"


def may_be_called_early(option: ExpiringOption, facts: ContractFacts | None = None) -> bool:
    """Whether it is a short call on shares that its holder may exercise before its last day, for a dividend."""
    if option.contract.right is not OptionRight.CALL or option.position.counted_quantity >= 0:
        return False
    terms = terms_of(option.position, facts)
    return terms.may_be_exercised_early and not terms.in_cash


def several_said(options: Sequence[ExpiringOption]) -> str:
    """`3): short 2 KO 2026-12-18 60C, short 1 …`, the first of them."""
    return f"{len(options)}): {first_of([_dated(each) for each in options], _MOST_NAMED)}"


def early_assignment_said(option: ExpiringOption, dividend: Dividend, evening: date, *, is_over: bool) -> str:
    """`short 2 KO 2026-12-18 60C before KO is ex-dividend on 2026-12-01 (0.51 a share, time value 0.05, …)`.

    With less time value than dividend it pays to exercise, on the last `evening` before: `is_over` once it has passed.
    """
    own, points = option.position.instrument_price, option.distance
    left = "not known" if own is None or points is None else plain(max(own - points, ZERO))
    amount = "amount not known" if dividend.amount is None else f"{plain(dividend.amount)} a share"
    root, last = option.contract.underlying_root, f"last evening {evening.isoformat()}{', over' if is_over else ''}"
    day = dividend.ex_date.isoformat()
    return f"{_dated(option)} before {root} is ex-dividend on {day} ({amount}, time value {left}, {last})"


def _dated(option: ExpiringOption) -> str:
    day = f"{option.contract.expiration.isoformat()} "
    return f"{_named(option.position, option.contract, day)}{option.identified}"


def _would(option: ProjectedOption) -> str:
    return "" if option.settling.terms.in_cash else f"; assigned, it {_moves(option, ZERO)}"


def _moves(option: ProjectedOption, points: Decimal) -> str:
    settling, contract = option.settling, option.settling.contract
    size = exact_product(abs(settling.position.quantity), settling.terms.multiplier or ZERO)
    if settling.terms.in_cash:
        return f"pays {dollars(exact_product(size, points))} in cash"
    verb = "sells" if contract.right is OptionRight.CALL else "buys"
    return f"{verb} {plain(size)} {contract.underlying_root} for {dollars(exact_product(size, contract.strike))}"
