"""The rules of policy: pure functions over the policy, a plan and the account.

A rule that cannot know fails closed: it refuses, or asks for the desk, and says what it could not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.exercise.terms import INDEX_ROOTS
from positions_mcp.domain.instruments import OptionRight, as_root, parse_option_symbol, underlying_root_of
from positions_mcp.domain.money import exact_sum, plain
from positions_mcp.domain.operation.plan import Kind, Mode, Plan, Target
from positions_mcp.domain.operation.policy import Channel, Policy
from positions_mcp.domain.operation.supervision import covering
from positions_mcp.domain.text import first_of, label, quoted
from positions_mcp.guard.account import Account, AccountRecord
from positions_mcp.guard.policy import conflicts
from positions_mcp.guard.policy.findings import Finding, Rule, Severity, Verdict, findings_on_persons

_NAMED = 8
"""Symbols that a finding names at most."""


def judge(
    policy: Policy, plan: Plan, account: Account, of_its_kind: Iterable[Finding], *, notional: Decimal | None = None
) -> Verdict:
    """Every rule's word on a plan, with what the rules `of_its_kind` found.

    `notional` is what it comes to now, where that is more than when it was planned.
    """
    counted = plan.measure if notional is None else notional
    return Verdict.of(
        [
            *_trading(policy, plan, account.record),
            *_instruments(policy, plan, account.book),
            *_size(policy, plan, account.record, counted),
            *conflicts.findings_on_conflicts(plan, account),
            *of_its_kind,
            *_knowledge(plan, account),
            *_rung(policy, plan, account.record, counted),
        ]
    )


def judge_unread(policy: Policy, plan: Plan, record: AccountRecord) -> Verdict:
    """The rules that need no account, for a decision: the others are asked right before sending."""
    return Verdict.of(
        [
            *_trading(policy, plan, record),
            *_size(policy, plan, record, plan.measure),
            *conflicts.in_doubt(plan, record),
            *_rung(policy, plan, record, plan.measure),
        ]
    )


def judge_record(policy: Policy, plan: Plan, record: AccountRecord, next_notional: Decimal) -> Verdict:
    """The rules that look at the guard's own record alone: asked again within the transaction before each request."""
    findings = [
        *_halted(plan, record),
        *_day(policy, record.used_today, next_notional),
        *conflicts.in_doubt(plan, record),
    ]
    return Verdict.of(findings)


def desk_threshold(policy: Policy, used_today: Decimal, notional: Decimal) -> Iterator[Finding]:
    """Cumulative over the day, so that splitting a plan gains nothing."""
    together = exact_sum([used_today, notional])
    if policy.desk_above is not None and together > policy.desk_above:
        message = (
            f"Notional {_dollars(together)}, with {_dollars(used_today)} used today, exceeds "
            f"{_dollars(policy.desk_above)}: the supervisor decides, on the supervisor's page or in a terminal."
        )
        yield _desk(Rule.DESK_THRESHOLD, message)


def _trading(policy: Policy, plan: Plan, record: AccountRecord) -> Iterator[Finding]:
    if not policy.trading_enabled:
        yield _refuse(Rule.TRADING_ENABLED, "Trading is not enabled: this server only reads.")
    elif policy.limits_to_choose:
        missing = ", ".join(policy.limits_to_choose)
        message = f"No limits are chosen yet for real money: a person sets {missing} (a number, or none) and restarts."
        yield _refuse(Rule.LIMITS_CHOSEN, message)
    yield from _halted(plan, record)
    if policy.unknown_rights:
        unknown = ", ".join(policy.unknown_rights)
        message = f"It was asked for with the rights {unknown}, which are none here: their limits are not known."
        yield _refuse(Rule.RIGHTS, message)
    if plan.account_id not in policy.accounts:
        allowed = ", ".join(str(account) for account in sorted(policy.accounts)) or "none"
        message = f"Account {plan.account_id} may not be used; allowed: {allowed}."
        yield _refuse(Rule.ACCOUNT, message)


def _halted(plan: Plan, record: AccountRecord) -> Iterator[Finding]:
    for halt in covering(record.halts, plan):
        why, scope = quoted(halt.reason), halt.scope[0].upper() + halt.scope[1:]
        verb = "are" if scope.startswith("Exercise") else "is"
        yield _refuse(Rule.HALT, f"{scope} {verb} halted: {why}. Only a person resumes.")


