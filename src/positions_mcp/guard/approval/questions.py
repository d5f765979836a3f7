"""What a person is asked, who decides, and whether a form may be shown now (G-22).

Forms are shown one at a time, and none after three noes. Both are looked up in the store, which all its servers share.

How often a caller may ask (G-23) is counted there by the minute and by the New York day. An operation counts once, when
it is put before a person, or when it is sent without having been, in the transaction that writes it. What a person
decided by themselves, and what a person flattens, is never refused here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from positions_mcp.domain.account.sessions import moment, next_new_york_day, start_of_new_york_day
from positions_mcp.domain.errors import Refused
from positions_mcp.domain.operation.mandate import Mandate
from positions_mcp.domain.operation.operation import Decision, Operation
from positions_mcp.domain.operation.plan import Frozen, Mode, Plan
from positions_mcp.domain.operation.policy import Channel
from positions_mcp.domain.operation.servers import SHOWN_AGAIN, by_form
from positions_mcp.domain.text import quoted
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.kinds import WORDS
from positions_mcp.ports import Ledger

MINUTE = timedelta(minutes=1)
_INSTANT = timedelta(microseconds=1)
_OF_A_PERSON = (Channel.DESK, Channel.TERMINAL)


def check_rates(deps: Dependencies, ledger: Ledger, operation: Operation) -> None:
    """Raise Refused where its caller has asked for as much as it may; it says when it may again."""
    now, plan, decision = deps.clock.now(), operation.plan, operation.decision
    if plan.flatten or (decision is not None and decision.channel in _OF_A_PERSON):
        return
    policy = deps.policy_of(plan)
    today = start_of_new_york_day(now) - _INSTANT
    for most, since, per in (
        (policy.max_operations_per_minute, now - MINUTE, "minute"),
        (policy.max_operations_per_day, today, "New York day"),
    ):
        if most is None:
            continue
        first = ledger.counted_since(plan.mode, plan.account_id, plan.caller, since, most)
        if first is None:
            continue
        again = first + MINUTE if per == "minute" else next_new_york_day(max(first, now))
        again += timedelta(microseconds=-again.microsecond % 1_000_000)  # as it is said: never earlier
        raise Refused(
            f"This caller has asked for {most} operations in account {plan.account_id} within a {per}, and no more may "
            f"be: again from {moment(again)}{plan.mode.real_clock} on.",
            hint=f"Nothing was sent. Ask again then, for all at once where one plan can close several. Plan "
            f"{plan.plan_id} stays open until {moment(plan.expires_at)}{plan.mode.real_clock}.",
        )


class Rung(StrEnum):
    """The rungs of the ladder, the highest first."""

    MANDATE = "mandate"
    """A person signed in advance: nobody is asked."""
    ELICITATION = "elicitation"
    DESK = "desk"
    REFUSE = "refuse"


class Step(Frozen):
    """The rung that applies, why, and what to tell people. `reason` is empty for elicitation."""

    rung: Rung
    reason: str = ""
    for_the_person: str = ""
    """How the person decides, where that is not in the client: one sentence."""
    link: str = ""
    """The plan's page, where there is one."""
    mandate: str = ""
    """The id of the mandate that covers it."""
    drafts: tuple[Mandate, ...] | None = None
    """The drafts that are about it; None where the mandates were not read."""


def question(plan: Plan) -> str:
    """Everything the decision needs: mode, account, each order, total, open orders, session, warnings, plan id."""
    until = f"{moment(plan.expires_at)}{plan.mode.real_clock}"
    words, money = WORDS[plan.kind], "real money" if plan.mode is Mode.LIVE else "no real money"
    return "\n".join(
        [
            f"{plan.mode.shown} account {plan.account_id} ({money}): {words.heading(plan)}",
            *(f"{number}. {line}" for number, line in enumerate(words.lines(plan), 1)),
            *words.terms(plan),
            *(f"Warning: {warning}" for warning in plan.warnings),
            *([plan.said_of_replaced] if plan.replaces else []),
            *([f"The caller says why: {quoted(plan.purpose)}"] if plan.purpose else []),
            f"Plan {plan.plan_id}, asked for by {quoted(plan.caller, 80)}, valid until {until}.",
        ]
    )


