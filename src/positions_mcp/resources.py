"""MCP resources: what an account holds and where an operation stands, for hosts that attach and watch things.

    positions://{account_id}        the answer of list_positions
    operations://{operation_id}     the answer of get_operation

Each is the structured answer of the tool, as JSON: the same words for the same things, and the same callers kept apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver.context import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp_types import Resource, ResourceTemplate

from positions_mcp.domain.errors import InvalidInput, PositionsError, Refused
from positions_mcp.domain.ids import AccountId
from positions_mcp.domain.text import label
from positions_mcp.tools._uris import OPERATION, POSITIONS
from positions_mcp.tools.lazy_context import LazyContext

if TYPE_CHECKING:
    from positions_mcp.tools._definition import Answer

_JSON = "application/json"
_POSITIONS = re.compile(rf"{POSITIONS}([1-9][0-9]{{0,18}})", re.ASCII)
_OPERATION = re.compile(rf"{OPERATION}(op-[0-9a-z]{{1,60}})", re.ASCII)


class Template(StrEnum):
    """The kinds of resources."""

    POSITIONS = "positions://{account_id}"
    OPERATION = "operations://{operation_id}"


_DESCRIPTIONS = {
    Template.POSITIONS: "What an account holds, as list_positions answers it. Updated when an operation was sent.",
    Template.OPERATION: "State, decision, orders and what is left of each target, as get_operation answers it.",
}


def listed(accounts: Sequence[AccountId]) -> list[Resource]:
    """The positions of every configured account. Operations are read by their id."""
    return [
        Resource(
            uri=f"{POSITIONS}{account}",
            name=f"positions-{account}",
            title=f"Positions of account {account}",
            description=_DESCRIPTIONS[Template.POSITIONS],
            mime_type=_JSON,
        )
        for account in accounts
    ]


def templates() -> list[ResourceTemplate]:
    """Both kinds, by the argument that names one."""
    return [
        ResourceTemplate(
            uri_template=template, name=name, title=title, description=_DESCRIPTIONS[template], mime_type=_JSON
        )
        for template, name, title in (
            (Template.POSITIONS, "positions", "Positions of an account"),
            (Template.OPERATION, "operation", "An operation"),
        )
    ]


async def read(uri: str, sdk: Context[LazyContext, object]) -> list[ReadResourceContents]:
    """The resource, read now.

    Raises ResourceNotFoundError where there is none of that address for this caller, ResourceError where it could not
    be read.
    """
    from positions_mcp.tools._errors import failure_text

    try:
        answer = await _answer(uri, sdk)
    except (InvalidInput, Refused) as error:
        raise ResourceNotFoundError(failure_text(error, reads=True)) from error
    except PositionsError as error:
        raise ResourceError(failure_text(error, reads=True)) from error
    text = answer.data.model_dump_json(by_alias=True, exclude_none=True)
    return [ReadResourceContents(content=text, mime_type=_JSON)]


async def may_watch(uri: str, sdk: Context[LazyContext, object]) -> bool:
    from positions_mcp.tools._call import begin

    call = await begin(sdk)
    if account := _POSITIONS.fullmatch(uri):
        return int(account[1]) in call.context.accounts
    if operation := _OPERATION.fullmatch(uri):
        try:
            return await call.context.guard.changes.may_see(operation[1], call.caller.viewer)
        except PositionsError:
            return False
    return False


async def _answer(uri: str, sdk: Context[LazyContext, object]) -> Answer:
    from positions_mcp.tools import get_operation, list_positions
    from positions_mcp.tools._call import begin

    if account := _POSITIONS.fullmatch(uri):
        asked = list_positions.Arguments(account_id=int(account[1]))
        return await list_positions.list_positions(await begin(sdk), asked)
    if operation := _OPERATION.fullmatch(uri):
        wanted = get_operation.Arguments(operation_id=operation[1])
        return await get_operation.get_operation(await begin(sdk), wanted)
    raise InvalidInput(
        f"{label(uri, 100)} is not a resource of this server.", hint=f"There are {' and '.join(Template)}."
    )
