"""From bytes to the documented types, tolerantly: what is new or missing never fails a page, and nothing is lost.

Numbers stay exact. What cannot be read is said: a body by the reply's `flaw`, a row as an `UnreadableRow`, an
optional field under `unreadable_fields` among what the record has beyond its own fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from operator import attrgetter, itemgetter
from typing import Annotated, Any, Generic, TypeVar, get_args, get_origin

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from positions_mcp.api._document import decode
from positions_mcp.api._exchange import Answer
from positions_mcp.api._ordinary import Rows, rows_and_metadata
from positions_mcp.domain import ids
from positions_mcp.domain.account.positions import Holding, Position
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.money import is_sensible
from positions_mcp.domain.operation.records import Metadata, Problem, Record, UnreadableRow
from positions_mcp.domain.text import clean

RecordT = TypeVar("RecordT", bound=Record | Holding)

_account = attrgetter("account_id")

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


OrdinaryRows = Callable[[Rows], Sequence[RecordT] | None]


def read_reply(answer: Answer) -> Reply:
    """Read the envelope `{data, error, metadata}` or the flat error `{code, message, details}`."""
    document = decode(answer.body)
    if isinstance(document, Mapping):
        metadata, flaw = _metadata(document.get("metadata"), answer.request_id)
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
    document = decode(text)
    metadata, flaw = _metadata(document, answer.request_id)
    if not isinstance(document, Mapping) or flaw:
        return None
    return Reply(answer.status, None, None, metadata, None, answer.retry_after), rows


class RowReader(Generic[RecordT]):
    """Reads rows as one kind of record: quickly where they are ordinary, and one by one only where that fails.

    Rows `of` an account are of that one alone: another's are left out.
    """

    def __init__(
        self,
        kind: type[RecordT],
        ordinary: OrdinaryRows[RecordT] | None = None,
        *,
        account_id: AccountId | None = None,
    ) -> None:
        self._kind = kind
        self._ordinary = ordinary
        self._account_id = account_id

    def of(self, account_id: int) -> RowReader[RecordT]:
        """The same for the rows of one account."""
        return RowReader(self._kind, self._ordinary, account_id=ids.account_id(account_id))

    @property
    def reads_ordinary_pages(self) -> bool:
        """Whether there is a quick way for pages on which nothing is out of the ordinary."""
        return self._ordinary is not None

    def read_ordinary(self, rows: Rows) -> Sequence[RecordT] | None:
        """The records of an ordinary page; None where it is none, and has to be read tolerantly."""
        records = self._ordinary(rows) if self._ordinary else None
        if records is None or self._account_id is None:
            return records
        return records if set(map(_account, records)) <= {self._account_id} else None

    def read(self, rows: Sequence[object], first: int = 0) -> tuple[list[RecordT], list[UnreadableRow]]:
        """The records among `rows`, in order, and the rest; `first` is the index of the first row in the answer."""
        records: list[RecordT] = []
        left_out: list[UnreadableRow] = []
        for position, row in enumerate(rows, first):
            reading = read_record(self._kind, row)
            if isinstance(reading, str):
                left_out.append(UnreadableRow(position=position, reason=reading, raw=row))
            elif self._account_id is not None and (other := _account(reading)) != self._account_id:
                reason = f"a row of account {other}, not of {self._account_id}"
                left_out.append(UnreadableRow(position=position, reason=reason, raw=row, of_account=other))
            else:
                records.append(reading)
        return records, left_out


def read_record(kind: type[RecordT], row: object) -> RecordT | str:
    """`row` as a record, or in words why it is none.

    Optional fields that are null or empty text count as absent. Optional ones that make no sense are left out and
    kept as they came in `unreadable_fields`; a required one makes the row unreadable.
    """
    if not isinstance(row, Mapping):
        return "not an object"
    form: _Form[RecordT] = _form_of(kind)  # type: ignore[arg-type]  # a class is hashable, a named tuple too
    given, left_out = dict(row), dict[str, Any]()
    for name in form.within.keys() & given.keys():
        given[name] = form.within[name](given[name])
    record: RecordT | None = None
    while True:
        try:
            record = form.make(given)
            numbers = ((name, value) for name, value in form.values(record).items() if type(value) is Decimal)
            faults = {name: "a number beyond any sense" for name, value in numbers if not is_sensible(value)}
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
            faults = {str(each["loc"][0]) if each["loc"] else "": each["msg"] for each in details}
        if record is not None and not faults:
            return form.make(_with_left_out(given, left_out)) if left_out else record
        if not faults.keys().isdisjoint(form.required) or not faults.keys() <= given.keys():
            return clean("; ".join(f"{name}: {reason}" for name, reason in faults.items()))
        left_out |= {name: value for name in faults if (value := given.pop(name)) not in (None, "")}


def _with_left_out(given: Mapping[str, Any], left_out: Mapping[str, Any]) -> dict[str, Any]:
    """Should the API itself have a field of that name, it is kept under its name among what is left out."""
    theirs = {UNREADABLE_FIELDS: given[UNREADABLE_FIELDS]} if UNREADABLE_FIELDS in given else {}
    return {**given, UNREADABLE_FIELDS: {**theirs, **left_out}}


@dataclass(frozen=True, slots=True)
class _Form(Generic[RecordT]):
    """How a kind of record is made of a row: `make` raises ValidationError."""

    make: Callable[[Mapping[str, Any]], RecordT]
    required: frozenset[str]
    within: Mapping[str, Callable[[object], object]]
    """Reads fields that hold a record or a list of records as tolerantly as the row itself."""
    values: Callable[[RecordT], Mapping[str, object]]


@cache
def _form_of(kind: type[Any]) -> _Form[Any]:
    if issubclass(kind, Record):
        required = frozenset(name for name, field in kind.model_fields.items() if field.is_required())
        optional_fields = kind.model_fields.keys() - required

        def make_record(row: Mapping[str, Any]) -> Record:
            return kind.model_validate({n: v for n, v in row.items() if v != "" or n not in optional_fields})

        return _Form(make_record, required, _readers_within(kind), vars)
    if kind is not Position:
        raise TypeError(f"{kind.__name__} is not a kind of record")
    validated = TypeAdapter(_CheckedPosition, config=ConfigDict(coerce_numbers_to_str=True)).validate_python
    fields, optional = {*Position._fields} - {"extra"}, Position._field_defaults.keys()

    def make(row: Mapping[str, Any]) -> Position:
        known = {name: value for name, value in row.items() if name in fields and (value != "" or name not in optional)}
        extra = tuple(sorted(((name, value) for name, value in row.items() if name not in fields), key=itemgetter(0)))
        return validated(known)._replace(extra=extra)

    return _Form(make, frozenset(fields - optional), {}, Position._asdict)


def _readers_within(kind: type[Record]) -> dict[str, Callable[[object], object]]:
    return {
        name: partial(_records_within if get_origin(field.annotation) is list else _record_within, part)
        for name, field in kind.model_fields.items()
        for part in (field.annotation, *get_args(field.annotation))
        if isinstance(part, type) and issubclass(part, Record)
    }


def _record_within(kind: type[Record], value: object) -> object:
    """The record in a field; what is none stays as it came, so that the field is refused for it."""
    record = read_record(kind, value)
    return value if isinstance(record, str) else record


def _records_within(kind: type[Record], value: object) -> object:
    return [_record_within(kind, each) for each in value] if isinstance(value, list) else value


def _identified(position: Position) -> Position:
    if not position.instrument_id:
        raise PydanticCustomError("unidentified", "no instrument_id")
    return position


_CheckedPosition = Annotated[Position, AfterValidator(_identified)]


def _metadata(raw: object, request_id: str | None) -> tuple[Metadata, str | None]:
    """The metadata, and what is wrong with them: without them a listing would seem to end."""
    if raw is None:
        return Metadata(request_id=request_id), None
    if not isinstance(raw, Mapping):
        return Metadata(request_id=request_id), "its metadata are not an object"
    # Names that nothing can be called, such as half a character, must not cost the rest.
    metadata = read_record(Metadata, {name: raw[name] for name in Metadata.model_fields if name in raw})
    if isinstance(metadata, str):
        return Metadata(request_id=request_id), "its metadata cannot be read"
    left_out = (metadata.model_extra or {}).get(UNREADABLE_FIELDS, {})
    flaw = "the token of the next page is not text" if "next_page_token" in left_out else None
    return (metadata if metadata.request_id else metadata.model_copy(update={"request_id": request_id})), flaw


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
