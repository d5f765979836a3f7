"""Position instructions: what is taken in and why not, what clearing answers, and how a cancel ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.paper.bodies import SubmittedRow
from positions_mcp.paper.engine.moment import Moment
from positions_mcp.paper.errors import Refusal
from positions_mcp.paper.holdings import ZERO, Instrument
from positions_mcp.paper.ledger import Ledger
from positions_mcp.paper.model import Instruction, InstructionStatus, InstructionType
from positions_mcp.ports import Ids

DUPLICATE = "Duplicate exercise instruction"
CLEARING_UNAVAILABLE = "Clearing service unavailable"
NOT_PROCESSED = "Could not process the instruction"


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that was not taken in: it has no id, is never listed, and says why. `status`: what it alone answers.

    `summary`: what the error of the batch says of it, where that is less than its description.
    """

    row: SubmittedRow
    key: str
    reason: str
    description: str
    status: int = 400
    metadata: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""

    @property
    def cause(self) -> str:
        """What the error of a batch says of it."""
        return self.summary or self.description


Judged = Instruction | RefusedRow


def submit(
    moment: Moment, ids: Ids, account: int, rows: Sequence[SubmittedRow], *, honour_keys: bool, clearing_up: bool
) -> list[Judged]:
    """Judges each row after the one before it, and takes in what is sound; the answers are in the order of the rows."""
    ledger, now = moment.ledger, moment.now
    known = {i.client_key: i for i in ledger.instructions.values() if i.account == account}
    judged: list[Judged] = []
    for row in rows:
        identifier = ids.new()
        key = row.key if row.key is not None and honour_keys else identifier
        refused = _judge(moment, account, row, key, known if honour_keys else {})
        if refused is None and not clearing_up:
            refused = RefusedRow(row, key, "CLEARING_UNAVAILABLE", CLEARING_UNAVAILABLE, 503)
        if refused is not None:
            judged.append(refused)
            continue
        instrument = ledger.instrument_by_id(row.instrument_id.lower())
        assert instrument is not None
        instruction = Instruction(
            id=identifier,
            number=len(ledger.instructions) + 1,
            account=account,
            client_key=key,
            instruction_type=row.instruction_type,
            symbol=instrument.symbol,
            quantity=row.quantity,
            status=InstructionStatus.SENT,
            created_at=now,
            updated_at=now,
            due_at=_in_time(moment, instrument, ledger.facts.delays.clearing),
        )
        ledger.put_instruction(instruction)
        known[key] = instruction
        judged.append(instruction)
    return judged


def _judge(
    moment: Moment, account: int, row: SubmittedRow, key: str, known: Mapping[str, Instruction]
) -> RefusedRow | None:
    ledger, now = moment.ledger, moment.now

    def refused(reason: str, description: str, status: int = 400, **metadata: str) -> RefusedRow:
        return RefusedRow(row, key, reason, description, status, metadata)

    if key in known:
        original = known[key].id
        described, metadata = f"{DUPLICATE}; existing_id={original}", {"existing_id": original}
        return RefusedRow(row, key, "DUPLICATE_INSTRUCTION", described, 409, metadata, DUPLICATE)
    instrument = ledger.instrument_by_id(row.instrument_id.lower())
    if instrument is None:
        return refused("INSTRUMENT_NOT_FOUND", f"Instrument not found: {row.instrument_id[:64]}", 404)
    contract = instrument.contract
    if contract is None:
        return refused("NOT_AN_OPTION", "Only options can be exercised")
    if row.quantity <= 0 or row.quantity != row.quantity.to_integral_value():
        return refused("INVALID_QUANTITY", "The quantity is a whole number of contracts above zero")
    if code := instrument.behaviour.refuses:
        return refused(code, instrument.behaviour.reason or "The account may not do this")
    today, expiry = new_york_day(now), moment.market.last_session(instrument).day
    if today != expiry and (why := _needs_expiry(row.instruction_type, instrument)):
        reason, needs = why
        return refused(
            reason,
            f"{needs} on the contract's expiration date",
            expiry=expiry.isoformat(),
            business_date=today.isoformat(),
        )
    last = moment.market.last_moment(instrument)
    if now >= last:
        cutoff = last.isoformat()
        passed = "The opening has settled it" if instrument.settles_at_open else "The deadline has passed"
        return refused("EXERCISE_PAST_CUTOFF", f"{passed}: cutoff_time={cutoff}", cutoff_time=cutoff)
    available = _free(ledger, account, instrument)
    if row.quantity > available:
        return refused(
            "INSUFFICIENT_POSITION",
            f"The position is too small: available={available:f}, requested={row.quantity:f}",
            available=f"{available:f}",
            requested=f"{row.quantity:f}",
        )
    return None


