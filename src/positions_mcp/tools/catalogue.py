"""The catalogue of all tools."""

from __future__ import annotations

from positions_mcp.tools import (
    cancel_instruction,
    close_all_positions,
    close_positions,
    get_operation,
    get_trading_status,
    list_instructions,
    list_operations,
    list_positions,
    preview_close,
    preview_instructions,
    submit_instructions,
    summarize_positions,
)
from positions_mcp.tools._spec import ToolSpec

CATALOGUE: tuple[ToolSpec, ...] = (
    list_positions.SPEC,
    summarize_positions.SPEC,
    preview_close.SPEC,
    close_positions.SPEC,
    close_all_positions.SPEC,
    list_instructions.SPEC,
    preview_instructions.SPEC,
    submit_instructions.SPEC,
    cancel_instruction.SPEC,
    get_operation.SPEC,
    list_operations.SPEC,
    get_trading_status.SPEC,
)
"""Every tool there is, in the order in which a client sees them. A tool that is not here does not exist."""
