"""Whether a plan may go under a mandate: who signed it, what no mandate overrules, what the account shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.account.quotes import find_underlying
from positions_mcp.domain.enums import SecurityType
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.instruments import as_root
from positions_mcp.domain.operation.coverage import Seen, SeenTarget, why_not_covered
from positions_mcp.domain.operation.mandate import Mandate, MandateUse, Standing
from positions_mcp.domain.operation.operation import Decision
from positions_mcp.domain.operation.plan import Plan
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.roster import ANYTHING, Member, Roster, why_not_approve
from positions_mcp.domain.operation.terms import MandateTerms, roots_of
from positions_mcp.domain.text import label
from positions_mcp.guard.account import Account
from positions_mcp.guard.policy.findings import Finding, Rule, Severity, Verdict
from positions_mcp.ports.ledger import Permit
from positions_mcp.signing.statements import signer

REPLACED = frozenset({Rule.DESK_THRESHOLD, Rule.DESK_ONLY})
"""What needs the supervisor only because it is large, or because everything does: the mandate is their decision."""
NEVER = frozenset(
    {
        Rule.UNCOVERED,
        Rule.GIVEN_UP,
        Rule.IN_DOUBT,
        Rule.INCOMPLETE_BOOK,
        Rule.SIDE,
        Rule.MISSING_PRICE,
        Rule.NOT_READ,
        Rule.OFF_HOURS,
        Rule.TWO_PERSONS,
    }
)
"""What no mandate covers even where policy only calls it out."""
ApprovedBy = Callable[[str], Decimal]
"""Dollars of other plans that went on the word of an approver, by name, in the plan's account today."""
_LOOK = "Nothing was sent. A person looks with `positions-mcp mandate list`."
_SHARES = frozenset({SecurityType.COMMON_STOCK, SecurityType.PREFERRED_STOCK})


@dataclass(frozen=True, slots=True)
class UnderMandate:
    """How an operation is taken for sending under a mandate, in place of an approval of its own."""

    mandate_id: str
    permit: Permit


@dataclass(frozen=True, slots=True)
class LastSeen:
    """What was known right before sending, for the mandate to be looked at once more before each request."""

    verdict: Verdict
    seen: Seen
    notional: Decimal
    """What the whole operation comes to now."""


def objections(verdict: Verdict) -> tuple[str, ...]:
    """What policy says that no mandate overrules, in sentences."""
    return tuple(finding.message for finding in verdict.findings if _stands(finding))


def _stands(finding: Finding) -> bool:
    if finding.severity is Severity.REFUSE or finding.rule in NEVER:
        return True
    return finding.severity is Severity.DESK and finding.rule not in REPLACED


def seen_of(plan: Plan, account: Account) -> Seen:
    """What the account, just read, shows of a plan's targets."""
    found = {}
    for target in plan.targets:
        held = account.book.by_id.get(target.instrument_id)
        if held is not None:
            found[target.instrument_id] = SeenTarget(
                is_certain=label(held.name) == target.symbol and _is_certain(held, account.book),
                price=_known(held.instrument_price),
                underlying_price=_underlying_price(held, account),
                pnl=held.unrealized_pnl,
            )
    return found


def covering(standings: Iterable[Standing], plan: Plan, now: datetime, verdict: Verdict, seen: Seen) -> Standing | None:
    """The mandate that covers a plan and ends first; None where none does."""
    against = objections(verdict)
    fit = [each for each in standings if not why_not_covered(each, plan, now, seen=seen, objections=against)]
    return min(fit, key=_ends_first, default=None)


def signer_of(mandate: Mandate, roster: Roster | None) -> Member:
    """Who signed exactly this, and may by the roster that stands now. Raises Refused."""
    if mandate.signed is None or roster is None or not mandate.is_said_by_its_statement:
        raise Refused(f"Mandate {mandate.mandate_id} is not signed by an approver.", hint=_LOOK)
    try:
        member = signer(roster, mandate.signed)
    except Refused as refused:
        raise Refused(f"Mandate {mandate.mandate_id}: {refused.message}", hint=_LOOK) from refused
    for why in why_may_not_sign(member, mandate.terms):
        raise Refused(why, hint=_LOOK)
    return member


