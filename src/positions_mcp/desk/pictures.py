"""Pictures drawn as SVG: bars of an account, and the share of it that a plan closes. Text in them is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

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
