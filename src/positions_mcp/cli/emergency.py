"""The record of a person who flattens, where the operation store cannot be used.

A full disk, a file that was altered, a database that is gone: none of them may keep a trader in a falling market. What
is sent is then journalled in a new store of its own, and the person is told where, so that nothing is forgotten.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio

from positions_mcp.cli.approver import new_passphrase
from positions_mcp.cli.assembly.stores import database_of
from positions_mcp.cli.options import settings_of_either_mode
from positions_mcp.cli.output import paragraph
from positions_mcp.cli.record import (
    Record,
    commands_of,
    on_error,
    open_record,
)
from positions_mcp.cli.terminal import Terminal
from positions_mcp.clock import SystemClock
from positions_mcp.domain.errors import PositionsError, StoreUnavailable
from positions_mcp.platforms import this_platform
from positions_mcp.signing.rosters import RosterChain
from positions_mcp.store import DEFAULT_FILE, open_store
from positions_mcp.store.operations import SqlOperationStore


class NotJournalled(StoreUnavailable):
    """The operation store failed, and provably nothing was sent."""


def flatten_on_record(arguments: argparse.Namespace, terminal: Terminal, flatten: Callable[[Record], int]) -> int:
    """Flatten on the usual record; where that cannot be written, on one of its own, with the usual approver.

    `flatten` raises NotJournalled where the record fails it before anything is sent: then it is asked to go again on
    the other.
    """
    record, approver, why = None, None, ""
    with ExitStack() as stack:
        try:
            _expect_not_emptied(arguments)
            record = stack.enter_context(open_record(arguments))
            approver = _rosters_of(record.store)
            why = record.store.status().reason
        except PositionsError as error:
            why = error.message
        except Exception as error:  # nothing that is wrong with a store stops a person who flattens
            why = f"{type(error).__name__}: {error}"
        try:
            if record is not None and not why:
                return flatten(record)
        except NotJournalled as error:
            why = error.message
        with on_error("Nothing was sent."):
            record = stack.enter_context(_emergency_record(arguments, terminal, why, approver))
        return flatten(record)


def _expect_not_emptied(arguments: argparse.Namespace) -> None:
    """Raise StoreUnavailable for a file that is there and holds nothing: opening it would begin a store anew."""
    settings = settings_of_either_mode(arguments)
    file = database_of(settings)
    if isinstance(file, Path) and file.exists() and not file.stat().st_size:
        raise StoreUnavailable(f"{file} is empty: what it held is lost.")


def _rosters_of(store: SqlOperationStore) -> RosterChain | None:
    try:
        return store.rosters()
    except (PositionsError, ValueError):
        return None


@contextmanager
def _emergency_record(
    arguments: argparse.Namespace, terminal: Terminal, why: str, chain: RosterChain | None
) -> Iterator[Record]:
    settings = settings_of_either_mode(arguments)
    terminal.show(paragraph(f"THE OPERATION STORE CANNOT BE USED: {why}"))
    store = _emergency_store()
    try:
        record = Record(settings, store, commands_of(arguments, settings))
        terminal.show(paragraph(f"What is sent now is journalled in {store.status().place}: keep it."))
        terminal.show(paragraph("Requests of other processes and unknown outcomes cannot be seen from here."))
        if chain is not None and chain.roster is not None:
            _take_over(store, chain)
        else:
            terminal.show(paragraph("The approver cannot be relied on either. Choose a passphrase for this once."))
            anyio.run(record.supervisor().set_up_approver, new_passphrase(terminal))
        yield record
    finally:
        store.close()


def _take_over(store: SqlOperationStore, chain: RosterChain) -> None:
    """Keep everybody who may decide, with every signature that says so."""
    now, before = SystemClock().now(), None
    for approver in chain.approvers:
        store.set_approver(approver, replacing=before, now=now)
        before = approver.public_key
    for link in chain.links:
        store.set_roster(link, now)


def _emergency_store() -> SqlOperationStore:
    """A new store where one can be written; the disk that holds temporary files may be the one that is full."""
    parents = (tempfile.gettempdir(), *map(str, this_platform().spare_folders))
    for parent in parents:
        try:
            store = open_store(Path(tempfile.mkdtemp(prefix="positions-mcp-flatten-", dir=parent)) / DEFAULT_FILE)
        except (OSError, StoreUnavailable):
            continue
        if store.status().writable:
            return store
        store.close()
    raise StoreUnavailable(
        f"No record can be written in {' or '.join(parents)} either, and nothing is sent without one.",
        hint="Set TMPDIR to a directory that can be written.",
    )
