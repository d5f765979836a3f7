"""The API's requests: every parameter checked and in its place, every path built from checked identifiers only.

Filters and sort go into the query of a GET, with every page token again; a close has a JSON object as the body of its
DELETE; a submission is a bare JSON array. Everything here raises InvalidInput before anything is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Literal, TypedDict, TypeVar

from positions_mcp.api._exchange import Request
from positions_mcp.domain import ids
from positions_mcp.domain.enums import OrderStatus, PositionSortKey, SecurityType, SortDirection
from positions_mcp.domain.errors import InvalidInput, UnsafeIdentifier
from positions_mcp.domain.exercise.instructions import InstructionRequest
from positions_mcp.domain.instruments import parse_option_symbol

TextT = TypeVar("TextT", bound=str)
Contract = Literal["auto", "seed", "summer", "current"]
"""Which name the caller's key of an instruction is written under: both, `instruction_id`, `client_instruction_id`."""


class UpdatedAt(TypedDict, total=False):
    """Bounds of a time: after, from, before, up to. Each has a time zone."""

    gt: datetime
    gte: datetime
    lt: datetime
    lte: datetime


LARGEST_PAGE = 1000
_LONGEST_TOKEN = 4096
_WORD = re.compile(r"[A-Za-z0-9^$][A-Za-z0-9./_ -]{0,39}", re.ASCII)
_KEY_NAMES = {
    "auto": ("instruction_id", "client_instruction_id"),
    "seed": ("instruction_id",),
    "summer": ("instruction_id",),
    "current": ("client_instruction_id",),
}


def positions(
    account_id: int,
    *,
    instrument_ids: Sequence[str] = (),
    sort_by: str | None = None,
    sort_direction: str | None = None,
    page_size: int | None = None,
    page_token: str | None = None,
) -> Request:
    """GET one page of positions."""
    query = {
        "instrument_ids": joined(ids.instrument_id, instrument_ids, "instrument_ids"),
        "sort_by": choice(PositionSortKey, sort_by, "sort_by"),
        "sort_direction": choice(SortDirection, sort_direction, "sort_direction"),
        **paging(page_size, page_token),
    }
    return get(f"{account_path(account_id)}/positions", query)


def orders(
    account_id: int,
    *,
    order_ids: Sequence[str] = (),
    statuses: Sequence[str] = (),
    instrument_ids: Sequence[str] = (),
    underlying_instrument_ids: Sequence[str] = (),
    instrument_type: str | None = None,
    symbol: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    updated_at: UpdatedAt | None = None,
    page_size: int | None = None,
    page_token: str | None = None,
) -> Request:
    """GET one page of orders. `since` and `until` are inclusive."""
    query = {
        "order_ids": joined(ids.order_id, order_ids, "order_ids"),
        "status": joined(lambda each: _one_of(OrderStatus, each, "status"), statuses, "statuses"),
        "instrument_ids": joined(ids.instrument_id, instrument_ids, "instrument_ids"),
        "underlying_instrument_ids": joined(ids.instrument_id, underlying_instrument_ids, "underlying_instrument_ids"),
        "instrument_type": choice(SecurityType, instrument_type, "instrument_type"),
        "symbol": None if symbol is None else instrument_word(symbol),
        "from": _instant(since, "since"),
        "to": _instant(until, "until"),
        **_updated({} if updated_at is None else updated_at),
        **paging(page_size, page_token),
    }
    return get(f"{account_path(account_id)}/orders", query)


def order_path(account_id: int, order_id: str) -> str:
    """The path of one order."""
    return f"{account_path(account_id)}/orders/{ids.order_id(order_id)}"


def instructions(account_id: int, instrument_id: str | None, underlying_instrument_id: str | None) -> Request:
    """GET the instructions of an account, or of one contract (UUID or OSI symbol), or on one underlying."""
    query = {
        "instrument_id": None if instrument_id is None else _contract(instrument_id),
        "underlying_instrument_id": None
        if underlying_instrument_id is None
        else instrument_word(underlying_instrument_id),
    }
    return get(f"{account_path(account_id)}/positions/instructions", query)


def close_all(account_id: int, cancel_orders: bool | None) -> Request:
    """DELETE every position of an account."""
    return Request("DELETE", f"{account_path(account_id)}/positions", json=_close_body(cancel_orders))


def close_one(account_id: int, instrument_id: str, cancel_orders: bool | None) -> Request:
    """DELETE one position, by its UUID: a path that could be shortened would close the whole account."""
    path = f"{account_path(account_id)}/positions/{ids.instrument_id(instrument_id)}"
    return Request("DELETE", path, json=_close_body(cancel_orders))


def submit(account_id: int, rows: Sequence[InstructionRequest], contract: str) -> Request:
    """POST a batch of instructions, the caller's key under the names that the contract has for it."""
    if isinstance(rows, InstructionRequest | Mapping | str) or not isinstance(rows, Sequence):
        raise InvalidInput(f"The batch is a {type(rows).__name__}.", hint="It is a list of InstructionRequest.")
    if not rows:
        raise InvalidInput("There is no instruction to submit.")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, InstructionRequest):
            raise InvalidInput(
                f"Row {number} of the batch is a {type(row).__name__}.",
                hint="It is an InstructionRequest: make it of a dictionary with InstructionRequest(**row).",
            )
    body = [_instruction(row, _KEY_NAMES[contract]) for row in rows]
    return Request("POST", f"{account_path(account_id)}/positions/instructions", json=body)


