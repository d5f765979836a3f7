"""Tonight: what the options that expire on a day, and every instruction, will leave the account with.

A pure function of what was read. It says what exercise by exception, the instructions and assignment do at the price
that decides, for every closing price where that one is not known, on either side of strikes too near to call, and it
names what it does not know.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from positions_mcp.domain.account.positions import Book, Holding, Position
from positions_mcp.domain.account.quotes import BY_EXCEPTION_THRESHOLD, find_underlying
from positions_mcp.domain.account.sessions import Session, new_york_day
from positions_mcp.domain.enums import InstructionStatus, SecurityType
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, expiry_session, settlement_day
from positions_mcp.domain.exercise.facts import (
    Basis,
    DecidingPrice,
    ExpirationFacts,
    closing_price_of,
    deciding_price,
    early_price,
    last_session,
    latest_price,
)
from positions_mcp.domain.exercise.instructions import Claim
from positions_mcp.domain.exercise.outcomes import Outcome, Related, at_every_price, sum_of
from positions_mcp.domain.exercise.projected import Pin, PinSide, ProjectedOption, ProjectedUnderlying, Projection
from positions_mcp.domain.exercise.settlement import (
    AskedInstruction,
    Flow,
    Instructed,
    Settling,
    asked_by,
    instructed_by,
    perhaps_done_by,
)
from positions_mcp.domain.exercise.terms import terms_of
from positions_mcp.domain.exercise.timing import last_moment
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.instruments import as_root
from positions_mcp.domain.money import ZERO, exact_sum, plain
from positions_mcp.domain.text import counted, label


def pins_of(options: Sequence[ProjectedOption], part: Related, *, is_decided: bool) -> list[Pin]:
    """The strikes that are too near the price. Of options whose price is known."""
    near: defaultdict[Decimal, list[ProjectedOption]] = defaultdict(list)
    for each in options:
        if each.is_too_near:
            near[each.settling.contract.strike].append(each)
    return [
        Pin(
            strike,
            near[strike][0].price.price or ZERO,
            lower=_side(options, part, strike, -BY_EXCEPTION_THRESHOLD),
            upper=_side(options, part, strike, BY_EXCEPTION_THRESHOLD),
            has_short=any(each.settling.is_short for each in near[strike]),
            is_decided=is_decided,
        )
        for strike in sorted(near)
    ]


def _side(options: Sequence[ProjectedOption], part: Related, strike: Decimal, step: Decimal) -> PinSide:
    beside = exact_sum((strike, step))
    prices = [_decided_at(each, strike, beside) for each in options]
    flows = [each.settling.flow(price) for each, price in zip(options, prices, strict=True)]
    flow = sum_of(flows)
    settling = [each.settling for each in options]
    (left,) = part.left(settling, [flow])
    return PinSide(
        left,
        assigns_call=any(each.is_assigned_call_at(price) for each, price in zip(options, prices, strict=True)),
        is_still=all(each == Flow() for each in flows),
    )


def _decided_at(option: ProjectedOption, strike: Decimal, beside: Decimal) -> Decimal:
    """The price that tells an option's outcome on one side of a strike."""
    settling = option.settling
    in_doubt = not option.price.is_final or (settling.is_short and settling.contract.strike == strike)
    return beside if in_doubt else option.price.price or ZERO


ALWAYS_UNKNOWN: Final = (
    "a holder may exercise against the close, so a short option may be assigned out of the money, or not in it",
    "the broker may close, or not exercise, what the account cannot carry",
    "fees, margin and what borrowing short shares costs",
)


def project(
    facts: ExpirationFacts, day: date, *, batch: Sequence[AskedInstruction] = (), underlying: str | None = None
) -> Projection:
    """What the evening of `day` does to the account; of a day without trading the last session before it is taken.

    `batch` are instructions under preview, as if they were accepted; `underlying` narrows it to one, by symbol.
    """
    session = expiry_session(day, facts.calendar)
    options = _settling(facts, session, batch)
    names = sorted(name for name in options if underlying is None or as_root(name) == as_root(underlying))
    projected = tuple(_underlying(facts, session, name, options[name]) for name in names)
    usual = facts.deadline.on(session)
    settling = (each for name in names for each in options[name])
    ends = {last_moment(each.terms, session, facts.deadline) if each.expires else usual for each in settling}
    return Projection(
        now=facts.now,
        session=session,
        cutoffs=tuple(sorted(ends or {usual})),
        settles=settlement_day(session.day, facts.calendar) if projected else None,
        underlyings=projected,
        cash_before=facts.cash,
        buying_power=facts.buying_power,
        unknown=tuple(_unknown(facts, session, projected)),
    )


