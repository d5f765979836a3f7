"""Mandates: what an approver signs in advance, so that small repeated operations need no question (G-16).

A mandate is drafted, signed for one New York trading day, used so many times, and may be revoked. What it covers is in
`coverage`; here is what it says, in words too, and what is left of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property

from pydantic import AwareDatetime, Field

from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.plan import Frozen
from positions_mcp.domain.operation.statements import Purpose, SignedStatement, Statement
from positions_mcp.domain.operation.terms import MandateKind, MandateTerms, PriceBound, Window
from positions_mcp.domain.text import counted

LONGEST_SHADOW = timedelta(days=31)
SIGNED_DECISION = "mandate"
"""The decision of the statement that signs one."""


class Revocation(Frozen):
    """That somebody took it back. Anybody may: it only lowers what can be sent."""

    by: str = Field(min_length=1)
    at: AwareDatetime


class Mandate(Frozen):
    """A draft, or what became of it. The id and the terms never change, and it is signed once."""

    mandate_id: str = Field(pattern=r"^ma-[0-9a-z]{10}$")
    terms: MandateTerms
    drafted_by: str = Field(min_length=1)
    drafted_at: AwareDatetime
    shadow_until: AwareDatetime
    """Until when a draft notes what it would have let through."""
    window: Window | None = None
    signed: SignedStatement | None = None
    revoked: Revocation | None = None

    def model_post_init(self, _context: object) -> None:
        if (self.window is None) != (self.signed is None):
            raise ValueError("a mandate is signed for a day")
        if self.shadow_until > self.drafted_at + LONGEST_SHADOW:
            raise ValueError(f"a draft notes plans for {LONGEST_SHADOW.days} days at most")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what is signed: the id, the terms and the day, whatever became of it."""
        return self.digest_for(self.window)

    def digest_for(self, window: Window | None) -> str:
        """The digest that it has, or would have, with a window."""
        signed = self.changed(window=None, signed=None, revoked=None).canonical
        return hashlib.sha256(signed + (b"" if window is None else window.canonical)).hexdigest()

    def statement(
        self, window: Window, *, name: str, credential: str, origin: str, note: str, now: datetime
    ) -> Statement:
        """What an approver says who signs it."""
        return Statement(
            purpose=Purpose.MANDATE,
            mode=self.terms.mode,
            account=self.terms.account_id,
            operation=self.mandate_id,
            digest=self.digest_for(window),
            decision=SIGNED_DECISION,
            name=name,
            credential=credential,
            origin=origin,
            note=note,
            decided_at=now,
            expires_at=window.ends,
        )

    @property
    def is_said_by_its_statement(self) -> bool:
        """Whether the statement it carries is about exactly this. Whose signature that is, `signing` says."""
        if self.signed is None or self.window is None:
            return False
        said = self.signed.statement
        expected = self.statement(
            self.window,
            name=said.name,
            credential=said.credential,
            origin=said.origin,
            note=said.note,
            now=said.decided_at,
        )
        return said == expected

    @property
    def signed_by(self) -> str:
        """The name of who signed it; empty for a draft."""
        return self.signed.statement.name if self.signed else ""

    @property
    def is_draft(self) -> bool:
        """Whether nobody has signed it, and nobody has thrown it away."""
        return self.signed is None and self.revoked is None

    def holds_at(self, now: datetime) -> bool:
        """Whether it is signed, not revoked, and its time has come and is not over."""
        window = self.window
        return window is not None and self.revoked is None and window.begins <= now < window.ends


class MandateUse(Frozen):
    """One operation that was taken for sending under a mandate, and what that left."""

    mandate_id: str
    number: int = Field(ge=1)
    operation_id: str
    caller: str
    measure: Decimal = Field(ge=0)
    """Dollars that it counts for."""
    at: AwareDatetime
    operations_left: int = Field(ge=0)
    notional_left: Decimal = Field(ge=0)


class ShadowNote(Frozen):
    """What a draft would have done with one plan, but for how often and for how much it was used by then."""

    mandate_id: str
    plan_id: str
    target_key: str
    """The same for plans of the same targets: planned twice, they are sent once."""
    symbols: tuple[str, ...]
    measure: Decimal
    at: AwareDatetime
    why_not: tuple[str, ...]
    """Why it would have been asked about; empty where it would have been sent."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A mandate and how often it was used."""

    mandate: Mandate
    uses: Sequence[MandateUse] = ()
    """In the order in which they were counted."""
    more: Mapping[str, Decimal] = field(default_factory=dict)
    """By operation: dollars by which it came to more, when it was sent, than its use says."""

    def without(self, operation_id: str) -> Standing:
        """The same but for one operation: what others have left for it."""
        others = tuple(use for use in self.uses if use.operation_id != operation_id)
        return Standing(self.mandate, others, {key: each for key, each in self.more.items() if key != operation_id})

    @property
    def operations_left(self) -> int:
        return max(self.mandate.terms.operations - len(self.uses), 0)

    @property
    def notional_left(self) -> Decimal:
        return max(self.mandate.terms.in_all - self.used, Decimal(0))

    @property
    def used(self) -> Decimal:
        """Dollars that count against it."""
        return exact_sum([*(use.measure for use in self.uses), *self.more.values()])

    def next_use(self, operation_id: str, caller: str, measure: Decimal, now: datetime) -> MandateUse:
        return MandateUse(
            mandate_id=self.mandate.mandate_id,
            number=len(self.uses) + 1,
            operation_id=operation_id,
            caller=caller,
            measure=measure,
            at=now,
            operations_left=self.operations_left - 1,
            notional_left=self.notional_left - measure,
        )


def said_of(terms: MandateTerms) -> str:
    """What it allows, in one line."""
    return "; ".join(_parts(terms))


def left_of(standing: Standing) -> str:
    terms = standing.mandate.terms
    return (
        f"left: {standing.operations_left} of {terms.operations} operations, ${standing.notional_left:,f} of "
        f"${terms.in_all:,f}"
    )


def lines_of(mandate: Mandate) -> list[str]:
    """Everything that is signed, line by line."""
    terms = mandate.terms
    day = "the New York trading day it is signed for"
    until = f"{terms.until:%H:%M} New York on {day}" if terms.until else f"the end of {day}"
    return [
        f"{terms.mode.shown} account {terms.account_id}",
        *(f"{part[0].upper()}{part[1:]}" for part in _parts(terms)),
        f"For {', '.join(terms.callers)} alone" if terms.callers else "For every caller of the account",
        f"Until {until}",
    ]


def _parts(terms: MandateTerms) -> Iterator[str]:
    kinds = " or ".join(kind.shown for kind in terms.kinds)
    names = [*terms.instruments, *(f"{name} with its standard options" for name in terms.underlyings)]
    yield f"{kinds}: {', '.join(names)}"
    yield (
        f"at most ${terms.per_operation:,f} an operation, ${terms.in_all:,f} and "
        f"{counted(terms.operations, 'operation')} in all"
    )
    if MandateKind.CLOSE in terms.kinds:
        yield f"open orders {'may be' if terms.cancel_orders else 'are not'} cancelled"
    yield from map(_bound, terms.prices)
    if terms.loss_at_most is not None:
        yield f"only while the loss is at most ${terms.loss_at_most:,f}"


def _bound(bound: PriceBound) -> str:
    if bound.at_most is None:
        return f"only while {bound.instrument} costs at least ${bound.at_least:,f}"
    if bound.at_least is None:
        return f"only while {bound.instrument} costs at most ${bound.at_most:,f}"
    return f"only while {bound.instrument} costs ${bound.at_least:,f} to ${bound.at_most:,f}"
