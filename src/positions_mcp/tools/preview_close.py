"""`preview_close`: what closing would do, as a frozen plan. Sends nothing and asks nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from positions_mcp.domain.account.positions import Book, Position, Side
from positions_mcp.domain.enums import SecurityType
from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.money import plain
from positions_mcp.domain.operation.plan import CloseTarget, Plan
from positions_mcp.domain.portfolio.resolve import Spellings
from positions_mcp.domain.portfolio.select import Filter, select, without
from positions_mcp.domain.text import counted, label
from positions_mcp.guard.closing.request import CloseRequest
from positions_mcp.guard.closing.targets import Traded, traded_value
from positions_mcp.guard.closing.words import options_said
from positions_mcp.guard.planner import Planned
from positions_mcp.guard.policy.findings import Verdict
from positions_mcp.tools._arguments import (
    AccountArgument,
    CancelOrdersArgument,
    InstrumentsArgument,
    PurposeArgument,
    ToolArguments,
)
from positions_mcp.tools._call import Call
from positions_mcp.tools._definition import Answer, Data, Effect, ToolDefinition
from positions_mcp.tools._format import names_of, number, table
from positions_mcp.tools._planning import close_request, findings_of, has_limits, new_plan, policy_of, standing
from positions_mcp.tools.context import ToolContext

MOST = 100
"""Instruments of one plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What of an account's positions is to be closed."""

    instruments: tuple[str, ...] = ()
    underlying: str | None = None
    instrument_type: str | None = None
    side: str | None = None
    excepted: tuple[str, ...] = ()

    @property
    def is_asked_for(self) -> bool:
        """Whether anything but names was given."""
        return any((self.underlying is not None, self.instrument_type, self.side, self.excepted))

    @property
    def words(self) -> str:
        """As an answer repeats it: `side long, except AAPL`."""
        said = [
            ("instruments", " ".join(map(label, self.instruments[:5]))),
            ("underlying", label(self.underlying) if self.underlying else ""),
            ("instrument_type", self.instrument_type),
            ("side", self.side),
            ("except", " ".join(map(label, self.excepted))),
        ]
        return ", ".join(f"{name} {value}" for name, value in said if value)


def instruments_of(book: Book, wanted: Selection) -> tuple[str, ...]:
    """The instruments that a selection means, as the book has them: what can be closed at all.

    Raises UnknownInstrument for anything named, also under `except`, that is not held: a misspelt one would widen the
    close; InvalidInput where nothing is meant, or more than one plan takes.
    """
    if not book.is_complete:
        raise InvalidInput(
            f"What account {book.account_id} holds is not fully known: {'; '.join(book.doubts)}. No plan was made.",
            hint="Name the instruments.",
        )
    asked = Filter(
        instruments=wanted.instruments,
        underlying=wanted.underlying,
        instrument_type=SecurityType(wanted.instrument_type) if wanted.instrument_type else None,
        side=Side(wanted.side) if wanted.side else None,
    )
    found = select(book.positions, asked) if asked.is_narrowing else list(book.positions)
    found = without(found, wanted.excepted, book.positions, of_underlying=wanted.underlying)
    meant = [position for position in found if position.quantity and position.is_closable]
    if not meant:
        raise InvalidInput(f"Nothing that can be closed is meant by {wanted.words}: no plan was made.")
    if len(meant) > MOST:
        raise InvalidInput(
            f"{counted(len(meant))} are meant, and one plan takes {MOST}: no plan was made.",
            hint="Narrow it, or all=true alone closes everything in one request.",
        )
    return _usable_names(meant, book.positions)


def _usable_names(meant: Sequence[Position], held: Sequence[Position]) -> tuple[str, ...]:
    name_of = names_of(Spellings(held))
    names = [(name_of(position), position) for position in meant]
    return tuple(position.instrument_id if "[" in name else name for name, position in names)


MOST_ROWS = 50
_COLUMNS = ["side", "quantity", "symbol", "held", "available", "value"]


class Output(Data):
    """What `preview_close` answers as data."""

    mode: str
    account_id: int
    plan_id: str
    summary: str
    filter: str | None = None
    """What chose the instruments; the rows are what it froze."""
    columns: list[str]
    rows: list[list[str]]
    rows_left_out: int | None = None
    """Smaller orders of a large plan. A person who is asked sees every one."""
    net: str
    """What the account receives before fees, of the values that are known; negative where it pays."""
    sells: str
    buys: str
    without_value: int | None = None
    notional: str | None = None
    """What counts against the limits; absent where there is none."""
    options: str | None = None
    """What is bought and sold to close of options, and their net debit or credit."""
    cancel_orders: bool
    session: str
    policy: str
    findings: list[str] | None = None
    valid_until: str
    next: str


class Arguments(ToolArguments):
    """Instruments, all, or what filters mean."""

    account_id: AccountArgument = None
    instruments: InstrumentsArgument = None
    all: Annotated[bool | None, Field(description="Everything held, instead of instruments")] = None
    underlying: Annotated[str | None, Field(min_length=1, description="With its options")] = None
    instrument_type: Annotated[
        Literal["COMMON_STOCK", "PREFERRED_STOCK", "OPTION", "OTHER"] | None, Field(description="Only this type")
    ] = None
    side: Annotated[Literal["long", "short"] | None, Field(description="Only this side")] = None
    excepted: Annotated[
        list[str] | None,
        Field(alias="except", min_length=1, max_length=100, description="Not these; a stock: nor its options"),
    ] = None
    cancel_orders: CancelOrdersArgument = None
    purpose: PurposeArgument = None