def _needs_expiry(kind: InstructionType, option: Instrument) -> tuple[str, str] | None:
    """Why an instruction is taken on the expiration date only: its reason code and words; None if it is not."""
    if kind is not InstructionType.EXERCISE:
        short = "DNE" if kind is InstructionType.DO_NOT_EXERCISE else "CEA"
        return f"{short}_NOT_ON_EXPIRY", f"{kind} must be submitted"
    return ("EUROPEAN_STYLE", "A European option is only exercised") if option.european else None


def _free(ledger: Ledger, account: int, instrument: Instrument) -> Decimal:
    """Long contracts that neither an instruction speaks for nor an open order has promised."""
    holding = ledger.holdings.get((account, instrument.symbol))
    if holding is None or holding.quantity <= 0:
        return ZERO
    unspoken = holding.quantity - ledger.instructed(account, instrument.symbol)
    return max(min(unspoken, ledger.available(account, instrument.symbol)), ZERO)


def request_cancel(moment: Moment, account: int, instruction_id: str) -> Instruction:
    """Asks clearing to cancel an instruction that it has not answered yet.

    Raises Refusal: 404 if the account has no such instruction; 409 once it is terminal, or a cancel is under way.
    """
    ledger = moment.ledger
    instruction = ledger.instructions.get(instruction_id.lower())
    if instruction is None or instruction.account != account:
        raise Refusal(404, "Some requested entity was not found")
    if instruction.status is not InstructionStatus.SENT:
        already = "a cancel is already under way" if instruction.due_at else "it is already terminal"
        raise Refusal(409, f"position instruction cannot be cancelled: {already} ({instruction.status})")
    instrument = ledger.instruments[instruction.symbol]
    instruction = replace(
        instruction,
        status=InstructionStatus.CANCEL_REQUESTED,
        updated_at=moment.now,
        due_at=_in_time(moment, instrument, ledger.facts.delays.cancel),
    )
    ledger.put_instruction(instruction)
    return instruction


def clearing_answers(ledger: Ledger, instruction: Instruction) -> None:
    """Lets clearing answer what is outstanding: a submission, or a cancel."""
    at = instruction.due_at or instruction.updated_at
    behaviour = ledger.instruments[instruction.symbol].behaviour
    answered = replace(instruction, updated_at=at, due_at=None)
    if instruction.status is InstructionStatus.CANCEL_REQUESTED:
        if behaviour.cancel_fails:
            reason = behaviour.reason or "Clearing could not cancel: the instruction was already being processed"
            answered = replace(
                answered, status=InstructionStatus.CANCEL_FAILED, reason=reason, reason_code="CANCEL_NOT_POSSIBLE"
            )
        else:
            answered = replace(answered, status=InstructionStatus.CANCELLED)
    elif behaviour.clearing_rejects or behaviour.accepts == ZERO:
        reason = behaviour.reason or "Rejected by clearing"
        answered = replace(answered, status=InstructionStatus.REJECTED, reason=reason, reason_code="CLEARING_REJECTED")
    else:
        accepted = instruction.quantity if behaviour.accepts is None else min(behaviour.accepts, instruction.quantity)
        answered = replace(answered, status=InstructionStatus.ACCEPTED, accepted=accepted)
    ledger.put_instruction(answered)


def _in_time(moment: Moment, instrument: Instrument, delay: timedelta) -> datetime:
    """Clearing answers before it processes the contract's expiry."""
    due = moment.now + delay
    if instrument.contract is None:
        return due
    return max(min(due, moment.market.ends(instrument)), moment.now)
