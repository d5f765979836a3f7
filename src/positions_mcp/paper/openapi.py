"""How the specification is written: an operation, and the schemas of positions, orders, instructions and errors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from positions_mcp.paper.bodies import LONGEST_KEY, LONGEST_NUMBER
from positions_mcp.paper.dialects import Dialect
from positions_mcp.paper.requests import IDENTIFIER, LARGEST_SIZE

Schema = dict[str, Any]
UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
DECIMAL: Schema = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
UUID_TEXT: Schema = {"type": "string", "format": "uuid"}
TIME: Schema = {"type": "string", "format": "date-time"}
TEXT: Schema = {"type": "string"}


def object_of(required: Mapping[str, Schema], **optional: Schema) -> Schema:
    """An object with required and optional properties, open to more."""
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


def enum_of(values: tuple[str, ...]) -> Schema:
    return {"type": "string", "enum": list(values)}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


_INSTRUCTION_TYPE = enum_of(("EXERCISE", "DO_NOT_EXERCISE", "CONTRARY_EXERCISE"))


def components(dialect: Dialect) -> dict[str, Schema]:
    """Every schema of a contract, by its name."""
    flat: Schema = {
        "code": {"type": "integer"},
        "message": TEXT,
        "details": {"type": "array", "items": {"type": "object"}},
    }
    error = object_of(flat)
    metadata = object_of(
        {"request_id": TEXT},
        page_number={"type": "integer", "minimum": 1},
        total_items={"type": "integer", "minimum": 0},
        total_pages={"type": "integer", "minimum": 0},
        next_page_token=TEXT,
        previous_page_token=or_null(TEXT),
    )
    enveloped = object_of({"error": error, "metadata": metadata}, data={"type": "array"})
    return {
        "Position": _position(dialect),
        "Order": _order(dialect),
        "Instruction": _instruction(dialect),
        "NewInstruction": _new_instruction(dialect),
        "Close": {"type": "object", "properties": {"cancel_orders": {"type": ["boolean", "null"]}}},
        "Metadata": metadata,
        "PartialFailure": error,
        "Error": enveloped if dialect.errors == "enveloped" else error,
    }


def _position(dialect: Dialect) -> Schema:
    optional_amounts = (
        "avg_price",
        "closing_price",
        "cost_basis",
        "daily_unrealized_pnl",
        "daily_unrealized_pnl_pct",
        "instrument_price",
        "unrealized_pnl",
        "unrealized_pnl_pct",
    )
    schema = object_of(
        {
            "account_id": {"type": "integer"},
            "available_quantity": DECIMAL,
            "instrument_id": UUID_TEXT,
            "instrument_type": enum_of(dialect.instrument_types),
            "market_value": DECIMAL,
            "position_type": enum_of(dialect.position_types),
            "quantity": DECIMAL,
            "symbol": TEXT,
        },
        **{name: or_null(DECIMAL) for name in optional_amounts},
        closing_price_date=or_null({"type": "string", "format": "date"}),
        underlying_instrument_id=or_null(UUID_TEXT),
    )
    if not dialect.is_seed:
        schema["properties"]["daily_realized_pnl"] = or_null(DECIMAL)
    if dialect.is_current:
        schema["properties"]["underlying_instrument_type"] = or_null(enum_of(dialect.instrument_types))
    return schema


def _order(dialect: Dialect) -> Schema:
    kinds = enum_of(dialect.instrument_types)
    schema = object_of(
        {
            "id": UUID_TEXT,
            "account_id": {"type": "integer"},
            "client_order_id": TEXT,
            "created_at": TIME,
            "filled_quantity": DECIMAL,
            "instrument_id": or_null(UUID_TEXT) if dialect.is_current else UUID_TEXT,
            "instrument_type": or_null(kinds) if dialect.is_current else kinds,
            "leaves_quantity": DECIMAL,
            "order_type": enum_of(("MARKET", "LIMIT")),
            "quantity": DECIMAL,
            "side": enum_of(("BUY", "SELL")),
            "status": enum_of(dialect.order_statuses),
            "symbol": or_null(TEXT) if dialect.is_current else TEXT,
            "time_in_force": enum_of(("DAY", "GOOD_TILL_CANCEL")),
            "updated_at": TIME,
            "venue": TEXT,
        },
        average_fill_price=or_null(DECIMAL),
        details=or_null({"type": "array", "items": TEXT}),
        expires_at=or_null(TIME),
        extended_hours=or_null({"type": "boolean"}),
        limit_price=or_null(DECIMAL),
        queue_state=or_null(enum_of(("AWAITING_RELEASE", "RELEASED"))),
        releases_at=or_null(TIME),
        stop_price=or_null(DECIMAL),
        underlying_instrument_id=or_null(UUID_TEXT),
    )
    if dialect.is_current:
        leg = object_of(
            {"instrument_id": UUID_TEXT, "symbol": TEXT, "side": enum_of(("BUY", "SELL")), "ratio": DECIMAL}
        )
        schema["properties"] |= {
            "strategy": or_null(object_of({"type": enum_of(("SOR", "VWAP", "TWAP", "DMA"))})),
            "legs": or_null({"type": "array", "items": leg}),
            "underlying_instrument_type": or_null(enum_of(dialect.instrument_types)),
        }
    return schema


def _instruction(dialect: Dialect) -> Schema:
    schema = object_of(
        {
            "id": UUID_TEXT,
            "account_id": {"type": "integer"},
            **dict.fromkeys(dialect.key_fields, TEXT),
            "instruction_type": _INSTRUCTION_TYPE,
            "instrument_id": TEXT,
            "quantity": {"type": "string"},
            "status": enum_of(dialect.instruction_statuses),
            "symbol": TEXT,
        },
        accepted_quantity=or_null(DECIMAL),
        created_at=or_null(TIME),
        rejection_reason=or_null(TEXT),
        updated_at=or_null(TIME),
    )
    if dialect.is_current:
        texts = {"type": "object", "additionalProperties": TEXT}
        rejection = object_of({"reason": TEXT, "domain": TEXT, "description": TEXT, "metadata": texts})
        schema["properties"] |= {"rejection": or_null(rejection), "underlying_instrument_id": or_null(UUID_TEXT)}
    return schema


def _new_instruction(dialect: Dialect) -> Schema:
    key = {"type": ["string", "null"], "minLength": 1, "maxLength": LONGEST_KEY}
    quantity = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$", "maxLength": LONGEST_NUMBER}
    row = object_of(
        {
            "instruction_type": _INSTRUCTION_TYPE,
            "instrument_id": {"type": "string", "minLength": 1},
            "quantity": quantity,
        },
        **dict.fromkeys(dialect.key_fields, key),
    )
    return row | {"additionalProperties": False}


_MEANINGS = {
    "400": "Something in the request is not allowed.",
    "401": "The key is missing or unknown.",
    "403": "The key has no access to the account.",
    "404": "There is no such thing.",
    "405": "The resource has other methods.",
    "409": "It is a duplicate, already terminal, or being cancelled.",
    "413": "The body is too large.",
    "422": "The body is JSON of another shape.",
    "500": "The exchange failed.",
    "503": "Clearing is unavailable.",
}
_ACCOUNT = "account_id"
_ERROR: Schema = {"$ref": "#/components/schemas/Error"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: its method and path, and what it answers, with which statuses; None: nothing ever.

    `errors` are those beside what every operation may answer. The parts of the path and the parameters of the query are
    all that may be said.
    """

    name: str
    method: str
    path: str
    answer: Schema | None
    errors: Sequence[str] = ()
    parameters: Sequence[Schema] = ()
    body: Schema | None = None
    statuses: Sequence[str] = ("200",)

    @property
    def known(self) -> frozenset[str] | None:
        """The names that its query may have; None where it answers nothing, whatever is asked."""
        return None if self.answer is None else frozenset(parameter["name"] for parameter in self.parameters)

    def schema(self) -> Schema:
        named = re.findall(r"{(\w+)}", self.path)
        answers = {} if self.answer is None else dict.fromkeys(self.statuses, self.answer)
        responses: Schema = {
            status: {
                "description": "Some were rejected." if status == "207" else "What was asked for.",
                "content": json_of(schema),
            }
            for status, schema in answers.items()
        }
        of_account = ["403"] if _ACCOUNT in named else []
        for status in sorted({"400", "401", "413", "500", *of_account, *self.errors}):
            responses[status] = {"description": _MEANINGS[status], "content": json_of(_ERROR)}
        return {
            "operationId": self.name,
            "parameters": [*map(_in_path, named), *self.parameters],
            "responses": responses,
            **({} if self.body is None else {"requestBody": self.body}),
        }


