"""A mandate in words: how it is said to an agent and to who signs it, and what a person types as its terms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import ValidationError

from positions_mcp.domain.errors import InvalidInput
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.operation.mandate import Mandate, Standing
from positions_mcp.domain.operation.plan import Mode
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


NAMED = ("kinds", "instruments", "underlyings", "callers", "prices")
"""What may be said several times."""
TYPED = ("per_operation", "in_all", "operations", "loss_at_most", "until")
"""What is one text; the last two may be left out."""
_NOTHING_KEPT = "Nothing was kept."
Called = Callable[[str], str]
"""What the person knows a field by: `--per-operation`, or the words beside it."""


def terms_of(
    mode: Mode,
    account_id: AccountId,
    *,
    named: Mapping[str, Sequence[str]],
    typed: Mapping[str, str],
    cancel_orders: bool,
    called: Called,
) -> MandateTerms:
    """The terms, where they hold together. Raises InvalidInput in words of a person."""
    said: dict[str, Any] = {name: tuple(named.get(name, ())) for name in NAMED}
    said |= {"mode": mode, "account_id": account_id, "cancel_orders": cancel_orders}
    said["kinds"] = said["kinds"] or ("close",)
    said["prices"] = [_typed_bound(text, called("prices")) for text in said["prices"]]
    said |= {name: dollars(typed.get(name, ""), called(name)) for name in ("per_operation", "in_all")}
    said["operations"] = whole(typed.get("operations", ""), called("operations"))
    if lost := typed.get("loss_at_most", ""):
        said["loss_at_most"] = dollars(lost, called("loss_at_most"))
    if until := typed.get("until", ""):
        said["until"] = _time(until, called("until"))
    try:
        return MandateTerms.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = f"{called(str(first['loc'][0]))}: " if first["loc"] else ""
        raise InvalidInput(f"{where}{first['msg'].removeprefix('Value error, ')}.", hint=_NOTHING_KEPT) from None


def dollars(text: str, called: str) -> Decimal:
    """`$20,000`. Raises InvalidInput."""
    try:
        return Decimal(text.strip().replace(",", "").removeprefix("$"))
    except InvalidOperation:
        raise InvalidInput(f"{called} {text!r:.40} is no amount of dollars.", hint=_NOTHING_KEPT) from None


def whole(text: str, called: str) -> int:
    """`4`. Raises InvalidInput."""
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise InvalidInput(f"{called} {text!r:.40} is no number.", hint=_NOTHING_KEPT)
    return int(text)


def _typed_bound(text: str, called: str) -> dict[str, Any]:
    symbol, _, bounds = text.partition(":")
    least, colon, most = bounds.partition(":")
    if not symbol or not colon:
        hint = f"As in KO:55: or KO:55:60. {_NOTHING_KEPT}"
        raise InvalidInput(f"{called} {text!r:.60} is not SYMBOL:FROM:TO.", hint=hint)
    at = {"at_least": least.strip(), "at_most": most.strip()}
    return {"instrument": symbol, **{name: dollars(said, called) for name, said in at.items() if said}}


def _time(text: str, called: str) -> object:
    try:
        return datetime.strptime(text.strip(), "%H:%M").time()  # noqa: DTZ007 — a time of day in New York, of no date
    except ValueError:
        raise InvalidInput(f"{called} {text!r:.40} is no time of day.", hint=f"As in 15:30. {_NOTHING_KEPT}") from None
