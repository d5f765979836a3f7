"""What the evening does to one option: exercised, assigned or lapsed, and the cash and shares that move.

Exercise by exception: an expiring option at least 0.01 in the money is exercised unless clearing is told otherwise (OCC
Rule 805; cash-settled index options by the same measure). What instructions may still turn out to be is kept beside
what is expected of them: an instruction that was sent may be refused, a cancel that was requested may fail.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from positions_mcp.domain.account.positions import Holding
from positions_mcp.domain.account.quotes import is_exercised_by_exception, points_in_the_money
from positions_mcp.domain.enums import InstructionStatus, InstructionType
from positions_mcp.domain.exercise.instructions import Claim
from positions_mcp.domain.exercise.terms import Terms
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.instruments import OptionContract, OptionRight
from positions_mcp.domain.money import ZERO, exact_product, exact_sum


class AskedInstruction(Protocol):
    """An instruction by what it asks: of a plan, of a request, or one whose outcome is not known."""

    @property
    def instrument_id(self) -> InstrumentId:
        """The contract."""

    @property
    def instruction_type(self) -> InstructionType:
        """To exercise it or not to."""

    @property
    def quantity(self) -> int:
        """Whole contracts."""


@dataclass(frozen=True, slots=True)
class Span:
    """What is expected, and the least and the most it can be if what is still open ends otherwise."""

    expected: Decimal = ZERO
    least: Decimal = ZERO
    most: Decimal = ZERO

    @classmethod
    def exactly(cls, value: Decimal) -> Span:
        """A number with nothing open."""
        return cls(value, value, value)

    @property
    def is_certain(self) -> bool:
        return self.least == self.most

    def plus(self, other: Span) -> Span:
        """The sum of two that do not depend on each other."""
        return Span(
            exact_sum((self.expected, other.expected)),
            exact_sum((self.least, other.least)),
            exact_sum((self.most, other.most)),
        )

    def times(self, factor: Decimal) -> Span:
        """Each value times `factor`, which may be negative."""
        ends = exact_product(self.least, factor), exact_product(self.most, factor)
        return Span(exact_product(self.expected, factor), min(ends), max(ends))


@dataclass(frozen=True, slots=True)
class Instructed:
    """Contracts of one option under instruction, by what is asked."""

    exercise: Span = Span()
    contrary: Span = Span()
    withhold: Span = Span()

    def plus(self, other: Instructed) -> Instructed:
        return Instructed(
            self.exercise.plus(other.exercise), self.contrary.plus(other.contrary), self.withhold.plus(other.withhold)
        )

    @property
    def exercised(self) -> Decimal:
        """Contracts that are expected to be exercised on instruction. A contrary exercise counts as one."""
        return exact_sum((self.exercise.expected, self.contrary.expected))


def instructed_by(claims: Iterable[Claim], held: Decimal) -> Instructed:
    """What outstanding instructions ask of an option of which `held` contracts are long.

    ACCEPTED counts as accepted. SENT and what could not be determined count as asked but may come to nothing; a
    requested cancel counts as done but may fail; a failed one leaves the instruction standing, as far as is known.
    """

    def span(claim: Claim) -> Span:
        quantity, status = held if claim.quantity is None else claim.quantity, claim.instruction.status
        least = quantity if status is InstructionStatus.ACCEPTED and claim.quantity is not None else ZERO
        return Span(ZERO if status is InstructionStatus.CANCEL_REQUESTED else quantity, least, quantity)

    return _sum_of((claim.instruction.instruction_type, span(claim)) for claim in claims)


def perhaps_done_by(claims: Iterable[Claim], held: Decimal) -> Instructed:
    """The same of instructions for an evening that is over: the book is expected to show their effect already."""
    most = ((each.instruction.instruction_type, held if each.quantity is None else each.quantity) for each in claims)
    return _sum_of((kind, Span(ZERO, ZERO, quantity)) for kind, quantity in most)


def asked_by(rows: Iterable[AskedInstruction], *, certain: bool) -> Instructed:
    """What rows ask of one option: those of a batch under preview, or (not `certain`) sent and not seen again."""
    asked = ((row.instruction_type, Decimal(row.quantity)) for row in rows)
    return _sum_of((kind, Span(quantity, quantity if certain else ZERO, quantity)) for kind, quantity in asked)


def _sum_of(asked: Iterable[tuple[InstructionType, Span]]) -> Instructed:
    total = Instructed()
    for kind, span in asked:
        total = total.plus(_of_type(kind, span))
    return total


def _of_type(kind: InstructionType, span: Span) -> Instructed:
    if not kind.is_known:
        # It may exercise or withhold.
        perhaps = Span(ZERO, ZERO, span.most)
        return Instructed(exercise=perhaps, withhold=perhaps)
    if kind is InstructionType.EXERCISE:
        return Instructed(exercise=span)
    if kind is InstructionType.CONTRARY_EXERCISE:
        return Instructed(contrary=span)
    return Instructed(withhold=span)


@dataclass(frozen=True, slots=True)
class Flow:
    """Dollars and shares that an account receives; negative: pays, delivers."""

    cash: Span = Span()
    shares: Span = Span()

    def plus(self, other: Flow) -> Flow:
        return Flow(self.cash.plus(other.cash), self.shares.plus(other.shares))


@dataclass(frozen=True, slots=True)
class Settling:
    """One option that the evening changes: it expires, or (not `expires`) some of it is exercised before."""

    position: Holding
    contract: OptionContract
    terms: Terms
    listed: Instructed = Instructed()
    """Instructions that the account has outstanding."""
    batch: Instructed = Instructed()
    """Those under preview."""
    expires: bool = True
    has_namesakes: bool = False
    """Whether another option that is held is called the same."""

    @property
    def called(self) -> str:
        """Its symbol, and its id where that alone tells it apart."""
        return f"{self.contract.compact}{self.identified}"

    @property
    def identified(self) -> str:
        """Its id behind what it is called, where that is needed; else empty."""
        return f" [{self.position.instrument_id}]" if self.has_namesakes else ""

    @property
    def instructed(self) -> Instructed:
        return self.listed.plus(self.batch)

    @property
    def on_instruction(self) -> Decimal:
        """Contracts of a long position that outstanding instructions exercise, as far as is expected."""
        return self._counted(self.listed)

    @property
    def by_batch(self) -> Decimal:
        """Contracts that the batch exercises beyond those."""
        return exact_sum((self._counted(self.instructed), -self._counted(self.listed)))

    @property
    def is_short(self) -> bool:
        """Whether it is held short: then others decide."""
        return self.position.quantity < 0

    def in_the_money_at(self, price: Decimal) -> bool:
        """Whether exercise by exception takes it at this price."""
        return bool(is_exercised_by_exception(self.contract, price))

    def exercised(self, *, in_the_money: bool) -> Span:
        """Contracts exercised, or assigned of a short position, by the end of the evening."""
        held = abs(self.position.quantity)
        if self.is_short:
            return Span.exactly(held if in_the_money and self.expires else ZERO)
        asked = self.instructed
        if not self.expires:
            return _capped(asked.exercise, held) if self.terms.may_be_exercised_early else Span()
        if not in_the_money:
            return _capped(asked.exercise.plus(asked.contrary), held)
        return Span(
            _taken(held, asked.exercised, asked.withhold.expected),
            # In the money a contrary exercise may also mean that it is given up: the API does not say.
            _taken(held, asked.exercise.least, exact_sum((asked.withhold.most, asked.contrary.most))),
            _taken(held, exact_sum((asked.exercise.most, asked.contrary.most)), asked.withhold.least),
        )

    def _counted(self, asked: Instructed) -> Decimal:
        if self.is_short or not (self.expires or self.terms.may_be_exercised_early):
            return ZERO
        return min(asked.exercised if self.expires else asked.exercise.expected, self.position.quantity)

    def shares_flow(self, *, in_the_money: bool) -> Flow:
        """Shares against the strike. For options that deliver a known number of shares."""
        multiplier = self.terms.multiplier or ZERO
        sign = 1 if (self.contract.right is OptionRight.CALL) is not self.is_short else -1
        shares = self.exercised(in_the_money=in_the_money).times(exact_product(sign, multiplier))
        return Flow(cash=shares.times(-self.contract.strike), shares=shares)

    def cash_flow(self, price: Decimal) -> Flow:
        """The points in the money in dollars. What is exercised on instruction out of the money pays them."""
        contracts = self.exercised(in_the_money=self.in_the_money_at(price))
        points = points_in_the_money(self.contract, price)
        each = exact_product(points, self.terms.multiplier or ZERO)
        return Flow(cash=contracts.times(-each if self.is_short else each))

    def flow(self, price: Decimal) -> Flow:
        if self.terms.in_cash:
            return self.cash_flow(price)
        return self.shares_flow(in_the_money=self.in_the_money_at(price))


def _capped(span: Span, held: Decimal) -> Span:
    return Span(min(span.expected, held), min(span.least, held), min(span.most, held))


def _taken(held: Decimal, exercised: Decimal, withheld: Decimal) -> Decimal:
    """Of `held` contracts in the money: those exercised on instruction, and by exception what nothing withholds."""
    return max(exact_sum((held, -withheld)), min(exercised, held), ZERO)
