"""What a caller that has signed in may do by its token. A person's decision is no scope: no token approves."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """What a token is good for. None contains another."""

    READ = "positions:read"
    PLAN = "positions:plan"
    ASK = "positions:ask"
    """Asking a person to have something sent. Deciding is the person's."""


READING = frozenset({Scope.READ})
PLANNING = frozenset({Scope.READ, Scope.PLAN})
ASKING = frozenset(Scope)

_OF_TOOL = {
    **dict.fromkeys(
        (
            "list_positions",
            "summarize_positions",
            "project_expiration",
            "list_instructions",
            "get_operation",
            "list_operations",
            "get_trading_status",
            "halt_trading",  # who may look may stop what it has asked for
        ),
        READING,
    ),
    **dict.fromkeys(("preview_close", "preview_instructions"), PLANNING),
}


def needed_for(tool: str) -> frozenset[Scope]:
    """All scopes that a call of a tool needs: every scope there is where the tool is not said to need less."""
    return _OF_TOOL.get(tool, ASKING)


def in_order(scopes: frozenset[Scope]) -> str:
    """Scopes as a challenge lists them."""
    return " ".join(each for each in Scope if each in scopes)
