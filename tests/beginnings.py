"""What most tests begin with: an empty operation store and a new paper book, made once in a process and then copied."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from positions_mcp.paper import PaperExchange
from positions_mcp.paper.database import FILE_NAME
from positions_mcp.platforms import this_platform
from positions_mcp.ports import Clock
from positions_mcp.store import open_store
from positions_mcp.store.operations import SqlOperationStore


class _Standing:
    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at


def store_in(file: Path) -> SqlOperationStore:
    """The store of a file, with all its tables where it is new."""
    begin_store(file)
    return open_store(file)


def begin_store(file: Path) -> None:
    """Put a store without operations there; leave one that is there."""
    begin_with(file, _empty_store())


def begin_book(data_dir: Path, scenario: str, clock: Clock) -> None:
    """Put a book there, as a scenario is loaded at the clock's time; leave one that is there."""
    begin_with(data_dir / FILE_NAME, _new_book(scenario, clock.now()))


def begin_with(file: Path, contents: bytes) -> None:
    """Put a file there that only its owner reads, whole at once; leave one that is there."""
    if not file.exists():
        this_platform().make_folder(file.parent)
        whole = file.with_name(f"{file.name}.{threading.get_ident()}")
        this_platform().make_file(whole)
        whole.write_bytes(contents)
        with suppress(FileExistsError):  # another thread was first
            os.link(whole, file)
        whole.unlink()


def contents_of(folder: Path) -> dict[Path, bytes]:
    """Every file below a folder, to begin others with."""
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@cache
def _empty_store() -> bytes:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "operations.sqlite"
        open_store(file).close()
        return file.read_bytes()


@cache
def _new_book(scenario: str, at: datetime) -> bytes:
    with TemporaryDirectory() as folder:
        PaperExchange.open(Path(folder), scenario=scenario, clock=_Standing(at)).close()
        return (Path(folder) / FILE_NAME).read_bytes()
