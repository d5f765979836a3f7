"""From bytes to the documented types, tolerantly: what is new or missing never fails a page, and nothing is lost.

Numbers stay exact. What cannot be read is said: a body by the reply's `flaw`, a row as an `UnreadableRow`, an
optional field under `unreadable_fields` among what the record has beyond its own fields.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Generic, NoReturn, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from positions_mcp.api._http import Answer
from positions_mcp.api._ordinary import LARGEST_MAGNITUDE, Rows, rows_and_metadata
from positions_mcp.domain.positions import Holding, Position
from positions_mcp.domain.records import Metadata, Problem, Record, UnreadableRow
from positions_mcp.domain.text import clean

RecordT = TypeVar("RecordT", bound=Record | Holding)

UNREADABLE_FIELDS = "unreadable_fields"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, read. `flaw` says why its body is not the API's; `data` is None where there is none."""

    status: int
    data: object
    error: Problem | None
    metadata: Metadata
    flaw: str | None = None
    retry_after: str | None = None

    @property
    def is_success(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300


OrdinaryRows = Callable[[Rows], list[RecordT] | None]


def read_reply(answer: Answer) -> Reply:
    """Read the envelope `{data, error, metadata}` or the flat error `{code, message, details}`."""
    document = _decode(answer.body)
    if isinstance(document, Mapping):
        metadata = _metadata(document.get("metadata"), answer.request_id)
        flaw = "the token of the next page is not text" if _lost_its_place(metadata) else None
        return Reply(answer.status, document.get("data"), _problem(document), metadata, flaw, answer.retry_after)
    flaw = document if isinstance(document, str) else "the body is JSON but not an object"
    return Reply(answer.status, None, None, Metadata(request_id=answer.request_id), flaw, answer.retry_after)


def read_ordinary_page(answer: Answer) -> tuple[Reply, Rows] | None:
    """The reply of a page of a listing, with its rows still to be read; None where the answer is another document.

    Where the next page is does not have to wait until this one has been read.
    """
    parts = rows_and_metadata(answer.body) if 200 <= answer.status < 300 else None
    if parts is None:
        return None
    rows, text = parts
    document = _decode(text)
    metadata = _metadata(document, answer.request_id)
    if not isinstance(document, Mapping) or _lost_its_place(metadata):
        return None
    return Reply(answer.status, None, None, metadata, None, answer.retry_after), rows


class RowReader(Generic[RecordT]):
    """Reads rows as one kind of record: quickly where they are ordinary, and one by one only where that fails."""

    def __init__(self, kind: type[RecordT], ordinary: OrdinaryRows[RecordT] | None = None) -> None:
        self._kind = kind
        self._ordinary = ordinary

    @property
    def reads_ordinary_pages(self) -> bool:
        """Whether there is a quick way for pages on which nothing is out of the ordinary."""
        return self._ordinary is not None

    def read_ordinary(self, rows: Rows) -> list[RecordT] | None:
        """The records of an ordinary page; None where it is none, and has to be read tolerantly."""
        return self._ordinary(rows) if self._ordinary else None

    def read(self, rows: Sequence[object], first: int = 0) -> tuple[list[RecordT], list[UnreadableRow]]:
        """The records among `rows`, in order, and the rest; `first` is the index of the first row in the answer."""
        readings = [read_record(self._kind, row) for row in rows]
        readable = [reading for reading in readings if not isinstance(reading, str)]
        unreadable = [
            UnreadableRow(position=position, reason=reading, raw=rows[position - first])
            for position, reading in enumerate(readings, first)
            if isinstance(reading, str)
        ]
        return readable, unreadable


def read_record(kind: type[RecordT], row: object) -> RecordT | str:
    """`row` as a record, or in words why it is none.

    Optional fields that are null or empty text count as absent. Optional ones that make no sense are left out and
    kept as they came in `unreadable_fields`; a required one makes the row unreadable.
    """
    if not isinstance(row, Mapping):
        return "not an object"
    form: _Form[RecordT] = _form_of(kind)  # type: ignore[arg-type]  # a class is hashable, a named tuple too
    try:
        record = form.make(row)
    except ValidationError as error:
        faults = _faults(error)
    else:
        faults = dict.fromkeys(_absurd_numbers(form.values(record)), "a number beyond any sense")
        if not faults:
            return record
    if not faults.keys().isdisjoint(form.required) or not faults.keys() <= row.keys():
        return clean("; ".join(f"{name}: {reason}" for name, reason in faults.items()))
    rest: dict[str, Any] = {name: value for name, value in row.items() if name not in faults}
    if unread := {name: row[name] for name in faults if row[name] not in (None, "")}:
        rest[UNREADABLE_FIELDS] = {**_unreadable_fields(row), **unread}
    return read_record(kind, rest)


@dataclass(frozen=True, slots=True)
class _Form(Generic[RecordT]):
    """How a kind of record is made of a row: `make` raises ValidationError."""

    make: Callable[[Mapping[str, Any]], RecordT]
    required: frozenset[str]
    values: Callable[[RecordT], Mapping[str, object]]


@cache
def _form_of(kind: type[Any]) -> _Form[Any]:
    if issubclass(kind, Record):
        required = frozenset(name for name, field in kind.model_fields.items() if field.is_required())
        return _Form(kind.model_validate, required, vars)
    validated = TypeAdapter(Position, config=ConfigDict(coerce_numbers_to_str=True)).validate_python
    fields = {*Position._fields} - {"extra"}

    def make(row: Mapping[str, Any]) -> Position:
        position = validated({name: value for name, value in row.items() if name in fields})
        extra = tuple((str(name), value) for name, value in row.items() if name not in fields)
        return position._replace(extra=extra) if extra else position

    return _Form(make, frozenset(fields - Position._field_defaults.keys()), Position._asdict)


def _unreadable_fields(fields: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What earlier rounds left out; should the API itself have a field of that name, it is kept under its name."""
    earlier = (fields or {}).get(UNREADABLE_FIELDS, {})
    return earlier if isinstance(earlier, Mapping) else {UNREADABLE_FIELDS: earlier}


def _decode(body: bytes) -> object:
    """The JSON document, or a `str` saying why there is none. A JSON text alone is no document of this API either."""
    if not body.strip():
        return "the body is empty"
    try:
        document = json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    except RecursionError:
        return "the body is nested too deeply"
    except ValueError:
        return "the body is not JSON"
    return "the body is JSON but not an object" if isinstance(document, str) else document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _metadata(raw: object, request_id: str | None) -> Metadata:
    reading = read_record(Metadata, raw if isinstance(raw, Mapping) else {})
    metadata = Metadata() if isinstance(reading, str) else reading
    return metadata if metadata.request_id else metadata.model_copy(update={"request_id": request_id})


def _lost_its_place(metadata: Metadata) -> bool:
    return "next_page_token" in _unreadable_fields(metadata.model_extra)


def _problem(document: Mapping[str, Any]) -> Problem | None:
    raw = document.get("error")
    if isinstance(raw, str) and raw:
        raw = {"message": document.get("message") or raw, "code": document.get("code")}
    if raw is None and "data" not in document and ("message" in document or "code" in document):
        raw = document
    if not isinstance(raw, Mapping):
        return None
    reading = read_record(Problem, raw)
    return None if isinstance(reading, str) else reading


def _faults(error: ValidationError) -> dict[str, str]:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return {str(detail["loc"][0]) if detail["loc"] else "": detail["msg"] for detail in details}


def _absurd_numbers(values: Mapping[str, object]) -> list[str]:
    return [
        name
        for name, value in values.items()
        if type(value) is Decimal and not -LARGEST_MAGNITUDE < value.adjusted() < LARGEST_MAGNITUDE
    ]
