"""The MCP tools, one file each, and the catalogue of all of them."""

from __future__ import annotations

from positions_mcp.tools import list_positions
from positions_mcp.tools._spec import ToolSpec

CATALOGUE: tuple[ToolSpec, ...] = (list_positions.SPEC,)
"""Every tool there is, in the order in which a client sees them. A tool that is not here does not exist."""
