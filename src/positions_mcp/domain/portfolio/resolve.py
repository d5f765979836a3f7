"""Finding the position a person means, by symbol, OSI symbol in any spacing, or UUID."""

from __future__ import annotations

import difflib
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from operator import attrgetter
from typing import Generic

from positions_mcp.domain.account.letters import ByLetters
from positions_mcp.domain.account.positions import Book, Holding, HoldingT, Position
from positions_mcp.domain.enums import SecurityType
from positions_mcp.domain.errors import InvalidInput, UnknownInstrument
from positions_mcp.domain.ids import InstrumentId, is_uuid
from positions_mcp.domain.instruments import (
    OptionContract,
    as_asked,
    as_root,
    is_divided,
    parse_option_symbol,
    with_its_id,
)
from positions_mcp.domain.many import AT_A_TIME, OnDemand
from positions_mcp.domain.portfolio.groups import Underlyings
from positions_mcp.domain.text import clean, label

_NEAREST = 5
_LIKENESS = 0.6
_SHORTEST_ROOT = 3
"""Letters of a root to which one more may be a slip or another class: GOOG and GOOGL, not F and FB."""
_CLASS = re.compile(r"[./ -]")
_TICKER = re.compile(r"[A-Z]{1,5}(?:[./ -][A-Z]{1,2})?")


def spellings(positions: Iterable[Holding]) -> list[str]:
    """Symbols as they are looked up: in upper case, and an option's however it is spaced."""
    symbols = [position.symbol for position in positions]
    together = "".join(symbols)
    if " " not in together and together == together.upper():
        return symbols
    return [symbol.upper().replace(" ", "") for symbol in symbols]


@dataclass(frozen=True, slots=True)
class _Called(Holding):
    """What it takes to name a position."""

    instrument_id: InstrumentId
    symbol: str
    instrument_type: SecurityType | None
    underlying_instrument_id: InstrumentId | None


def named_of(held: Sequence[HoldingT]) -> Sequence[HoldingT | _Called]:
    """All that are held, to be found by name. Of a long listing, which makes them anew each time, only the names."""
    if not isinstance(held, OnDemand) or len(held) <= AT_A_TIME:
        return list(held)
    return [_Called(*_names(each)) for each in held]


_names = attrgetter("instrument_id", "symbol", "instrument_type", "underlying_instrument_id")


class Spellings:
    """Which spellings of symbols are held more than once, gathered page by page."""

    def __init__(self, positions: Iterable[Holding] = ()) -> None:
        self._hashes = array("q")
        self.add(positions)

    def add(self, positions: Iterable[Holding]) -> None:
        # Hashes take an eighth; were two alike by chance, two names would be longer than they need be.
        self._hashes.extend(map(hash, spellings(positions)))

    def repeats(self) -> Callable[[Holding], bool]:
        """Tells of each position of the book whether another one is spelled as it is."""
        seen, repeated = set[int](), set[int]()
        for each in self._hashes:
            (repeated if each in seen else seen).add(each)
        return lambda position: hash(*spellings([position])) in repeated


