"""An approved operation judged once more: by the account just read, and by what other processes have done since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TypeAlias

from positions_mcp.domain.errors import Refused
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.coverage import why_not_covered
from positions_mcp.domain.operation.operation import Operation, Reservation
from positions_mcp.domain.operation.policy import Channel, Policy
from positions_mcp.domain.operation.roster import persons_needed
from positions_mcp.domain.operation.states import RowState
from positions_mcp.guard.account import Account, AccountRecord
from positions_mcp.guard.approval.check import Size, expect_approved
from positions_mcp.guard.approval.mandates import LastSeen, expect_on_word_of_signer, objections
from positions_mcp.guard.policy import conflicts
from positions_mcp.guard.policy.findings import Finding, Rule, Verdict
from positions_mcp.guard.policy.rules import desk_threshold, judge, judge_record
from positions_mcp.ports import Ledger
from positions_mcp.signing.rosters import RosterChain

_OF_THE_ACCOUNT = (Rule.UNCOVERED, Rule.LOCKED, Rule.IN_FLIGHT, Rule.INCOMPLETE_BOOK, Rule.SIDE, Rule.NOT_READ)
"""What it shows when it is read again may be otherwise than whoever decided was told."""
SentRows: TypeAlias = frozenset[tuple[str, int]]
"""Rows that left, by operation and position."""


def judged(
    policy: Policy, operation: Operation, account: Account, of_its_kind: Iterable[Finding], notional_now: Decimal
) -> Verdict:
    """What every rule says of it by the account as just read."""
    plan = operation.plan
    return judge(policy, plan, account, of_its_kind, notional=max(plan.measure, notional_now))


def by_account(operation: Operation, verdict: Verdict) -> str:
    """Why the account as just read forbids it; empty if it does not."""
    if verdict.is_refused:
        return verdict.shown
    if verdict.needs_desk and _was_elicited(operation):
        return f"Since it was approved in the client it {verdict.shown}"
    decision, told = operation.decision, operation.plan.warnings
    if decision is None or decision.channel is not Channel.DESK:
        return ""
    new = (each.message for each in verdict.needs_desk if each.rule in _OF_THE_ACCOUNT and each.message not in told)
    said = " ".join(new)
    return f"Whoever approved it was not told this: {said}" if said else ""


def of_policy(policy: Policy, operation: Operation) -> str:
    """That the limits in force here are not those it was planned under; empty where they are, or it names none.

    Those in force where it is sent decide: they are what `by_account` judges it by.
    """
    planned, here = operation.plan.policy, policy.fingerprint
    if planned in ("", here):
        return ""
    return f"Planned under policy {planned}, and judged again before sending by the one in force here, {here}."


def by_record(policy: Policy, operation: Operation, record: AccountRecord, notional: Decimal) -> str:
    """Why the guard's own record forbids a request of that notional; empty if it does not."""
    verdict = judge_record(policy, operation.plan, record, notional)
    if verdict.is_refused:
        return verdict.shown
    if _was_elicited(operation):
        for finding in desk_threshold(policy, record.used_today, notional):
            return finding.message
    return ""


def by_persons(
    policy: Policy,
    operation: Operation,
    ledger: Ledger,
    chain: RosterChain,
    *,
    going: Mapping[int, Reservation],
    today: date,
) -> str:
    """Why those who approved it, or signed its mandate, may not for what it comes to by now; empty where they may.

    Asked within the transaction before each request: somebody may have been removed since, or what they may approve, or
    what one person may, was used up by what others sent.
    """
    plan, decision, size = operation.plan, operation.decision, Size.of(operation, going)
    # By a form or a mandate nobody counted at the claim how many people it takes.
    if decision is None or decision.channel not in (Channel.ELICITATION, Channel.MANDATE):
        try:
            expect_approved(policy, operation, chain, ledger, today=today, size=size)
        except Refused as refused:
            return refused.message
        return ""
    used = ledger.used(plan.mode, plan.account_id, today)
    if persons_needed(policy, plan, used, size.to_come) > 1:
        together = exact_sum([used, size.to_come])
        return f"With ${used:,f} used today it comes to ${together:,f}: it takes two different people now."
    if not decision.mandate:
        return ""

    def approved_by(name: str) -> Decimal:
        return ledger.approved_by(name, plan.mode, plan.account_id, today, beside=plan.plan_id)

    try:
        expect_on_word_of_signer(ledger.standing(decision.mandate).mandate, chain.roster, plan, approved_by, size.whole)
    except Refused as refused:
        return refused.message
    return ""


def by_others(operation: Operation, account: Account | None, sent: Iterable[Operation], counted: SentRows) -> str:
    """Why what others sent since the plan forbids it; empty if it does not. `counted` left before it was read."""
    others = tuple(sent)
    if same := conflicts.known_too_late(operation.plan, others):
        named = conflicts.named_to(operation.plan, same)
        return f"{named} was sent to the same instrument after this plan was made: plan again."
    uncounted = sorted(rows_sent(others) - counted)
    if uncounted and account is not None and account.book.short_options:
        latest = next(other for other in others if other.operation_id == uncounted[0][0])
        return (
            f"{conflicts.named_to(operation.plan, latest)} was sent after the account was read, and may have taken "
            "what covers its short options: plan again."
        )
    return ""


def by_mandate(ledger: Ledger, operation: Operation, found: LastSeen | None, now: datetime) -> str:
    """Why the mandate that it is sent under does not cover it any more; empty where it does.

    Asked within the transaction before each request: it may have been revoked, altered or used up since, and who signed
    it may have lost the right.
    """
    mandate_id = operation.decision.mandate if operation.decision else ""
    if found is None:
        return f"Nothing is known of the account that mandate {mandate_id} asks for."
    standing = ledger.standing(mandate_id).without(operation.operation_id)
    why_not = why_not_covered(
        standing, operation.plan, now, seen=found.seen, objections=objections(found.verdict), notional=found.notional
    )
    return f"Mandate {mandate_id} does not cover it any more: {' '.join(why_not)}" if why_not else ""


def by_collision(operation: Operation, sent: Iterable[Operation]) -> str:
    """What a person who flattens has not been told of: a close of the same that left since; empty if there is none."""
    same = conflicts.known_too_late(operation.plan, sent)
    if same is None:
        return ""
    names = ", ".join(dict.fromkeys(target.called for target, _ in conflicts.shared(operation.plan, [same])))
    return (
        f"COLLISION: operation {same.operation_id} sent {names} after this was shown, so it could be closed twice. "
        "Flatten again: that operation is named there, and what is then held is closed."
    )


def rows_sent(operations: Iterable[Operation]) -> SentRows:
    """The rows that may have changed the book."""
    return frozenset(
        (operation.operation_id, row.position)
        for operation in operations
        for row in operation.rows
        if row.state not in (RowState.NOT_SENT, RowState.REJECTED)
    )


def _was_elicited(operation: Operation) -> bool:
    return operation.decision is not None and operation.decision.channel is Channel.ELICITATION