def _instruments(policy: Policy, plan: Plan, book: Book) -> Iterator[Finding]:
    deny, allow = _folded(policy.deny_instruments), _folded(policy.allow_instruments)
    for target in plan.targets:
        names, guessed = _names(target, book), _guessed_name(target, book)
        denied = (names | {guessed or ""}) & deny
        if denied:
            message = f"{target.called} may not be traded: {min(denied)} is on the deny list."
            yield _refuse(Rule.INSTRUMENT, message, name=target.called)
        elif allow and not names & allow:
            why = "it is not on the allow list" if guessed is None else "what it is on cannot be read from its symbol"
            message = f"{target.called} may not be traded: {why}."
            yield _refuse(Rule.INSTRUMENT, message, name=target.called)
        elif deny and guessed is not None and not allow:
            message = f"What {target.called} is on cannot be read from its symbol, nor whether it is on the deny list."
            yield _desk(Rule.INSTRUMENT, message, name=target.called)


def _size(policy: Policy, plan: Plan, record: AccountRecord, notional: Decimal) -> Iterator[Finding]:
    count = len(plan.targets)
    if policy.max_notional is not None and notional > policy.max_notional:
        message = f"Notional {_dollars(notional)} exceeds the limit of {_dollars(policy.max_notional)} per operation."
        yield _refuse(Rule.NOTIONAL_PER_OPERATION, message)
    yield from _day(policy, record.used_today, notional)
    if policy.max_positions is not None and count > policy.max_positions:
        message = f"{count} positions exceed the limit of {policy.max_positions} per operation."
        yield _refuse(Rule.POSITIONS_PER_OPERATION, message)
    if plan.kind is Kind.CLOSE_ALL_POSITIONS and not policy.allow_close_all:
        yield _refuse(Rule.CLOSE_ALL, "Closing a whole account is not allowed.")


def _day(policy: Policy, used_today: Decimal, notional: Decimal) -> Iterator[Finding]:
    together = exact_sum([used_today, notional])
    if policy.max_daily_notional is not None and together > policy.max_daily_notional:
        message = (
            f"Notional {_dollars(together)}, with {_dollars(used_today)} used today, exceeds the limit of "
            f"{_dollars(policy.max_daily_notional)} per day."
        )
        yield _refuse(Rule.NOTIONAL_PER_DAY, message)


def _knowledge(plan: Plan, account: Account) -> Iterator[Finding]:
    if not account.book.is_complete:
        severity = Severity.REFUSE if plan.kind.is_account_wide else Severity.DESK
        message = f"What the account holds is not fully known: {'; '.join(account.book.doubts)}."
        yield Finding.on(Rule.INCOMPLETE_BOOK, severity, message)
    for target in plan.targets:
        held = account.book.by_id.get(target.instrument_id)
        if held is not None and held.side_contradicts:
            yield _contradiction(target, held)
    yield from _missing_prices(plan, account.book)
    if account.outstanding is None:
        message = "Exercise instructions could not be read, so contracts they claim are not counted."
        yield _not_read(account.book, message)
    if account.instruction_doubts:
        yield _instructions_left_out(plan, account)
    if account.open_orders is None:
        message = "Open orders could not be read, so what they may still do is not counted."
        yield _not_read(account.book, message)


def _missing_prices(plan: Plan, book: Book) -> Iterator[Finding]:
    unpriced = [target for target in plan.targets if not target.priced]
    calls = [target for target in unpriced if _is_short_call(target, book)]
    if calls:
        counted = exact_sum(target.measure for target in calls)
        bound = "a short call has no bound without its underlying's price"
        yield _missing_price(
            f"The notional of {_named(calls)} is unknown: {bound}. It is counted as {counted:,.2f}, by its strike, and "
            "may be more.",
        )
    others = [target for target in unpriced if target not in calls]
    if unsized := [target for target in others if target.is_adjusted or _is_unsized(target, book)]:
        message = f"What is delivered by {_named(unsized)} is not known, so the value may be more."
        yield _missing_price(message)
    if others := [target for target in others if target not in unsized]:
        yield _missing_price(f"A price is missing for {_named(others)}, so the value may be more.")


def _is_unsized(target: Target, book: Book) -> bool:
    held = book.by_id.get(target.instrument_id)
    return held is not None and held.is_option and book.multiplier_of(held) is None


def _is_short_call(target: Target, book: Book) -> bool:
    held = book.by_id.get(target.instrument_id)
    is_call = held is not None and held.contract is not None and held.contract.right is OptionRight.CALL
    return is_call and held is not None and book.multiplier_of(held) is not None and held.counted_quantity < 0


