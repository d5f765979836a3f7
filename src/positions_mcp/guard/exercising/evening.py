"""The evening that instructions are sent for, with them and without: cover that is missing, money given up (G-12)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from positions_mcp.domain.exercise.cards import card
from positions_mcp.domain.exercise.cutoffs import DeadlineRule, sent_for
from positions_mcp.domain.exercise.facts import ExpirationFacts, last_session
from positions_mcp.domain.exercise.inaction import AddedShort, ComparedWithInaction, against_nothing, compared
from positions_mcp.domain.exercise.projected import ProjectedOption
from positions_mcp.domain.exercise.projection import project
from positions_mcp.domain.exercise.settlement import AskedInstruction
from positions_mcp.domain.exercise.timing import early_exercise
from positions_mcp.domain.exercise.words import compared_lines, less_cover
from positions_mcp.domain.ids import InstructionId, InstrumentId
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.plan import CancelTarget, InstructionTarget, Mode
from positions_mcp.domain.operation.policy import Policy
from positions_mcp.domain.text import label
from positions_mcp.guard.account import Account
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.policy.cover import counted_on, lacking_cover
from positions_mcp.guard.policy.findings import Finding, Rule, Severity


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
        unlisted=[each for each in account.unlisted(operation_id) if each.instruction_key not in keys],
        contracts=beside.contracts,
        latest=beside.latest,
        not_read=beside.not_read,
        counted=counted_on(account, operation_id, instructed=False),
        cash=beside.balances.trade_cash if beside.balances else None,
        buying_power=beside.balances.buying_power if beside.balances else None,
        deadline=DeadlineRule(deps.policy.exercise_deadline),
    )


def with_batch(facts: ExpirationFacts, batch: Sequence[AskedInstruction]) -> ComparedWithInaction:
    """A batch that is sent now, compared with sending nothing."""
    return against_nothing(facts, sent_for(facts.now, facts.calendar, facts.deadline).day, batch)


def without(facts: ExpirationFacts, target: CancelTarget) -> ComparedWithInaction:
    """The cancel of an instruction, compared with leaving it as it stands."""
    day = _evening_of(facts, target.instrument_id)
    return compared(project(facts, day), project(_without(facts, target.instruction_id), day))


def options_of(compared_with: ComparedWithInaction) -> Mapping[InstrumentId, ProjectedOption]:
    """Every option of the evening, by its id."""
    return {
        each.settling.position.instrument_id: each for group in compared_with.then.underlyings for each in group.options
    }


def card_of(
    facts: ExpirationFacts, account: Account, row: AskedInstruction, option: ProjectedOption
) -> tuple[str, ...]:
    position = option.settling.position
    early = early_exercise(
        position,
        row.quantity,
        option.settling.terms,
        now=facts.now,
        calendar=facts.calendar,
        deadline=facts.deadline,
        price=option.price.price,
        dividends=account.beside.dividends.get(position.underlying_instrument_id or ""),
    )
    return card(row, option, early)


def projection_of(against: ComparedWithInaction) -> tuple[str, ...]:
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


_DEPENDING = "Depending on the close, or on what holders of short options near it decide"


def findings_on_cover_tonight(policy: Policy, compared: ComparedWithInaction) -> Iterator[Finding]:
    """Nothing sent, or withdrawn, may leave less cover than leaving everything as it stands."""
    for was, now in compared.worse:
        message = f"It would leave {less_cover(was, now)} than if nothing is sent."
        yield lacking_cover(policy, message, severity=Severity.REFUSE)
    for was, now in compared.perhaps_worse:
        yield lacking_cover(policy, f"{_DEPENDING}, it would leave {less_cover(was, now)} than if nothing is sent.")
    for short in compared.more_short_shares:
        if short.by_assignment:
            yield _short_by_assignment(policy, short)


def _short_by_assignment(policy: Policy, short: AddedShort) -> Finding:
    """What covers a short call that is assigned tonight would be gone by then."""
    doubt = "It" if short.is_certain else f"{_DEPENDING}, it"
    shares = f"{plain(short.shares)} more {label(short.name)} shares short"
    severity = Severity.REFUSE if short.is_certain else Severity.DESK
    message = f"{doubt} would leave {shares} than if nothing is sent, because short calls are assigned tonight."
    return lacking_cover(policy, message, severity=severity)


def findings_on_money(policy: Policy, mode: Mode, compared: ComparedWithInaction) -> Iterator[Finding]:
    """Giving up more than a stated amount is decided at the desk; live, so is what nothing bounds."""
    limit, least, most = policy.give_up_above, compared.gives_up_least, compared.gives_up_most
    if limit is None or (most is not None and most <= limit):
        return
    needs_desk = mode is Mode.LIVE or (least if most is None else most) > limit
    severity = Severity.DESK if needs_desk else Severity.NOTE
    above = f"; above ${limit:,f} the supervisor decides" if needs_desk else ""
    message = f"{_dollars(least, most)} given up against sending nothing{above}."
    yield Finding.on(Rule.GIVEN_UP, severity, message)


def _dollars(least: Decimal, most: Decimal | None) -> str:
    if most is None:
        return f"${least:,.2f} or more is" if least else "An amount that is not known may be"
    return f"${most:,.2f} {'is' if least == most else 'may be'}"
