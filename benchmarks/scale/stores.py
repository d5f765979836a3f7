"""The two databases that operations are kept in, and what is written to them, counted from outside."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from benchmarks.databases import new_database, postgresql

_CHANGES = 8
"""Where the shared memory of SQLite's log counts transactions that wrote something."""


@dataclass(frozen=True, slots=True)
class Store:
    """A database that operations are kept in."""

    name: str
    folder: Path
    settings: dict[str, str]
    """By which positions-mcp uses it."""
    place: Path | str
    writes: Callable[[], int]
    """How many transactions have written something."""

    @property
    def options(self) -> list[str]:
        """By which a command uses its folder."""
        return ["--data-dir", str(self.folder)]


@contextmanager
def databases(folder: Path) -> Iterator[Callable[[str], Iterator[Store]]]:
    """What makes an empty store of a name in each database, in turn. The server starts when the first one is made."""
    with ExitStack() as running:
        servers: list[str] = []

        def both(name: str) -> Iterator[Store]:
            yield sqlite(folder / f"{name}-sqlite")
            if not servers:
                servers.append(running.enter_context(postgresql()))
            yield _postgresql(folder / f"{name}-postgresql", new_database(servers[0]))

        yield both


def sqlite(folder: Path) -> Store:
    """A store in a file of a folder, which there may not be yet."""
    file = folder / "operations.sqlite"

    def written() -> int:
        shared = file.with_name(f"{file.name}-shm")
        count: int = struct.unpack_from("=I", shared.read_bytes(), _CHANGES)[0]
        return count

    return Store("SQLite", folder, {}, file, written)


def _postgresql(folder: Path, url: str) -> Store:
    def written() -> int:
        with psycopg.connect(url, autocommit=True) as connection:
            # Only a transaction that writes takes a number.
            found = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
        assert found
        count: int = found[0]
        return count

    return Store("PostgreSQL", folder, {"POSITIONS_MCP_STORE__URL": url}, url, written)
