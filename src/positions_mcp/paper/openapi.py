"""The specification of the paper exchange in each contract: what it answers, no more and no less."""

from __future__ import annotations

from positions_mcp.paper.dialects import Dialect
from positions_mcp.paper.neighbours.specification import schemas as schemas_of_neighbours
from positions_mcp.paper.openapi_operations import json_of
from positions_mcp.paper.openapi_schemas import Schema, components
from positions_mcp.paper.operations import SUBMITTING, is_known, operations_of


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
