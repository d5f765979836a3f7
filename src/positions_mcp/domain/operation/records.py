"""The base of what the API returns: frozen, tolerant of fields it does not know, and losing none of them.

And why it refused something, in whatever field and shape it says so: the reason of a rejected order has come as a list,
as plain text, as objects, and in fields that no contract names.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from positions_mcp.domain.ids import is_uuid
from positions_mcp.domain.text import counted

_MOST_TEXTS = 20
_DEEPEST = 6
_NAMES_A_REASON = re.compile(
    r"reason|reject|refus|text|message|msg|error|fail|detail|descri|note|comment|remark|explan|info|warn|why|cause|^code$",
    re.IGNORECASE,
)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?")


def texts_in(value: object) -> list[str]:
    """The texts in `value`: itself, or those of a list or an object; numbers as text. In order, each one once."""
    return list(islice(dict.fromkeys(_texts(value, _DEEPEST)), _MOST_TEXTS))


def reasons_in(row: Mapping[str, Any], known: Container[str], said: Sequence[object] = ()) -> list[str]:
    """What was `said`, and the texts in fields of `row` that are not `known` and are named for a reason.

    Where that is nothing, the texts in all fields that are not known. Identifiers and times are no reasons.
    """
    unknown = {name: value for name, value in row.items() if name not in known}
    named = [value for name, value in unknown.items() if _NAMES_A_REASON.search(name)]
    return texts_in([*said, *named]) or texts_in(
        [value for value in unknown.values() if not isinstance(value, int | float | Decimal)]
    )


def says_a_refusal(status: object) -> bool:
    """Whether a status is one of a refusal, so that what is said beside it is the reason."""
    return isinstance(status, str) and any(word in status.upper() for word in ("REJECT", "REFUS", "FAIL"))


def _texts(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        if value.strip() and not is_uuid(value) and not _INSTANT.fullmatch(value):
            yield value
    elif isinstance(value, Mapping | list) and depth:
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each, depth - 1)
    elif value is not None and not isinstance(value, bool | Mapping | list):
        yield str(value)


_NO_REASON = ("data", "metadata", "path", "status", "timestamp", "request_id", "requestId")
"""What else stands beside the message of an error."""

Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
"""Text that the API may send as null: then it is empty."""

Instant = Annotated[datetime, AfterValidator(lambda value: value if value.tzinfo else value.replace(tzinfo=UTC))]
"""A time of the API: always with a zone, and in UTC where the API leaves it out, as its documentation says."""


class Record(BaseModel):
    """A frozen record of the API. Fields this program does not know are kept in `model_extra`."""

    model_config = ConfigDict(
        frozen=True, defer_build=True, extra="allow", populate_by_name=True, coerce_numbers_to_str=True
    )


class Metadata(Record):
    """The envelope's metadata: the request's id and the place in a listing."""

    request_id: str | None = None
    next_page_token: str | None = None
    previous_page_token: str | None = None
    page_number: int | None = None
    total_items: int | None = None
    total_pages: int | None = None


class Problem(Record):
    """The API's error object. Beside data on a 2xx it is a summary, not by itself a failure."""

    code: int | str | None = None
    message: Text = ""
    details: list[object] | None = None

    @property
    def reasons(self) -> list[str]:
        """The API's own words, whatever field or shape they came in."""
        beside = [value for name, value in (self.model_extra or {}).items() if name not in _NO_REASON]
        return texts_in([self.message, self.details, *beside])

    @property
    def said(self) -> str:
        """Its reasons on one line; empty where there are none."""
        return "; ".join(self.reasons)


class UnreadableRow(Record):
    """A row that is left out: it is not what the contract says even when read tolerantly, or of another account.

    Kept, counted and reported, never dropped.
    """

    position: int
    """Index of the row in the answer, from 0."""
    reason: str
    raw: object
    of_account: int | None = None
    """The other account whose row it is."""


DataT = TypeVar("DataT")


class Response(BaseModel, Generic[DataT]):
    """One answer of the API: `data`, `error` and `metadata` of the envelope, with the HTTP status it came with."""

    model_config = ConfigDict(frozen=True, defer_build=True, arbitrary_types_allowed=True)

    data: DataT
    error: Problem | None = None
    metadata: Metadata = Field(default_factory=Metadata)
    status: int = 200
    unreadable: tuple[UnreadableRow, ...] = ()
    """Rows of the answer that are left out of `data`."""
    read_at: datetime | None = None
    """When it was asked for, where several share the answer: before each of them came."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """What the answer came without, in words; nothing where no row was left out."""
        others = sum(row.of_account is not None for row in self.unreadable)
        return tuple(said_of_left_out(len(self.unreadable) - others, others))


def said_of_left_out(unreadable: int, of_others: int) -> list[str]:
    """What a listing came without, in words; nothing where no row was left out."""
    words = []
    if unreadable:
        words.append(f"{counted(unreadable, 'row')} of the API could not be read and {_are(unreadable)} not included")
    if of_others:
        words.append(f"{counted(of_others, 'row')} of another account {_are(of_others)} left out")
    return words


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
