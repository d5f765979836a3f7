"""`get_trading_status`: where the server is, what may be sent from it, and who decides."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from positions_mcp.domain.errors import StoreUnavailable
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.mandate import Standing, left_of, said_of
from positions_mcp.domain.operation.plan import Mode
from positions_mcp.domain.operation.policy import Channel, Policy
from positions_mcp.domain.operation.supervision import Halt
from positions_mcp.domain.text import quoted
from positions_mcp.guard.reports import GuardStatus
from positions_mcp.tools._arguments import ToolArguments
from positions_mcp.tools._call import Call
from positions_mcp.tools._caller import Caller
from positions_mcp.tools._definition import Answer, Data, Effect, ToolDefinition
from positions_mcp.tools._evening import cutoff_words
from positions_mcp.tools._format import market_words
from positions_mcp.tools._tonight import tonight_in_all
from positions_mcp.tools.context import ToolContext


class Output(Data):
    """What `get_trading_status` answers as data."""

    mode: str
    accounts: list[int]
    now: str
    market: str
    next_session: str
    exercise_cutoff: str
    """The next instant from which no exercise instruction is taken for its day."""
    tonight: dict[str, list[str]] | None = None
    """By account, where anything held expires today: assignments of short options and cash, if nothing more is sent."""
    trading: str
    approval: str
    limits: dict[str, str]
    used_today: dict[str, str] | None = None
    """Dollars by account."""
    mandates: list[str] | None = None
    halt: str | None = None
    in_doubt: list[str] | None = None
    following: list[str] | None = None
    """Operations submitted and not yet known to be closed."""
    store: str
    api: str
    help: str


class Arguments(ToolArguments):
    """None."""


async def get_trading_status(call: Call, _: Arguments) -> Answer:
    """Say where the server is, what may be sent, who decides, and what tonight does on a day with a session."""
    status, problem = None, ""
    try:
        status = await call.context.guard.status(viewer=call.caller.viewer)
    except StoreUnavailable as error:
        problem = error.message
    data = _reading(call, status, problem).model_copy(update={"tonight": await tonight_in_all(call.context) or None})
    return Answer(_text(data), data)


def _reading(call: Call, status: GuardStatus | None, problem: str) -> Output:
    context = call.context
    now = context.clock.now()
    market = context.calendar.state_at(now)
    early = " early close" if market.next.early_close else ""
    use = status.use if status else ()
    store = problem or (status.store.reason if status else "")
    halts = status.halts if status else ()
    return Output(
        mode=context.mode.shown,
        accounts=list(context.accounts),
        now=context.said(now),
        market=market_words(market),
        next_session=f"{market.next.opens:%a %Y-%m-%d %H:%M}-{market.next.closes:%H:%M} New York{early}",
        exercise_cutoff=cutoff_words(context),
        trading=_trading(context, store, halts),
        approval=_approval(call, status, form=call.can_show_form),
        limits=_limits(context, call.caller),
        used_today={str(each.account_id): plain(each.used_today) for each in use} or None,
        mandates=_mandates_said(context, status.mandates, call.caller.identity) or None if status else None,
        halt=" | ".join(_halt_words(context, halt) for halt in halts) or None,
        in_doubt=[one for each in use for one in each.in_doubt] or None,
        following=[one for each in use for one in each.following] or None,
        store=f"cannot be used: {store}" if store else "writable",
        api=", ".join(filter(None, (context.venue, f"dialect {context.contract}", call.clock_note))),
        help=(
            f"A person stops everything in a terminal with `{context.guard.command('halt WHY')}`; `flatten "
            "ACCOUNT` in place of `halt WHY` closes an account without any assistant."
        ),
    )


def _halt_words(context: ToolContext, halt: Halt) -> str:
    scope = "" if halt.is_of_everything else f"{quoted(halt.scope)}: "
    return f"{scope}{quoted(halt.reason)} since {context.said(context.on_market_clock(halt.at))} by {halt.by}"


def _trading(context: ToolContext, store: str, halts: Sequence[Halt]) -> str:
    if not context.trading_enabled:
        return "read-only; a person can set trading.enabled in the configuration"
    if missing := context.guard.policy.limits_to_choose:
        return f"read-only; a person chooses {', '.join(missing)} (a number, or none) in the configuration"
    if store:
        return "read-only; the operation store cannot be used"
    if halts:
        part = "" if any(halt.is_of_everything for halt in halts) else " in part"
        return f"halted{part}; a person ends it with `{context.guard.command('resume')}`"
    return "enabled; everything destructive waits for a person's decision"


def _approval(call: Call, status: GuardStatus | None, *, form: bool) -> str:
    guard = call.context.guard
    policy, desk = _in_force(call.context, call.caller), "the supervisor's page (approver not known)"
    if status is not None and status.approver_set:
        desk = f"the supervisor's page, or `{guard.command('approve OPERATION')}` in your own terminal (approver set)"
    elif status is not None:
        desk = f"the supervisor's page (approver NOT set up: a person runs `{guard.command('approver init')}`)"
    if policy.channel is not Channel.ELICITATION:
        return desk
    if not form:
        return f"this client cannot show a form; {desk}"
    above = f" up to {plain(policy.desk_above)} a day" if policy.desk_above is not None else ""
    return f"a form in this client{above}; else {desk}"


def _in_force(context: ToolContext, caller: Caller, account: AccountId | None = None) -> Policy:
    """The limits of a caller in an account, or in the only one that there is."""
    only = context.accounts[0] if len(context.accounts) == 1 else None
    return context.guard.policy.within(account or only, caller.identity, caller.rights)


def _limits(context: ToolContext, caller: Caller) -> dict[str, str]:
    """What the caller is judged by; of several accounts, what is narrower in one of them."""
    common = _said_of(_in_force(context, caller))
    for account in context.accounts:
        own = _said_of(_in_force(context, caller, account))
        if narrower := {name: limit for name, limit in own.items() if limit != common[name]}:
            common[f"in {account}"] = ", ".join(f"{name} {limit}" for name, limit in narrower.items())
    return common


def _said_of(policy: Policy) -> dict[str, str]:
    minute, day = _count(policy.max_operations_per_minute), _count(policy.max_operations_per_day)
    return {
        "per_operation": _or_none(policy.max_notional),
        "per_day": _or_none(policy.max_daily_notional),
        "desk_above": _or_none(policy.desk_above),
        "positions": _count(policy.max_positions),
        "operations": f"{minute} a minute, {day} a day",
        "close_all": "allowed" if policy.allow_close_all else "not allowed",
        "uncovered": "allowed" if policy.allow_uncovered else "not allowed",
        "tolerance": plain(policy.tolerance),
        "policy": policy.fingerprint,
    }


def _count(limit: int | None) -> str:
    return "none" if limit is None else str(limit)


def _or_none(limit: Decimal | None) -> str:
    return "none" if limit is None else plain(limit)


def _mandates_said(context: ToolContext, standings: Sequence[Standing], caller: str) -> list[str]:
    """Each mandate that a caller may use now: what it allows, what is left, and until when."""
    return [
        f"{each.mandate.mandate_id}: {said_of(each.mandate.terms)}; {left_of(each)}; "
        f"until {context.said(context.on_market_clock(each.mandate.window.ends))}"
        for each in standings
        if each.mandate.window is not None and each.mandate.terms.is_for(caller)
    ]


def _text(data: Output) -> str:
    what = "no real money moves" if data.mode == Mode.PAPER.shown else "REAL MONEY"
    lines = [
        f"{data.mode} ({what}), {data.api}.",
        f"Accounts: {', '.join(map(str, data.accounts))}.",
        f"Trading: {data.trading}.",
        f"Decisions: {data.approval}.",
        f"Limits in dollars: {', '.join(f'{name} {limit}' for name, limit in data.limits.items())}.",
    ]
    if data.used_today:
        lines.append(f"Used today: {', '.join(f'{account} {used}' for account, used in data.used_today.items())}.")
    lines += [f"Sent without a question under mandate {each}." for each in data.mandates or []]
    if data.halt:
        lines.append(f"HALTED: {data.halt}.")
    if data.in_doubt:
        lines.append(f"IN DOUBT: {', '.join(data.in_doubt)}; get_operation reconciles.")
    if data.following:
        lines.append(f"Submitted, not yet known closed: {', '.join(data.following)}.")
    if data.store != "writable":
        lines.append(f"Operation store {data.store}")
    lines += [
        f"Now {data.now}; market {data.market}. Next session {data.next_session}.",
        f"Cut-off for exercise instructions: {data.exercise_cutoff}.",
        *(f"Tonight, account {account}: {'; '.join(said)}." for account, said in (data.tonight or {}).items()),
        data.help,
    ]
    return "\n".join(lines)


TOOL = ToolDefinition(
    name="get_trading_status",
    title="Get trading status",
    description=(
        "PAPER or LIVE, accounts, clock, sessions, exercise cut-off, what may be sent, who decides, limits and their "
        "use, halt, what is in doubt."
    ),
    arguments=Arguments,
    output=Output,
    handler=get_trading_status,
    effect=Effect.READS,
)