def _settling(facts: ExpirationFacts, session: Session, batch: Sequence[AskedInstruction]) -> dict[str, list[Settling]]:
    """The options that the evening changes, by the name of their underlying."""
    previewed, unlisted = _by_instrument(batch), _by_instrument(facts.unlisted)
    alike = Counter(each.contract for each in facts.book.positions if each.contract and each.quantity)
    found: defaultdict[str, list[Settling]] = defaultdict(list)
    for position in facts.book.positions:
        last = last_session(position, facts.calendar)
        if last is None or position.contract is None or not position.quantity or last.day < session.day:
            continue
        key = position.instrument_id
        expires = last.day == session.day
        settling = Settling(
            position=position,
            contract=position.contract,
            terms=terms_of(position, facts.contracts.get(key)),
            listed=_listed(facts, position, session, expires=expires).plus(asked_by(unlisted[key], certain=False)),
            batch=asked_by(previewed[key], certain=True),
            expires=expires,
            has_namesakes=alike[position.contract] > 1,
        )
        if settling.expires or settling.exercised(in_the_money=False).most:
            found[facts.name_of(position).upper()].append(settling)
    return found


def _by_instrument(rows: Sequence[AskedInstruction]) -> defaultdict[InstrumentId, list[AskedInstruction]]:
    found: defaultdict[InstrumentId, list[AskedInstruction]] = defaultdict(list)
    for row in rows:
        found[row.instrument_id].append(row)
    return found


def _listed(facts: ExpirationFacts, position: Position, session: Session, *, expires: bool) -> Instructed:
    if facts.outstanding is None or position.quantity < 0:
        return Instructed()
    claims, held = _claims(facts, position, session, expires=expires), position.quantity
    if expires:
        return instructed_by(claims, held)
    over = [each for each in claims if _is_over(each, facts)]
    return instructed_by((each for each in claims if each not in over), held).plus(perhaps_done_by(over, held))


def _claims(facts: ExpirationFacts, position: Holding, session: Session, *, expires: bool) -> Sequence[Claim]:
    """The instructions on an option, but for early exercises of a later evening: they were sent after the cut-off."""
    listed = facts.outstanding.on(position.instrument_id).each if facts.outstanding else ()
    if expires:
        return listed
    return [each for each in listed if (day := facts.evening_of(each)) is None or day <= session.day]


def _is_over(claim: Claim, facts: ExpirationFacts) -> bool:
    """Whether an early exercise was for the evening of a day before."""
    day = facts.evening_of(claim)
    return day is not None and day < new_york_day(facts.now)


def _underlying(
    facts: ExpirationFacts, session: Session, name: str, settling: Sequence[Settling]
) -> ProjectedUnderlying:
    options = tuple(ProjectedOption(each, _price(facts, session, name, each)) for each in settling)
    priced = [each for each in options if each.flow is not None]
    open_ended = [each for each in options if each.flow is None and each.is_stated and not each.settling.terms.in_cash]
    outcomes = _outcomes(priced, open_ended)
    part, flows = _related(facts, name, settling[0].position), [each.flow for each in outcomes]
    return ProjectedUnderlying(
        name=name,
        options=options,
        shares_before=part.shares_held,
        shares_locked=part.shares_locked,
        outcomes=outcomes,
        lacking_before=part.lacking_now(),
        left=part.left(settling, flows),
        # Other holders decide by the rule, whatever earlier time the own broker sets.
        pins=tuple(pins_of(priced, part, is_decided=facts.now >= DeadlineRule().on(session))),
        not_stated=tuple(each for each in options if each not in priced and each not in open_ended),
        doubts=tuple(_doubts(facts, session, settling)),
    )


def _price(facts: ExpirationFacts, session: Session, name: str, option: Settling) -> DecidingPrice:
    held = find_underlying(option.position, facts.book)
    keys = [name, as_root(name), *([key] if (key := option.position.underlying_instrument_id) else [])]
    quoted = next((facts.latest[key] for key in keys if key in facts.latest), None)
    given = next((facts.given[key] for key in keys if key in facts.given), None)
    close = next((facts.closes[key] for key in keys if key in facts.closes), closing_price_of(held, session.day))
    latest = latest_price(held, facts.book.as_of, facts.calendar, quoted)
    if given is None and not option.expires and not option.terms.in_cash:
        # What shares exercised early are worth is told by the market, also after its close.
        return early_price(option.terms, session, latest)
    return deciding_price(option.terms, session, facts.now, latest=latest, close=close, given=given)


def _outcomes(priced: Sequence[ProjectedOption], open_ended: Sequence[ProjectedOption]) -> tuple[Outcome, ...]:
    base = Flow()
    for each in priced:
        base = base.plus(each.flow or Flow())
    return tuple(
        Outcome(each.low, each.high, base.plus(each.flow), each.includes_low, each.includes_high)
        for each in at_every_price([option.settling for option in open_ended])
    )