NOES = 3
WITHIN = timedelta(minutes=10)
REMEMBERED = timedelta(days=1)
_ASKED_WITHIN = REMEMBERED + timedelta(hours=1)
"""What was decided within the time remembered was asked for within this one."""


class Questions:
    """The forms that are open in clients, and the noes."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps

    def why_not(self, operation: Operation) -> str:
        """Why its caller may not ask by a form now; empty if it may. Blocking."""
        caller, now = operation.plan.caller, self._deps.clock.now()
        if why := _still_open(self._deps, self._open_forms(caller), operation):
            return why
        if self._rests(caller, now):
            return (
                f"A person said no to this caller {NOES} times within {int(WITHIN.total_seconds() // 60)} minutes, so "
                "it asks by a form no more until a supervisor approves one of its plans."
            )
        return ""

    def _rests(self, caller: str, now: datetime) -> bool:
        """Whether the caller has had its noes. Yeses are looked for only then."""
        deps = self._deps
        decided = partial(deps.store.decided_for, deps.mode, deps.policy.accounts, caller, now - _ASKED_WITHIN)
        noes = decided(declined=True)
        return rests(noes, now) and rests((*noes, *decided(declined=False)), now)

    def is_open(self, operation: Operation) -> bool:
        """Whether a form with its question is shown now, by whichever server. Blocking."""
        return operation.operation_id in self._open_forms(operation.plan.caller)

    def shown_again(self, operation: Operation, process: str) -> None:
        """Write down that a form with a question that was put before is shown, unless it is known of here. Blocking.

        `process` is the server with which it ends, or empty.
        """
        if process not in self._open_forms(operation.plan.caller).get(operation.operation_id, ()):
            deps = self._deps
            deps.store.note(SHOWN_AGAIN, operation.operation_id, by_form(process), deps.clock.now())

    def _open_forms(self, caller: str) -> Mapping[str, frozenset[str]]:
        deps = self._deps
        return deps.store.open_forms(deps.mode, caller, deps.clock.now(), asking=deps.process)

    @staticmethod
    def check(deps: Dependencies, ledger: Ledger, operation: Operation) -> None:
        """Within the transaction that asks: of two servers that ask at once one does. Raises Refused."""
        check_rates(deps, ledger, operation)
        plan = operation.plan
        asked = ledger.open_forms(plan.mode, plan.caller, deps.clock.now(), asking=deps.process)
        if why := _still_open(deps, asked, operation):
            raise Refused(why, hint=f"Nothing was sent. Plan {plan.plan_id} stays open: ask when that is answered.")


def _still_open(deps: Dependencies, asked: Iterable[str], operation: Operation) -> str:
    """That another question is, in a sentence; empty where none is. One that was answered here with a yes is not."""
    others = (each for each in asked if each != operation.operation_id and each not in deps.taken)
    other = next(others, None)
    if not other:
        return ""
    return (
        f"A question of this caller is still open with a person: plan {other}, as far as is known. A call with that "
        "plan_id shows it again; otherwise it ends with that plan."
    )


def rests(decisions: Iterable[Decision], now: datetime) -> bool:
    """Whether there were three noes to forms within ten minutes, and no yes from the desk since."""
    recent = sorted((d for d in decisions if d.decided_at > now - REMEMBERED), key=lambda each: each.decided_at)
    noes: list[datetime] = []
    resting = False
    for decision in recent:
        if decision.approved and decision.channel is Channel.DESK:
            noes, resting = [], False
        elif not decision.approved and decision.channel is Channel.ELICITATION:
            noes = [*(at for at in noes if at > decision.decided_at - WITHIN), decision.decided_at]
            resting = resting or len(noes) >= NOES
    return resting
