"""An account for the book page: what is held, and what it comes to as pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from positions_mcp.domain.account.positions import Book, Position
from positions_mcp.domain.errors import UpstreamError
from positions_mcp.domain.exercise.cutoffs import DeadlineRule
from positions_mcp.domain.exercise.facts import next_expiration
from positions_mcp.domain.exercise.projected import Projection
from positions_mcp.domain.exercise.projection import project
from positions_mcp.domain.exercise.words import projection_lines
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import ZERO, exact_sum
from positions_mcp.domain.portfolio.groups import Underlyings
from positions_mcp.domain.portfolio.resolve import Spellings
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.expiration import ExpirationReader

_WIDTH, _ROW, _LABEL, _VALUE = 640, 24, 150, 130
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1b1f24}.up{fill:#1a7f4b}.down{fill:#b3261e}.plain{fill:#3b5b8c}"
    ".part{fill:#b26a00}.axis{stroke:#8a929b}"
    "@media(prefers-color-scheme:dark){text{fill:#e8eaed}.up{fill:#57c78a}.down{fill:#f2887f}.plain{fill:#8fb0e6}"
    ".part{fill:#f0b35b}}"
)


class Bar(NamedTuple):
    """One bar: its name, its amount, and how the amount is written."""

    name: str
    amount: Decimal
    written: str


def bars(title: str, rows: Sequence[Bar]) -> str:
    """Bars left and right of a common zero; losses are told apart by side and sign as well as by colour."""
    largest = max((abs(row.amount) for row in rows), default=Decimal(0)) or Decimal(1)
    lowest = min((row.amount for row in rows), default=Decimal(0))
    room = Decimal(_WIDTH - _LABEL - _VALUE)
    zero = Decimal(_LABEL) + (room / 2 if lowest < 0 else 0)
    scale = (room / 2 if lowest < 0 else room) / largest
    drawn = []
    for number, row in enumerate(rows):
        y = number * _ROW + 4
        length = abs(row.amount) * scale
        x = zero - length if row.amount < 0 else zero
        kind = "down" if row.amount < 0 else "up" if lowest < 0 else "plain"
        drawn.append(
            f'<text x="0" y="{y + 13}">{escape(row.name if len(row.name) <= 20 else f"{row.name[:19]}…")}</text>'
        )
        drawn.append(f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{max(length, Decimal(1)):.1f}" height="16"/>')
        drawn.append(f'<text x="{_WIDTH}" y="{y + 13}" text-anchor="end">{escape(row.written)}</text>')
    height = len(rows) * _ROW + 8
    drawn.append(f'<line class="axis" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{height}"/>')
    return _svg(title, height, drawn)


def share(title: str, part: Decimal, whole: Decimal, said: str) -> str:
    """One bar for the whole, the part of it filled."""
    fraction = min(max(part / whole, Decimal(0)), Decimal(1)) if whole > 0 else Decimal(0)
    drawn = [
        f'<rect class="plain" x="0" y="4" width="{_WIDTH}" height="20" opacity="0.35"/>',
        f'<rect class="part" x="0" y="4" width="{_WIDTH * fraction:.1f}" height="20"/>',
        f'<text x="0" y="44">{escape(said)}</text>',
    ]
    return _svg(title, 52, drawn)


def _svg(title: str, height: int, drawn: Sequence[str]) -> str:
    size = f'viewBox="0 0 {_WIDTH} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label={quoteattr(title)}>'
    return "".join([head, f"<title>{escape(title)}</title><style>{_STYLE}</style>", *drawn, "</svg>"])


_MOST_BARS = 20


@dataclass(frozen=True, slots=True)
class Picture:
    """Bars under a title, and in words what they leave out."""

    title: str
    rows: Sequence[Bar]
    beside: Sequence[str] = ()

    def as_data(self) -> dict[str, Any]:
        """Drawn, with the same in words for who cannot see it."""
        words = "; ".join(f"{row.name} {row.written}" for row in self.rows) or "nothing"
        return {
            "title": self.title,
            "svg": bars(self.title, self.rows) if self.rows else None,
            "said": f"{self.title}: {words}",
            "beside": list(self.beside),
        }


def listed(book: Book) -> dict[str, Any]:
    """The positions, largest first; what is not known is null."""
    called = _names_in(book)
    rows = [
        {
            "symbol": called(position),
            "quantity": f"{position.quantity:,f}",
            "value": None if position.value is None else f"{position.value:,f}",
            "pnl": None if position.unrealized_pnl is None else f"{position.unrealized_pnl:+,f}",
        }
        for position in sorted(book.positions, key=lambda each: abs(each.value or ZERO), reverse=True)
    ]
    return {"readable": True, "complete": book.is_complete, "as_of": book.as_of.isoformat(), "positions": rows}


def _names_in(book: Book) -> Callable[[Position], str]:
    repeats = Spellings(book.positions).repeats()
    return lambda each: f"{each.name} [{each.instrument_id}]" if repeats(each) else each.name


def profit(book: Book) -> Picture:
    """Unrealized profit and loss of the positions that move most."""
    called = _names_in(book)
    known = [Bar(called(p), p.unrealized_pnl, f"{p.unrealized_pnl:+,f}") for p in book.positions if p.unrealized_pnl]
    missing = sum(position.unrealized_pnl is None for position in book.positions)
    return Picture("Unrealized profit and loss by position", *_largest(known, missing, "of which it is not known"))


def exposure(book: Book) -> Picture:
    """Market value by underlying: shares and the options on them together, short on the left."""
    underlyings = Underlyings(book.positions)
    values: defaultdict[str, list[Decimal]] = defaultdict(list)
    for position in book.positions:
        if position.value is not None:
            values[underlyings.name_of(position)].append(position.value)
    known = [Bar(name, total, f"{total:+,f}") for name, each in values.items() if (total := exact_sum(each))]
    missing = sum(position.value is None for position in book.positions)
    return Picture("Market value by underlying", *_largest(known, missing, "without a value"))


def ladder(book: Book) -> Picture:
    """Option contracts by the day they expire, nearest first: long on the right, short on the left."""
    held: defaultdict[tuple[str, bool], Decimal] = defaultdict(lambda: ZERO)
    unread = 0
    for position in book.positions:
        if position.contract and position.quantity:
            held[position.contract.expiration.isoformat(), position.quantity < 0] += position.quantity
        elif position.is_option and position.quantity:
            unread += 1
    rows = [
        Bar(f"{day} {'short' if short else 'long'}", quantity, f"{quantity:+,f} contracts")
        for (day, short), quantity in sorted(held.items())
    ]
    beside = [f"{len(rows) - _MOST_BARS} later rows are not drawn."] if len(rows) > _MOST_BARS else []
    beside += [f"{unread} options whose symbol does not say when they expire."] if unread else []
    return Picture("Option contracts by expiry", rows[:_MOST_BARS], beside)


def tonight(projection: Projection) -> Picture:
    """Cash that an expiration evening moves by underlying, as expected; the lines beside say all that is open."""
    rows = [
        Bar(each.name, each.cash.expected, _span(each.cash.expected, each.cash.least, each.cash.most))
        for each in projection.underlyings
        if each.cash.expected or not each.cash.is_certain
    ]
    return Picture(f"Cash moved by the evening of {projection.day}", rows[:_MOST_BARS], projection_lines(projection))


async def projected(deps: Dependencies, account: AccountId) -> Projection | None:
    """The next expiration evening of an account; None where nothing expires, or it cannot be read."""
    if deps.instructions is None:
        return None
    reader = ExpirationReader(
        positions=deps.positions,
        instructions=deps.instructions,
        neighbours=deps.neighbours,
        clock=deps.market_clock,
        calendar=deps.calendar,
        deadline=DeadlineRule(deps.policy.exercise_deadline),
    )
    try:
        facts = await reader.read(account)
    except UpstreamError:
        return None
    day = next_expiration(facts.book, facts.now, facts.calendar)
    return None if day is None else project(await reader.with_neighbours(facts, day), day)


def _largest(known: Iterable[Bar], missing: int, why: str) -> tuple[Sequence[Bar], Sequence[str]]:
    rows = sorted(known, key=lambda row: abs(row.amount), reverse=True)
    beside = [f"{len(rows) - _MOST_BARS} smaller ones are not drawn."] if len(rows) > _MOST_BARS else []
    beside += [f"{missing} positions {why} are not drawn."] if missing else []
    return rows[:_MOST_BARS], beside


def _span(expected: Decimal, least: Decimal, most: Decimal) -> str:
    return f"{expected:+,f}" if least == most else f"{expected:+,f} ({least:+,f} to {most:+,f})"
