"""From instructions asked for, or one to be cancelled, to targets with the consequence of every one.

Right before sending it is asked again whether what was approved is still so, deadline included (G-03).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

from positions_mcp.domain.account.positions import Book
from positions_mcp.domain.account.quotes import is_exercised_by_exception
from positions_mcp.domain.account.sessions import NEW_YORK, minute
from positions_mcp.domain.enums import InstructionStatus, InstructionType
from positions_mcp.domain.errors import InvalidBatch, InvalidInput
from positions_mcp.domain.exercise.cards import notional_of_instruction, price_said
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, expiry_session, sent_for
from positions_mcp.domain.exercise.instructions import Instruction
from positions_mcp.domain.exercise.projected import ProjectedOption
from positions_mcp.domain.exercise.rows import CheckedBatch, CheckedRow, InstructionRow
from positions_mcp.domain.exercise.rules import BatchRules
from positions_mcp.domain.exercise.terms import terms_of
from positions_mcp.domain.exercise.timing import last_moment
from positions_mcp.domain.ids import InstructionId, InstrumentId, instrument_id, is_uuid
from positions_mcp.domain.instruments import parse_option_symbol
from positions_mcp.domain.money import ZERO, plain
from positions_mcp.domain.operation.operation import Reservation
from positions_mcp.domain.operation.plan import CancelTarget, InstructionTarget, Plan
from positions_mcp.domain.portfolio.exposure import Notional
from positions_mcp.domain.text import first_of, label, said_once
from positions_mcp.guard.account import Account
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.exercising.evening import card_of, facts_of, options_of, projection_of, with_batch, without
from positions_mcp.guard.exercising.request import CancelRequest, SubmitRequest
from positions_mcp.guard.kind import Comparison, Draft, why_renamed
from positions_mcp.ports import Ids

_MOST_ROWS = 20
"""Rows that a warning names."""
TargetT = TypeVar("TargetT", InstructionTarget, CancelTarget)
_NOT_CANCELLABLE = {
    InstructionStatus.CANCEL_REQUESTED: "a cancel is already under way",
    InstructionStatus.CANCEL_FAILED: "its cancel failed: the broker's operators must look, and it may stand",
}


def draft_submit(request: SubmitRequest, account: Account, deps: Dependencies) -> Draft:
    """As `OperationKind.draft`, with a key for every row that has none. Raises InvalidBatch, which has every reason."""
    batch = check(request.batch, account, deps)
    if not batch.is_valid:
        raise _invalid(batch)
    facts, asked = facts_of(account, deps), [_asked(row, account.book, deps.ids) for row in batch.rows]
    against = with_batch(facts, asked)
    options = options_of(against)
    targets, warnings = [], _warnings(batch)
    for row, each in zip(batch.rows, asked, strict=True):
        option, lines = options[each.instrument_id], warnings.get(row.index, ())
        notional = notional_of_instruction(each.instruction_type, each.quantity, option)
        targets.append(_known(each, notional, option, (*card_of(facts, account, each, option), *lines)))
    return Draft(
        targets=tuple(targets),
        warnings=tuple(batch.warnings),
        session=session_of(batch),
        projection=projection_of(against),
    )


def _warnings(batch: CheckedBatch) -> Mapping[int, Sequence[str]]:
    """The warnings of rows; what several are warned of alike stands with the first of them."""
    warned: dict[str, list[int]] = {}
    for row in batch.rows:
        for warning in dict.fromkeys(row.warnings):
            warned.setdefault(warning, []).append(row.index)
    said = defaultdict[int, list[str]](list)
    for warning, rows in warned.items():
        of = f" for rows {first_of([str(row + 1) for row in rows], _MOST_ROWS)}" if len(rows) > 1 else ""
        said[rows[0]].append(f"Warning{of}: {warning}")
    return said


def draft_cancel(request: CancelRequest, account: Account, deps: Dependencies) -> Draft:
    """As `OperationKind.draft`. Raises InvalidInput where it is not listed, or can no longer be cancelled."""
    wanted = request.wanted
    instruction = cancellable(wanted, account)
    contract = parse_option_symbol(instruction.symbol)
    key = _instrument_of(instruction)
    held = account.book.by_id.get(key)
    target = CancelTarget(
        symbol=contract.compact if contract else label(instruction.symbol or "an unnamed contract"),
        instrument_id=key,
        measure=ZERO,
        priced=False,
        instruction_id=wanted,
        instruction_type=instruction.instruction_type,
        quantity=whole(instruction.quantity),
        status=label(instruction.status),
        has_namesakes=held is not None and bool(account.book.namesakes(held)),
    )
    against = without(facts_of(account, deps), target)
    option = options_of(against).get(target.instrument_id)
    known = _known(target, notional_of_cancel(target, option), option, _withdrawn(target, option))
    return Draft(targets=(known,), warnings=_too_late(instruction, account, deps), projection=projection_of(against))


def check(rows: Sequence[InstructionRow], account: Account, deps: Dependencies) -> CheckedBatch:
    """The rules of a batch against an account just read, by the exchange's time."""
    rules = BatchRules(
        book=account.book,
        listed=account.instructions,
        now=deps.market_clock.now(),
        calendar=deps.calendar,
        deadline=DeadlineRule(deps.policy.exercise_deadline),
        contracts=account.beside.contracts,
        open_orders=account.open_orders,
        not_listed_yet=account.not_listed_yet(),
    )
    return rules.check(rows)