def reading(name: str, path: str, answer: Schema, *parameters: Schema, errors: Sequence[str] = ()) -> Operation:
    """An operation that changes nothing."""
    return Operation(name, "GET", path, answer, errors, parameters)


def json_of(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def one_of(name: str) -> Schema:
    return _envelope({"$ref": f"#/components/schemas/{name}"})


def list_of(name: str) -> Schema:
    return _envelope({"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}})


def query(name: str, schema: Schema) -> Schema:
    """A parameter of the query, which may be left out."""
    return {"name": name, "in": "query", "required": False, "schema": schema}


def identifiers(name: str, *, uuids: bool = False) -> Schema:
    """Identifiers joined by commas in one value, as the service reads them."""
    return query(name, several(f" *{UUID if uuids else IDENTIFIER} *"))


def several(one: str) -> Schema:
    """Values of a pattern, joined by commas."""
    return {"type": "string", "pattern": f"^{one}(,{one})*$"}


def _envelope(data: Schema) -> Schema:
    return object_of(
        {
            "data": data,
            "error": or_null({"$ref": "#/components/schemas/PartialFailure"}),
            "metadata": {"$ref": "#/components/schemas/Metadata"},
        }
    )


def _in_path(name: str) -> Schema:
    number: Schema = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
    schema = number if name == _ACCOUNT else {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema}


PAGING_PARAMETERS = [
    query("page_size", {"type": "integer", "minimum": 1, "maximum": LARGEST_SIZE}),
    query("page_token", {"type": "string", "description": "Opaque; resend filters and order with it."}),
]