def why_not_signed(mandate: Mandate, roster: Roster | None) -> str:
    """Why the signature of a mandate counts for nothing by a roster; empty where it counts."""
    try:
        signer_of(mandate, roster)
    except Refused as refused:
        return refused.message
    return ""


def expect_on_word_of_signer(
    mandate: Mandate, roster: Roster | None, plan: Plan, approved_by: ApprovedBy, size: Decimal | None = None
) -> None:
    """Raise Refused where who signed a mandate may not give it any more, or could not approve the plan either.

    `size` is what the plan comes to by now; as it was planned where that is not said.
    """
    member = signer_of(mandate, roster)
    if roster is not None and (why := why_not_approve(roster, member, plan, approved_by(member.name), size)):
        raise Refused(f"Mandate {mandate.mandate_id} does not cover it: {why}", hint="Nothing was sent.")


def holds_for(mandate: Mandate, roster: Roster | None, plan: Plan, approved_by: ApprovedBy) -> bool:
    """Whether it holds on the word of who signed it, for a plan."""
    try:
        expect_on_word_of_signer(mandate, roster, plan, approved_by)
    except Refused:
        return False
    return True


def why_may_not_sign(member: Member, terms: MandateTerms, two_persons_above: Decimal | None = None) -> Iterator[str]:
    """What an approver could not approve alone, they may not give away either."""
    if two_persons_above is not None and terms.per_operation > two_persons_above:
        yield (
            f"It takes two people above ${two_persons_above:,f}, and the mandate is for ${terms.per_operation:,f} an "
            "operation: draft one for less."
        )
    rights = member.rights_in(terms.account_id)
    most = rights.approves if rights is not None else Decimal(0)
    if most != ANYTHING and terms.in_all > Decimal(most):
        yield (
            f"{member.name} approves up to ${most:,f} a day in account {terms.account_id}, and the mandate is for "
            f"${terms.in_all:,f}."
        )


def expect_covered(why_not: Sequence[str], mandate: Mandate) -> None:
    """Raise Refused where there is a reason."""
    if why_not:
        raise Refused(f"Mandate {mandate.mandate_id} does not cover it: {' '.join(why_not)}", hint="Nothing was sent.")


def decision_under(mandate: Mandate, plan: Plan, use: MandateUse, now: datetime, until: datetime) -> Decision:
    """What is recorded of an operation that a mandate covers. Nobody decided it: the mandate's signature is the yes."""
    terms = mandate.terms
    return Decision(
        operation_id=plan.plan_id,
        digest=plan.digest,
        channel=Channel.MANDATE,
        approved=True,
        by=mandate.signed_by,
        decided_at=now,
        expires_at=until,
        mandate=mandate.mandate_id,
        left=(
            f"{use.operations_left} of {terms.operations} operations and ${use.notional_left:,f} of "
            f"${terms.in_all:,f} left"
        ),
    )


def _ends_first(standing: Standing) -> tuple[datetime | None, str]:
    window = standing.mandate.window
    return window.ends if window else None, standing.mandate.mandate_id


def _known(price: Decimal | None) -> Decimal | None:
    """A price of zero or less is a missing price."""
    return price if price is not None and price > 0 else None


def _is_certain(held: Position, book: Book) -> bool:
    """Whether what it is, and what an option is on, is known, and nothing else held goes by its name."""
    if held.side_contradicts or book.namesakes(held):
        return False
    if not held.is_option:
        return held.instrument_type in _SHARES
    if held.contract is None or held.instrument_type is not SecurityType.OPTION:
        return False
    on = book.by_id.get(held.underlying_instrument_id) if held.underlying_instrument_id else None
    return on is None or as_root(on.symbol) in roots_of(held.contract)


def _underlying_price(held: Position, account: Account) -> Decimal | None:
    """What an option's underlying costs now: as it is held, else by market data. A close of another day is no price."""
    if not held.is_option:
        return None
    found = find_underlying(held, account.book)
    if found is not None and found.instrument_price is not None and found.instrument_price > 0:
        return found.instrument_price
    latest = account.beside.latest.get(held.underlying_instrument_id or "")
    return latest.price if latest else None