def session_of(batch: CheckedBatch) -> str:
    """Until when its rows are taken for the day they are sent for."""
    ends = {row.deadline for row in batch.rows if row.deadline is not None}
    first = ", the first cut-off of its rows" if len(ends) > 1 else ""
    return f"instructions are taken until {min(ends).astimezone(NEW_YORK):%a %Y-%m-%d %H:%M} New York{first}"


def cancellable(wanted: InstructionId, account: Account) -> Instruction:
    """The instruction as listed, where it may still be cancelled. Raises InvalidInput."""
    if account.instructions is None:
        raise InvalidInput("The account's instructions could not be read.", hint="Ask again.")
    found = next((each for each in account.instructions if each.id.lower() == wanted), None)
    if found is None:
        keyed = next((each for each in account.instructions if (each.instruction_id or "").lower() == wanted), None)
        hint = f"It is the caller's key of {label(keyed.id)}." if keyed else "list_instructions shows the ids."
        raise InvalidInput(f"No instruction with the id {wanted} is listed.", hint=hint)
    if found.status.is_terminal or found.status in _NOT_CANCELLABLE:
        why = _NOT_CANCELLABLE.get(found.status, f"it is {label(found.status)}, which is final")
        raise InvalidInput(f"Instruction {wanted} cannot be cancelled: {why}.")
    return found


def _too_late(instruction: Instruction, account: Account, deps: Dependencies) -> tuple[str, ...]:
    """That the last moment for it is over: the cut-off of the day it was sent for, or the opening that settled it."""
    now, deadline = deps.market_clock.now(), DeadlineRule(deps.policy.exercise_deadline)
    held = account.book.by_id.get(_instrument_of(instruction))
    if held is None or held.contract is None:
        return ()
    last = expiry_session(held.contract.expiration, deps.calendar)
    evening = sent_for(instruction.created_at or instruction.updated_at or now, deps.calendar, deadline)
    terms = terms_of(held, account.beside.contracts.get(held.instrument_id))
    ends = deadline.on(evening) if evening.day < last.day else last_moment(terms, last, deadline)
    said = f"This cancel is late: instructions on {label(held.name)} ended on {minute(ends)}"
    return (f"{said}. The API may refuse it, and what is instructed may be done already.",) if now >= ends else ()


def notional_of_cancel(target: CancelTarget, option: ProjectedOption | None) -> Notional:
    """What a cancel counts for: what the withdrawn instruction prevented. A cancelled DNE may exercise after all."""
    if option is None or option.settling.is_short or not target.quantity:
        return Notional(ZERO, priced=False)
    return notional_of_instruction(_opposite_of(target.instruction_type), target.quantity, option)


def whole(quantity: Decimal | None) -> int | None:
    """Whole contracts; None where the API does not say so many."""
    return int(quantity) if quantity is not None and quantity > 0 and quantity % 1 == 0 else None


def _asked(row: CheckedRow, book: Book, ids: Ids) -> InstructionTarget:
    """A row that was checked, under the key that it will be sent with. What it comes to is not known yet."""
    position, kind, quantity = row.position, row.instruction_type, row.quantity
    if position is None or position.contract is None or kind is None or quantity is None:
        raise ValueError(f"row {row.index + 1} was not checked")
    return InstructionTarget(
        symbol=position.contract.compact,
        instrument_id=instrument_id(position.instrument_id),
        measure=ZERO,
        priced=False,
        instruction_type=kind,
        quantity=quantity,
        instruction_key=row.asked.instruction_id or ids.new(),
        has_namesakes=bool(book.namesakes(position)),
    )


def _known(target: TargetT, notional: Notional, option: ProjectedOption | None, consequences: Iterable[str]) -> TargetT:
    """A target with what it comes to, and at what price of its underlying."""
    return target.changed(
        measure=notional.amount,
        priced=notional.priced,
        underlying_price=option.price.price if option else None,
        consequences=tuple(consequences),
    )


def _withdrawn(target: CancelTarget, option: ProjectedOption | None) -> tuple[str, ...]:
    """What a cancel withdraws, and the price by which exercise by exception then goes."""
    again = "exercise by exception applies to them again"
    if target.instruction_type is InstructionType.DO_NOT_EXERCISE:
        again = "exercise by exception is re-armed and applies to them again"
    count = "of an unknown quantity" if target.quantity is None else target.quantity
    lines = [f"Cancelling withdraws {target.instruction_type} {count} {target.called}: {again}."]
    if option is None or target.quantity is None:
        lines.append("Not known: the contract or its position, so what exercise by exception would then do.")
    else:
        lines.append(f"{option.settling.contract.root}: {price_said(option)}.")
    return tuple(lines)