async def preview_close(call: Call, given: Arguments) -> Answer:
    """Freeze a plan. Raises as `Guard.plan` does."""
    wanted = _selection(given)
    request = close_request(
        call.context.account(given.account_id),
        None if wanted.is_asked_for else given.instruments,
        given.cancel_orders,
        everything=bool(given.all) and not wanted.is_asked_for,
        purpose=given.purpose,
    )
    choose = partial(_chosen, request, wanted) if wanted.is_asked_for else None
    planned = await new_plan(call, request, choose=choose, chosen_by=wanted)
    data = _data(call.context, planned, planned.verdict or Verdict(), *await standing(call, planned))
    data.filter = wanted.words if wanted.is_asked_for else None
    return Answer(_text(planned.operation.plan, data), data)


def _chosen(request: CloseRequest, wanted: Selection, book: Book) -> CloseRequest:
    return replace(request, instruments=instruments_of(book, wanted))


def _selection(given: Arguments) -> Selection:
    """What is to be closed. Raises InvalidInput where that is not said, or said twice."""
    wanted = Selection(
        instruments=tuple(given.instruments or ()),
        underlying=given.underlying,
        instrument_type=given.instrument_type,
        side=given.side,
        excepted=tuple(given.excepted or ()),
    )
    narrows = any((given.underlying is not None, given.instrument_type, given.side))
    if (given.all and given.instruments is not None) or not (given.all or given.instruments or narrows):
        raise InvalidInput(
            "Exactly one of instruments and all=true is needed, or underlying, instrument_type or side.",
            hint="Name instruments, or all=true. No plan was made.",
        )
    return wanted


def _data(context: ToolContext, planned: Planned, verdict: Verdict, stands: str, next_call: str) -> Output:
    plan = planned.operation.plan
    traded = Traded.of(plan.closes)
    return Output(
        mode=plan.mode.shown,
        account_id=plan.account_id,
        plan_id=plan.plan_id,
        summary=_summary(plan, stands),
        columns=_COLUMNS,
        rows=[_row(target) for target in _shown(plan)],
        rows_left_out=(len(plan.closes) - len(_shown(plan))) or None,
        net=plain(traded.net),
        sells=plain(traded.sells),
        buys=plain(traded.buys),
        without_value=traded.missing or None,
        notional=plain(plan.measure) if has_limits(context.guard.policy.of(plan)) else None,
        options=next(iter(options_said(plan)), None),
        cancel_orders=plan.cancel_orders,
        session=plan.session,
        policy=policy_of(verdict),
        findings=findings_of(verdict) or None,
        valid_until=context.said(context.on_market_clock(plan.expires_at)),
        next=next_call,
    )


def _summary(plan: Plan, stands: str) -> str:
    count = counted(len(plan.closes))
    what = "EVERY position of the account" if plan.kind.is_account_wide else "whole"
    how = f"{what}, {count} as of now, in one request" if plan.kind.is_account_wide else f"{count} at market"
    return f"{plan.mode.shown} account {plan.account_id}: plan {plan.plan_id} would close {how}. {stands}"


def _shown(plan: Plan) -> list[CloseTarget]:
    """All orders of a plan in the order of sending, or of a large close of everything the largest."""
    if len(plan.closes) <= MOST_ROWS or not plan.kind.is_account_wide:
        return list(plan.closes)
    return sorted(plan.closes, key=lambda target: target.measure, reverse=True)[:MOST_ROWS]


def _row(target: CloseTarget) -> list[str]:
    return [
        target.side,
        plain(target.order_quantity),
        target.called,
        plain(target.quantity),
        number(target.available),
        number(traded_value(target)),
    ]


def _text(plan: Plan, data: Output) -> str:
    orders = "are CANCELLED first" if data.cancel_orders else "stay as they are"
    unknown = "" if all(target.priced for target in plan.closes) else "unknown, counted as "
    notional = f" Notional {unknown}{data.notional}." if data.notional else ""
    lines = [
        data.summary,
        *([f"Chosen by {data.filter}; frozen as these, whatever changes:"] if data.filter else []),
        table(data.columns, data.rows),
        *(
            [f"{data.rows_left_out} smaller orders are not shown here; the person's question has all."]
            if data.rows_left_out
            else []
        ),
        f"{Traded.of(plan.closes).words}.{notional} Market {data.session}.",
        *([data.options] if data.options else []),
        f"Open orders {orders} (cancel_orders {str(data.cancel_orders).lower()}).",
        f"Policy: {data.policy}.",
        *(f"- {finding}" for finding in data.findings or []),
        f"Valid for 5 minutes: until {data.valid_until}. Next: {data.next}",
    ]
    return "\n".join(lines)


TOOL = ToolDefinition(
    name="preview_close",
    title="Preview a close",
    description=(
        "Freezes a plan: the orders a close should produce, value, market session, warnings, policy and who decides. "
        "Sends nothing."
    ),
    arguments=Arguments,
    output=Output,
    handler=preview_close,
    effect=Effect.READS,
    is_drawn=True,
)
