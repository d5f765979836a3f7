"""What a mandate covers: every reason why an operation would not be sent under it, each in one sentence.

No reason at all means that it is covered. What is not known is a reason: a mandate never guesses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from positions_mcp.domain.account.sessions import moment
from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.instruments import as_root, parse_option_symbol
from positions_mcp.domain.money import exact_sum
from positions_mcp.domain.operation.mandate import Mandate, Standing
from positions_mcp.domain.operation.plan import CloseTarget, HeldTarget, Plan, Target
from positions_mcp.domain.operation.terms import MandateKind, MandateTerms, PriceBound, roots_of
from positions_mcp.domain.text import quoted


@dataclass(frozen=True, slots=True)
class SeenTarget:
    """What the account, just read, shows of a target."""

    is_certain: bool
    """Whether what the instrument is, and what an option is on, is known, and nothing else held goes by its name."""
    price: Decimal | None = None
    underlying_price: Decimal | None = None
    pnl: Decimal | None = None
    """Unrealised, in dollars."""


Seen = Mapping[InstrumentId, SeenTarget]


def why_not_covered(
    standing: Standing,
    plan: Plan,
    now: datetime,
    *,
    seen: Seen,
    objections: Sequence[str],
    notional: Decimal | None = None,
) -> tuple[str, ...]:
    """Why a plan may not be sent under a mandate without a question. Empty: it may.

    `standing` has the uses by other operations, `objections` what no mandate overrules, and `notional` what the plan
    comes to now, where that is more than when it was planned.
    """
    mandate = standing.mandate
    return (
        *why_not_by_time(mandate, now),
        *why_not_by_terms(mandate.terms, plan),
        *why_not_by_size(standing, max(plan.measure, notional or plan.measure)),
        *why_not_by_account(mandate.terms, plan, seen),
        *objections,
    )


def why_not_by_time(mandate: Mandate, now: datetime) -> Iterator[str]:
    """Whether it holds at all."""
    window = mandate.window
    if mandate.revoked is not None:
        yield f"It was revoked by {mandate.revoked.by} at {moment(mandate.revoked.at)}."
    if window is None:
        yield "Nobody has signed it."
    elif now < window.begins:
        yield f"It begins at {moment(window.begins)}."
    elif now >= window.ends:
        yield f"It ended at {moment(window.ends)}."


def why_not_by_terms(terms: MandateTerms, plan: Plan) -> Iterator[str]:
    """What the plan alone says against it."""
    kind = MandateKind.of(plan.kind)
    if (plan.mode, plan.account_id) != (terms.mode, terms.account_id):
        yield f"It is for {terms.mode.shown} account {terms.account_id} alone."
    if kind is None:
        yield "Closing a whole account is never under a mandate."
    elif kind not in terms.kinds:
        yield f"It does not allow to {kind.shown}."
    if plan.flatten:
        yield "What a person flattens is never under a mandate."
    if not terms.is_for(plan.caller):
        yield f"It is not for {quoted(plan.caller, 80)}."
    if plan.cancel_orders and not terms.cancel_orders:
        yield "It does not allow to cancel open orders."
    for target in plan.targets:
        yield from _why_not_of(terms, target)


def why_not_by_size(standing: Standing, notional: Decimal) -> Iterator[str]:
    """How many operations and dollars are left of it."""
    terms = standing.mandate.terms
    if notional > terms.per_operation:
        yield f"${notional:,f} is more than its ${terms.per_operation:,f} per operation."
    if not standing.operations_left:
        yield f"All {terms.operations} of its operations are used."
    if notional > standing.notional_left:
        yield f"${notional:,f} is more than the ${standing.notional_left:,f} left of its ${terms.in_all:,f}."


def why_not_by_account(terms: MandateTerms, plan: Plan, seen: Seen) -> Iterator[str]:
    """What the account shows against it: uncertain instruments, prices out of bounds, losses."""
    for target in plan.targets:
        shown = seen.get(target.instrument_id)
        if shown is None or not shown.is_certain:
            yield f"What {target.symbol} is cannot be told for certain from the account."
        for bound in terms.prices:
            yield from _why_not_priced(bound, target, shown)
    if terms.loss_at_most is not None:
        yield from _why_too_much_lost(terms.loss_at_most, plan, seen)


def _why_not_of(terms: MandateTerms, target: Target) -> Iterator[str]:
    if not _is_named(terms, target):
        yield f"{target.symbol} is not among what it names."
    if isinstance(target, HeldTarget) or (isinstance(target, CloseTarget) and target.type_says):
        yield f"Whether {target.symbol} is long or short, and how much of it, is not known."
    if not target.priced:
        yield f"What {target.symbol} comes to is not known."


def _is_named(terms: MandateTerms, target: Target) -> bool:
    contract = parse_option_symbol(target.symbol)
    symbol = contract.compact if contract else target.symbol.upper()
    if terms.instruments and {symbol, target.instrument_id.lower()} & set(terms.instruments):
        return True
    if contract is None:
        return symbol in terms.underlyings
    return contract.is_standard and as_root(contract.root) in map(as_root, terms.underlyings)


def _why_not_priced(bound: PriceBound, target: Target, shown: SeenTarget | None) -> Iterator[str]:
    """A bound that is about the target, or about what it is on, and is not known to be kept."""
    contract = parse_option_symbol(target.symbol)
    symbol = contract.compact if contract else target.symbol.upper()
    if bound.instrument in (symbol, target.instrument_id.lower()):
        price = shown.price if shown else None
    elif contract is not None and as_root(bound.instrument) in roots_of(contract):
        price = shown.underlying_price if shown else None
    else:
        return
    if price is None:
        yield f"The price of {bound.instrument} is not known, and it is bounded."
    elif bound.at_least is not None and price < bound.at_least:
        yield f"{bound.instrument} costs ${price:,f}, less than ${bound.at_least:,f}."
    elif bound.at_most is not None and price > bound.at_most:
        yield f"{bound.instrument} costs ${price:,f}, more than ${bound.at_most:,f}."


def _why_too_much_lost(loss_at_most: Decimal, plan: Plan, seen: Seen) -> Iterator[str]:
    gains = [shown.pnl if (shown := seen.get(target.instrument_id)) else None for target in plan.targets]
    lost = exact_sum(-gain for gain in gains if gain is not None and gain < 0)
    if None in gains:
        yield "What its positions have lost is not known for all of them."
    elif lost > loss_at_most:
        yield f"Its positions have lost ${lost:,f}, more than ${loss_at_most:,f}."