def _opposite_of(kind: InstructionType) -> InstructionType:
    """What may happen once an instruction is withdrawn."""
    if kind is InstructionType.DO_NOT_EXERCISE:
        return InstructionType.EXERCISE
    return InstructionType.DO_NOT_EXERCISE


def _instrument_of(instruction: Instruction) -> InstrumentId:
    found = instruction.instrument_id
    if found is None or not is_uuid(found):
        raise InvalidInput("The API does not say which contract it is about.")
    return instrument_id(found)


def _invalid(batch: CheckedBatch) -> InvalidBatch:
    if batch.findings:
        return InvalidBatch(" ".join(finding.message for finding in batch.findings), reasons={})
    wrong = [row for row in batch.rows if not row.is_valid]
    reasons = {row.index: [finding.message for finding in row.findings] for row in wrong}
    said = " ".join(said_once(each for row in wrong for each in _found(row)))
    count = f"{len(wrong)} of {len(batch.rows)} rows may not be submitted."
    return InvalidBatch(f"{count} {said}", reasons=reasons, hint="Nothing was sent: correct or leave out those rows.")


def _found(row: CheckedRow) -> Iterator[tuple[str, str]]:
    """What stands against a row, each with what it is on: its contract where that is named, else the row."""
    contract = row.position.contract if row.position else None
    for finding in row.findings:
        if contract is not None and contract.compact in finding.message:
            yield contract.compact, finding.message
        else:
            yield f"Row {row.index + 1}", f"Row {row.index + 1}: {finding.message}"


def compare_submit(plan: Plan, account: Account, deps: Dependencies) -> Comparison:
    """Whatever the preview would refuse now is stale, a passed deadline too, and a consequence that no longer holds."""
    result = Comparison()
    rows = [
        InstructionRow(
            instrument=target.instrument_id,
            instruction_type=target.instruction_type,
            quantity=str(target.quantity),
            instruction_id=target.instruction_key,
        )
        for target in plan.instructions
    ]
    batch = check(rows, account, deps)
    result.stale += [finding.message for finding in batch.findings]
    facts = facts_of(account, deps, plan.plan_id, plan.instructions)
    options = options_of(with_batch(facts, plan.instructions))
    reasons = list[tuple[str, str]]()
    for index, (target, row) in enumerate(zip(plan.instructions, batch.rows, strict=True)):
        reasons += _found(row)
        option = options.get(target.instrument_id)
        if option is None or row.findings:
            continue
        renamed = why_renamed(target, row.position.name) if row.position is not None else ""
        if why := renamed or _moved(target, option.price.price, deps.policy.tolerance):
            reasons.append((target.called, why))
        notional = notional_of_instruction(target.instruction_type, target.quantity, option)
        result.reserving[index] = _reserving(target, notional)
    result.stale += said_once(reasons)
    # The plans of 0.1.0 have no projection, and name the last day's cut-off for an early exercise too.
    if plan.projection and not result.stale and session_of(batch) != plan.session:
        result.stale.append(f"The cut-off has changed: {session_of(batch)}. When planned, {plan.session}.")
    return result


def compare_cancel(plan: Plan, account: Account, deps: Dependencies) -> Comparison:
    """An instruction that is gone, final or of another size is stale, and so is a consequence that no longer holds."""
    result = Comparison()
    (target,) = plan.cancels
    try:
        instruction = cancellable(target.instruction_id, account)
    except InvalidInput as error:
        result.stale.append(error.message)
        return result
    result.stale += [each for each in _too_late(instruction, account, deps) if each not in plan.warnings]
    now = whole(instruction.quantity), instruction.instruction_type, instruction.instrument_id
    if now != (target.quantity, target.instruction_type, target.instrument_id):
        result.stale.append(f"Instruction {target.instruction_id} is another one than when it was planned.")
    option = options_of(without(facts_of(account, deps), target)).get(target.instrument_id)
    if moved := _moved(target, option.price.price if option else None, deps.policy.tolerance):
        result.stale.append(moved)
    result.reserving[0] = _reserving(target, notional_of_cancel(target, option))
    return result


def _reserving(target: InstructionTarget | CancelTarget, now: Notional) -> Reservation:
    return Reservation(measure=now.amount if now.priced else max(now.amount, target.measure))


def _moved(target: InstructionTarget | CancelTarget, now: Decimal | None, tolerance: Decimal) -> str:
    """Why the consequence that was shown does not hold any more; empty where it does."""
    was, contract = target.underlying_price, parse_option_symbol(target.symbol)
    if was is None or contract is None:
        return ""
    if now is None:
        return f"The underlying of {target.called} has no price now; it was {plain(was)}."
    if is_exercised_by_exception(contract, now) != is_exercised_by_exception(contract, was):
        return (
            f"The underlying of {target.called} moved from {plain(was)} to {plain(now)}: exercise by exception would "
            "now do the opposite of what was shown."
        )
    if abs(now - was) > was * tolerance:
        percent = 100 * (now - was) / was
        return (
            f"The underlying of {target.called} moved {percent:+.1f} %, beyond the tolerance of "
            f"{100 * tolerance:.0f} %."
        )
    return ""
