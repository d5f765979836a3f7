"""On the path of a process it makes a later release of the program: one that knows more schemas of the store."""

from __future__ import annotations

import os

from sqlalchemy import Connection, text

from positions_mcp.store import migrations

SCHEMAS = "SCHEMAS_LATER"


def schemas(later: int) -> tuple[migrations.Migration, ...]:
    """The steps that lead to so many versions more, each as a release takes it."""
    return tuple(_adding(number) for number in range(later))


def _adding(number: int) -> migrations.Migration:
    def add(connection: Connection) -> None:
        connection.execute(text(f"ALTER TABLE operations ADD COLUMN IF NOT EXISTS later_{number} TEXT"))

    return add


migrations.MIGRATIONS += schemas(int(os.environ.get(SCHEMAS, "0")))
