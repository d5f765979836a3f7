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
from positions_mcp.tools._addresses import OPERATION, POSITIONS
from positions_mcp.tools._late import LateDeps, deps_of

if TYPE_CHECKING:
    from positions_mcp.tools._spec import Answer

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


async def read(uri: str, context: Context[LateDeps, object]) -> list[ReadResourceContents]:
    """The resource, read now.

    Raises:
        ResourceNotFoundError: there is none of that address, or not for this caller.
        ResourceError: it could not be read.
    """
    from positions_mcp.tools._errors import failure_text

    try:
        answer = await _answer(uri, context)
    except (InvalidInput, Refused) as error:
        raise ResourceNotFoundError(failure_text(error, reads=True)) from error
    except PositionsError as error:
        raise ResourceError(failure_text(error, reads=True)) from error
    text = answer.data.model_dump_json(by_alias=True, exclude_none=True)
    return [ReadResourceContents(content=text, mime_type=_JSON)]


async def may_watch(uri: str, context: Context[LateDeps, object]) -> bool:
    """Whether there is such a resource for this caller to hear of."""
    deps = await deps_of(context)
    if account := _POSITIONS.fullmatch(uri):
        return int(account[1]) in deps.accounts
    if operation := _OPERATION.fullmatch(uri):
        from positions_mcp.tools._callers import from_request

        caller = await from_request(context)
        try:
            return await deps.guard.changes.may_see(operation[1], caller.sees)
        except PositionsError:
            return False
    return False


async def _answer(uri: str, context: Context[LateDeps, object]) -> Answer:
    from positions_mcp.tools._callers import from_request
    from positions_mcp.tools._deps import page_progress
    from positions_mcp.tools.get_operation import get_operation
    from positions_mcp.tools.list_positions import list_positions

    deps = await deps_of(context)
    if account := _POSITIONS.fullmatch(uri):
        caller, progress = await from_request(context), await page_progress(context)
        return await list_positions(deps=deps, caller=caller, progress=progress, account_id=int(account[1]))
    if operation := _OPERATION.fullmatch(uri):
        caller = await from_request(context)
        return await get_operation(deps=deps, caller=caller, progress=_no_wait, operation_id=operation[1])
    raise InvalidInput(
        f"{label(uri, 100)} is not a resource of this server.", hint=f"There are {' and '.join(Template)}."
    )


async def _no_wait(waited: float, at_most: float) -> None:
    """A resource is read at once."""