class Holdings(Generic[HoldingT]):
    """The positions of a book, found by what people call them. `counts` says which of them are meant at all."""

    def __init__(self, positions: Sequence[HoldingT], *, counts: Callable[[HoldingT], bool] = lambda _: True) -> None:
        self._positions = positions
        self._counts = counts

    @classmethod
    def of_book(cls, book: Book, *, counts: Callable[[Position], bool] = lambda _: True) -> Holdings[Position]:
        """Those of a book, by what it has worked out for everybody."""
        holdings = Holdings(book.positions, counts=counts)
        vars(holdings).update(_by_id=book.by_id, _by_letters=book.by_letters)
        return holdings

    @cached_property
    def _by_id(self) -> dict[str, HoldingT]:
        return {position.instrument_id: position for position in self._positions}

    @cached_property
    def _by_letters(self) -> ByLetters[HoldingT]:
        return ByLetters(self._positions)

    def find(self, text: str) -> HoldingT:
        """The one position that `text` names.

        Raises UnknownInstrument, with the nearest symbols held, where there is none; InvalidInput, with their UUIDs,
        where several share the name.
        """
        wanted = as_asked(text)
        if (named := with_its_id(wanted)) is not None:
            found = self._of_id(*named)
        elif is_uuid(wanted):
            found = [held] if (held := self._by_id.get(wanted.lower())) is not None else []
        elif contract := parse_option_symbol(wanted):
            found = self._of_contract(contract)
        else:
            found = self._of_symbol(wanted)
        matches = list({each.instrument_id: each for each in found if self._counts(each)}.values())
        if not matches:
            raise self._unknown(wanted)
        if len(matches) > 1:
            ids = ", ".join(position.instrument_id for position in matches[:_NEAREST])
            raise InvalidInput(f"{label(wanted)} names {len(matches)} instruments held.", hint=f"Use one UUID: {ids}.")
        return matches[0]

    def _of_contract(self, contract: OptionContract) -> list[HoldingT]:
        """The option of any spacing; where there is none, of another spelling of the root: BRKB for BRK.B."""
        alike = self._by_letters.of(contract.compact)
        if exact := [each for each in alike if each.contract == contract and self._counts(each)]:
            return exact
        folded = _folded(contract)
        alike = self._of_root(as_root(contract.compact))
        return [each for each in alike if each.contract and _folded(each.contract) == folded]

    def _of_symbol(self, wanted: str) -> list[HoldingT]:
        """What is no option, by its symbol as answers show it; where there is none, by BRKB or BRK/B for BRK.B."""
        spelled = _spelled(wanted)
        alike = (*self._by_letters.of("".join(spelled.split())), *self._by_letters.odd)
        if exact := [each for each in self._no_options(alike) if _spelled(each.symbol) == spelled]:
            return exact
        root = as_root(wanted) if is_divided(wanted) else ""
        return list(self._no_options(self._of_root(root))) if root else []

    def _of_root(self, root: str) -> list[HoldingT]:
        """What is written so where the roots of options are."""
        odd = (each for each in self._by_letters.odd if root in (as_root(each.symbol), as_root(_spelled(each.symbol))))
        return [*self._by_letters.of_root(root), *odd]

    def _no_options(self, positions: Iterable[HoldingT]) -> Iterator[HoldingT]:
        return (each for each in positions if each.symbol and not each.contract and self._counts(each))

    def _of_id(self, name: str, identifier: str) -> list[HoldingT]:
        """What an answer shows by both: the UUID decides, and the symbol must be its own."""
        position = self._by_id.get(identifier.lower())
        if position is None or not self._counts(position):
            return []
        wanted, contract = as_asked(name), parse_option_symbol(as_asked(name))
        same = position.contract == contract if contract else _spelled(position.symbol) == _spelled(wanted)
        if not same and as_root(position.symbol) != as_root(wanted):
            raise InvalidInput(
                f"{label(identifier)} is {label(position.name)}, not {label(name)}.", hint="Give one of them alone."
            )
        return [position]

    def find_all(self, texts: Iterable[str]) -> list[HoldingT]:
        """The positions that `texts` name, each once, in the order given. Raises as `find` does."""
        found, unknown = dict[str, HoldingT](), list[UnknownInstrument]()
        for text in texts:
            try:
                position = self.find(text)
                found[position.instrument_id] = position
            except UnknownInstrument as error:
                unknown.append(error)
        if len(unknown) == 1:
            raise unknown[0]
        if unknown:
            said = " ".join(f"{error.message}{f' {error.hint}' if error.hint else ''}" for error in unknown)
            raise UnknownInstrument(said, nearest=unknown[0].nearest, hint="Leave these out, or correct them.")
        return list(found.values())

    def _unknown(self, wanted: str) -> UnknownInstrument:
        contract, root = parse_option_symbol(wanted), wanted.upper()
        nearest = self._nearest(contract) if contract else self._of_same_root(wanted)
        if not contract and any(held.root == root for held in self._contracts_on(root)):
            return UnknownInstrument(
                f"Nothing held is called {label(wanted)}, but options on it are.",
                nearest=nearest,
                hint=f"List them with underlying={label(root)}.",
            )
        none_on_it = f"No option on {contract.root} is held." if contract else _no_ticker(wanted)
        hint = f"Nearest held: {', '.join(label(name) for name in nearest)}." if nearest else none_on_it
        return UnknownInstrument(f"Nothing held is called {label(wanted)}.", nearest=nearest, hint=hint)

    def _nearest(self, wanted: OptionContract) -> list[str]:
        def distance(held: OptionContract) -> tuple[object, ...]:
            days = abs((held.expiration - wanted.expiration).days)
            return (held.right != wanted.right, days, abs(held.strike - wanted.strike))

        same_root = (held for held in self._contracts_on(wanted.root) if held.root == wanted.root)
        return [held.compact for held in sorted(same_root, key=distance)[:_NEAREST]]

    def _of_same_root(self, wanted: str) -> list[str]:
        root = _root(wanted)
        begun = self._beginning_with(root[:-1] if len(root) > _SHORTEST_ROOT else root)
        return of_same_root(wanted, (_spelled(each.symbol) for each in begun if each.symbol and not each.contract))

    def _contracts_on(self, root: str) -> list[OptionContract]:
        """Of the options whose symbols begin so, each once."""
        return list(dict.fromkeys(each.contract for each in self._beginning_with(root) if each.contract))

    def _beginning_with(self, letters: str) -> Iterator[HoldingT]:
        """What is called so, or begins so; in a large book that is little."""
        begun = (*self._by_letters.beginning_with(letters), *self._by_letters.odd) if letters else ()
        return (each for each in begun if self._counts(each))


