"""What drafts of mandates would have let through. These notes decide nothing, and stand in no journal."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, insert, select

from positions_mcp.domain.operation.mandate import ShadowNote
from positions_mcp.store.schema import as_text, mandate_shadows

MOST_OF_ONE = 1_000
"""Notes that one draft keeps: of more, the latest."""


def note(connection: Connection, notes: Sequence[ShadowNote]) -> None:
    """Keep what drafts say of plans; what one said of a plan before is replaced."""
    for each in notes:
        mine = mandate_shadows.c.mandate_id == each.mandate_id
        connection.execute(delete(mandate_shadows).where(mine, mandate_shadows.c.plan_id == each.plan_id))
        connection.execute(
            insert(mandate_shadows).values(
                mandate_id=each.mandate_id, plan_id=each.plan_id, at=as_text(each.at), content=each.model_dump_json()
            )
        )
        if connection.execute(select(func.count()).where(mine)).scalar_one() > MOST_OF_ONE:
            oldest = select(mandate_shadows.c.plan_id).where(mine).order_by(mandate_shadows.c.at).limit(1)
            one = mandate_shadows.c.plan_id == oldest.scalar_subquery()
            connection.execute(delete(mandate_shadows).where(mine, one))


def of(connection: Connection, mandate_id: str) -> tuple[ShadowNote, ...]:
    """What a draft noted, oldest first."""
    mine = select(mandate_shadows.c.content).where(mandate_shadows.c.mandate_id == mandate_id)
    found = connection.execute(mine.order_by(mandate_shadows.c.at, mandate_shadows.c.plan_id)).scalars()
    return tuple(ShadowNote.model_validate_json(content) for content in found)
