"""The specification of the paper exchange in each contract: what it answers, no more and no less."""

from __future__ import annotations

from positions_mcp.paper.bodies import MOST_ROWS
from positions_mcp.paper.dialects import Dialect
from positions_mcp.paper.neighbours import specification as neighbours
from positions_mcp.paper.openapi_operations import (
    PAGING_PARAMETERS,
    identifiers,
    in_path,
    json_of,
    list_of,
    one_of,
    operation,
    query,
)
from positions_mcp.paper.openapi_schemas import TEXT, TIME, Schema, components, or_null


def specification(dialect: Dialect) -> Schema:
    """The OpenAPI 3.1 document of a contract."""
    account = "/v1/accounts/{account_id}"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Paper exchange, {dialect.name} contract",
            "version": "1",
            "description": "Positions operations of the Clear Street Trading API and their neighbours, for rehearsal.",
        },
        "paths": {
            f"{account}/positions": {"get": _get_positions(dialect), "delete": _close("close_positions")},
            f"{account}/positions/instructions": {
                "get": _get_instructions(),
                "post": _submit(dialect),
            },
            f"{account}/positions/instructions/{{instruction_id}}": {"delete": _cancel()},
            f"{account}/positions/{{instrument_id}}": {"delete": _close("close_position")},
            f"{account}/orders": {"get": _get_orders(dialect), "post": _submit_orders()},
            f"{account}/orders/{{order_id}}": {
                "get": _get_order(),
                **({} if dialect.is_seed else {"delete": _cancel_order()}),
            },
            **neighbours.paths(dialect),
        },
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "<id>.<secret>"}},
            "schemas": components(dialect) | neighbours.schemas(dialect),
        },
        "security": [{"key": []}],
    }


def _get_positions(dialect: Dialect) -> Schema:
    return operation(
        "get_positions",
        {"200": list_of("Position")},
        parameters=[
            identifiers("instrument_ids", uuids=not dialect.is_current),
            *PAGING_PARAMETERS,
            query("sort_by", {"type": "string", "enum": list(dialect.sort_keys)}),
            query("sort_direction", {"type": "string", "enum": ["ASC", "DESC"]}),
        ],
    )


def _get_instructions() -> Schema:
    parameters = [query(name, {"type": "string", "minLength": 1}) for name in _INSTRUCTION_FILTERS]
    return operation("get_position_instructions", {"200": list_of("Instruction")}, "404", "503", parameters=parameters)


def _get_orders(dialect: Dialect) -> Schema:
    statuses = "|".join(dialect.order_statuses)
    return operation(
        "get_orders",
        {"200": list_of("Order")},
        parameters=[
            identifiers("order_ids"),
            identifiers("instrument_ids"),
            identifiers("underlying_instrument_ids"),
            query("status", {"type": "string", "pattern": rf"^({statuses})(,({statuses}))*$"}),
            query("instrument_type", {"type": "string", "enum": list(dialect.instrument_types)}),
            query("symbol", TEXT),
            *(query(name, TIME) for name in ("from", "to", *_UPDATED)),
            *PAGING_PARAMETERS,
        ],
    )


def _get_order() -> Schema:
    return operation("get_order", {"200": one_of("Order")}, "404", parameters=[in_path("order_id")])


def _submit_orders() -> Schema:
    """The paper exchange takes no orders: this says so to every request."""
    return operation("submit_orders", {}, "405")


def _cancel_order() -> Schema:
    return operation("cancel_order", {"200": one_of("Order")}, "404", "409", parameters=[in_path("order_id")])


def _close(name: str) -> Schema:
    body = {"required": False, "content": json_of(or_null({"$ref": "#/components/schemas/Close"}))}
    if name == "close_positions":
        return operation(name, {"200": list_of("Order")}, "422", body=body)
    parameters = [in_path("instrument_id")]
    return operation(name, {"200": list_of("Order")}, "404", "405", "422", parameters=parameters, body=body)


def _submit(dialect: Dialect) -> Schema:
    rows = {
        "type": "array",
        "items": {"$ref": "#/components/schemas/NewInstruction"},
        "minItems": 1,
        "maxItems": MOST_ROWS,
    }
    found = {"200": list_of("Instruction"), "207": list_of("Instruction")}
    body = {"required": True, "content": json_of(rows)}
    submit = operation("submit_position_instructions", found, "404", "409", "422", "503", body=body)
    if dialect.errors == "enveloped":
        rejected = {"type": "array", "items": {"$ref": "#/components/schemas/Instruction"}}
        for status in ("400", "404", "409", "500", "503"):
            schema = {
                "allOf": [{"$ref": "#/components/schemas/Error"}],
                "properties": {"data": rejected},
            }
            submit["responses"][status]["content"] = json_of(schema)
    return submit


def _cancel() -> Schema:
    return operation(
        "cancel_position_instruction",
        {"200": one_of("Instruction")},
        "404",
        "409",
        "503",
        parameters=[in_path("instruction_id")],
    )


_INSTRUCTION_FILTERS = ("instrument_id", "underlying_instrument_id")
_UPDATED = ("updated_at[gt]", "updated_at[gte]", "updated_at[lt]", "updated_at[lte]")
