"""Which underlyings of a large projection are shown, and what is said of the others."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from positions_mcp.domain.exercise.projected import ProjectedUnderlying, Projection
from positions_mcp.domain.exercise.words import watched_lines


def most_moving(projection: Projection, options: int) -> Sequence[ProjectedUnderlying]:
    """The underlyings with up to so many options, at least one: those that move most cash first, shown in order."""
    chosen: set[str] = set()
    for each in sorted(projection.underlyings, key=lambda each: (-_moved(each), each.name)):
        options -= len(each.options)
        if chosen and options < 0:
            break
        chosen.add(each.name)
    return [each for each in projection.underlyings if each.name in chosen]


def not_shown(projection: Projection, shown: Sequence[ProjectedUnderlying]) -> str:
    """How many underlyings and options are not among those shown, and how to see them; empty if all are."""
    names = {each.name for each in shown}
    rest = [each for each in projection.underlyings if each.name not in names]
    if not rest:
        return ""
    options = sum(len(each.options) for each in rest)
    more = "1 more underlying" if len(rest) == 1 else f"{len(rest)} more underlyings"
    watched = sum(1 for each in rest if any(watched_lines(each)))
    called_out = f", {watched} of them to watch" if watched else ""
    return f"{more} with {options} options{called_out}, in the sums below: name one as underlying to see it"


def _moved(underlying: ProjectedUnderlying) -> Decimal:
    return max(abs(underlying.cash.least), abs(underlying.cash.most))
