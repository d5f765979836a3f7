"""The evening that instructions are sent for: what it does to the account with them and without them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from positions_mcp.domain.exercise.cards import card
from positions_mcp.domain.exercise.cutoffs import DeadlineRule
from positions_mcp.domain.exercise.early import early_exercise, sent_for
from positions_mcp.domain.exercise.facts import ExpirationFacts, last_session
from positions_mcp.domain.exercise.projected import ProjectedOption
from positions_mcp.domain.exercise.projection import project
from positions_mcp.domain.exercise.settlement import Asked
from positions_mcp.domain.exercise.words import compared_lines
from positions_mcp.domain.exercise.yardstick import AgainstNothing, against_nothing, compared
from positions_mcp.domain.ids import InstructionId, InstrumentId
from positions_mcp.domain.operation.plan import CancelTarget, InstructionTarget
from positions_mcp.guard.account import Account
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.policy.cover import counted_on


def facts_of(
    account: Account, deps: Dependencies, operation_id: str = "", again: Iterable[InstructionTarget] = ()
) -> ExpirationFacts:
    """What was read of the account and beside it, apart from what the operation itself sends, perhaps `again`."""
    keys = {target.instruction_key for target in again}
    beside = account.beside
    return ExpirationFacts(
        book=account.book,
        now=deps.market_clock.now(),
        calendar=deps.calendar,
        outstanding=account.outstanding,
        unlisted=[each for each in account.record.unlisted(operation_id) if each.instruction_key not in keys],
        contracts=beside.contracts,
        latest=beside.latest,
        not_read=beside.not_read,
        counted=counted_on(account, operation_id, instructed=False),
        cash=beside.balances.trade_cash if beside.balances else None,
        buying_power=beside.balances.buying_power if beside.balances else None,
        deadline=DeadlineRule(deps.policy.exercise_deadline),
    )


def with_batch(facts: ExpirationFacts, batch: Sequence[Asked]) -> AgainstNothing:
    """A batch that is sent now, compared with sending nothing."""
    return against_nothing(facts, sent_for(facts.now, facts.calendar, facts.deadline).day, batch)


def without(facts: ExpirationFacts, target: CancelTarget) -> AgainstNothing:
    """The cancel of an instruction, compared with leaving it as it stands."""
    day = _evening_of(facts, target.instrument_id)
    return compared(project(facts, day), project(_without(facts, target.instruction_id), day))


def options_of(compared_with: AgainstNothing) -> Mapping[InstrumentId, ProjectedOption]:
    """Every option of the evening, by its id."""
    return {
        each.settling.position.instrument_id: each for group in compared_with.then.underlyings for each in group.options
    }


def cards_of(facts: ExpirationFacts, account: Account, batch: Sequence[Asked]) -> list[tuple[str, ...]]:
    """The card of each row of a batch."""
    options = options_of(with_batch(facts, batch))
    cards = []
    for row in batch:
        option = options[row.instrument_id]
        early = early_exercise(
            option.settling.position,
            row.quantity,
            option.settling.terms,
            now=facts.now,
            calendar=facts.calendar,
            deadline=facts.deadline,
            price=option.price.price,
            ex_dates=account.beside.ex_dates.get(option.settling.position.underlying_instrument_id or ""),
        )
        cards.append(card(row, option, early))
    return cards


def projection_of(against: AgainstNothing) -> tuple[str, ...]:
    """The evening in words: what it leaves with the batch and without it, and what is not known."""
    return (*compared_lines(against), f"Not known: {'; '.join(against.then.unknown)}.")


def _evening_of(facts: ExpirationFacts, instrument_id: InstrumentId) -> date:
    """The day of a cancel: the option's last one where that is today, also after its cut-off."""
    session = sent_for(facts.now, facts.calendar, facts.deadline)
    option = facts.book.by_id.get(instrument_id)
    last = last_session(option, facts.calendar) if option else None
    return min(session.day, last.day) if last else session.day


def _without(facts: ExpirationFacts, instruction_id: InstructionId) -> ExpirationFacts:
    outstanding = facts.outstanding and facts.outstanding.without(instruction_id)
    return replace(facts, outstanding=outstanding)
