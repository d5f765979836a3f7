"""A projection in words, short enough for an answer: what moves first, what is left to watch, and what is not known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal

from positions_mcp.domain.account.sessions import NEW_YORK, new_york_day
from positions_mcp.domain.exercise.facts import Basis, DecidingPrice
from positions_mcp.domain.exercise.inaction import ComparedWithInaction
from positions_mcp.domain.exercise.outcomes import Outcome
from positions_mcp.domain.exercise.projected import Pin, PinSide, ProjectedOption, ProjectedUnderlying, Projection
from positions_mcp.domain.exercise.settlement import Flow, Instructed, Span
from positions_mcp.domain.exercise.terms import SettlesAt
from positions_mcp.domain.exercise.tonight import against_power
from positions_mcp.domain.money import dollars, plain
from positions_mcp.domain.portfolio.exposure import Exposed
from positions_mcp.domain.text import counted, first_of, label

_MOST_RANGES = 4
_MOST_NAMED = 5
_MOST_OPTIONS = 8
_NOTHING, _OFFSET = "nothing moves", "no net change"


def projection_lines(
    projection: Projection, shown: Iterable[ProjectedUnderlying] | None = None, *more: str
) -> tuple[str, ...]:
    """The day, a line or more for each underlying (of those `shown`, if given), `more`, the sums, what is not known."""
    head = f"Evening of {projection.day:%a} {projection.day.isoformat()}; {_taken(projection)}."
    if not projection.underlyings:
        return (f"{head} Nothing expires and no exercise is under way.", *(f"{line}." for line in more))
    usual = usual_source(projection)
    lines = [" ".join([head, *([] if usual is None else [f"Prices: {usual}."]), *_decides(projection)])]
    for underlying in projection.underlyings if shown is None else shown:
        lines += _underlying_lines(underlying, usual)
    lines += [f"{line}." for line in more]
    return (*lines, _totals(projection), f"Not known: {'; '.join(projection.unknown)}.")


def _taken(projection: Projection) -> str:
    """Until when instructions are taken, or were."""
    *early, last = [
        f"{'until' if projection.now < each else 'ended at'} {each.astimezone(NEW_YORK):%H:%M} New York"
        for each in projection.cutoffs
    ]
    return f"instructions {last}" + "".join(f" (on what the opening settles {each})" for each in early)


def compared_lines(compared: ComparedWithInaction) -> tuple[str, ...]:
    """What a batch changes of tonight: cover first, then what is left with it and without."""
    lines = [f"Leaves {less_cover(was, now)} than if nothing is sent." for was, now in compared.worse]
    lines += [
        f"Depending on the close, leaves {less_cover(was, now)} than if nothing is sent."
        for was, now in compared.perhaps_worse
    ]
    lines += [f"Up to {_count(s.shares)} more {label(s.name)} shares short." for s in compared.more_short_shares]
    nothing = {each.name: each for each in compared.nothing.underlyings}
    evening = _evening(compared.then)
    others = []
    for after in compared.then.underlyings:
        without = nothing.get(after.name)
        then, other = _result(after), "nothing moves" if without is None else _result(without)
        if then == other and not any(each.settling.batch != Instructed() for each in after.options):
            others.append(after)
            continue
        # Of what is not stated nobody can say that it comes to the same.
        is_stated = all(each.settling.batch == Instructed() for each in after.not_stated)
        same = ", as if nothing is sent" if then == other and is_stated else ""
        lines.append(f"{evening}, {label(after.name)}: {_options(after)}; {then}{same}.")
        if then != other:
            lines.append(f"If nothing is sent: {other}.")
        lines += [f"{label(after.name)}: {line}." for line in watched_lines(after)]
    if moving := [each for each in others if not _only_lapses(each)]:
        names = first_of([label(each.name) for each in moving], _MOST_NAMED)
        lines.append(f"On {names} it goes as if nothing is sent.")
    return (*lines, _totals(compared.then)) if compared.then.underlyings else tuple(lines)


def moved_tonight(underlying: ProjectedUnderlying) -> str:
    """What the evening does to the shares of one underlying, for who trades them; empty where it moves none."""
    if not (underlying.pins or underlying.not_stated) and all(o.flow.shares == Span() for o in underlying.outcomes):
        return ""
    return "; ".join([_options(underlying), _result(underlying), *watched_lines(underlying)])


def _evening(projection: Projection) -> str:
    if projection.day == new_york_day(projection.now):
        return "Tonight"
    return f"Evening of {projection.day:%a} {projection.day.isoformat()}"


def _options(underlying: ProjectedUnderlying) -> str:
    shown = [_option(each, underlying.name) for each in underlying.options[:_MOST_OPTIONS]]
    more = len(underlying.options) - _MOST_OPTIONS
    return "; ".join([*shown, *([f"{more} more options"] if more > 0 else [])])


def usual_source(projection: Projection) -> str | None:
    """Where and when most prices are from, said once for all; None where no price is known."""
    sources = Counter(source for each in projection.underlyings if (source := source_of(each.price)))
    return sources.most_common(1)[0][0] if sources else None


def source_of(price: DecidingPrice) -> str | None:
    """Where and when a price is from; None where none is known or told."""
    if price.basis in (Basis.OPENING_SETTLEMENT, Basis.NOT_SAID, Basis.ADJUSTED):
        return None
    if price.basis is Basis.GIVEN:
        return "as given"
    if price.basis is Basis.CLOSE:
        return f"the close of {price.session.day.isoformat()}"
    return None if price.latest is None else price.latest.said.partition(" (")[2].removesuffix(")")


def _decides(projection: Projection) -> Iterator[str]:
    """What decides the options that expire: a price decides nothing of an early exercise."""
    options = [each for underlying in projection.underlyings for each in underlying.options if each.settling.expires]
    bases = {each.price.basis for each in options if each.settling.terms.settles_at is SettlesAt.CLOSE}
    if bases:
        at = f"at {projection.session.closes.astimezone(NEW_YORK):%H:%M} New York"
        yield "The close decides, and is known." if bases == {Basis.CLOSE} else f"The close {at} decides."
    if any(each.settling.terms.settles_at is SettlesAt.OPEN for each in options):
        yield f"The opening of {projection.day.isoformat()} decides{' what it settles' if bases else ''}."


def _underlying_lines(underlying: ProjectedUnderlying, usual: str | None) -> Iterator[str]:
    options = "; ".join(_option(each, underlying.name) for each in underlying.options)
    line = f"{label(underlying.name)}{_price(underlying.price, usual)}: {options}."
    result = _result(underlying)
    yield line if _only_lapses(underlying) else f"{line} {result[:1].upper()}{result[1:]}."
    for line in watched_lines(underlying):
        yield f"  {line}"


def watched_lines(underlying: ProjectedUnderlying) -> Iterator[str]:
    """What is left to watch on one underlying: near strikes, short shares, cover, and instructions that are open."""
    yield from map(_pin, _moving_pins(underlying))
    if underlying.short_shares:
        yield f"up to {_count(underlying.short_shares)} shares short that are not now"
    if underlying.shares_locked and not _only_lapses(underlying):
        verb = "sell" if underlying.shares_before > 0 else "buy back"
        yield f"open orders may also {verb} {_count(underlying.shares_locked)} of the shares: not counted here"
    for group in underlying.left_lacking:
        lacking = f"{_count(group.uncovered)} uncovered, {_count(group.unprotected)} unprotected"
        is_standard = group.root == group.root.strip("0123456789")
        unsized = "" if is_standard else "; no shares are counted, as what it delivers is not known"
        yield f"short {_group(group)} afterwards: {lacking}{unsized}"
    yield from underlying.doubts


def _price(price: DecidingPrice, usual: str | None) -> str:
    source = source_of(price)
    shown = "" if source is None or source == usual else f" ({source})"
    if price.price is not None:
        return f" {plain(price.price)}{shown}"
    if price.basis is Basis.CLOSE_NOT_KNOWN:
        latest = f", latest {plain(price.latest.price)}{shown}" if price.latest else ""
        return f" close not known{latest}"
    return f" {price.basis}"


def _option(option: ProjectedOption, name: str) -> str:
    contract = option.settling.contract
    root = "" if contract.root == name else f"{contract.root} "
    day = "" if option.settling.expires else f"{contract.expiration.isoformat()} "
    held = option.settling.position.quantity
    short = (
        f"{root}{day}{plain(contract.strike.normalize())}{contract.right[0]}{option.settling.identified} {_count(held)}"
    )
    if option.in_the_money is None and option.settling.expires:
        return f"{short} {'' if option.is_stated else 'not stated'}".rstrip()
    parts = [
        (option.settling.on_instruction, "exercised on instruction"),
        (option.settling.by_batch, "exercised by this batch"),
        (option.by_exception, "exercised by exception"),
        (option.assigned, "assigned"),
        (option.lapses, "lapse"),
    ]
    done = [(number, words) for number, words in parts if number]
    if len(done) == 1 and done[0][0] == abs(held):
        return f"{short} {done[0][1]}"
    if not done:
        return short
    return f"{short} ({', '.join(f'{_count(number)} {words}' for number, words in done)})"


def _result(underlying: ProjectedUnderlying) -> str:
    """Shares and cash afterwards: one outcome, or a range of closing prices each."""
    rest = "not stated: " + ", ".join(o.settling.called for o in underlying.not_stated)
    unstated = f"; {rest}" if underlying.not_stated else ""
    if len(underlying.outcomes) == 1:
        moved = _moved(underlying, underlying.outcomes[0])
        return rest if unstated and moved.startswith(_NOTHING) else moved + unstated
    ranges = [f"{outcome.said}: {_moved(underlying, outcome)}" for outcome in _shown(underlying)]
    more = len(underlying.outcomes) - len(ranges)
    others = f" | {counted(more, 'more range')}: give a closing price" if more else ""
    return " | ".join(ranges) + others + unstated


def _shown(underlying: ProjectedUnderlying) -> tuple[Outcome, ...]:
    """The outcomes around the latest price; where none is known, the lowest ones."""
    outcomes, latest = underlying.outcomes, underlying.price.latest
    there = (place for place, each in enumerate(outcomes) if latest and each.contains(latest.price))
    first = max(min(next(there, 0) - 1, len(outcomes) - _MOST_RANGES), 0)
    return outcomes[first : first + _MOST_RANGES]


def _only_lapses(underlying: ProjectedUnderlying) -> bool:
    """Whether every option plainly ends without anything moving, so that no more need be said."""
    return not underlying.doubts and all(
        each.lapses == abs(each.settling.position.quantity) for each in underlying.options
    )


def _moved(underlying: ProjectedUnderlying, outcome: Outcome) -> str:
    flow, held = outcome.flow, underlying.shares_before
    if flow == Flow():
        said = _OFFSET if _is_offset(underlying, outcome) else _NOTHING
        return f"{said}, {_count(held)} shares" if held else said
    cash = f"cash {_span(flow.cash, dollars)}"
    if flow.shares == Span():
        return f"shares stay {_count(held)}, {cash}" if held else cash
    return f"shares {_count(held)} → {_span(flow.shares.plus(Span.exactly(held)), _count)}, {cash}"


def _is_offset(underlying: ProjectedUnderlying, outcome: Outcome) -> bool:
    """Whether contracts are exercised or assigned whose cash and shares come to nothing in all."""
    for option in underlying.options:
        price = option.price.price or outcome.inside
        if option not in underlying.not_stated and option.settling.flow(price) != Flow():
            return True
    return False


def _span(span: Span, write: Callable[[Decimal], str]) -> str:
    if span.is_certain:
        return write(span.expected)
    return f"{write(span.expected)} ({write(span.least)} to {write(span.most)})"


def _moving_pins(underlying: ProjectedUnderlying) -> list[Pin]:
    return [pin for pin in underlying.pins if not (pin.lower.is_still and pin.upper.is_still)]


def _pin(pin: Pin) -> str:
    below, above = _side(pin.lower), _side(pin.upper)
    either = f"on either side {above}" if below == above else f"below it {below}, above it {above}"
    decide = "have decided, which is not known yet" if pin.is_decided else "decide"
    theirs = f"; holders of your short options {decide}" if pin.has_short else ""
    return f"strike {plain(pin.strike.normalize())} is too near to call: {either}{theirs}"


def _side(side: PinSide) -> str:
    flow = side.left.flow
    if not flow.cash.expected and not flow.shares.expected:
        return _NOTHING if side.is_still else _OFFSET
    return f"{_signed(flow.shares.expected)} shares, cash {dollars(flow.cash.expected)}"


def _totals(projection: Projection) -> str:
    cash = _span(projection.cash, dollars)
    if any(len(each.outcomes) > 1 for each in projection.underlyings):
        cash = f"{dollars(projection.cash.least)} to {dollars(projection.cash.most)}"
    if not any(each.is_stated for each in projection.underlyings):
        cash = "not known"
    unstated = cash != "not known" and any(each.not_stated for each in projection.underlyings)
    said = f"In all: cash {cash}" + (", without what is not stated" if unstated else "")
    if projection.cash_before is not None and projection.is_known:
        after = projection.cash_before + projection.cash.expected
        said += f" ({dollars(projection.cash_before)} → {dollars(after)})"
    if projection.buying_power is not None and projection.cash_needed:
        needed = projection.cash_needed
        said += f"; needs {dollars(needed)}, {against_power(needed, projection.buying_power)}"
    settles = settles_said(projection)
    return f"{said}. Settles {settles}." if settles else f"{said}."


def settles_said(projection: Projection) -> str:
    """The day on which the shares and cash are due; empty where plainly none move."""
    if projection.settles is None or all(_only_lapses(u) and not _moving_pins(u) for u in projection.underlyings):
        return ""
    return f"{projection.settles:%a} {projection.settles.isoformat()} (T+1)"


def less_cover(was: Exposed, now: Exposed) -> str:
    """In words: `1 more short AAPL calls uncovered`."""
    more = max(now.uncovered - was.uncovered, now.unprotected - was.unprotected)
    kind = "uncovered" if now.uncovered > was.uncovered else "unprotected"
    return f"{_count(more)} more short {_group(now)} {kind}"


def _group(group: Exposed) -> str:
    return f"{label(group.root)} {group.right.lower()}s" if group.right else f"options on {label(group.root)}"


def _count(number: Decimal) -> str:
    written = f"{number:,f}" if number else "0"
    return written.rstrip("0").rstrip(".") if "." in written else written


def _signed(number: Decimal) -> str:
    return f"{number:+,f}" if number else "0"


def most_moving(projection: Projection, options: int) -> Sequence[ProjectedUnderlying]:
    """The underlyings with up to so many options, at least one: those that move most cash first, shown in order."""
    chosen: set[str] = set()
    for each in sorted(
        projection.underlyings, key=lambda each: (-max(abs(each.cash.least), abs(each.cash.most)), each.name)
    ):
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
    watched = sum(1 for each in rest if any(watched_lines(each)))
    called_out = f", {watched} of them to watch" if watched else ""
    more = f"{counted(len(rest), 'more underlying')} with {counted(options, 'option')}{called_out}"
    return f"{more}, in the sums below: name one as underlying to see it"
