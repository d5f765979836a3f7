"""The specification of the paper exchange in each contract: what it answers, no more and no less."""

from __future__ import annotations

from collections.abc import Mapping

from positions_mcp.paper.bodies import MOST_ROWS
from positions_mcp.paper.dialects import Dialect
from positions_mcp.paper.openapi_schemas import TEXT, TIME, UUID, Schema, components, object_of, or_null
from positions_mcp.paper.paging import LARGEST_SIZE
from positions_mcp.paper.requests import IDENTIFIER

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


def specification(dialect: Dialect) -> Schema:
    """The OpenAPI 3.1 document of a contract."""
    account = "/v1/accounts/{account_id}"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Paper exchange, {dialect.name} contract",
            "version": "1",
            "description": "The positions operations of the Clear Street Trading API, imitated for rehearsal.",
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
            f"{account}/orders/{{order_id}}": {"get": _get_order(), "delete": _cancel_order()},
        },
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "<id>.<secret>"}},
            "schemas": components(dialect),
        },
        "security": [{"key": []}],
    }


def _get_positions(dialect: Dialect) -> Schema:
    return _operation(
        "get_positions",
        {"200": _list("Position")},
        parameters=[
            _ids("instrument_ids", uuids=not dialect.is_current),
            *_PAGING,
            _query("sort_by", {"type": "string", "enum": list(dialect.sort_keys)}),
            _query("sort_direction", {"type": "string", "enum": ["ASC", "DESC"]}),
        ],
    )


def _get_instructions() -> Schema:
    parameters = [_query(name, {"type": "string", "minLength": 1}) for name in _INSTRUCTION_FILTERS]
    return _operation("get_position_instructions", {"200": _list("Instruction")}, "404", "503", parameters=parameters)


def _get_orders(dialect: Dialect) -> Schema:
    statuses = "|".join(dialect.order_statuses)
    return _operation(
        "get_orders",
        {"200": _list("Order")},
        parameters=[
            _ids("order_ids"),
            _ids("instrument_ids"),
            _ids("underlying_instrument_ids"),
            _query("status", {"type": "string", "pattern": rf"^({statuses})(,({statuses}))*$"}),
            _query("instrument_type", {"type": "string", "enum": list(dialect.instrument_types)}),
            _query("symbol", TEXT),
            *(_query(name, TIME) for name in ("from", "to", *_UPDATED)),
            *_PAGING,
        ],
    )


def _get_order() -> Schema:
    return _operation("get_order", {"200": _one("Order")}, "404", parameters=[_path("order_id")])


def _submit_orders() -> Schema:
    """The paper exchange takes no orders: this says so to every request."""
    return _operation("submit_orders", {}, "405")


def _cancel_order() -> Schema:
    return _operation("cancel_order", {"200": _one("Order")}, "404", "409", parameters=[_path("order_id")])


def _close(operation: str) -> Schema:
    body = {"required": False, "content": _json(or_null({"$ref": "#/components/schemas/Close"}))}
    if operation == "close_positions":
        return _operation(operation, {"200": _list("Order")}, "422", body=body)
    parameters = [_path("instrument_id")]
    return _operation(operation, {"200": _list("Order")}, "404", "405", "422", parameters=parameters, body=body)


def _submit(dialect: Dialect) -> Schema:
    rows = {
        "type": "array",
        "items": {"$ref": "#/components/schemas/NewInstruction"},
        "minItems": 1,
        "maxItems": MOST_ROWS,
    }
    found = {"200": _list("Instruction"), "207": _list("Instruction")}
    body = {"required": True, "content": _json(rows)}
    operation = _operation("submit_position_instructions", found, "404", "409", "422", "503", body=body)
    if dialect.errors == "enveloped":
        rejected = {"type": "array", "items": {"$ref": "#/components/schemas/Instruction"}}
        for status in ("400", "404", "409", "500", "503"):
            schema = {
                "allOf": [{"$ref": "#/components/schemas/Error"}],
                "properties": {"data": rejected},
            }
            operation["responses"][status]["content"] = _json(schema)
    return operation


def _cancel() -> Schema:
    return _operation(
        "cancel_position_instruction",
        {"200": _one("Instruction")},
        "404",
        "409",
        "503",
        parameters=[_path("instruction_id")],
    )


def _operation(
    name: str,
    found: Mapping[str, Schema],
    *errors: str,
    parameters: list[Schema] | None = None,
    body: Schema | None = None,
) -> Schema:
    responses: Schema = {
        status: {
            "description": "Some were rejected." if status == "207" else "What was asked for.",
            "content": _json(schema),
        }
        for status, schema in found.items()
    }
    for status in sorted({"400", "401", "403", "413", "500", *errors}):
        error = {"$ref": "#/components/schemas/Error"}
        responses[status] = {"description": _MEANINGS[status], "content": _json(error)}
    account = {"name": "account_id", "in": "path", "required": True}
    whole = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
    operation: Schema = {
        "operationId": name,
        "parameters": [{**account, "schema": whole}, *(parameters or [])],
        "responses": responses,
    }
    if body is not None:
        operation["requestBody"] = body
    return operation


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _envelope(data: Schema) -> Schema:
    return object_of(
        {
            "data": data,
            "error": or_null({"$ref": "#/components/schemas/PartialFailure"}),
            "metadata": {"$ref": "#/components/schemas/Metadata"},
        }
    )


def _one(name: str) -> Schema:
    return _envelope({"$ref": f"#/components/schemas/{name}"})


def _list(name: str) -> Schema:
    return _envelope({"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}})


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _path(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _ids(name: str, *, uuids: bool = False) -> Schema:
    """Identifiers joined by commas in one value, as the service reads them."""
    one = f" *{UUID if uuids else IDENTIFIER} *"
    return _query(name, {"type": "string", "pattern": f"^{one}(,{one})*$"})


_INSTRUCTION_FILTERS = ("instrument_id", "underlying_instrument_id")
_UPDATED = ("updated_at[gt]", "updated_at[gte]", "updated_at[lt]", "updated_at[lte]")
_PAGING = [
    _query("page_size", {"type": "integer", "minimum": 1, "maximum": LARGEST_SIZE}),
    _query("page_token", {"type": "string", "description": "Opaque; resend filters and order with it."}),
]
