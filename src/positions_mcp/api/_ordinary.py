"""Ordinary pages of positions, decoded straight into their types: several times faster than field after field.

A page is ordinary where its envelope has rows and no error, and every row holds exactly what the API documents. What
a row has beyond the documented fields is kept. Where anything is otherwise, the whole page is left to the tolerant
reading of `_wire`, which makes equal positions of ordinary rows.

In brief, as holdings, only the fields are decoded that it takes to name, count, group and order positions: making
exact numbers of text is most of the work, and keeping them most of the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation, Rounded, localcontext
from functools import cache, lru_cache, partial
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias, get_type_hints

from positions_mcp.api._document import exact_number
from positions_mcp.domain.account.positions import Holding, Position
from positions_mcp.domain.money import LARGEST_MAGNITUDE, MOST_DIGITS, ZERO

if TYPE_CHECKING:
    import msgspec

Rows: TypeAlias = "memoryview | msgspec.Raw"
"""A JSON array of rows."""

_FIELDS = tuple(name for name in Position._fields if name != "extra")
_KINDS = get_type_hints(Position)
_DECIMALS = tuple(index for index, name in enumerate(_FIELDS) if _KINDS[name] in (Decimal, Decimal | None))
_IDENTIFIERS = ("instrument_id", "underlying_instrument_id")
_TYPES = ("instrument_type", "position_type", "underlying_instrument_type")
_TEXTS = tuple(map(_FIELDS.index, (*_IDENTIFIERS, *_TYPES)))
"""Where empty text is not the value it would be decoded as, but none."""
_position: Callable[[Iterable[Any]], Position] = partial(tuple.__new__, Position)
"""As `Position._make`, without a call of Python's for each."""
_MOST_UNKNOWN_FIELDS = 50
_BEGIN, _END = b'{"data":[', b'],"error":null,"metadata":'
_LONGEST_METADATA = 4096
_IN_BRIEF = ("account_id", *Holding.FIELDS)
_NO_ROUNDING = Context(prec=MOST_DIGITS, traps=[Inexact, Rounded, InvalidOperation])


