"""What a batch of exercise instructions must satisfy before anybody is asked to approve it.

Every row is checked against the book, the instructions that already claim contracts, the contract's expiration day
and the deadline. A finding refuses the batch; a warning is shown with it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from positions_mcp.domain.account.market import ContractFacts
from positions_mcp.domain.account.orders import Order
from positions_mcp.domain.account.positions import Book, Position, Side
from positions_mcp.domain.account.sessions import Session, new_york_day
from positions_mcp.domain.enums import InstructionType, SecurityType
from positions_mcp.domain.errors import InvalidInput, UnknownInstrument
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, TradingDays, expiry_session, sent_for
from positions_mcp.domain.exercise.instructions import Instruction, Outstanding
from positions_mcp.domain.exercise.rows import CheckedBatch, CheckedRow, InstructionRow, RowFinding, RowRule
from positions_mcp.domain.exercise.settlement import AskedInstruction
from positions_mcp.domain.exercise.terms import SettlesAt, terms_of
from positions_mcp.domain.exercise.timing import last_moment
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.instruments import OptionContract
from positions_mcp.domain.money import ZERO, plain
from positions_mcp.domain.portfolio.locks import locks_on
from positions_mcp.domain.portfolio.resolve import Holdings, looked_up
from positions_mcp.domain.text import label, quoted

MOST_ROWS = 1000
"""Rows that one batch may hold."""

_WHOLE = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_KEY = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
_SOON = timedelta(minutes=15)
_ON_EXPIRY_ONLY: Final = (InstructionType.DO_NOT_EXERCISE, InstructionType.CONTRARY_EXERCISE)


@dataclass(kw_only=True)
class BatchRules:
    """Checks one batch row by row before it becomes a plan, remembering what the rows above claimed."""

    book: Book
    """All positions of the account."""
    listed: Sequence[Instruction] | None
    """The account's instructions as the API lists them; None where they could not be read."""
    now: datetime
    """The present instant, aware."""
    calendar: TradingDays
    deadline: DeadlineRule
    contracts: Mapping[InstrumentId, ContractFacts] = field(default_factory=dict)
    """What the API says of contracts, as far as it was read."""
    open_orders: Sequence[Order] | None = None
    """Orders that may still fill, to say which of them lock contracts; None where they were not read."""
    not_listed_yet: Sequence[AskedInstruction] = ()
    """Instructions that were taken and that the listing does not show."""

    def __post_init__(self) -> None:
        self._holdings = Holdings.of_book(self.book)
        self._outstanding = Outstanding(self.listed or (), now=self.now, calendar=self.calendar, deadline=self.deadline)
        self._claimed: Counter[InstrumentId] = Counter()
        self._first_row_with_key: dict[str, int] = {}
        self._first_row_asking: dict[tuple[InstrumentId, InstructionType], int] = {}
        self._findings: list[RowFinding] = []
        self._warnings: list[str] = []

    def check(self, rows: Sequence[InstructionRow]) -> CheckedBatch:
        """Nothing is raised: what is wrong is in the findings."""
        if not rows:
            return CheckedBatch(findings=(RowFinding(rule=RowRule.NO_ROWS, message="There is no row to submit."),))
        if len(rows) > MOST_ROWS:
            message = f"{len(rows):,} rows are more than the {MOST_ROWS:,} that one batch may hold."
            return CheckedBatch(findings=(RowFinding(rule=RowRule.TOO_MANY_ROWS, message=message),))
        warnings = []
        if self.listed is None:
            warnings.append("The account's instructions could not be read: what is already instructed is not known.")
        if not self.book.is_complete:
            warnings.append("The listing of positions is incomplete: what the account holds is not fully known.")
        return CheckedBatch(
            rows=tuple(self._checked(index, row) for index, row in enumerate(rows)), warnings=tuple(warnings)
        )

    def _checked(self, index: int, row: InstructionRow) -> CheckedRow:
        self._findings, self._warnings = [], []
        kind = self._type(row)
        quantity = self._quantity(row)
        self._key(index, row)
        position = self._position(row)
        ends = None
        if position is not None and kind is not None:
            self._repeated(index, position, kind)
        if position is not None and (contract := self._long_option(position)):
            ends = self._time(position, contract, kind)
            if quantity is not None:
                self._enough(position, quantity)
        return CheckedRow(
            index=index,
            asked=row,
            position=position,
            instruction_type=kind,
            quantity=quantity,
            deadline=ends,
            findings=tuple(self._findings),
            warnings=tuple(self._warnings),
        )

    def _against(self, rule: RowRule, message: str) -> None:
        self._findings.append(RowFinding(rule=rule, message=message))

    def _type(self, row: InstructionRow) -> InstructionType | None:
        kind = InstructionType(row.instruction_type)
        if kind.is_known:
            return kind
        allowed = ", ".join(InstructionType)
        self._against(RowRule.UNKNOWN_TYPE, f"{quoted(row.instruction_type, 40)} is not one of {allowed}.")
        return None

    def _quantity(self, row: InstructionRow) -> int | None:
        if _WHOLE.fullmatch(row.quantity):
            return int(row.quantity)
        message = f"{quoted(row.quantity, 40)} is not a number of whole contracts: digits 0-9 only, at least 1."
        self._against(RowRule.QUANTITY_NOT_WHOLE, message)
        return None

    def _key(self, index: int, row: InstructionRow) -> None:
        key = row.instruction_id
        if key is None:
            return
        if not _KEY.fullmatch(key):
            self._against(RowRule.UNUSABLE_KEY, "A key is 1 to 128 printable ASCII characters without spaces.")
            return
        if (first := self._first_row_with_key.setdefault(key, index)) != index:
            self._against(RowRule.REUSED_KEY, f"The key {label(key)} is already that of row {first + 1}.")
        for instruction in self.listed or ():
            if instruction.instruction_id == key:
                self._against(
                    RowRule.REUSED_KEY,
                    f"The key {label(key)} is that of instruction {label(instruction.id)} "
                    f"({label(instruction.status)}); the API would call this row its duplicate.",
                )
                return

    def _position(self, row: InstructionRow) -> Position | None:
        try:
            with looked_up(self.book.doubts):
                position = self._holdings.find(row.instrument)
        except UnknownInstrument as error:
            self._against(RowRule.NOT_HELD, str(error))
            return None
        except InvalidInput as error:
            self._against(RowRule.AMBIGUOUS, str(error))
            return None
        return position

    def _repeated(self, index: int, position: Position, kind: InstructionType) -> None:
        first = self._first_row_asking.setdefault((position.instrument_id, kind), index)
        if first != index:
            message = f"Row {first + 1} already asks {kind} of {label(position.name)}: put both into one row."
            self._against(RowRule.REPEATED_ROW, message)

    def _long_option(self, position: Position) -> OptionContract | None:
        name = label(position.name)
        if not position.is_option:
            self._against(RowRule.NOT_AN_OPTION, f"{name} is not an option: only options are exercised.")
            return None
        if position.side is Side.SHORT:
            held = plain(position.quantity)
            self._against(RowRule.SHORT_POSITION, f"{name} is held short ({held}): only the long side decides.")
            return None
        if position.side is Side.FLAT:
            self._against(RowRule.NOT_HELD, f"No contract of {name} is held any more.")
            return None
        if position.contract is None:
            message = f"The API names no readable symbol for {name}: strike, expiration and cut-off are not known."
            self._against(RowRule.UNRESOLVED_CONTRACT, message)
        if position.underlying_instrument_type is SecurityType.INDEX:
            self._warnings.append("An index option is settled in cash and may end earlier than an equity option.")
        return position.contract

    def _time(self, position: Position, contract: OptionContract, kind: InstructionType | None) -> datetime:
        """The cut-off of the day it is sent for: of an early exercise that is not its last day."""
        today = new_york_day(self.now)
        last = expiry_session(contract.expiration, self.calendar)
        session = min(sent_for(self.now, self.calendar, self.deadline), last, key=lambda each: each.day)
        terms = terms_of(position, self.contracts.get(position.instrument_id))
        ends = last_moment(terms, last, self.deadline) if session == last else self.deadline.on(session)
        expiration = contract.expiration.isoformat()
        if contract.expiration < today:
            self._against(RowRule.EXPIRED, f"{contract.compact} expired on {expiration}.")
        elif self.now >= ends:
            self._against(
                RowRule.DEADLINE_PASSED,
                f"Instructions on {contract.compact} ended on {last.day.isoformat()} at {ends:%H:%M} New York time"
                f"{', when the opening settled it' if terms.settles_at is SettlesAt.OPEN else ''}.",
            )
        elif kind in _ON_EXPIRY_ONLY and today != last.day:
            self._against(
                RowRule.OFF_EXPIRY_DAY,
                f"{kind} is taken on the expiration day only: {last.day.isoformat()}, "
                f"and today is {today.isoformat()} in New York.",
            )
        elif session.day < last.day and not terms.may_be_exercised_early:
            self._against(
                RowRule.EUROPEAN,
                f"{contract.compact} is European: it is exercised at expiration only, on {last.day.isoformat()}.",
            )
        else:
            self._said_of_time(contract, last, ends)
        return ends

    def _said_of_time(self, contract: OptionContract, last: Session, ends: datetime) -> None:
        today = new_york_day(self.now)
        if last.day != contract.expiration:
            self._warnings.append(
                f"{contract.expiration.isoformat()} is not a trading day: the last session before it is taken for the "
                "day."
            )
        if ends - self.now <= _SOON:
            self._warnings.append(f"The cut-off is at {ends:%H:%M} New York time, in less than 15 minutes.")
        elif self.calendar.session_on(today) is None:
            self._warnings.append("Today is not a trading day: the API may refuse this, or take it for the next one.")
        elif today != last.day and ends.date() != today:
            self._warnings.append(
                "Today's cut-off is over: the API may refuse this, or take it for the next trading day."
            )

    def _enough(self, position: Position, quantity: int) -> None:
        claims = self._outstanding.on(position.instrument_id)
        above = self._claimed[position.instrument_id]
        self._claimed[position.instrument_id] += quantity
        available = position.quantity if position.available_quantity is None else position.available_quantity
        usable = max(min(position.quantity, available), ZERO)
        if position.available_quantity is None:
            self._warnings.append("The API does not say how many contracts are free of open orders.")
        unseen = sum(each.quantity for each in self.not_listed_yet if each.instrument_id == position.instrument_id)
        claimed, told = claims.quantity + unseen, [claims.said] if claims.each else []
        said = ", ".join([*told, *([f"{unseen} sent and not listed yet"] if unseen else [])])
        rows_above = f", {above} in rows above" if above else ""
        if quantity + above > usable:
            locked = position.quantity - usable
            known = None if self.listed is None else self._outstanding
            by = f", locked: {locks_on(position, self.open_orders, known).said}" if locked else ""
            self._against(
                RowRule.INSUFFICIENT_POSITION,
                f"Insufficient position: asked {quantity}, available {plain(usable)} "
                f"(held {plain(position.quantity)}{by}{rows_above}).",
            )
        elif quantity + above > position.quantity - claimed:
            self._against(
                RowRule.ALREADY_INSTRUCTED,
                f"Asked {quantity}, but of {plain(position.quantity)} held {plain(claimed)} are already under "
                f"instruction ({said}{rows_above}).",
            )
        elif quantity + above > usable - claimed:
            self._warnings.append(
                f"{plain(claimed)} contracts are already under instruction ({said}); the API may count "
                f"them against the {plain(usable)} available and refuse this row."
            )
        elif unseen:
            self._warnings.append(f"{said}: this comes on top of what was sent before.")
        if claims.has_unknown_quantity:
            self._warnings.append("An instruction already outstanding on this contract has no readable quantity.")
