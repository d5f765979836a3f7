"""From instructions asked for, or one to be cancelled, to targets with the consequence of every one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.account.quotes import find_underlying, underlying_price
from positions_mcp.domain.account.sessions import NEW_YORK
from positions_mcp.domain.enums import InstructionStatus
from positions_mcp.domain.errors import InvalidBatch, InvalidInput
from positions_mcp.domain.exercise.cards import CardRow, ConsequenceCard
from positions_mcp.domain.exercise.consequences import cancel_lines, consequence_cards, notional_of_instruction
from positions_mcp.domain.exercise.cutoffs import DeadlineRule
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.exercise.rows import CheckedBatch, CheckedRow, InstructionRow
from positions_mcp.domain.exercise.rules import check_instructions
from positions_mcp.domain.ids import InstructionId, InstrumentId, instrument_id, is_uuid
from positions_mcp.domain.instruments import parse_option_symbol
from positions_mcp.domain.money import ZERO
from positions_mcp.domain.operation.plan import CancelTarget, InstructionTarget
from positions_mcp.domain.portfolio.exposure import Notional
from positions_mcp.domain.text import label
from positions_mcp.guard.account import Account
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.exercising.cover import before_the_instruction, opposite_of
from positions_mcp.guard.exercising.request import CancelRequest, SubmitRequest, asked_id, asked_rows
from positions_mcp.guard.kind import Draft
from positions_mcp.guard.policy.cover import counted_on
from positions_mcp.ports import Ids

_NOT_CANCELLABLE = {
    InstructionStatus.CANCEL_REQUESTED: "a cancel is already under way",
    InstructionStatus.CANCEL_FAILED: "its cancel failed: the broker's operators must look, and it may stand",
}


def draft_submit(request: SubmitRequest, account: Account, deps: Dependencies) -> Draft:
    """As `OperationKind.draft`, with a key for every row that has none.

    Raises:
        InvalidBatch: a row or the batch breaks a rule; every reason is in it.
    """
    now = deps.market_clock.now()
    batch = check(asked_rows(request), account, deps)
    if not batch.is_valid:
        raise _invalid(batch)
    cards = _cards([_card_row(row) for row in batch.rows], account, now)
    targets = tuple(_target(row, card, account.book, deps.ids) for row, card in zip(batch.rows, cards, strict=True))
    deadline = min(row.deadline for row in batch.rows if row.deadline is not None)
    session = f"instructions are taken until {deadline.astimezone(NEW_YORK):%a %Y-%m-%d %H:%M} New York"
    return Draft(targets=targets, warnings=tuple(batch.warnings), session=session)


def draft_cancel(request: CancelRequest, account: Account, now: datetime) -> Draft:
    """As `OperationKind.draft`. `now` is the exchange's time, which deadlines go by.

    Raises:
        InvalidInput: it is not listed, or can no longer be cancelled.
    """
    wanted = asked_id(request)
    instruction = cancellable(wanted, account)
    book, quantities = account.book, before_the_instruction(account, wanted)
    option = book.by_id.get(instruction.instrument_id) if instruction.instrument_id else None
    contract = parse_option_symbol(instruction.symbol)
    notional = notional_of_cancel(instruction, option, book)
    target = CancelTarget(
        symbol=contract.compact if contract else label(instruction.symbol or "an unnamed contract"),
        instrument_id=_instrument_of(instruction),
        measure=notional.amount,
        priced=notional.priced,
        instruction_id=wanted,
        instruction_type=instruction.instruction_type,
        quantity=whole(instruction.quantity),
        status=label(instruction.status),
        underlying_price=price_of(option, book),
        consequences=cancel_lines(instruction, book, now=now, quantities=quantities),
    )
    return Draft(targets=(target,))


def check(rows: Sequence[InstructionRow], account: Account, deps: Dependencies) -> CheckedBatch:
    """The rules of a batch against an account just read, by the exchange's time."""
    return check_instructions(
        rows,
        book=account.book,
        listed=account.instructions,
        now=deps.market_clock.now(),
        calendar=deps.calendar,
        deadline=DeadlineRule(deps.policy.exercise_deadline),
    )


