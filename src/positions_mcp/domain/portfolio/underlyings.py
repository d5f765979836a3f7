"""Which underlying a position belongs to, so that options roll up under it."""

from __future__ import annotations

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
        unheld: dict[InstrumentId, str] = {}
        options: list[Position] = []
        for position in positions:
            if position.is_option:
                options.append(position)
            elif position.symbol:
                held[position.instrument_id] = position.symbol
        for option in options:
            underlying = option.underlying_instrument_id
            if underlying and underlying not in held and option.contract:
                root = option.contract.root
                known = unheld.get(underlying)
                # The shortest root is the plain one: SPX before SPXW, AAPL before the adjusted AAPL1.
                if known is None or (len(root), root) < (len(known), known):
                    unheld[underlying] = root
        self._names = unheld | held
        self._by_root = {as_root(symbol): symbol for symbol in held.values()}

    def name_of(self, position: Position) -> str:
        """The name of the underlying that `position` rolls up under."""
        if not position.is_option:
            return position.name
        if position.underlying_instrument_id in self._names:
            return self._names[position.underlying_instrument_id]
        if position.contract:
            return self._by_root.get(position.contract.root, position.contract.root)
        return position.name

    def matches(self, position: Position, wanted: str) -> bool:
        """Whether `wanted` (a symbol or root in upper case, or an instrument UUID in lower case) is its underlying."""
        if wanted in (position.instrument_id, position.underlying_instrument_id):
            return True
        if self.name_of(position).upper() == wanted:
            return True
        return position.contract is not None and position.contract.root == wanted