@contextmanager
def looked_up(doubts: Sequence[str]) -> Iterator[None]:
    """Within, what nothing held is called may be among what could not be read: an error says that too."""
    try:
        yield
    except UnknownInstrument as error:
        if not doubts:
            raise
        said = f"{error.message} But {'; '.join(doubts)}."
        raise UnknownInstrument(said, nearest=error.nearest, hint=error.hint, is_doubted=True) from None


def find_underlying(text: str, positions: Sequence[Holding], underlyings: Underlyings) -> str:
    """The normal form of an underlying that something held belongs to: upper-case symbol or lower-case UUID.

    Raises UnknownInstrument, with the nearest underlyings held, where nothing held is on it.
    """
    named = with_its_id(text)
    wanted = as_asked(text) if named is None else named[1]
    if not wanted:
        raise InvalidInput("The underlying is blank.", hint="Give a symbol or a UUID, or leave it out.")
    if parse_option_symbol(wanted):
        raise InvalidInput(
            f"{label(wanted)} is an option.", hint="Give it under instruments, or its root as underlying."
        )
    wanted = wanted.lower() if is_uuid(wanted) else wanted.upper()
    names = {underlyings.name_of(position).upper() for position in positions}
    alike = {name for name in names if as_root(name) == as_root(wanted) != ""}
    if wanted not in names and len(alike) == 1:
        return alike.pop()
    if any(underlyings.matches(position, wanted) for position in positions):
        return wanted
    nearest = of_same_root(wanted, {underlyings.name_of(position) for position in positions})
    shown = ", ".join(label(name) for name in nearest)
    raise UnknownInstrument(
        f"Nothing held is on the underlying {label(text.strip())}.",
        nearest=nearest,
        hint=f"Nearest underlyings held: {shown}." if shown else _no_ticker(text.strip()),
    )


def _no_ticker(wanted: str) -> str:
    """What to give instead of what is no ticker; empty for what is written as one, which is merely not held."""
    return "" if _TICKER.fullmatch(wanted) else "Company names are not known here: give the ticker."


def _spelled(symbol: str) -> str:
    """A symbol as it is looked up: as answers show it, without the quotes that stand around an odd one."""
    return clean(symbol.strip().strip('"')).replace('"', "'").upper()


def _folded(contract: OptionContract) -> OptionContract:
    return replace(contract, root=as_root(contract.root))


def of_same_root(wanted: str, names: Iterable[str]) -> list[str]:
    """Names of other classes of the same share, or with one letter more or less behind: never merely alike ones."""
    root = _root(wanted)
    return sorted(name for name in set(names) if root and _is_same(root, _root(name)))[:_NEAREST]


def _root(name: str) -> str:
    return _CLASS.split(name.strip().upper(), maxsplit=1)[0]


def _is_same(root: str, other: str) -> bool:
    shorter, longer = sorted((root, other), key=len)
    return root == other or (len(shorter) >= _SHORTEST_ROOT and longer[:-1] == shorter)


def similar(wanted: str, names: Iterable[str]) -> list[str]:
    """The names most like `wanted`, best first; at most five. For few names, of arguments."""
    by_upper = {name.upper(): name for name in sorted(set(names))}
    close = difflib.get_close_matches(wanted[:40].upper(), by_upper, n=_NEAREST, cutoff=_LIKENESS)
    return [by_upper[name] for name in close]