def cancellable(wanted: InstructionId, account: Account) -> Instruction:
    """The instruction as listed, where it may still be cancelled. Raises InvalidInput."""
    if account.instructions is None:
        raise InvalidInput("The account's instructions could not be read.", hint="Nothing was sent. Ask again.")
    found = next((each for each in account.instructions if each.id.lower() == wanted), None)
    if found is None:
        keyed = next((each for each in account.instructions if (each.instruction_id or "").lower() == wanted), None)
        hint = f"It is the caller's key of {label(keyed.id)}." if keyed else "list_instructions shows the ids."
        raise InvalidInput(f"No instruction with the id {wanted} is listed.", hint=f"{hint} Nothing was sent.")
    if found.status.is_terminal or found.status in _NOT_CANCELLABLE:
        why = _NOT_CANCELLABLE.get(found.status, f"it is {label(found.status)}, which is final")
        raise InvalidInput(f"Instruction {wanted} cannot be cancelled: {why}.", hint="Nothing was sent.")
    return found


def notional_of_cancel(instruction: Instruction, option: Position | None, book: Book) -> Notional:
    """What a cancel counts for: what the withdrawn instruction prevented. A cancelled DNE may exercise after all."""
    quantity = whole(instruction.quantity)
    if option is None or option.quantity <= 0 or not quantity:
        return Notional(ZERO, priced=False)
    kind = opposite_of(instruction.instruction_type)
    return notional_of_instruction(CardRow(position=option, instruction_type=kind, quantity=quantity), book)


def price_of(option: Position | None, book: Book) -> Decimal | None:
    """The underlying's price as far as the book knows it."""
    price = None if option is None else underlying_price(find_underlying(option, book), book.as_of)
    return None if price is None else price.price


def whole(quantity: Decimal | None) -> int | None:
    """Whole contracts; None where the API does not say so many."""
    return int(quantity) if quantity is not None and quantity > 0 and quantity % 1 == 0 else None


def _cards(rows: Sequence[CardRow], account: Account, now: datetime) -> tuple[ConsequenceCard, ...]:
    return consequence_cards(rows, account.book, now=now, quantities=counted_on(account, ""))


def _card_row(row: CheckedRow) -> CardRow:
    if row.position is None or row.instruction_type is None or row.quantity is None:
        raise ValueError(f"row {row.index + 1} was not checked")
    return CardRow(position=row.position, instruction_type=row.instruction_type, quantity=row.quantity)


def _target(row: CheckedRow, card: ConsequenceCard, book: Book, ids: Ids) -> InstructionTarget:
    asked = _card_row(row)
    notional = notional_of_instruction(asked, book)
    return InstructionTarget(
        symbol=card.symbol,
        instrument_id=instrument_id(asked.position.instrument_id),
        measure=notional.amount,
        priced=notional.priced,
        instruction_type=asked.instruction_type,
        quantity=asked.quantity,
        instruction_key=row.asked.instruction_id or ids.new(),
        underlying_price=price_of(asked.position, book),
        consequences=(*card.lines, *(f"Warning: {warning}" for warning in row.warnings)),
    )


def _instrument_of(instruction: Instruction) -> InstrumentId:
    found = instruction.instrument_id
    if found is None or not is_uuid(found):
        raise InvalidInput("The API does not say which contract it is about.", hint="Nothing was sent.")
    return instrument_id(found)


def _invalid(batch: CheckedBatch) -> InvalidBatch:
    if batch.findings:
        return InvalidBatch(" ".join(finding.message for finding in batch.findings), reasons={})
    wrong = [row for row in batch.rows if not row.is_valid]
    reasons = {row.index: [finding.message for finding in row.findings] for row in wrong}
    said = " ".join(f"Row {place + 1}: {' '.join(each)}" for place, each in reasons.items())
    count = f"{len(wrong)} of {len(batch.rows)} rows may not be submitted."
    return InvalidBatch(f"{count} {said}", reasons=reasons, hint="Nothing was sent: correct or leave out those rows.")
