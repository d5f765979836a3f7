"""From what was asked for to the targets of a plan: resolved in the book, in the order of sending."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.errors import InvalidInput, UnknownInstrument
from positions_mcp.domain.ids import NIL_UUID, InstrumentId, instrument_id, is_uuid
from positions_mcp.domain.instruments import with_its_id
from positions_mcp.domain.operation.plan import HeldTarget, Target
from positions_mcp.domain.portfolio.resolve import Holdings, Spellings, looked_up
from positions_mcp.domain.text import label, said_once
from positions_mcp.guard.account import Account
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.closing.targets import Hours, close_target, in_order_of_sending
from positions_mcp.guard.closing.unclosable import Unclosable, all_left_out, why_stuck, why_unclosable
from positions_mcp.guard.kind import Draft, checked_name

EVERYTHING = "EVERYTHING"
"""What the one row of such a request for a whole account is called."""


def unread_targets(instruments: Sequence[str] | None, book: Book) -> tuple[HeldTarget, ...]:
    """What to close without knowing how much: the whole account, or instruments by UUID or by what was still listed.

    Raises InvalidInput where a name can only be looked up in a book, and is not in what was read of it.
    """
    if instruments is None:
        return (HeldTarget(symbol=EVERYTHING, instrument_id=InstrumentId(NIL_UUID), measure=Decimal(0)),)
    holdings = Holdings.of_book(book)
    named = dict(_named(name, holdings) for name in instruments)
    return tuple(HeldTarget(symbol=name, instrument_id=key, measure=Decimal(0)) for key, name in named.items())


def _named(name: str, holdings: Holdings[Position]) -> tuple[InstrumentId, str]:
    try:
        position = holdings.find(name)
    except UnknownInstrument:
        shown = with_its_id(name)
        identifier = name.strip() if shown is None else shown[1]
        if is_uuid(identifier):
            return instrument_id(identifier), identifier.lower()
        raise InvalidInput(
            f"{label(name)} cannot be looked up, because what the account holds could not be read.",
            hint="Name instruments by UUID, or flatten the whole account by naming none.",
        ) from None
    return instrument_id(position.instrument_id), label(position.name)


MOST_INSTRUMENTS = 100
_NAMED = 8
"""Reasons that a refusal gives at most."""


def draft_close(request: CloseRequest, account: Account, hours: Hours) -> Draft:
    """As `OperationKind.draft`.

    Raises InvalidInput for no instruments, too many, one named twice, one already flat, one that cannot be closed now,
    or where nothing is held that can; UnknownInstrument where nothing held goes by a name.
    """
    book = account.book
    with looked_up(book.doubts):
        positions = everything_held(book) if request.everything else positions_named(book, request.named)
    found = {each.instrument_id: why_stuck(each, account, request.cancels, hours) for each in positions}
    stuck = [why for why in found.values() if why is not None]
    free = [each for each in positions if found[each.instrument_id] is None]
    if stuck and not (request.everything and free):
        raise _cannot_be_closed(stuck, all_left_out(book.positions) if request.everything else [], others=len(free))
    return _draft(request, _targets(free, request, account), hours)


def draft_flatten(request: CloseRequest, account: Account, hours: Hours) -> Draft:
    """For a person's way out: what cannot be looked up in a book that was not read is closed whatever is held of it.

    Raises InvalidInput where a name can only be looked up in a book.
    """
    book = account.book
    try:
        positions = everything_held(book) if request.everything else positions_named(book, request.named)
    except InvalidInput:
        if book.is_complete:
            raise
        return _draft(request, unread_targets(request.instruments, book), hours)
    left_out = all_left_out(book.positions) if request.everything else []
    stuck = (why_stuck(each, account, request.cancels, hours) for each in positions)
    warnings = (*left_out, *_reasons(why for why in stuck if why))
    return _draft(request, _targets(positions, request, account), hours, warnings=warnings)


def _targets(positions: Sequence[Position], request: CloseRequest, account: Account) -> tuple[Target, ...]:
    shared = Spellings(positions).repeats() if request.everything else account.book.namesakes
    targets = [(close_target(each, account, request.cancels), each) for each in in_order_of_sending(positions)]
    return tuple(target.changed(has_namesakes=True) if shared(each) else target for target, each in targets)


def _reasons(stuck: Iterable[Unclosable]) -> list[str]:
    return said_once((why.name, f"{why.reason}.") for why in stuck)


def _cannot_be_closed(stuck: Sequence[Unclosable], left_out: Sequence[str], *, others: int) -> InvalidInput:
    """Why what was named, or all that is held, makes no plan, and what is left to do."""
    reasons, ways = [*_reasons(stuck), *left_out], list(dict.fromkeys(why.way for why in stuck if why.way))
    if len(ways) > 1:
        ways = said_once((why.name, f"{why.name}: {why.way}") for why in stuck if why.way)
    more = f" And {len(reasons) - _NAMED} more." if len(reasons) > _NAMED else ""
    rest = f" Plan the other {others} without {'it' if len(stuck) == 1 else 'these'}." if others else ""
    return InvalidInput(" ".join(reasons[:_NAMED]) + more, hint=f"{' '.join(ways)}{rest}".strip())


def _draft(request: CloseRequest, targets: tuple[Target, ...], hours: Hours, warnings: tuple[str, ...] = ()) -> Draft:
    session = hours.in_words
    return Draft(targets=targets, cancel_orders=request.cancels, session=session, warnings=warnings)


def positions_named(book: Book, instruments: Sequence[str]) -> list[Position]:
    """The positions that the names mean, each once."""
    if not 1 <= len(instruments) <= MOST_INSTRUMENTS:
        raise InvalidInput(f"{len(instruments)} instruments were named.", hint=f"Name 1 to {MOST_INSTRUMENTS}.")
    holdings = Holdings.of_book(book, counts=lambda each: each.is_closable)
    found: dict[str, str] = {}
    positions = []
    for name in instruments:
        position = _found(checked_name(name), holdings, book)
        if earlier := found.get(position.instrument_id):
            raise InvalidInput(
                f"{label(name)} and {label(earlier)} name the same instrument.", hint="Name each instrument once."
            )
        if position.quantity == 0:
            raise InvalidInput(f"{label(position.name)} is already flat.", hint="There is nothing to close.")
        found[position.instrument_id] = name
        positions.append(position)
    return positions


def everything_held(book: Book) -> list[Position]:
    """Every position that is not flat. Raises InvalidInput where there is none."""
    held = [position for position in book.positions if position.quantity != 0 and position.is_closable]
    if not held and not book.is_complete:
        raise InvalidInput(
            f"What account {book.account_id} holds is not known, and nothing to close is shown: "
            f"{'; '.join(book.doubts)}.",
            hint="Read it again.",
        )
    if not held:
        raise InvalidInput(
            " ".join([f"Account {book.account_id} holds nothing to close.", *all_left_out(book.positions)])
        )
    return held


def _found(name: str, holdings: Holdings[Position], book: Book) -> Position:
    try:
        return holdings.find(name)
    except UnknownInstrument:
        unclosable = Holdings.of_book(book, counts=lambda each: not each.is_closable)
        try:
            position = unclosable.find(name)
        except UnknownInstrument:
            pass
        else:
            raise InvalidInput(f"{label(position.name)} {why_unclosable(position)}.") from None
        raise