def _related(facts: ExpirationFacts, name: str, option: Holding) -> Related:
    """The positions on one underlying as a book of their own, flat in shares that are not held."""
    book, options, shares = facts.book, facts.options[name], None
    if not any(each.underlying_instrument_type is SecurityType.INDEX for each in options):
        shares = find_underlying(option, book) or Position(
            account_id=book.account_id,
            instrument_id=option.underlying_instrument_id or InstrumentId(f"underlying {name}"),
            quantity=ZERO,
            symbol=name,
            instrument_type=SecurityType.COMMON_STOCK,
        )
    held = (*options, shares) if shares else tuple(options)
    part = Book(account_id=book.account_id, positions=held, as_of=book.as_of, sizes=book.sizes)
    return Related(part, shares, facts.counted or {})


_DOUBTS: Final = {
    InstructionStatus.SENT: "not accepted yet; counted as if it were",
    InstructionStatus.CANCEL_REQUESTED: "its cancel is not confirmed; counted as cancelled",
    InstructionStatus.CANCEL_FAILED: "its cancel failed and the broker's operators must look; counted as standing",
}


_OVER: Final = "sent for an evening that is over; the book is expected to show its effect already"


def _doubts(facts: ExpirationFacts, session: Session, settling: Sequence[Settling]) -> list[str]:
    said = []
    for option in settling:
        key = option.position.instrument_id
        for claim in _claims(facts, option.position, session, expires=option.expires):
            instruction, why = claim.instruction, _doubt(claim, facts, session, expires=option.expires)
            if not why:
                continue
            count = "of an unknown number of" if claim.quantity is None else plain(claim.quantity)
            kind, status = label(instruction.instruction_type), label(instruction.status)
            said.append(f"{kind} {count} {option.called} is {status}: {why}")
        for row in facts.unlisted:
            if row.instrument_id == key:
                sent = f"{label(row.instruction_type)} {row.quantity} {option.called}"
                said.append(f"{sent} was sent and is not listed: whether it was taken is not known; counted as taken")
    return said


def _doubt(claim: Claim, facts: ExpirationFacts, session: Session, *, expires: bool) -> str:
    """What is not settled of an instruction; empty where nothing is."""
    instruction, day = claim.instruction, None if expires else facts.evening_of(claim)
    if not instruction.instruction_type.is_known:
        return "what it asks for is not known; counted as an exercise, and as none"
    if not expires and _is_over(claim, facts):
        return _OVER
    if day is not None and day < session.day:
        return f"it is for the evening of {day.isoformat()}; its effect is counted here too"
    if instruction.status is InstructionStatus.ACCEPTED and claim.quantity is not None:
        return ""
    return _DOUBTS.get(instruction.status, "its outcome is not known; counted as standing")


def _unknown(facts: ExpirationFacts, session: Session, projected: Sequence[ProjectedUnderlying]) -> list[str]:
    said = []
    if facts.outstanding is None:
        said.append("the account's instructions, so what they exercise or withhold")
    if facts.instruction_doubts:
        said.append(f"all of the account's instructions: {'; '.join(facts.instruction_doubts)}")
    if contradicting := sum(each.side_contradicts for each in facts.book.positions):
        are = "is" if contradicting == 1 else "are"
        said.append(f"whether {counted(contradicting)} {are} long or short: the API contradicts itself")
    if not facts.book.is_complete:
        said.append("the whole book, so shares and cover")
    unreadable = sum(1 for each in facts.book.positions if each.is_option and each.contract is None and each.quantity)
    if unreadable:
        said.append(f"{counted(unreadable, 'option')} whose symbol cannot be read, nor its expiration")
    lasts = [last_session(each, facts.calendar) for each in facts.book.positions if each.quantity]
    today = new_york_day(facts.now)
    earlier = [last.day < today for last in lasts if last and last.day < session.day]
    if overdue := earlier.count(True):
        said.append(f"what became of {counted(overdue, 'option')} expired before and still in the book")
    if sooner := earlier.count(False):
        said.append(f"what will become of {counted(sooner, 'option')} expiring sooner")
    options = [each for underlying in projected for each in underlying.options]
    # The close decides nothing of what is exercised early.
    bases = {each.price.basis for each in options if each.settling.expires or not each.is_stated}
    said += [words for basis, words in _NOT_KNOWN_OF_PRICES.items() if basis in bases]
    said += facts.not_read
    if facts.buying_power is None:
        said.append("buying power")
    return [*said, *ALWAYS_UNKNOWN]


_NOT_KNOWN_OF_PRICES: Final = {
    Basis.LATEST: "the close, which decides",
    Basis.CLOSE_NOT_KNOWN: "the published close, which decides",
    Basis.NO_PRICE: "the price of an underlying",
    Basis.OPENING_SETTLEMENT: "an opening settlement, so the cash of AM-settled index options",
    Basis.NOT_SAID: "how an index option is settled, so its cash",
    Basis.ADJUSTED: "what an adjusted contract delivers, so cash, shares and moneyness",
}