def rows_and_metadata(body: bytes) -> tuple[Rows, bytes] | None:
    """The rows of an ordinary page and its metadata, both still JSON; None where the body is another document."""
    end = body.rfind(_END, -_LONGEST_METADATA)
    if end > 0 and body.startswith(_BEGIN) and body.endswith(b"}"):
        # As the API writes it, so that what follows the rows is found without a walk through them.
        return memoryview(body)[len(_BEGIN) - 1 : end + 1], body[end + len(_END) : -1]
    import msgspec

    try:
        envelope = _decode_envelope()(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    has_rows = bytes(memoryview(envelope.data)[:1]) == b"["
    return (envelope.data, bytes(envelope.metadata)) if has_rows and envelope.error is None else None


def read_holdings(rows: Rows) -> list[Holding] | None:
    """The positions of a page in brief; None where not all rows are ordinary."""
    import msgspec

    try:
        holdings = decode_holdings()(rows)
    except (msgspec.MsgspecError, ArithmeticError, ValueError, RecursionError):
        return None
    return holdings if are_ordinary(holdings, _IN_BRIEF) else None


def are_ordinary(holdings: Sequence[Holding], names: tuple[str, ...]) -> bool:
    """Whether there are any, and these fields of them hold what the tolerant reading would leave as it is."""
    numbers, identifiers, types = map(partial(map, attrgetter), _to_be_checked(names))
    if not holdings or not _are_sensible(list(map(column, holdings)) for column in numbers):
        return False
    named, texts = set[str | None](), set[str | None]()
    for column in identifiers:
        named.update(map(column, holdings))
    for column in types:
        texts.update(map(column, holdings))
    together = "".join(filter(None, named))
    # The API writes identifiers in lower case; where it does not, they have to be changed.
    return together.isascii() and together == together.lower() and "" not in named | texts


class OrdinaryPositions:
    """Reads ordinary pages, and remembers which fields this program does not know have come with them."""

    def __init__(self) -> None:
        self._unknown: tuple[str, ...] = ()

    def read(self, rows: Rows) -> list[Position] | None:
        """The positions of a page; None where not all rows are ordinary."""
        import msgspec

        try:
            names, decoded = self._decode(rows)
        except (msgspec.MsgspecError, ArithmeticError, ValueError, RecursionError):
            return None
        columns: list[Sequence[Any]] = list(zip(*map(msgspec.structs.astuple, decoded), strict=True))
        if not columns or not _are_sensible(columns[index] for index in _DECIMALS):
            return None
        if any("" in set(columns[index]) for index in _TEXTS):
            return None
        for index in map(_FIELDS.index, _IDENTIFIERS):
            if (identifiers := _lower_case(columns[index])) is None:
                return None
            columns[index] = identifiers
        known, unknown = columns[: len(_FIELDS)], columns[len(_FIELDS) :]
        extra = _sent(names, unknown) if unknown else repeat((), len(decoded))
        return list(map(_position, zip(*known, extra, strict=True)))

    def _decode(self, rows: Rows) -> tuple[tuple[str, ...], list[Any]]:
        """The names of unknown fields, and the rows with these: other threads may learn more of them meanwhile."""
        import msgspec

        known = self._unknown
        try:
            return known, _decode_rows(known)(rows)
        except msgspec.ValidationError:
            unknown = tuple(sorted(_fields_of(rows).union(known).difference(_FIELDS)))
            if unknown == known or len(unknown) > _MOST_UNKNOWN_FIELDS:
                raise
            decoded = _decode_rows(unknown)(rows)
            self._unknown = unknown
            return unknown, decoded


@cache
def _decode_envelope() -> Callable[[bytes], Any]:
    import msgspec

    fields: list[Any] = [("data", msgspec.Raw), ("metadata", msgspec.Raw, msgspec.Raw(b"null")), ("error", Any, None)]
    return msgspec.json.Decoder(msgspec.defstruct("Envelope", fields)).decode


@cache
def decode_holdings() -> Callable[[Rows | bytes], list[Holding]]:
    """Decodes rows that may be ordinary."""
    import msgspec

    row = msgspec.defstruct("HeldRow", struct_fields(_IN_BRIEF), bases=(msgspec.Struct, Holding), frozen=True, gc=False)
    return msgspec.json.Decoder(list[row]).decode  # type: ignore[valid-type]


@cache
def _to_be_checked(names: tuple[str, ...]) -> tuple[list[str], list[str], list[str]]:
    """Of these fields the numbers, the identifiers, and other texts that are not empty."""
    numbers = [name for name in names if _KINDS[name] in (Decimal, Decimal | None)]
    return numbers, [name for name in names if name in _IDENTIFIERS], [name for name in names if name in _TYPES]


def struct_fields(names: Iterable[str]) -> list[Any]:
    """Fields of a position as a struct has them."""
    defaults = Position._field_defaults
    return [(name, _KINDS[name], *([defaults[name]] if name in defaults else [])) for name in names]


@lru_cache(maxsize=8)
def _decode_rows(unknown: tuple[str, ...]) -> Callable[[Rows], list[Any]]:
    """Decodes rows with the documented fields, and with those of `unknown` where they have them."""
    import msgspec

    others = {f"unknown_{number}": name for number, name in enumerate(unknown)}
    fields = [*struct_fields(_FIELDS), *((name, Any, msgspec.UNSET) for name in others)]
    row = msgspec.defstruct("Row", fields, rename=others, forbid_unknown_fields=True, gc=False)
    # Numbers in unknown fields stay exact too.
    return msgspec.json.Decoder(list[row], float_hook=exact_number).decode  # type: ignore[valid-type]


def _fields_of(rows: Rows) -> set[str]:
    import msgspec

    return set().union(*msgspec.json.decode(rows, type=list[dict[str, msgspec.Raw]]))


def _are_sensible(columns: Iterable[Sequence[Any]]) -> bool:
    """Whether no number is beyond sense: `money.is_sensible` for many at a time."""
    with localcontext(_NO_ROUNDING):
        try:
            return all(map(_is_sensible_column, columns))
        except ArithmeticError:
            return False


def _is_sensible_column(column: Sequence[Any]) -> bool:
    try:
        # A sum that does not round has no part that is too long; one that is finite has none that is not.
        total, magnitudes = sum(column, ZERO), set(map(Decimal.adjusted, column))
    except TypeError:
        return _is_sensible_column([number for number in column if number is not None])
    return total.is_finite() and all(-LARGEST_MAGNITUDE < each < LARGEST_MAGNITUDE for each in magnitudes)


def _lower_case(column: Sequence[str | None]) -> Sequence[str | None] | None:
    """The identifiers in lower case, equal ones as one object; None where one is not ASCII."""
    together = "".join(filter(None, column))
    if not together.isascii():
        return None
    same = dict(zip(column, column, strict=True))
    if together != together.lower():
        same = {text: text and text.lower() for text in column}
    return list(map(same.__getitem__, column))


def _sent(names: Sequence[str], columns: Iterable[Sequence[object]]) -> list[tuple[tuple[str, object], ...]]:
    import msgspec

    return [
        tuple((name, value) for name, value in zip(names, values, strict=True) if value is not msgspec.UNSET)
        for values in zip(*columns, strict=True)
    ]
