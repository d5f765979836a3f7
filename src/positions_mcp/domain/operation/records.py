"""The base of what the API returns: frozen, tolerant of fields it does not know, and losing none of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from positions_mcp.domain.refusals import texts_in

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
        words.append(f"{_rows(unreadable)} of the API could not be read and {_are(unreadable)} not included")
    if of_others:
        words.append(f"{_rows(of_others)} of another account {_are(of_others)} left out")
    return words


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
