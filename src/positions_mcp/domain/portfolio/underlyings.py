"""Which underlying a position belongs to, so that options roll up under it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from positions_mcp.domain.ids import InstrumentId
from positions_mcp.domain.moneyness import as_root
from positions_mcp.domain.positions import Position


class Underlyings:
    """The underlyings of a book by name: the symbol held, otherwise the root of the options on it.

    An option belongs to the instrument the API names as its underlying, whatever its root says (SPXW is on SPX);
    where the API names none, to the instrument that its root names. A position that is not an option is its own
    underlying. An option with neither is left alone under its own name.
    """

    def __init__(self, positions: Iterable[Position]) -> None:
        held: dict[InstrumentId, str] = {}
        options: list[Position] = []
        for position in positions:
            if position.is_option:
                options.append(position)
            else:
                held[position.instrument_id] = position.name
        names: dict[InstrumentId, str] = dict(held)
        for option in options:
            underlying = option.underlying_instrument_id
            if underlying and underlying not in held and (root := option_root(option)):
                known = names.get(underlying)
                # The shortest root is the plain one: SPX before SPXW, AAPL before the adjusted AAPL1.
                if known is None or (len(root), root) < (len(known), known):
                    names[underlying] = root
        by_root: dict[str, str] | None = None
        for option in options:
            name = names.get(option.underlying_instrument_id) if option.underlying_instrument_id else None
            if name is None:
                by_root = by_root or {as_root(symbol): symbol for symbol in held.values()}
                root = option_root(option)
                name = by_root.get(root, root) or option.name
            held[option.instrument_id] = name
        self._names = held

    def name_of(self, position: Position) -> str:
        """The name of the underlying that `position`, one of the book, rolls up under."""
        return self._names[position.instrument_id]

    def matches(self, position: Position, wanted: str) -> bool:
        """Whether `wanted` (a symbol or root in upper case, or an instrument UUID in lower case) is its underlying."""
        if wanted in (position.instrument_id, position.underlying_instrument_id):
            return True
        return self.name_of(position).upper() == wanted or option_root(position) == wanted


def option_root(position: Position) -> str:
    """The root of an option's symbol; empty for what is not an option or cannot be read.

    Reading the whole contract of every option of a large book takes longer than everything else about it.
    """
    tail = expiry_and_right(position)
    if tail and _ROOT.fullmatch(root := position.symbol[:-_TAIL].strip().upper()):
        return root
    return position.contract.root if position.contract else ""


def expiry_and_right(position: Position) -> str:
    """YYMMDD and C or P as they stand at the end of an OSI symbol; empty where the symbol has another form."""
    symbol = position.symbol
    tail = symbol[-_TAIL:]
    plain = len(symbol) > _TAIL and symbol.isascii() and tail[6] in "CP" and (tail[:6] + tail[7:]).isdigit()
    return tail[:7] if plain else ""


_ROOT = re.compile(r"[A-Z][A-Z0-9./]{0,5}", re.ASCII)
_TAIL = 15
"""Characters of expiration, right and strike, with which every OSI symbol ends."""
