"""What becomes of one expiring option if no more instruction is sent, as far as what is held tells: for a listing."""

from __future__ import annotations

from datetime import datetime

from positions_mcp.domain.account.contracts import ContractFacts
from positions_mcp.domain.exercise.cutoffs import TradingDays, expiry_session
from positions_mcp.domain.exercise.deciding import Basis, LatestPrice, closing_price_of, deciding_price, latest_price
from positions_mcp.domain.exercise.outstanding import Outstanding
from positions_mcp.domain.exercise.projected import ProjectedOption
from positions_mcp.domain.exercise.settlement import Instructed, Settling, instructed_by
from positions_mcp.domain.exercise.terms import terms_of
from positions_mcp.domain.money import plain
from positions_mcp.domain.portfolio.expiring import ExpiringOption

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
    settling = Settling(position=held, contract=option.contract, terms=terms_of(held, facts), listed=listed)
    earlier = underlying.closing_price_date if underlying else None
    price = deciding_price(
        settling.terms,
        session,
        now,
        latest=latest_price(underlying, read_at, quoted, close=calendar.session_on(earlier) if earlier else None),
        close=closing_price_of(underlying, session.day),
    )
    return ProjectedOption(settling, price)


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
    Basis.OPENING_SETTLEMENT: "settles at the open",
    Basis.NOT_SAID: "settlement not known",
    Basis.ADJUSTED: "adjusted contract",
}
