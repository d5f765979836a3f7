"""`project_expiration`: what an expiration evening will leave an account with, also at closing prices to assume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from positions_mcp.domain.account.sessions import new_york_day
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.exercise.cutoffs import DeadlineRule
from positions_mcp.domain.exercise.facts import ExpirationFacts, next_expiration
from positions_mcp.domain.exercise.projected import ProjectedOption, ProjectedUnderlying, Projection
from positions_mcp.domain.exercise.projection import project
from positions_mcp.domain.exercise.settlement import Span
from positions_mcp.domain.exercise.words import (
    most_moving,
    not_shown,
    projection_lines,
    settles_said,
    source_of,
    usual_source,
    watched_lines,
)
from positions_mcp.domain.ids import is_uuid
from positions_mcp.domain.instruments import as_asked, as_root, is_divided, with_its_id
from positions_mcp.domain.money import plain
from positions_mcp.domain.portfolio.select import expiring
from positions_mcp.domain.text import label
from positions_mcp.guard.expiration import ExpirationReader, priced
from positions_mcp.tools._arguments import DAY, PRICE, AccountArgument, ToolArguments
from positions_mcp.tools._call import Call
from positions_mcp.tools._definition import Answer, Effect, ToolDefinition
from positions_mcp.tools._evening import moments_said
from positions_mcp.tools._format import Heading, heading
from positions_mcp.tools._tonight import early_assignment
from positions_mcp.tools.context import ToolContext

_MOST_OPTIONS = 50
"""Of more that expire together, those on the underlyings that move most are shown."""
_OPTIONS = ["symbol", "quantity", "on_instruction", "by_exception", "assigned", "lapse"]
_UNDERLYINGS = ["underlying", "price", "basis", "closes", "shares_before", "shares_after", "cash"]


class Output(Heading):
    """What `project_expiration` answers as data. An empty cell is not known; `a to b` is open between the two."""

    day: str | None = None
    """Absent where no option is held."""
    until: str | None = None
    prices_from: str | None = None
    """Where and when prices are from whose basis says nothing else."""
    warnings: list[str] | None = None
    option_columns: list[str]
    options: list[list[str]]
    underlying_columns: list[str]
    underlyings: list[list[str]]
    """One row for each outcome: `closes` says at which closing prices it is."""
    watch: list[str] | None = None
    """Strikes too near to call, cover and short shares afterwards, instructions that may end otherwise."""
    left_out: str | None = None
    """Underlyings that are not shown, though in the sums."""
    cash: str | None = None
    settles: str | None = None
    buying_power: str | None = None
    not_known: list[str]


class Price(ToolArguments):
    """A closing price to assume."""

    symbol: str
    price: str = Field(pattern=PRICE)


class Arguments(ToolArguments):
    """Which evening, and at which closing prices."""

    account_id: AccountArgument = None
    day: Annotated[str | None, Field(pattern=DAY, description="Default: next")] = None
    underlying: Annotated[str | None, Field(description="Only this symbol")] = None
    prices: Annotated[list[Price] | None, Field(max_length=50, description="Closing prices to assume")] = None


async def project_expiration(call: Call, given: Arguments) -> Answer:
    """Project an expiration evening. Raises the errors of the reader, and InvalidInput."""
    context = call.context
    account = context.account(given.account_id)
    asked = _day(given.day, new_york_day(context.clock.now()))
    reader = _reader(context)
    facts = await reader.read(account)
    day = asked or next_expiration(facts.book, facts.now, facts.calendar)
    head = heading(context, account, facts.book.as_of).model_dump()
    warnings = facts.book.doubts
    if day is None:
        data = Output(
            **head,
            warnings=warnings or None,
            option_columns=_OPTIONS,
            options=[],
            underlying_columns=_UNDERLYINGS,
            underlyings=[],
            not_known=[],
        )
        return Answer("\n".join([data.text, *_warned(warnings), "No option is held: nothing expires."]), data)
    facts = priced(await reader.with_neighbours(facts, day), _prices(given.prices or ()))
    underlying = None if given.underlying is None else _symbol(given.underlying)
    projection = project(facts, day, underlying=underlying)
    _check_underlying(underlying, projection, facts, day)
    warnings += _unused(facts, projection)
    shown = most_moving(projection, _MOST_OPTIONS)
    data = Output(**head, warnings=warnings or None, **_data(projection, shown))
    early = await _early(context, facts, underlying)
    data.watch = [*(data.watch or []), *early] or None
    lines = projection_lines(projection, shown, *filter(None, (data.left_out, *early)))
    return Answer("\n".join([data.text, *_warned(warnings), *lines]), data)


async def _early(context: ToolContext, facts: ExpirationFacts, underlying: str | None) -> list[str]:
    """Short calls that expire later and may be assigned before, as far as that is known."""
    shorts = [each for each in facts.book.short_options if underlying is None or facts.is_on(each, underlying)]
    options = expiring(shorts, (each for each in facts.book.positions if not each.is_option))
    quoted = ((each, facts.latest.get(each.position.underlying_instrument_id or "")) for each in options)
    priced = [each if each.price or not latest else replace(each, price=latest.price) for each, latest in quoted]
    said = await early_assignment(context, priced, facts.contracts)
    return [f"May be assigned early: {said}"] if said else []


def _symbol(text: str) -> str:
    """A symbol in any form in which answers show it."""
    shown = with_its_id(text)
    return as_asked(text if shown is None else shown[0])


def _reader(context: ToolContext) -> ExpirationReader:
    return ExpirationReader(
        positions=context.positions,
        instructions=context.instructions,
        neighbours=context.neighbours,
        clock=context.clock,
        calendar=context.calendar,
        deadline=DeadlineRule(context.guard.policy.exercise_deadline),
    )


def _day(text: str | None, today: date) -> date | None:
    try:
        return today if text == "today" else date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidInput(f"day: {label(text or '')} is no day.", hint="Give YYYY-MM-DD.") from None


def _prices(given: list[Price] | tuple[()]) -> dict[str, Decimal]:
    asked = {_symbol(each.symbol): Decimal(each.price) for each in given}
    return {as_root(name) if is_divided(name) and not is_uuid(name) else name: price for name, price in asked.items()}


def _check_underlying(wanted: str | None, projection: Projection, facts: ExpirationFacts, day: date) -> None:
    if wanted is None or projection.underlyings:
        return
    others = ", ".join(label(each.name) for each in project(facts, day).underlyings)
    hint = f"Then does: {others}." if others else "Nothing held does."
    raise InvalidInput(f"Nothing on {label(wanted)} expires on {projection.day.isoformat()}.", hint=hint)


def _unused(facts: ExpirationFacts, projection: Projection) -> list[str]:
    names = {as_root(each.name) for each in projection.underlyings}
    unused = [label(symbol) for symbol in facts.given if as_root(symbol) not in names]
    return [f"no option on {', '.join(unused)} expires then: that price is not used"] if unused else []


def _warned(warnings: list[str]) -> list[str]:
    return [f"WARNING: {warning}." for warning in warnings]


def _data(projection: Projection, shown: Sequence[ProjectedUnderlying]) -> dict[str, object]:
    power, usual = projection.buying_power, usual_source(projection)
    return {
        "day": projection.day.isoformat(),
        "until": moments_said(projection.cutoffs, projection.now),
        "prices_from": usual,
        "option_columns": _OPTIONS,
        "options": [_option(option) for each in shown for option in each.options],
        "underlying_columns": _UNDERLYINGS,
        "underlyings": [row for each in shown for row in _underlying(each, usual)],
        "watch": [line for each in shown for line in (*watched_lines(each), *_not_in_sums(each))] or None,
        "left_out": not_shown(projection, shown) or None,
        "cash": _span(projection.cash) if any(each.is_stated for each in projection.underlyings) else None,
        "settles": settles_said(projection) or None,
        "buying_power": None if power is None else plain(power),
        "not_known": list(projection.unknown),
    }


def _not_in_sums(underlying: ProjectedUnderlying) -> list[str]:
    names = ", ".join(option.settling.called for option in underlying.not_stated)
    return [f"not in the sums, as it is not known: {names}"] if names else []


def _option(option: ProjectedOption) -> list[str]:
    settling = option.settling
    counts = (settling.on_instruction, option.by_exception, option.assigned, option.lapses)
    cells = ["" if count is None else plain(count) for count in counts]
    return [settling.called, plain(settling.position.quantity), *cells]


def _underlying(underlying: ProjectedUnderlying, usual: str | None) -> list[list[str]]:
    before, price = underlying.shares_before, underlying.price
    source = source_of(price)
    basis = price.basis.value if source in (None, usual) else f"{price.basis}: {source}"
    return [
        [
            label(underlying.name),
            "" if price.price is None else plain(price.price),
            basis,
            outcome.said,
            plain(before),
            _span(outcome.flow.shares.plus(Span.exactly(before))) if underlying.is_stated else "",
            _span(outcome.flow.cash) if underlying.is_stated else "",
        ]
        for outcome in underlying.outcomes
    ]


def _span(span: Span) -> str:
    return plain(span.expected) if span.is_certain else f"{plain(span.least)} to {plain(span.most)}"


TOOL = ToolDefinition(
    name="project_expiration",
    title="Project an expiration",
    description=(
        "What expiration leaves tonight: exercises, assignments, cash, shares, cover, near strikes. Call it before "
        "exercise instructions."
    ),
    arguments=Arguments,
    output=Output,
    handler=project_expiration,
    effect=Effect.READS,
    is_drawn=True,
)
