"""Every operation of the paper exchange in each contract, and its specification: what it answers and no more."""

from __future__ import annotations

from positions_mcp.paper.bodies import MOST_ROWS
from positions_mcp.paper.dialects import Dialect, dialect_of
from positions_mcp.paper.neighbours.specification import operations_of as neighbours_of
from positions_mcp.paper.neighbours.specification import schemas as schemas_of_neighbours
from positions_mcp.paper.openapi import (
    PAGING_PARAMETERS,
    TEXT,
    TIME,
    Operation,
    Schema,
    components,
    enum_of,
    identifiers,
    json_of,
    list_of,
    one_of,
    or_null,
    query,
    reading,
    several,
)

_ORDERS = "/v1/accounts/{account_id}/orders"
_POSITIONS = "/v1/accounts/{account_id}/positions"
_INSTRUCTIONS = f"{_POSITIONS}/instructions"
SUBMITTING = "submit_position_instructions"
CANCELLING = "cancel_order"
"""An order, by its id. The first contract does not know of it."""
_CLOSE: Schema = {"required": False, "content": json_of(or_null({"$ref": "#/components/schemas/Close"}))}
_ROWS: Schema = {
    "type": "array",
    "items": {"$ref": "#/components/schemas/NewInstruction"},
    "minItems": 1,
    "maxItems": MOST_ROWS,
}


def operations_of(dialect: Dialect) -> list[Operation]:
    """All that there are, reads first; a path that is a case of another one comes before it."""
    kinds = query("instrument_type", enum_of(dialect.instrument_types))
    by_instrument = (identifiers("instrument_ids"), identifiers("underlying_instrument_ids"))
    one = {"type": "string", "minLength": 1}
    narrowed = [query(name, one) for name in ("instrument_id", "underlying_instrument_id")]
    return [
        reading(
            "get_positions",
            _POSITIONS,
            list_of("Position"),
            identifiers("instrument_ids", uuids=not dialect.is_current),
            *PAGING_PARAMETERS,
            query("sort_by", enum_of(dialect.sort_keys)),
            query("sort_direction", enum_of(("ASC", "DESC"))),
        ),
        reading("get_position_instructions", _INSTRUCTIONS, list_of("Instruction"), *narrowed, errors=("404", "503")),
        reading(
            "get_orders",
            _ORDERS,
            list_of("Order"),
            identifiers("order_ids"),
            *by_instrument,
            query("status", several(f"({'|'.join(dialect.order_statuses)})")),
            kinds,
            query("symbol", TEXT),
            *(query(name, TIME) for name in ("from", "to")),
            *(query(f"updated_at[{bound}]", TIME) for bound in ("gt", "gte", "lt", "lte")),
            *PAGING_PARAMETERS,
        ),
        reading("get_order", f"{_ORDERS}/{{order_id}}", one_of("Order"), errors=("404",)),
        *neighbours_of(dialect),
        Operation("close_positions", "DELETE", _POSITIONS, list_of("Order"), ("422",), body=_CLOSE),
        Operation(
            "close_position",
            "DELETE",
            f"{_POSITIONS}/{{instrument_id}}",
            list_of("Order"),
            ("404", "405", "422"),
            body=_CLOSE,
        ),
        Operation(
            SUBMITTING,
            "POST",
            _INSTRUCTIONS,
            list_of("Instruction"),
            ("404", "409", "422", "503"),
            body={"required": True, "content": json_of(_ROWS)},
            statuses=("200", "207"),
        ),
        Operation(
            "cancel_position_instruction",
            "DELETE",
            f"{_INSTRUCTIONS}/{{instruction_id}}",
            one_of("Instruction"),
            ("404", "409", "503"),
        ),
        Operation(
            CANCELLING,
            "DELETE",
            f"{_ORDERS}/{{order_id}}",
            None if dialect.is_seed else one_of("Order"),
            ("404", "409"),
        ),
        # The paper exchange takes no orders: this says so to every request.
        Operation("submit_orders", "POST", _ORDERS, None, ("405",)),
    ]


def is_known(operation: Operation, dialect: Dialect) -> bool:
    """Whether a contract has an operation: what it has not is answered, and no `Allow` or specification names it."""
    return not (dialect.is_seed and operation.name == CANCELLING)


OPERATIONS = tuple(each.name for each in operations_of(dialect_of("current")) if each.answer is not None)
"""The names of all that do something."""


def specification(dialect: Dialect) -> Schema:
    paths: dict[str, Schema] = {}
    for operation in operations_of(dialect):
        if is_known(operation, dialect):
            paths.setdefault(operation.path, {})[operation.method.lower()] = written = operation.schema()
            if operation.name == SUBMITTING and dialect.errors == "enveloped":
                _with_rejected_rows(written)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Paper exchange, {dialect.name} contract",
            "version": "1",
            "description": "Positions operations of the Clear Street Trading API and their neighbours, for rehearsal.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "<id>.<secret>"}},
            "schemas": components(dialect) | schemas_of_neighbours(dialect),
        },
        "security": [{"key": []}],
    }


def _with_rejected_rows(submitting: Schema) -> None:
    """The errors of a batch have its rows, where there is room for them."""
    rejected = {"type": "array", "items": {"$ref": "#/components/schemas/Instruction"}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Error"}], "properties": {"data": rejected}}
    for status in ("400", "404", "409", "500", "503"):
        submitting["responses"][status]["content"] = json_of(schema)