def _missing_price(message: str) -> Finding:
    return _desk(Rule.MISSING_PRICE, message)


def _named(targets: Sequence[Target]) -> str:
    return first_of([each.called for each in targets], _NAMED)


def _rung(policy: Policy, plan: Plan, record: AccountRecord, notional: Decimal) -> Iterator[Finding]:
    yield from desk_threshold(policy, record.used_today, notional)
    yield from findings_on_persons(policy, plan, record.rosters.roster, record.used_today)
    if policy.channel is not Channel.ELICITATION:
        message = "Only a supervisor decides, on the supervisor's page or in a terminal."
        yield _desk(Rule.DESK_ONLY, message)
    elif plan.mode is Mode.LIVE and plan.kind.is_account_wide:
        message = "Closing a whole live account is decided on the supervisor's page or in a terminal."
        yield _desk(Rule.DESK_ONLY, message)


def _desk(rule: Rule, message: str, *, name: str = "") -> Finding:
    return Finding.on(rule, Severity.DESK, message, name=name)


def _refuse(rule: Rule, message: str, *, name: str = "") -> Finding:
    return Finding.on(rule, Severity.REFUSE, message, name=name)


def _contradiction(target: Target, held: Position) -> Finding:
    says = f"quantity {plain(held.quantity)}, type {label(held.position_type or '')}"
    message = (
        f"The API contradicts itself on {target.called}: {says}. Whether it is long or short is not known, so closing "
        "it may BUY or SELL; it is counted as short, and covers nothing."
    )
    return _desk(Rule.SIDE, message)


def _instructions_left_out(plan: Plan, account: Account) -> Finding:
    """A row that was left out may claim any contract; where no option is held there is none to claim."""
    severity = Severity.DESK if not plan.kind.is_close or account.book.options else Severity.NOTE
    said = "; ".join(account.instruction_doubts)
    message = f"Exercise instructions are not fully known: {said}. What those claim is not counted."
    return Finding.on(Rule.NOT_READ, severity, message)


def _not_read(book: Book, message: str) -> Finding:
    """Called out; where a short option may be losing its cover unseen, the supervisor decides."""
    severity = Severity.DESK if book.short_options else Severity.NOTE
    return Finding.on(Rule.NOT_READ, severity, message)


def _names(target: Target, book: Book) -> set[str]:
    """Everything by which a list may name an instrument: its symbol, its id, and for an option its underlying.

    An option goes by its root as it stands, by its underlying's (without the digits of FLEX and adjusted roots), and by
    the index of a weekly root; and by the id and symbol of what the API says that it is on.
    """
    position = book.by_id.get(target.instrument_id)
    symbols = {target.symbol, position.symbol if position else target.symbol}
    names = {target.instrument_id.upper()}
    if position is not None and position.underlying_instrument_id is not None:
        names.add(position.underlying_instrument_id.upper())
        underlying = book.by_id.get(position.underlying_instrument_id)
        symbols |= {underlying.symbol} if underlying is not None else set()
    if position is not None and position.is_option and position.contract is None:
        # A symbol that cannot be read names itself at the most, and nothing that it may be on.
        symbols -= {each for each in symbols if each in (target.symbol, position.symbol) and underlying_root_of(each)}
    for symbol in symbols:
        contract = parse_option_symbol(symbol)
        names |= {contract.compact, contract.root} if contract else {symbol.strip().upper(), as_root(symbol)}
        if contract:
            names |= _with_its_index(contract.underlying_root)
    return names - {""}


def _guessed_name(target: Target, book: Book) -> str | None:
    """What an option seems to be on, where its symbol cannot be read and its underlying is not held; may be empty."""
    position = book.by_id.get(target.instrument_id)
    if position is None or not position.is_option or position.contract is not None:
        return None
    named = position.underlying_instrument_id
    return None if named is not None and named in book.by_id else underlying_root_of(position.symbol)


def _with_its_index(root: str) -> set[str]:
    listed = INDEX_ROOTS.get(root)
    return {root, listed.index if listed else root}


def _folded(names: frozenset[str]) -> set[str]:
    folded: set[str] = set()
    for name in names:
        contract = parse_option_symbol(name)
        folded |= {contract.compact} if contract else {name.strip().upper(), as_root(name)}
    return folded - {""}


def _dollars(amount: Decimal) -> str:
    return f"${amount:,f}"
