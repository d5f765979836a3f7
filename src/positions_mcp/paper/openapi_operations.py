"""How an operation is written down in the specification: parameters, answers and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from positions_mcp.paper.openapi_schemas import UUID, Schema, object_of, or_null
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
_ACCOUNT: Schema = {
    "name": "account_id",
    "in": "path",
    "required": True,
    "schema": {"type": "integer", "minimum": 0, "maximum": 10**18 - 1},
}


def operation(
    name: str,
    found: Mapping[str, Schema],
    *errors: str,
    parameters: Sequence[Schema] = (),
    body: Schema | None = None,
    of_account: bool = True,
) -> Schema:
    """One operation: what it answers by status, beside what every operation may answer."""
    responses: Schema = {
        status: {
            "description": "Some were rejected." if status == "207" else "What was asked for.",
            "content": json_of(schema),
        }
        for status, schema in found.items()
    }
    for status in sorted({"400", "401", "413", "500", *(("403",) if of_account else ()), *errors}):
        error = {"$ref": "#/components/schemas/Error"}
        responses[status] = {"description": _MEANINGS[status], "content": json_of(error)}
    written: Schema = {
        "operationId": name,
        "parameters": [*([_ACCOUNT] if of_account else []), *parameters],
        "responses": responses,
    }
    if body is not None:
        written["requestBody"] = body
    return written


def json_of(schema: Schema) -> Schema:
    """A body of JSON."""
    return {"application/json": {"schema": schema}}


def _envelope(data: Schema) -> Schema:
    return object_of(
        {
            "data": data,
            "error": or_null({"$ref": "#/components/schemas/PartialFailure"}),
            "metadata": {"$ref": "#/components/schemas/Metadata"},
        }
    )


def one_of(name: str) -> Schema:
    """An answer with one row of a schema."""
    return _envelope({"$ref": f"#/components/schemas/{name}"})


def list_of(name: str) -> Schema:
    """An answer with rows of a schema."""
    return _envelope({"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}})


def query(name: str, schema: Schema) -> Schema:
    """A parameter of the query, which may be left out."""
    return {"name": name, "in": "query", "required": False, "schema": schema}


def in_path(name: str) -> Schema:
    """A part of the path."""
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def identifiers(name: str, *, uuids: bool = False) -> Schema:
    """Identifiers joined by commas in one value, as the service reads them."""
    one = f" *{UUID if uuids else IDENTIFIER} *"
    return query(name, {"type": "string", "pattern": f"^{one}(,{one})*$"})


PAGING_PARAMETERS = [
    query("page_size", {"type": "integer", "minimum": 1, "maximum": LARGEST_SIZE}),
    query("page_token", {"type": "string", "description": "Opaque; resend filters and order with it."}),
]
