"""Every kind of operation, by the name that plans are stored with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from positions_mcp.domain.operation.plan import Kind
from positions_mcp.guard.closing.kind import Closing
from positions_mcp.guard.closing.words import ClosingWords
from positions_mcp.guard.dependencies import Dependencies
from positions_mcp.guard.exercising.kinds import Cancelling, Submitting
from positions_mcp.guard.exercising.words import CancellingWords, SubmittingWords
from positions_mcp.guard.kind import OperationKind, Words

WORDS: Mapping[Kind, Words] = {
    Kind.CLOSE_POSITIONS: ClosingWords(),
    Kind.CLOSE_ALL_POSITIONS: ClosingWords(),
    Kind.SUBMIT_INSTRUCTIONS: SubmittingWords(),
    Kind.CANCEL_INSTRUCTION: CancellingWords(),
}


def kinds_of(deps: Dependencies) -> Mapping[Kind, OperationKind[Any]]:
    """How each kind is planned, sent and followed."""
    closing = Closing(deps)
    return {
        Kind.CLOSE_POSITIONS: closing,
        Kind.CLOSE_ALL_POSITIONS: closing,
        Kind.SUBMIT_INSTRUCTIONS: Submitting(deps),
        Kind.CANCEL_INSTRUCTION: Cancelling(deps),
    }
