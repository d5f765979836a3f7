"""How a mandate is said: in one line to an agent, in lines to the person who signs it."""

from __future__ import annotations

from collections.abc import Iterator

from positions_mcp.domain.operation.mandate import Mandate, Standing
from positions_mcp.domain.operation.terms import MandateKind, MandateTerms, PriceBound


def said_of(terms: MandateTerms) -> str:
    """What it allows, in one line."""
    return "; ".join(_parts(terms))


def left_of(standing: Standing) -> str:
    """What is left of it."""
    terms = standing.mandate.terms
    return (
        f"left: {standing.operations_left} of {terms.operations} operations, ${standing.notional_left:,f} of "
        f"${terms.in_all:,f}"
    )


def lines_of(mandate: Mandate) -> list[str]:
    """Everything that is signed, line by line."""
    terms = mandate.terms
    day = "the New York trading day it is signed for"
    until = f"{terms.until:%H:%M} New York on {day}" if terms.until else f"the end of {day}"
    return [
        f"{terms.mode.shown} account {terms.account_id}",
        *(f"{part[0].upper()}{part[1:]}" for part in _parts(terms)),
        f"For {', '.join(terms.callers)} alone" if terms.callers else "For every caller of the account",
        f"Until {until}",
    ]


def _parts(terms: MandateTerms) -> Iterator[str]:
    kinds = " or ".join(kind.shown for kind in terms.kinds)
    names = [*terms.instruments, *(f"{name} with its standard options" for name in terms.underlyings)]
    yield f"{kinds}: {', '.join(names)}"
    yield (
        f"at most ${terms.per_operation:,f} an operation, ${terms.in_all:,f} and {terms.operations} "
        f"operation{'' if terms.operations == 1 else 's'} in all"
    )
    if MandateKind.CLOSE in terms.kinds:
        yield f"open orders {'may be' if terms.cancel_orders else 'are not'} cancelled"
    yield from map(_bound, terms.prices)
    if terms.loss_at_most is not None:
        yield f"only while the loss is at most ${terms.loss_at_most:,f}"


def _bound(bound: PriceBound) -> str:
    if bound.at_most is None:
        return f"only while {bound.instrument} costs at least ${bound.at_least:,f}"
    if bound.at_least is None:
        return f"only while {bound.instrument} costs at most ${bound.at_most:,f}"
    return f"only while {bound.instrument} costs ${bound.at_least:,f} to ${bound.at_most:,f}"
