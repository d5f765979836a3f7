"""Strikes too near the price to call, with what the evening does on either side of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from positions_mcp.domain.account.quotes import BY_EXCEPTION_THRESHOLD
from positions_mcp.domain.exercise.cover import Related
from positions_mcp.domain.exercise.outcomes import sum_of
from positions_mcp.domain.exercise.projected import Pin, PinSide, ProjectedOption
from positions_mcp.domain.exercise.settlement import Flow
from positions_mcp.domain.money import ZERO, exact_product, exact_sum

TOO_NEAR: Final = Decimal("0.005")
"""Share of the price within which a strike is too near to call."""


def pins_of(options: Sequence[ProjectedOption], part: Related, *, is_decided: bool) -> list[Pin]:
    """The strikes that are too near the price. Of options whose price is known.

    Once the close is known only own shorts are left in doubt: their holders decide, and everything else goes by it.
    """
    near: defaultdict[Decimal, list[ProjectedOption]] = defaultdict(list)
    for each in options:
        price, strike = each.price.price or ZERO, each.settling.contract.strike
        if not each.settling.expires or each.settling.terms.in_cash:
            continue
        if abs(price - strike) <= exact_product(price, TOO_NEAR) and (
            each.settling.is_short or not each.price.is_final
        ):
            near[strike].append(each)
    return [
        Pin(
            strike,
            near[strike][0].price.price or ZERO,
            lower=_side(options, part, strike, -BY_EXCEPTION_THRESHOLD),
            upper=_side(options, part, strike, BY_EXCEPTION_THRESHOLD),
            has_short=any(each.settling.is_short for each in near[strike]),
            is_decided=is_decided,
        )
        for strike in sorted(near)
    ]


def _side(options: Sequence[ProjectedOption], part: Related, strike: Decimal, step: Decimal) -> PinSide:
    beside = exact_sum((strike, step))
    prices = [_decided_at(each, strike, beside) for each in options]
    flows = [each.settling.flow(price) for each, price in zip(options, prices, strict=True)]
    flow = sum_of(flows)
    settling = [each.settling for each in options]
    (lacking,) = part.lacking_after(settling, [flow])
    (expected,) = part.lacking_after(settling, [flow], as_expected=True)
    return PinSide(
        flow,
        lacking=lacking,
        lacking_expected=expected,
        assigns_call=any(each.is_assigned_call_at(price) for each, price in zip(options, prices, strict=True)),
        is_still=all(each == Flow() for each in flows),
    )


def _decided_at(option: ProjectedOption, strike: Decimal, beside: Decimal) -> Decimal:
    """The price that tells an option's outcome on one side of a strike."""
    settling = option.settling
    in_doubt = not option.price.is_final or (settling.is_short and settling.contract.strike == strike)
    return beside if in_doubt else option.price.price or ZERO