def cancel(account_id: int, instruction_id: str) -> Request:
    """DELETE one instruction, by the server's id."""
    path = f"{account_path(account_id)}/positions/instructions/{ids.instruction_id(instruction_id)}"
    return Request("DELETE", path)


def is_page_token(value: object) -> bool:
    """Whether `value` can be sent as a page token: printable text of a sensible length."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TOKEN and value.isprintable()


def account_path(account_id: int) -> str:
    """The path of an account."""
    return f"/v1/accounts/{ids.account_id(account_id)}"


def get(path: str, query: dict[str, str | None]) -> Request:
    """A GET with what of `query` is given."""
    return Request("GET", path, {name: value for name, value in query.items() if value} or None)


def joined(check: Callable[[str], str], values: Sequence[str], name: str) -> str | None:
    """Several values as one, each checked; None where there are none."""
    return ",".join(checked(check, values, name)) or None


def checked(check: Callable[[str], TextT], values: Sequence[str], name: str) -> list[TextT]:
    """Several values, each checked. Raises InvalidInput, also where they are no list."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InvalidInput(f"{name} is {values!r:.40}.", hint="It is a list of texts, also for one.")
    return list(map(check, values))


def yes_or_no(value: bool, name: str) -> bool:
    """A boolean, and nothing that only counts as one. Raises InvalidInput."""
    if type(value) is not bool:
        raise InvalidInput(f"{name} is {value!r:.20}.", hint="It is true or false.")
    return value


def instrument_word(text: object) -> str:
    """A UUID, an OSI symbol or a plain symbol: nothing that could be several."""
    word = plain_word(text, "instrument")
    if ids.is_uuid(word):
        return ids.instrument_id(word)
    contract = parse_option_symbol(word)
    return contract.osi if contract else word


def plain_word(text: object, what: str) -> str:
    """Text that can stand in a list of several."""
    if not isinstance(text, str) or not _WORD.fullmatch(text):
        raise InvalidInput(f"{text!r:.60} is not an {what}.")
    return text


def paging(page_size: int | None, page_token: str | None) -> dict[str, str | None]:
    """Where in a listing."""
    if page_size is not None and not (type(page_size) is int and 1 <= page_size <= LARGEST_PAGE):
        raise InvalidInput(f"page_size is {page_size!r:.20}.", hint=f"It is an integer from 1 to {LARGEST_PAGE}.")
    if page_token is not None and not is_page_token(page_token):
        raise InvalidInput("The page token is not one that the API gave.", hint="Start the listing again without it.")
    return {"page_size": None if page_size is None else str(page_size), "page_token": page_token}


def choice(kind: type[StrEnum], value: str | None, name: str) -> str | None:
    """One of the values of `kind` that this program knows, or None where none is given."""
    return None if value is None else _one_of(kind, value, name)


_members = cache(tuple)
"""Of an enumeration: walking through one costs more than what is looked for."""


def _one_of(kind: type[StrEnum], value: str, name: str) -> str:
    if value not in _members(kind):
        raise InvalidInput(f"{name} is {value!r:.40}.", hint=f"It is one of {', '.join(kind)}.")
    return str(value)


def _instant(value: object, name: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise InvalidInput(f"{name} is {value!r:.40}.", hint="It is a datetime with a time zone.")
    if value.tzinfo is None:
        raise InvalidInput(f"{name} has no time zone.")
    return value.isoformat()


def _updated(bounds: Mapping[str, object]) -> dict[str, str | None]:
    if not bounds.keys() <= UpdatedAt.__annotations__.keys():
        raise InvalidInput(f"updated_at is {bounds!r:.60}.", hint="It has times under gt, gte, lt and lte.")
    return {f"updated_at[{bound}]": _instant(value, f"updated_at {bound}") for bound, value in bounds.items()}


def _contract(text: str) -> str:
    try:
        return ids.instrument_id(text)
    except UnsafeIdentifier as error:
        message = error.message
    contract = parse_option_symbol(text) if type(text) is str else None
    if contract is None:
        raise UnsafeIdentifier(message, hint="A contract is given by its UUID or its OSI symbol.")
    return contract.osi


def _close_body(cancel_orders: bool | None) -> dict[str, bool]:
    if cancel_orders is None:
        return {}
    return {"cancel_orders": yes_or_no(cancel_orders, "cancel_orders")}


def _instruction(row: InstructionRequest, key_names: Sequence[str]) -> dict[str, str]:
    if not row.instruction_type.is_known:
        raise InvalidInput(f"{row.instruction_type!r:.40} is not an instruction type.")
    if row.quantity < 1:
        raise InvalidInput(f"The quantity is {row.quantity}.", hint="It is a number of whole contracts from 1.")
    body = {
        "instruction_type": row.instruction_type.value,
        "instrument_id": ids.instrument_id(row.instrument_id),
        "quantity": str(row.quantity),
    }
    return body if row.instruction_id is None else body | dict.fromkeys(key_names, row.instruction_id)
