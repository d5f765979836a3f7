"""What policy says of a plan: findings that name their rule; two people among them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from enum import StrEnum

from positions_mcp.domain.operation.plan import Frozen, Plan
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.operation.roster import Roster, able, persons_needed
from positions_mcp.domain.text import said_once


class Rule(StrEnum):
    """The rules a plan is judged by."""

    TRADING_ENABLED = "trading enabled"
    LIMITS_CHOSEN = "limits chosen"
    HALT = "halt"
    ACCOUNT = "account"
    RIGHTS = "rights"
    INSTRUMENT = "instrument"
    NOTIONAL_PER_OPERATION = "notional per operation"
    NOTIONAL_PER_DAY = "notional per day"
    POSITIONS_PER_OPERATION = "positions per operation"
    CLOSE_ALL = "close-all"
    UNCOVERED = "uncovered short option"
    GIVEN_UP = "money given up"
    LOCKED = "locked"
    LEFT_OUT = "left out"
    LAST_DAY = "last day of trading"
    OFF_HOURS = "outside regular hours"
    CANCELLED_ALONG = "orders cancelled along"
    IN_DOUBT = "scope in doubt"
    IN_FLIGHT = "close in flight"
    INCOMPLETE_BOOK = "incomplete book"
    SIDE = "side not known"
    MISSING_PRICE = "missing price"
    DESK_THRESHOLD = "supervisor above"
    DESK_ONLY = "supervisor only"
    TWO_PERSONS = "two people"
    NOT_READ = "not read"


class Severity(StrEnum):
    """What a finding does."""

    REFUSE = "refused"
    DESK = "needs the supervisor"
    NOTE = "called out"


class Finding(Frozen):
    """One rule's word on a plan."""

    rule: Rule
    severity: Severity
    message: str
    """What the rule allows and what the plan or the account has, in one sentence for a person."""
    name: str = ""
    """In the message, where several may differ in it alone: they are said once."""

    @classmethod
    def on(cls, rule: Rule, severity: Severity, message: str, *, name: str = "") -> Finding:
        """One, in the order in which it is read."""
        return cls(rule=rule, severity=severity, message=message, name=name)


class Verdict(Frozen):
    """All findings, the gravest first. None at all: nothing stands against asking a person."""

    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Verdict:
        """The findings in order of gravity, and within that in the order of the rules."""
        order, alike = list(Severity), defaultdict[tuple[Severity, Rule], list[Finding]](list)
        for each in sorted(findings, key=lambda finding: order.index(finding.severity)):
            alike[each.severity, each.rule].append(each)
        return cls(findings=tuple(each for group in alike.values() for each in _together(group)))

    @property
    def refusals(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity is Severity.REFUSE)

    @property
    def is_refused(self) -> bool:
        return bool(self.refusals)

    @property
    def needs_desk(self) -> tuple[Finding, ...]:
        """Why a form in the client is not enough."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.DESK)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person must be told before deciding: everything but what is only about who decides."""
        about_who = (Rule.DESK_THRESHOLD, Rule.DESK_ONLY)
        return tuple(finding.message for finding in self.findings if finding.rule not in about_who)

    @property
    def shown(self) -> str:
        """In one line: `allowed`, or what stands against it."""
        if self.is_refused:
            return "refused: " + " ".join(f"[{finding.rule}] {finding.message}" for finding in self.refusals)
        if self.needs_desk:
            return "needs the supervisor: " + " ".join(finding.message for finding in self.needs_desk)
        return "allowed"


def _together(findings: Sequence[Finding]) -> Iterator[Finding]:
    own, is_of_no_row = {each.message: each for each in findings}, findings[0].rule is Rule.LEFT_OUT
    for message in said_once(((each.name, each.message) for each in findings), whole=is_of_no_row):
        yield own.get(message) or findings[0].changed(message=message)


def findings_on_persons(policy: Policy, plan: Plan, roster: Roster | None, used_today: Decimal) -> Iterator[Finding]:
    """Two people decide at the desk or a terminal; where fewer could, nobody is asked."""
    needed = persons_needed(policy, plan, used_today)
    if needed == 1:
        return
    those = able(roster, plan) if roster else ()
    enough = len(those) >= needed
    limit = "close-all" if plan.kind.is_account_wide and policy.two_persons_for_close_all else "this size"
    message = f"It takes two different people to approve {limit}, on the supervisor's page or in a terminal."
    if not enough:
        names = f": {', '.join(member.name for member in those)}" if those else ""
        message += f" {len(those)} could{names}. Another one is set up with: positions-mcp approver add NAME."
    severity = Severity.DESK if enough else Severity.REFUSE
    yield Finding.on(Rule.TWO_PERSONS, severity, message)
