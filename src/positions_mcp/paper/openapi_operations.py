"""An operation of the API as it is written down once: where it is, what may be asked, and what it answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

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
